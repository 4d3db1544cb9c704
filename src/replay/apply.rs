//! One table of one bundle into its target, part by part.

use super::gap::{ReplayGap, noted};
use super::known::{FoundValues, LaterRows, TargetValues};
use super::options::{ReplayOptions, TableReplayOutcome};
use crate::backend::{AppliedBundle, Backend, LedgerEntry, TargetCompatibility, TargetSpec, TombstoneRow};
use crate::bundle::{Bundle, CheckedFile, FileInfo, FileRole, TableInfo};
use crate::conform::TableWalk;
use crate::convert::{BatchRows, ColumnPlan, adapt};
use crate::error::{Error, Result};
use crate::known::Holders;
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::name::TableName;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, PartRows, RowsToSkip, TableRows, ValueSpool};
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
    source: TableRows<'b>,
    spec: TargetSpec,
    /// The bundle's own columns.
    columns: PartColumns,
    /// Of those that are written: what the rows lack of them is NULL.
    written: Arc<ColumnPlan>,
    /// Bytes of a batch, about.
    pub(super) batch_bytes: u64,
    /// How the target takes the rows.
    pub(super) compatibility: TargetCompatibility,
}

impl<'b> Applier<'b> {
    pub(super) fn new(
        bundle: &'b Bundle,
        table: &'b TableInfo,
        target: TableName,
        options: &ReplayOptions,
    ) -> Result<Self> {
        let columns = PartColumns::all(table, FileRole::Rows)?;
        let spec = TargetSpec {
            table: table.name.clone(),
            scope: table.scope.0,
            target,
            columns: table.model_columns()?,
            key_column: table.key_column.clone(),
            key_type: table.key_type(),
            path_column: table.path_column.clone(),
            displace: options.displace,
            evolve: options.evolve(),
            repair: options.repair,
            removes: table.files_of(FileRole::Tombstones).any(|file| file.rows != Some(0)),
        };
        let (written, batch_bytes) = (Arc::clone(&columns.plan), columns.batch_bytes);
        Ok(Self {
            source: TableRows { bundle, table },
            spec,
            columns,
            written,
            batch_bytes,
            compatibility: TargetCompatibility::default(),
        })
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

    /// Looks for the values that the rows leave out, of those that are not applied yet; `later` is what is applied after them.
    ///
    /// # Errors
    /// As [`TargetValues::check`].
    pub(super) fn find_known(
        &self,
        (holders, later): (&'b Holders<'b>, &[LaterRows<'_>]),
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<FoundValues<'b>> {
        let ledger = match self.spec.repair {
            true => BTreeMap::new(),
            false => self.ledger(backend)?,
        };
        self.target_values().check(self.source, (holders, later), &ledger, backend, monitor)
    }

    fn target_values(&self) -> TargetValues<'_> {
        TargetValues { spec: &self.spec, compatibility: &self.compatibility }
    }

    /// What the target has of the bundle, by part.
    fn ledger(&self, backend: &mut dyn Backend) -> Result<BTreeMap<String, LedgerEntry>> {
        let entries = backend.ledger(&self.spec, self.source.bundle.root_sha256())?;
        Ok(entries.into_iter().map(|entry| (entry.part.clone(), entry)).collect())
    }

    /// Applies what the ledger does not have yet, and notes the bundle, with what is missing before it and whether it is
    /// the first of another source.
    pub(super) fn apply(
        &self,
        backend: &mut dyn Backend,
        whence: (Option<&ReplayGap>, bool),
        known: &mut FoundValues<'b>,
        monitor: &dyn Monitor,
    ) -> Result<TableReplayOutcome> {
        let TableRows { bundle, table } = self.source;
        if self.spec.repair {
            backend.forget_applied(&self.spec, bundle.root_sha256())?;
        }
        let ledger = self.ledger(backend)?;
        let mut done = TableReplayOutcome {
            table: table.name.clone(),
            target: self.spec.target.clone(),
            rows: 0,
            written: 0,
            tombstones: 0,
            removed: 0,
            displaced: 0,
            skipped: self.compatibility.skipped.clone(),
            gap: whence.0.map(ReplayGap::to_string),
            reported: Vec::new(),
        };
        let absent = table.files_of(FileRole::AbsentParents);
        let parts: Vec<&FileInfo> = absent.chain(table.files_of_versions()).collect();
        let is_applied = |file: &FileInfo| ledger.get(&file.path).is_some_and(|entry| entry.complete);
        let is_due = parts.iter().any(|file| file.role != FileRole::AbsentParents && !is_applied(file));
        if is_due || !self.is_noted(backend)? {
            let mut walk = TableWalk::new(bundle, table);
            self.each_checked(&parts, monitor, |file, checked| {
                let from = ledger.get(&file.path).map_or(0, |entry| entry.rows);
                if from > file.rows.unwrap_or(0) {
                    let what = format!("the target has {from} rows of a part where the manifest says {:?}", file.rows);
                    return Err(Error::verification(what).file(&file.path));
                }
                match file.role {
                    FileRole::AbsentParents => self.absent_parents(checked, &mut walk),
                    // Each row is held against all that stand before it.
                    FileRole::Rows if is_applied(file) => self.applied_rows(checked, &mut walk, monitor),
                    FileRole::Rows => {
                        let found = (&mut walk, &mut done, &mut *known);
                        self.rows(backend, (file, checked), from, found, monitor)
                    }
                    _ => self.tombstones(backend, (file, checked), from, (&mut walk, &mut done), monitor),
                }
            })?;
            walk.finish()?;
        }
        backend.note_bundles(&self.spec, &noted(bundle, table, whence)?)?;
        Ok(done)
    }

    /// Whether the target notes that all of it was applied, and so that all of it was held against its manifest.
    fn is_noted(&self, backend: &mut dyn Backend) -> Result<bool> {
        let root = self.source.bundle.root_sha256();
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
            scope.spawn(move || {
                files.iter().all(|file| checked.send(self.source.bundle.check_file(file, monitor)).is_ok())
            });
            files.iter().zip(coming).try_for_each(|(file, checked)| work(file, checked?))
        })
    }

