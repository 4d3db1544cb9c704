//! One table of a masked bundle.

use super::options::MaskOptions;
use super::placeholder::HEAD_BYTES;
use super::plan::TableMask;
use super::rows::{Heads, LargeValue, MaskedRows, RowMasker};
use super::rule::MaskKind;
use super::secret::MaskSecret;
use super::texts::Tokens;
use super::value::{MadeFrom, MaskContext, Masked};
use crate::bundle::{FileInfo, FileRole, StagedBundle, TableInfo, TableStage, create_table};
use crate::conform::TableWalk;
use crate::convert::{BatchBuilder, BatchRows, ColumnPlan, RunStamp};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, RowPlace, RowSorter, TableRows};
use arrow::array::RecordBatch;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of a value in `blob/`, in memory at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Writes one table, and says how many files had no placeholder of their own type.
pub(super) fn write(
    source: TableRows<'_>,
    mask: &TableMask,
    secret: &MaskSecret,
    staged: &mut StagedBundle,
    (options, monitor): (&MaskOptions, &dyn Monitor),
) -> Result<(TableInfo, u64)> {
    let columns = source.table.model_columns()?;
    let ddl = create_table(&source.table.target, &columns, &source.table.key_column)?;
    let mut stage = staged.add_table(&source.table.name, &ddl)?;
    let masker = RowMasker {
        mask,
        secret,
        plan: Arc::new(ColumnPlan::rows(&columns, &source.table.key_column)?),
        inline_bytes: options.parts.inline_bytes()?,
        threads: options.parts.threads,
        untyped: AtomicU64::new(0),
    };
    let mut work = TableMasking { source, masker, options, monitor, walk: TableWalk::new(source.bundle, source.table) };
    let mut files = work.keys_alone(FileRole::AbsentParents, &stage)?;
    files.extend(work.rows(&mut stage)?);
    files.extend(work.keys_alone(FileRole::Tombstones, &stage)?);
    work.walk.finish()?;
    let folder = stage.folder().clone();
    let info = TableInfo {
        folder: folder.as_str().to_owned(),
        schema_file: folder.schema_path(),
        files: stage.finish(files),
        ..source.table.clone()
    };
    Ok((info, work.masker.untyped.load(Ordering::Relaxed)))
}

struct TableMasking<'a> {
    source: TableRows<'a>,
    masker: RowMasker<'a>,
    options: &'a MaskOptions,
    monitor: &'a dyn Monitor,
    walk: TableWalk<'a>,
}

impl TableMasking<'_> {
    fn rows(&mut self, stage: &mut TableStage) -> Result<Vec<FileInfo>> {
        let Self { source, masker, options, monitor, walk } = self;
        let (source, masker, options, monitor) = (*source, &*masker, *options, *monitor);
        let columns =
            PartColumns { batch_bytes: options.batch_bytes(), ..PartColumns::all(source.table, FileRole::Rows)? };
        let mut parts = stage.parts(FileRole::Rows, masker.plan.schema(), &options.parts)?;
        let mut sorter = RowSorter::new(masker.mask.order.rows, options.sorting());
        let files: Vec<&FileInfo> = source.table.files_of(FileRole::Rows).collect();
        for file in files {
            let make = |mut rows: BatchRows| {
                monitor.check()?;
                let heads = heads(source, masker, &rows, monitor)?;
                source.supply_sizes(&mut rows)?;
                walk.rows(&rows)?;
                Ok((rows.rows() as u64, masker.batch(&rows, &heads)?))
            };
            source.open(file, &columns, monitor)?.each_made(make, |(count, masked)| {
                for rows in masked {
                    let batch = placed(source, rows, (masker, options), stage, monitor)?;
                    sort(&mut sorter, (source, &masker.plan), batch, &mut |batch| parts.write(&batch))?;
                }
                monitor.event(Event::WorkDone { rows: count, bytes: 0 });
                Ok(())
            })?;
        }
        sorter.finish(&mut |batch| parts.write(&batch))?;
        parts.finish()
    }

    /// Tombstones, or absent parents: of what a row has, only keys are masked.
    fn keys_alone(&mut self, role: FileRole, stage: &TableStage) -> Result<Vec<FileInfo>> {
        let columns = PartColumns::all(self.source.table, role)?;
        let plan = Arc::clone(&columns.plan);
        let nobody = RunStamp { started_at: self.source.bundle.manifest().run.started_at.0, run_id: self.run_id() };
        let mut parts = stage.parts(role, plan.schema(), &self.options.parts)?;
        let mut builder = BatchBuilder::new(Arc::clone(&plan), nobody);
        let mut sorter = RowSorter::new(self.masker.mask.order.keys, self.options.sorting());
        let (source, monitor) = (self.source, self.monitor);
        source.each(role, &columns, monitor, |batch| {
            match role {
                FileRole::Tombstones => self.walk.tombstones(&batch)?,
                _ => self.walk.absent_parents(&batch)?,
            }
            for row in 0..batch.rows() {
                if plan.has_run() {
                    let run_id = self.masker.secret.masked_id("run", batch.run_id(row)?);
                    builder.set_run(RunStamp { started_at: batch.run_started_at(row)?, run_id });
                }
                let cells = (0..plan.columns().len()).map(|column| {
                    let cell = batch.cell(row, column)?;
                    // Of absent parents both columns are keys.
                    let is_key = column == plan.key() || !plan.has_run();
                    if is_key { self.key(cell) } else { Ok(cell) }
                });
                builder.push_row(&cells.collect::<Result<Vec<_>>>()?)?;
            }
            monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            sort(&mut sorter, (source, &plan), builder.finish()?, &mut |batch| parts.write(&batch))
        })?;
        sorter.finish(&mut |batch| parts.write(&batch))?;
        parts.finish()
    }

    fn run_id(&self) -> crate::model::id::Guid {
        self.masker.secret.masked_id("run", self.source.bundle.manifest().run.run_id)
    }

    fn key<'c>(&'c self, cell: Cell<'c>) -> Result<Cell<'c>> {
        let context = MaskContext { key: &[0; 16], sha256: None, file_type: None };
        match self.masker.mask.key.mask(cell, &context)? {
            Masked::Cell(cell) => Ok(cell),
            Masked::Text(_) | Masked::Made(_) => Err(Error::internal("the mask of a key made a text")),
        }
    }
}

