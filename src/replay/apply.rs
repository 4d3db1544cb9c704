//! One table of one bundle into its target, part by part.

use super::gap::{ReplayGap, noted};
use super::options::{ReplayOptions, TableReplayOutcome};
use crate::backend::{AppliedBundle, Backend, LedgerEntry, TargetSpec, TombstoneRow};
use crate::bundle::{Bundle, CheckedFile, FileInfo, FileRole, PartRead, PartReader, TableInfo};
use crate::conform::{Closure, RowRules, RowWalk, TombstoneRules, TombstoneWalk, first_of, plan_without_values};
use crate::convert::{BatchRows, ColumnPlan, adapt};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::name::TableName;
use crate::monitor::{Event, Monitor};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// The table that rows of a table are replayed into.
///
/// # Errors
/// Config: a database name that no catalog could hold.
pub(super) fn target_of(table: &TableInfo, options: &ReplayOptions) -> Result<TableName> {
    let db = options.database.as_ref().unwrap_or(&table.source.db);
    TableName::new(db, &table.source.schema, &table.source.table)
}

/// See the module's text.
pub(super) struct Applier<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    spec: TargetSpec,
    /// Of the bundle's own columns.
    plan: Arc<ColumnPlan>,
    /// Of those that are written: what the rows lack of them is NULL.
    written: Arc<ColumnPlan>,
    /// Bytes of a batch, about.
    pub(super) batch_bytes: u64,
    /// Columns that the target does not take.
    pub(super) skipped: Vec<String>,
}

impl<'b> Applier<'b> {
    pub(super) fn new(
        bundle: &'b Bundle,
        table: &'b TableInfo,
        target: TableName,
        options: &ReplayOptions,
    ) -> Result<Self> {
        let columns = table.model_columns()?;
        let plan = Arc::new(ColumnPlan::rows(&columns, &table.key_column)?);
        let spec = TargetSpec {
            table: table.name.clone(),
            scope: table.scope.0,
            target,
            columns,
            key_column: table.key_column.clone(),
            path_column: table.path_column.clone(),
            displace: options.displace,
            evolve: options.evolve(),
            repair: options.repair,
            removes: table.files_of(FileRole::Tombstones).any(|file| file.rows != Some(0)),
        };
        let batch_bytes = PartRead::default().batch_bytes;
        let written = Arc::clone(&plan);
        Ok(Self { bundle, table, spec, plan, written, batch_bytes, skipped: Vec::new() })
    }

    /// Which columns are written (rule 24); what the bundle's rows lack of them is NULL.
    ///
    /// # Errors
    /// Config: columns that no bundle could have together.
    pub(super) fn write(&mut self, columns: Vec<Column>) -> Result<()> {
        if columns != self.spec.columns {
            self.written = Arc::new(ColumnPlan::rows(&columns, &self.spec.key_column)?);
            self.spec.columns = columns;
        }
        Ok(())
    }

    /// Whether tombstones come into the target, be it of another bundle.
    pub(super) fn removes(&mut self, removes: bool) {
        self.spec.removes = removes;
    }

    pub(super) fn spec(&self) -> &TargetSpec {
        &self.spec
    }