    fn rows(
        &self,
        backend: &mut dyn Backend,
        (file, checked): (&FileInfo, CheckedFile),
        from: u64,
        (walk, done, known): (&mut TableWalk<'_>, &mut TableReplayOutcome, &mut FoundValues<'b>),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (mut applied_rows, mut skip) = (from, RowsToSkip(from));
        let make = |rows| self.held_rows(rows, &mut skip, walk);
        self.open(checked, &self.columns)?.each_made(make, |rows| {
            monitor.check()?;
            let Some(rows) = rows else { return Ok(()) };
            for (count, rows) in known.pieces(rows)? {
                applied_rows += count;
                self.piece(backend, (file, applied_rows, count), (rows, known), done, monitor)?;
            }
            Ok(())
        })
    }

    fn piece(
        &self,
        backend: &mut dyn Backend,
        (file, applied_rows, count): (&FileInfo, u64, u64),
        (rows, known): (BatchRows, &mut FoundValues<'b>),
        done: &mut TableReplayOutcome,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (rows, spool) = self.target_values().fetch(self.source, rows, known, backend)?;
        let (keys, versions) = (rows.keys()?, rows.versions()?);
        let passed_by = count - rows.rows() as u64;
        let entry = LedgerEntry { passed_by, ..self.entry(backend, file, applied_rows)? };
        let holder_of = |reference: &str| known.holder_of(self.source, reference);
        let rows = RowsWithBlobs { rows: &rows, holder_of: &holder_of, spool: &spool, monitor };
        let applied = backend.apply_rows(&self.spec, &rows, &keys, &versions, &entry)?;
        done.written += applied.written;
        done.displaced += applied.displaced;
        done.rows += count;
        monitor.event(Event::WorkDone { rows: count, bytes: 0 });
        Ok(())
    }

    fn absent_parents(&self, checked: CheckedFile, walk: &mut TableWalk<'_>) -> Result<()> {
        let columns = PartColumns::all(self.source.table, FileRole::AbsentParents)?;
        self.open(checked, &columns)?.each(|batch| walk.absent_parents(&batch))
    }

    /// The rows of a part that was applied by a replay that did not come to its end; their values were held against the
    /// manifest then.
    fn applied_rows(&self, checked: CheckedFile, walk: &mut TableWalk<'_>, monitor: &dyn Monitor) -> Result<()> {
        let columns = PartColumns::without_values(self.source.table)?;
        PartRows::open(self.source.bundle, checked, &columns)?.each(|rows| {
            monitor.check()?;
            walk.rows(&rows)
        })
    }

    /// The rows of a batch that are not applied yet. All of it are held against what the manifest says, on the
    /// thread that decodes them.
    fn held_rows(
        &self,
        mut rows: BatchRows,
        skip: &mut RowsToSkip,
        walk: &mut TableWalk<'_>,
    ) -> Result<Option<BatchRows>> {
        self.source.supply_sizes(&mut rows)?;
        walk.rows(&rows)?;
        skip.rest_of(rows).map(|rows| self.shaped(rows)).transpose()
    }

    /// The rows with the columns that are written.
    fn shaped(&self, rows: BatchRows) -> Result<BatchRows> {
        if Arc::ptr_eq(&self.columns.plan, &self.written) {
            return Ok(rows);
        }
        let mut rows = BatchRows::new(Arc::clone(&self.written), adapt(&rows, &self.written)?)?;
        self.source.supply_sizes(&mut rows)?;
        Ok(rows)
    }

    fn tombstones(
        &self,
        backend: &mut dyn Backend,
        (file, checked): (&FileInfo, CheckedFile),
        from: u64,
        (walk, done): (&mut TableWalk<'_>, &mut TableReplayOutcome),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (mut applied_rows, mut skip) = (from, RowsToSkip(from));
        self.open(checked, &PartColumns::all(self.source.table, FileRole::Tombstones)?)?.each(|rows| {
            monitor.check()?;
            walk.tombstones(&rows)?;
            let Some(rows) = skip.rest_of(rows) else { return Ok(()) };
            let tombstones = (0..rows.rows())
                .map(|row| {
                    let (key, version) = (rows.key(row)?, rows.version(row, true)?);
                    Ok(TombstoneRow { key, version, reason: rows.reason(row)? })
                })
                .collect::<Result<Vec<_>>>()?;
            let count = tombstones.len() as u64;
            applied_rows += count;
            let entry = self.entry(backend, file, applied_rows)?;
            done.removed += backend.apply_tombstones(&self.spec, &tombstones, &entry)?;
            done.tombstones += count;
            monitor.event(Event::WorkDone { rows: count, bytes: 0 });
            Ok(())
        })
    }

    fn open(&self, checked: CheckedFile, columns: &PartColumns) -> Result<PartRows> {
        let columns = PartColumns { batch_bytes: self.batch_bytes, ..columns.clone() };
        PartRows::open(self.source.bundle, checked, &columns)
    }

    fn entry(&self, backend: &mut dyn Backend, file: &FileInfo, rows: u64) -> Result<LedgerEntry> {
        Ok(LedgerEntry {
            root_sha256: self.source.bundle.root_sha256(),
            part: file.path.clone(),
            rows,
            complete: Some(rows) == file.rows,
            passed_by: 0,
            applied_at: backend.now()?.utc,
        })
    }
}

/// Rows whose large values are read from `blob/` when they are asked for.
struct RowsWithBlobs<'a> {
    rows: &'a BatchRows,
    /// The table in whose `blob/` a value lies.
    holder_of: &'a dyn Fn(&str) -> TableRows<'a>,
    /// Values that the rows leave out, and the target had.
    spool: &'a ValueSpool,
    monitor: &'a dyn Monitor,
}

impl RowSource for RowsWithBlobs<'_> {
    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        match self.spool.held((row, column)) {
            Some(bytes) => Ok(Cell::Bytes(bytes)),
            None => self.rows.cell(row, column),
        }
    }

    fn large(&self, row: usize, column: usize) -> Result<Box<dyn Read + '_>> {
        if let Some(known) = self.spool.open((row, column)) {
            return Ok(known);
        }
        let Some(reference) = self.rows.blob_ref(row, column)? else {
            return Err(Error::internal("a value that lies in its row was asked for as a large one"));
        };
        Ok(Box::new((self.holder_of)(reference).open_blob(reference, self.monitor)?))
    }
}