/// Checks the values in `blob/` that are masked, and gives their first bytes. What is kept is checked when it is copied, and
/// what is masked letter by letter when it is read.
fn heads(source: TableRows<'_>, masker: &RowMasker<'_>, rows: &BatchRows, monitor: &dyn Monitor) -> Result<Heads> {
    let mut heads = Heads::new();
    for large in rows.large_refs()? {
        let kind = masker.mask.columns.get(large.column).map_or(MaskKind::Keep, |mask| mask.kind);
        if matches!(kind, MaskKind::Keep | MaskKind::Token) || heads.contains_key(&large.reference) {
            continue;
        }
        let mut value = source.open_blob(&large.reference, monitor)?;
        let (mut head, mut block) = (Vec::new(), vec![0; BLOCK_BYTES]);
        loop {
            monitor.check()?;
            let read = value.read(&mut block).map_err(|error| unreadable(&large.reference, error))?;
            let wanted = (HEAD_BYTES - head.len()).min(read);
            head.extend_from_slice(&block[..wanted]);
            if read == 0 {
                break;
            }
        }
        heads.insert(large.reference, head);
    }
    Ok(heads)
}

fn unreadable(reference: &str, error: std::io::Error) -> Error {
    Error::verification("this value cannot be read").file(reference).caused_by(error)
}

/// Hands masked rows on to where they stand.
fn sort(
    sorter: &mut RowSorter,
    (source, plan): (TableRows<'_>, &Arc<ColumnPlan>),
    batch: RecordBatch,
    take: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let rows = BatchRows::new(Arc::clone(plan), batch.clone())?;
    sorter.push(batch, |row| RowPlace::of(&rows, row, source.table), take)
}

/// Masked rows, once their large values are in `blob/`.
fn placed(
    source: TableRows<'_>,
    mut rows: MaskedRows,
    (masker, options): (&RowMasker<'_>, &MaskOptions),
    stage: &mut TableStage,
    monitor: &dyn Monitor,
) -> Result<RecordBatch> {
    for large in std::mem::take(&mut rows.large) {
        let reference = place(source, &large, (masker, options), stage, monitor)?;
        rows.resolve(&reference)?;
    }
    rows.finish()
}

/// Puts one value into `blob/`, and says where.
fn place(
    source: TableRows<'_>,
    large: &LargeValue,
    (masker, options): (&RowMasker<'_>, &MaskOptions),
    stage: &mut TableStage,
    monitor: &dyn Monitor,
) -> Result<String> {
    let failed = |error| Error::internal("a large mask could not be written").caused_by(error);
    match &large.made.from {
        MadeFrom::Original => {
            stage.adopt_blob(source.bundle, source.blob_file(&large.reference)?, monitor)?;
            Ok(large.reference.clone())
        }
        MadeFrom::Tokens => {
            let key = masker.mask.columns[large.column].key()?;
            let mut out = stage.blob(&options.parts)?;
            let bytes = tokens(source, &large.reference, Tokens::new(key), &mut out, monitor)?;
            Ok(out.finish(bytes)?.reference)
        }
        _ => {
            let mut out = stage.blob(&options.parts)?;
            large.made.write_to(&mut out).map_err(failed)?;
            Ok(out.finish(large.made.bytes)?.reference)
        }
    }
}

/// Masks a text letter by letter as it is read; how many bytes it has then.
fn tokens(
    source: TableRows<'_>,
    reference: &str,
    mut tokens: Tokens<'_>,
    out: &mut crate::bundle::BlobWriter<'_>,
    monitor: &dyn Monitor,
) -> Result<u64> {
    let bad = |error| unreadable(reference, error);
    let mut value = source.open_blob(reference, monitor)?;
    let (mut block, mut held, mut counted) = (vec![0; BLOCK_BYTES], Vec::new(), Counted { out, bytes: 0 });
    loop {
        monitor.check()?;
        let read = value.read(&mut block).map_err(bad)?;
        if read == 0 {
            break;
        }
        held.extend_from_slice(&block[..read]);
        let whole = match std::str::from_utf8(&held) {
            Ok(text) => text.len(),
            // The last character goes on in the next block.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Error::verification("a text in blob/ is not UTF-8").file(reference)),
        };
        let text = std::str::from_utf8(&held[..whole]).unwrap_or_default();
        tokens.take(text, &mut counted).map_err(bad)?;
        held.drain(..whole);
    }
    if !held.is_empty() {
        return Err(Error::verification("a text in blob/ is not UTF-8").file(reference));
    }
    tokens.flush(&mut counted).map_err(bad)?;
    Ok(counted.bytes)
}

struct Counted<'o, W> {
    out: &'o mut W,
    bytes: u64,
}

impl<W: std::io::Write> std::io::Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