    /// Applies what the ledger does not have yet, and notes the bundle, with what is missing before it and whether it is
    /// the first of another source.
    pub(super) fn apply(
        &self,
        backend: &mut dyn Backend,
        whence: (Option<&ReplayGap>, bool),
        monitor: &dyn Monitor,
    ) -> Result<TableReplayOutcome> {
        if self.spec.repair {
            backend.forget_applied(&self.spec, self.bundle.root_sha256())?;
        }
        let ledger: BTreeMap<String, LedgerEntry> = backend
            .ledger(&self.spec, self.bundle.root_sha256())?
            .into_iter()
            .map(|entry| (entry.part.clone(), entry))
            .collect();
        let mut done = TableReplayOutcome {
            table: self.table.name.clone(),
            target: self.spec.target.clone(),
            rows: 0,
            written: 0,
            tombstones: 0,
            removed: 0,
            displaced: 0,
            skipped: self.skipped.clone(),
            gap: whence.0.map(ReplayGap::to_string),
            reported: Vec::new(),
        };
        let is_of_rows = |file: &&FileInfo| matches!(file.role, FileRole::Rows | FileRole::Tombstones);
        let absent = self.table.files_of(FileRole::AbsentParents);
        let parts: Vec<&FileInfo> = absent.chain(self.table.files.iter().filter(is_of_rows)).collect();
        let is_applied = |file: &FileInfo| ledger.get(&file.path).is_some_and(|entry| entry.complete);
        let is_due = parts.iter().any(|file| file.role != FileRole::AbsentParents && !is_applied(file));
        if is_due || !self.is_noted(backend)? {
            let mut held = AppliedChecks::new(self.table);
            self.each_checked(&parts, monitor, |file, checked| {
                let from = ledger.get(&file.path).map_or(0, |entry| entry.rows);
                match file.role {
                    FileRole::AbsentParents => self.absent_parents(checked, &mut held),
                    // Each row is held against all that stand before it.
                    FileRole::Rows if is_applied(file) => self.applied_rows(checked, &mut held, monitor),
                    FileRole::Rows => self.rows(backend, (file, checked), from, (&mut held, &mut done), monitor),
                    _ => self.tombstones(backend, (file, checked), from, (&mut held, &mut done), monitor),
                }
            })?;
            first_of(self.bundle, |report| {
                held.rows.tally.check(&self.table.counts, report);
                held.closure.finish(report)
            })?;
        }
        backend.note_bundles(&self.spec, &noted(self.bundle, self.table, whence)?)?;
        Ok(done)
    }

    /// Whether the target notes that all of it was applied, and so that all of it was held against its manifest.
    fn is_noted(&self, backend: &mut dyn Backend) -> Result<bool> {
        let root = self.bundle.root_sha256();
        let is_it = |noted: &AppliedBundle| noted.root_sha256 == root && noted.within.is_none();
        Ok(backend.applied_bundles(&self.spec)?.iter().any(is_it))
    }

