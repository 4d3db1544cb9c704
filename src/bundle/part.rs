//! [`PartWriter`]: record batches into Parquet files, hashed as they are written.
//!
//! Memory is bounded by bytes (`budget`): of the row groups in the making (`group`), and of the blocks that
//! wait to be written. The same batches give the same bytes: `created_by` is fixed, and nothing is decided
//! by which thread was the faster, or by how many there are.

use super::budget::{Budget, Making};
use super::columns;
use super::group::RowGroupEncoder;
use super::hashing::{HashingFile, Sealing};
use super::layout::{PayloadFile, PayloadPath, TableFolder, next_part};
use super::manifest::{FileInfo, FileRole};
use super::page_pool::PagePool;
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::memory::Memory;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Room for what a part's footer, incompressible pages and dictionaries take over its values.
const PART_SLACK_BYTES: u64 = 16 << 20;
/// Half of the format's: a dictionary takes at most as much again as its values.
const MAX_ROW_GROUP_BYTES: u64 = 32 << 20;
/// The highest inline limit of the format (manifests/FORMAT.md, section 4).
const MAX_INLINE_BYTES: u64 = 32 << 20;
/// Values of a part, before compression.
pub(super) const MAX_PART_BYTES: u64 = 1 << 30;
/// What is asked for unless told otherwise: a part is hashed while the one before it is applied or
/// decoded, and only several parts can be hashed side by side.
const PART_BYTES: u64 = 256 << 20;
/// Columns of row groups in a part: each takes room in the footer, which is in memory whole.
pub(super) const MAX_CHUNKS: u64 = 32 << 10;

/// How parts are written.
#[derive(Clone, Copy, Debug)]
pub struct PartOptions {
    /// zstd's level, 1 to 22, of parts and of values in `blob/`.
    pub zstd_level: i32,
    /// Values of a row group, before compression: at most 32 MiB, and less where memory does not let it.
    /// Bounds the memory of readers.
    pub row_group_bytes: u64,
    /// Values of a part, before compression: at most 1 GiB. Bounds the work of a reader.
    pub part_bytes: u64,
    /// Values over this many bytes lie in `blob/`, at most 32 MiB; 16 MiB unless told otherwise, and less
    /// where memory or a high level does not let it.
    pub inline_bytes: Option<u64>,
    /// Row groups that are encoded at once, at most.
    pub threads: usize,
    /// What rows on their way to a file may take, whatever they are like.
    pub memory_bytes: u64,
}

impl Default for PartOptions {
    fn default() -> Self {
        Self {
            zstd_level: 1,
            row_group_bytes: MAX_ROW_GROUP_BYTES,
            part_bytes: PART_BYTES,
            inline_bytes: None,
            threads: threads(),
            memory_bytes: Memory::default().pipeline(),
        }
    }
}

/// As many as there are cores.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl PartOptions {
    /// The inline limit in force.
    ///
    /// # Errors
    /// Usage: what is asked for needs more memory than there is.
    pub fn inline_bytes(&self) -> Result<u64> {
        self.budget().map(|budget| budget.inline_bytes)
    }

    /// Bytes at which a batch is to be written.
    ///
    /// # Errors
    /// As [`PartOptions::inline_bytes`].
    pub fn batch_bytes(&self) -> Result<u64> {
        self.budget().map(|budget| budget.batch_bytes)
    }

    pub(super) fn budget(&self) -> Result<Budget> {
        let inline_bytes = self.inline_bytes.map(|bytes| bytes.clamp(1, MAX_INLINE_BYTES));
        Budget::share(self.memory_bytes, self.zstd_level, inline_bytes)
    }
}

/// See the module's text.
pub struct PartWriter {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    folder: TableFolder,
    role: FileRole,
    schema: SchemaRef,
    properties: WriterProperties,
    options: PartOptions,
    budget: Budget,
    pages: PagePool,
    number: u32,
    open: Option<OpenPart>,
    /// The part before, while what is left of it is hashed, written and synced.
    sealing: Option<SealingPart>,
    files: Vec<FileInfo>,
}

struct OpenPart {
    writer: SerializedFileWriter<HashingFile>,
    making: VecDeque<RowGroupEncoder>,
    path: String,
    rows: u64,
    /// What the pages of the row groups before the last inflate to, at most.
    before: u64,
}

