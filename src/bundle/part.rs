//! [`PartWriter`]: record batches into Parquet files, hashed as they are written.
//!
//! Memory is bounded by the row groups in the making, which are two at most (`group`). The same
//! batches give the same bytes: the options are all fixed, and so is `created_by`; and nothing is
//! decided by which thread was the faster.

use super::columns;
use super::group::Group;
use super::hashing::{HashingFile, Sealing};
use super::layout::{PayloadFile, PayloadPath, TableFolder, next_part};
use super::manifest::{FileInfo, FileRole};
use super::page_pool::PagePool;
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Room for what a part's footer, incompressible pages and dictionaries take over its values.
const PART_SLACK_BYTES: u64 = 16 << 20;
/// Row groups that are encoded at once, of which the last takes batches.
const GROUPS_AT_ONCE: usize = 2;
/// Half of the format's: a dictionary takes at most as much again as its values.
const MAX_ROW_GROUP_BYTES: u64 = 32 << 20;
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
    /// Values of a row group, before compression: at most 32 MiB. Bounds the memory of writer
    /// and reader alike.
    pub row_group_bytes: u64,
    /// Values of a part, before compression: at most 1 GiB. Bounds the work of a reader.
    pub part_bytes: u64,
}

impl Default for PartOptions {
    fn default() -> Self {
        Self { zstd_level: 1, row_group_bytes: MAX_ROW_GROUP_BYTES, part_bytes: PART_BYTES }
    }
}

/// See the module's text.
pub struct PartWriter<'d> {
    disk: &'d dyn Disk,
    root: PathBuf,
    folder: TableFolder,
    role: FileRole,
    schema: SchemaRef,
    properties: WriterProperties,
    options: PartOptions,
    pages: PagePool,
    number: u32,
    open: Option<OpenPart>,
    /// The part before, while what is left of it is hashed, written and synced.
    sealing: Option<SealingPart>,
    files: Vec<FileInfo>,
}

struct OpenPart {
    writer: SerializedFileWriter<HashingFile>,
    making: VecDeque<Group>,
    path: String,
    rows: u64,
}

impl OpenPart {
    fn create(disk: &dyn Disk, root: &Path, path: String, schema: &SchemaRef, with: &WriterProperties) -> Result<Self> {
        let file = HashingFile::create(disk, &root.join(&path))?;
        let opened = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(with.clone()))
            .and_then(ArrowWriter::into_serialized_writer);
        let (writer, _) = opened.map_err(|error| failed(&path, error))?;
        Ok(Self { writer, making: VecDeque::new(), path, rows: 0 })
    }

    /// What its pages inflate to, and the values that are in no page yet.
    fn bytes(&self) -> u64 {
        let closed = self.writer.flushed_row_groups().iter().map(|group| group.total_byte_size());
        let closed: u64 = closed.filter_map(|bytes| u64::try_from(bytes).ok()).sum();
        closed + self.making.iter().map(Group::bytes).sum::<u64>()
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
        bytes: u64,
        options: &PartOptions,
        pages: &PagePool,
    ) -> std::result::Result<(), ParquetError> {
        let has_room = |group: &&mut Group| group.bytes() + bytes <= options.row_group_bytes;
        if self.making.back_mut().filter(has_room).is_none() {
            if self.making.len() >= GROUPS_AT_ONCE {
                self.append_oldest()?;
            }
            let columns = columns::writers(batch, self.writer.properties(), options.zstd_level, pages)?;
            self.making.push_back(Group::begin(batch.schema(), columns)?);
        }
        let Some(group) = self.making.back_mut() else { return Ok(()) };
        group.write(batch, bytes);
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

impl<'d> PartWriter<'d> {
    pub(super) fn new(
        disk: &'d dyn Disk,
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
        Ok(Self {
            disk,
            root: root.to_owned(),
            folder: folder.clone(),
            role,
            properties: columns::properties(&schema, options.zstd_level)?,
            schema,
            options,
            pages: PagePool::default(),
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
        let bytes = value_bytes(batch)?;
        let columns = self.schema.fields().len() as u64;
        let over = |part: &OpenPart| {
            let most = self.options.part_bytes.saturating_sub(PART_SLACK_BYTES);
            part.bytes() + bytes > most || part.chunks(columns) > MAX_CHUNKS
        };
        if self.open.as_ref().is_some_and(over) {
            self.close_part()?;
        }
        let (options, pages) = (self.options, self.pages.clone());
        let part = self.part()?;
        part.write(batch, bytes, &options, &pages).map_err(|error| failed(&part.path, error))
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
            self.open = Some(OpenPart::create(self.disk, &self.root, path, &self.schema, &self.properties)?);
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

/// Bytes of the values of a batch, whatever its buffers could hold.
fn value_bytes(batch: &RecordBatch) -> Result<u64> {
    let size = |column: &std::sync::Arc<dyn Array>| column.to_data().get_slice_memory_size();
    let sizes = batch.columns().iter().map(size).sum::<Result<usize, _>>();
    let bytes = sizes.map_err(|error| Error::internal("a batch cannot be measured").caused_by(error))?;
    Ok(bytes as u64)
}