    /// Goes through parts, each checked; the next is hashed on another thread while one is applied.
    fn each_checked(
        &self,
        files: &[&FileInfo],
        monitor: &dyn Monitor,
        mut work: impl FnMut(&FileInfo, CheckedFile) -> Result<()>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let (checked, coming) = sync_channel(0);
            scope.spawn(move || files.iter().all(|file| checked.send(self.bundle.check_file(file, monitor)).is_ok()));
            files.iter().zip(coming).try_for_each(|(file, checked)| work(file, checked?))
        })
    }

    fn rows(
        &self,
        backend: &mut dyn Backend,
        (file, checked): (&FileInfo, CheckedFile),
        from: u64,
        (held, done): (&mut AppliedChecks<'_>, &mut TableReplayOutcome),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (mut place, mut skip) = (PartProgress::after(from, file), from);
        let make = |batch| self.held_rows(batch, &mut skip, held);
        self.open(checked, &self.plan)?.each_made(make, |rows| {
            monitor.check()?;
            let Some(rows) = rows else { return Ok(()) };
            let (keys, versions) = (rows.keys()?, rows.versions()?);
            let count = rows.rows() as u64;
            let entry = self.entry(backend, file, place.advance(count))?;
            let rows = RowsWithBlobs { applier: self, rows: &rows, monitor };
            let applied = backend.apply_rows(&self.spec, &rows, &keys, &versions, &entry)?;
            done.written += applied.written;
            done.displaced += applied.displaced;
            done.rows += count;
            monitor.event(Event::WorkDone { rows: count, bytes: 0 });
            Ok(())
        })?;
        place.check_end()
    }

    fn absent_parents(&self, checked: CheckedFile, held: &mut AppliedChecks<'_>) -> Result<()> {
        let plan = Arc::new(ColumnPlan::absent_parents()?);
        self.open(checked, &plan)?.each(|batch| {
            let batch = BatchRows::new(plan.clone(), batch)?;
            first_of(self.bundle, |report| held.closure.absent(&batch, report))
        })
    }

    /// The rows of a part that was applied by a replay that did not come to its end; their values were held against the
    /// manifest then.
    fn applied_rows(&self, checked: CheckedFile, held: &mut AppliedChecks<'_>, monitor: &dyn Monitor) -> Result<()> {
        let plan = Arc::new(plan_without_values(self.table)?);
        let names = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = PartRead { columns: Some(names), ..PartRead::default() };
        self.bundle.open_part(checked, &read)?.each(|batch| {
            monitor.check()?;
            held.hold((self.bundle, self.table), &BatchRows::new(plan.clone(), batch)?)
        })
    }

    /// The rows of a batch that are not applied yet. All of it are held against what the manifest says, on the
    /// thread that decodes them.
    fn held_rows(&self, batch: RecordBatch, skip: &mut u64, held: &mut AppliedChecks<'_>) -> Result<Option<BatchRows>> {
        let rows = self.with_sizes(&self.plan, batch.clone())?;
        held.hold((self.bundle, self.table), &rows)?;
        match left_of(batch, skip) {
            Some(left) if left.num_rows() == rows.rows() => self.shaped(rows).map(Some),
            Some(left) => self.shaped(self.with_sizes(&self.plan, left)?).map(Some),
            None => Ok(None),
        }
    }

    /// The rows with the columns that are written.
    fn shaped(&self, rows: BatchRows) -> Result<BatchRows> {
        match Arc::ptr_eq(&self.plan, &self.written) {
            true => Ok(rows),
            false => self.with_sizes(&self.written, adapt(&rows, &self.written)?),
        }
    }

    /// A batch whose values in `blob/` have sizes.
    fn with_sizes(&self, plan: &Arc<ColumnPlan>, batch: RecordBatch) -> Result<BatchRows> {
        let mut rows = BatchRows::new(Arc::clone(plan), batch)?;
        for large in rows.large_refs()? {
            let bytes = self.blob(&large.reference)?.content_bytes;
            rows.supply_size(&large, bytes.unwrap_or(0));
        }
        Ok(rows)
    }

    fn tombstones(
        &self,
        backend: &mut dyn Backend,
        (file, checked): (&FileInfo, CheckedFile),
        from: u64,
        (held, done): (&mut AppliedChecks<'_>, &mut TableReplayOutcome),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let plan = Arc::new(ColumnPlan::tombstones(&self.table.key_column)?);
        let rules = TombstoneRules::new(self.bundle, self.table);
        let (mut place, mut skip) = (PartProgress::after(from, file), from);
        self.open(checked, &plan)?.each(|batch| {
            monitor.check()?;
            let rows = BatchRows::new(plan.clone(), batch.clone())?;
            first_of(self.bundle, |report| {
                (0..rows.rows()).try_for_each(|row| rules.tombstone((&rows, row), &mut held.tombstones, report))
            })?;
            let Some(batch) = left_of(batch, &mut skip) else { return Ok(()) };
            let rows = BatchRows::new(plan.clone(), batch)?;
            let tombstones = (0..rows.rows())
                .map(|row| {
                    let (key, version) = (rows.key(row)?, rows.version(row, true)?);
                    Ok(TombstoneRow { key, version, reason: rows.reason(row)? })
                })
                .collect::<Result<Vec<_>>>()?;
            let count = tombstones.len() as u64;
            let entry = self.entry(backend, file, place.advance(count))?;
            done.removed += backend.apply_tombstones(&self.spec, &tombstones, &entry)?;
            done.tombstones += count;
            monitor.event(Event::WorkDone { rows: count, bytes: 0 });
            Ok(())
        })?;
        place.check_end()
    }

    fn open(&self, checked: CheckedFile, plan: &ColumnPlan) -> Result<PartReader> {
        let path = checked.info().path.clone();
        let part =
            self.bundle.open_part(checked, &PartRead { batch_bytes: self.batch_bytes, ..PartRead::default() })?;
        plan.check_schema(part.schema()).map_err(|error| error.file(path))?;
        Ok(part)
    }

    fn blob(&self, reference: &str) -> Result<&FileInfo> {
        self.table.blob_file(reference).ok_or_else(|| {
            Error::verification(format!("a row names {reference:?}, which is not in the bundle"))
                .hint("verify the bundle with --deep; do not use it")
        })
    }

    fn entry(&self, backend: &mut dyn Backend, file: &FileInfo, rows: u64) -> Result<LedgerEntry> {
        Ok(LedgerEntry {
            root_sha256: self.bundle.root_sha256(),
            part: file.path.clone(),
            rows,
            complete: Some(rows) == file.rows,
            applied_at: backend.now()?.utc,
        })
    }
}

/// How far the rows of a table were held against its manifest, and against each other.
struct AppliedChecks<'t> {
    closure: Closure<'t>,
    rows: RowWalk,
    tombstones: TombstoneWalk,
}