impl OpenPart {
    fn create(
        disk: &dyn Disk,
        root: &Path,
        path: String,
        schema: &SchemaRef,
        with: &WriterProperties,
        budget: &Budget,
    ) -> Result<Self> {
        let file = HashingFile::create(disk, &root.join(&path), budget.waiting_bytes)?;
        let opened = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(with.clone()))
            .and_then(ArrowWriter::into_serialized_writer);
        let (writer, _) = opened.map_err(|error| failed(&path, error))?;
        Ok(Self { writer, making: VecDeque::new(), path, rows: 0, before: 0 })
    }

    /// What its pages inflate to, at most.
    fn bytes(&self) -> u64 {
        self.before + self.making.back().map_or(0, |group| group.making().inflated())
    }

    /// Columns of row groups once another row group is begun and closed.
    fn chunks(&self, columns: u64) -> u64 {
        let groups = self.writer.flushed_row_groups().len() + self.making.len() + 1;
        columns.saturating_mul(groups as u64)
    }

    /// Takes a batch, in a new row group where the last one would grow too large.
    fn write(
        &mut self,
        batch: &RecordBatch,
        of_batch: &Making,
        with: (&PartOptions, &Budget, &PagePool),
    ) -> std::result::Result<(), ParquetError> {
        let (options, budget, pages) = with;
        let has_room =
            |making: &Making| making.bytes() <= options.row_group_bytes && budget.allows(budget.cost(making));
        let joined = self.making.back().map(|group| group.making().with(of_batch)).filter(has_room);
        let joins = joined.is_some();
        let making = joined.unwrap_or_else(|| of_batch.clone());
        if !joins {
            self.before = self.bytes();
        }
        loop {
            let others = self.making.len() - usize::from(joins);
            let cost: u64 = self.making.iter().take(others).map(|group| budget.cost(group.making())).sum();
            if others == 0 || (others < options.threads && budget.allows(cost + budget.cost(&making))) {
                break;
            }
            self.append_oldest()?;
        }
        if !joins {
            let columns = columns::writers(batch, self.writer.properties(), options.zstd_level, pages)?;
            self.making.push_back(RowGroupEncoder::begin(batch.schema(), columns)?);
        }
        let Some(group) = self.making.back_mut() else { return Ok(()) };
        group.write(batch, making);
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn append_oldest(&mut self) -> std::result::Result<(), ParquetError> {
        let Some(group) = self.making.pop_front() else { return Ok(()) };
        let chunks = group.finish()?;
        let mut into = self.writer.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut into))?;
        into.close().map(drop)
    }

    /// Writes what is left, and the footer; what was written is hashed and synced meanwhile.
    fn close(mut self) -> Result<SealingPart> {
        let rest = (0..self.making.len()).try_for_each(|_| self.append_oldest());
        let footer = rest.and_then(|()| self.writer.finish()).map_err(|error| failed(&self.path, error))?;
        let row_groups = footer.num_row_groups() as u64;
        let sealing = self.writer.inner_mut().begin_seal()?;
        Ok(SealingPart { sealing, row_groups, path: self.path, rows: self.rows })
    }
}

struct SealingPart {
    sealing: Sealing,
    row_groups: u64,
    path: String,
    rows: u64,
}

impl PartWriter {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        root: &Path,
        folder: &TableFolder,
        role: FileRole,
        schema: SchemaRef,
        options: &PartOptions,
    ) -> Result<Self> {
        let options = PartOptions {
            row_group_bytes: options.row_group_bytes.clamp(1, MAX_ROW_GROUP_BYTES),
            part_bytes: options.part_bytes.clamp(1, MAX_PART_BYTES),
            ..*options
        };
        let budget = options.budget()?;
        Ok(Self {
            disk,
            root: root.to_owned(),
            folder: folder.clone(),
            role,
            properties: columns::properties(&schema, options.zstd_level)?,
            schema,
            options,
            budget,
            pages: PagePool::new(budget.free_page_bytes()),
            number: 0,
            open: None,
            sealing: None,
            files: Vec::new(),
        })
    }

    /// Writes a batch, in a new row group or a new part where the old one would grow too large.
    ///
    /// # Errors
    /// Io; Internal, for a batch of another schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.schema_ref() != &self.schema {
            return Err(Error::internal("a batch is not of the schema of its part"));
        }
        let making = Making::of(batch)?;
        let columns = self.schema.fields().len() as u64;
        let over = |part: &OpenPart| {
            let most = self.options.part_bytes.saturating_sub(PART_SLACK_BYTES);
            part.bytes() + making.inflated() > most || part.chunks(columns) > MAX_CHUNKS
        };
        if self.open.as_ref().is_some_and(over) {
            self.close_part()?;
        }
        let (options, budget, pages) = (self.options, self.budget, self.pages.clone());
        let part = self.part()?;
        part.write(batch, &making, (&options, &budget, &pages)).map_err(|error| failed(&part.path, error))
    }

    /// Closes the last part, and gives all of them for the manifest. A table has a part with
    /// rows even if there are none; other parts are only written when there is something in them.
    ///
    /// # Errors
    /// Io.
    pub fn finish(mut self) -> Result<Vec<FileInfo>> {
        if self.role == FileRole::Rows && self.number == 0 {
            self.part()?;
        }
        self.close_part()?;
        self.end_sealing()?;
        Ok(self.files)
    }

    fn part(&mut self) -> Result<&mut OpenPart> {
        if self.open.is_none() {
            let file = match self.role {
                FileRole::Tombstones => PayloadFile::Tombstones(self.number),
                FileRole::AbsentParents => PayloadFile::AbsentParents(self.number),
                FileRole::Rows | FileRole::Blob => PayloadFile::Rows(self.number),
            };
            let path = PayloadPath { folder: self.folder.clone(), file }.to_string();
            self.open = Some(OpenPart::create(
                self.disk.as_ref(),
                &self.root,
                path,
                &self.schema,
                &self.properties,
                &self.budget,
            )?);
            self.number = next_part(self.number)?;
        }
        self.open.as_mut().ok_or_else(|| Error::internal("a part that was opened is not open"))
    }

    /// Ends a part; it is sealed while the next one is made, and so one is at most.
    fn close_part(&mut self) -> Result<()> {
        let Some(part) = self.open.take() else { return Ok(()) };
        let closed = part.close()?;
        self.end_sealing()?;
        self.sealing = Some(closed);
        Ok(())
    }

    fn end_sealing(&mut self) -> Result<()> {
        let Some(part) = self.sealing.take() else { return Ok(()) };
        let (bytes, sha256) = part.sealing.end()?;
        self.files.push(FileInfo {
            path: part.path,
            role: self.role,
            bytes,
            sha256,
            rows: Some(part.rows),
            row_groups: Some(part.row_groups),
            content_bytes: None,
        });
        Ok(())
    }
}

fn failed(path: &str, error: ParquetError) -> Error {
    Error::new(Kind::Io, "cannot write this part").file(path).caused_by(error)
}