impl<'t> AppliedChecks<'t> {
    fn new(table: &'t TableInfo) -> Self {
        Self { closure: Closure::new(table), rows: RowWalk::default(), tombstones: TombstoneWalk::default() }
    }

    /// Holds the next rows, before anything is done with them.
    fn hold(&mut self, (bundle, table): (&Bundle, &TableInfo), rows: &BatchRows) -> Result<()> {
        let rules = RowRules::new(bundle, table, rows.plan())?;
        first_of(bundle, |report| {
            self.closure.rows(rows, report)?;
            self.closure.settle(report)?;
            rules.batch(rows, &mut self.rows, report)
        })
    }
}

/// What is left of a batch, of which so many rows are to be left out.
fn left_of(batch: RecordBatch, skip: &mut u64) -> Option<RecordBatch> {
    let rows = batch.num_rows() as u64;
    let skipped = (*skip).min(rows);
    *skip -= skipped;
    let left = usize::try_from(rows - skipped).unwrap_or(0);
    (left > 0).then(|| batch.slice(batch.num_rows() - left, left))
}

/// How far a part is applied. Batches may be cut otherwise than when it was begun.
struct PartProgress {
    rows: u64,
    due: u64,
}

impl PartProgress {
    fn after(from: u64, file: &FileInfo) -> Self {
        Self { rows: from, due: file.rows.unwrap_or(0) }
    }

    fn advance(&mut self, rows: u64) -> u64 {
        self.rows += rows;
        self.rows
    }

    fn check_end(&self) -> Result<()> {
        if self.rows == self.due {
            return Ok(());
        }
        Err(Error::verification(format!("the part gave {} rows where the manifest says {}", self.rows, self.due)))
    }
}

/// Rows whose large values are read from `blob/` when they are asked for.
struct RowsWithBlobs<'a> {
    applier: &'a Applier<'a>,
    rows: &'a BatchRows,
    monitor: &'a dyn Monitor,
}

impl RowSource for RowsWithBlobs<'_> {
    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        self.rows.cell(row, column)
    }

    fn large(&self, row: usize, column: usize) -> Result<Box<dyn Read + '_>> {
        let Some(reference) = self.rows.blob_ref(row, column)? else {
            return Err(Error::internal("a value that lies in its row was asked for as a large one"));
        };
        let bundle = self.applier.bundle;
        let checked = bundle.check_file(self.applier.blob(reference)?, self.monitor)?;
        Ok(Box::new(bundle.open_blob(checked)?))
    }
}
