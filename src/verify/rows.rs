//! Every row of a table, decoded once, in order: values and their hashes, run, window, counts,
//! total order. Row groups are looked at side by side, each by one thread that decodes a batch and
//! hashes its values while they are in the cache; what is said of them is put together in their order, so
//! that it does not depend on how many threads there are. A thread holds one batch and two positions;
//! what needs all keys is in `closure`.

use super::finding::{Finding, FindingKind as K, Report};
use super::reading::{Checked, Rows};
use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, FileInfo, FileRole, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Kind, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_EARLY, DELTA_STEP};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Step;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Checks one table whose files are all sound, up to `threads` row groups side by side. Returns whether
/// its rows could be read to the end: what is said of all of them together is of no use otherwise.
pub(super) fn check(
    files: &Checked<'_>,
    table: &TableInfo,
    threads: usize,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let blobs = check_blobs(files.bundle, table, threads, report, monitor)?;
    let plan = Arc::new(ColumnPlan::rows(&table.model_columns()?, &table.key_column)?);
    let Some(columns) = Columns::find(&plan, table) else {
        report.add(Finding::new(K::BadManifest, Some(&data_path(table)), "the table lacks columns of the format"));
        return Ok(false);
    };
    let look = Look { bundle: files.bundle, table, plan, columns, blobs, monitor };
    let mut pass =
        Pass { look: &look, threads, due: Vec::new(), tally: Tally::default(), last: None, broken: None, report };
    for file in table.files_of(FileRole::Rows) {
        pass.part(files, file)?;
    }
    pass.look_at_due()?;
    let is_whole = pass.broken.is_none();
    if is_whole {
        pass.finish();
    }
    for file in table.files_of(FileRole::Tombstones) {
        let read = tombstones(files, table, file, report, monitor);
        keep_going(read, file, report)?;
    }
    Ok(is_whole)
}

/// A part that cannot be read to its end is a finding; being stopped is not. Returns whether it
/// was read.
pub(super) fn keep_going(read: Result<()>, file: &FileInfo, report: &mut Report) -> Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == Kind::Cancelled => Err(error),
        Err(error) => {
            report.add(Finding::of(K::BadPart, Some(&file.path), &error));
            Ok(false)
        }
    }
}

/// How findings name a whole table.
pub(super) fn data_path(table: &TableInfo) -> String {
    format!("data/{}", table.folder)
}

/// Does some pieces of work, each on a thread of its own; what came of them, in their order.
fn side_by_side<T: Send, R: Send>(due: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let at_work: Vec<_> = due.into_iter().map(|one| scope.spawn(move || work(one))).collect();
        at_work.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Reads every value in `blob/`. Returns their references, none used yet.
fn check_blobs(
    bundle: &Bundle,
    table: &TableInfo,
    threads: usize,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, AtomicBool>> {
    let read = |file: &FileInfo| {
        let mut value = bundle.open_blob(bundle.check_file(file, monitor)?)?;
        std::io::copy(&mut value, &mut std::io::sink())
            .map_err(|error| Error::verification("this value cannot be read").caused_by(error))
    };
    let files: Vec<&FileInfo> = table.files_of(FileRole::Blob).collect();
    let mut unused = BTreeMap::new();
    for some in files.chunks(threads.max(1)) {
        for (file, read) in some.iter().zip(side_by_side(some.to_vec(), read)) {
            match read {
                Err(error) if error.kind() == Kind::Cancelled => return Err(error),
                Err(error) => report.add(Finding::of(K::BadBlob, Some(&file.path), &error)),
                Ok(_) => {}
            }
            let reference = file.path.strip_prefix(&format!("{}/", data_path(table))).unwrap_or(&file.path);
            unused.insert(reference.to_owned(), AtomicBool::new(false));
        }
    }
    Ok(unused)
}

/// Where the columns stand that the checks look at.
struct Columns {
    step: usize,
    depth: usize,
    early: usize,
    path: Option<usize>,
    hashed: Vec<usize>,
}

impl Columns {
    fn find(plan: &ColumnPlan, table: &TableInfo) -> Option<Self> {
        let planned = plan.planned().iter().take(plan.columns().len()).enumerate();
        Some(Self {
            step: plan.index_of(DELTA_STEP)?,
            depth: plan.index_of(DELTA_DEPTH)?,
            early: plan.index_of(DELTA_EARLY)?,
            path: table.path_column.as_ref().and_then(|path| plan.index_of(path)),
            hashed: planned.filter(|(_, column)| column.content_sha256.is_some()).map(|(at, _)| at).collect(),
        })
    }
}

#[derive(Default)]
struct Tally {
    steps: [u64; 4],
    early: u64,
    late: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.steps.iter_mut().zip(other.steps).for_each(|(sum, steps)| *sum += steps);
        self.early += other.early;
        self.late += other.late;
    }
}

/// Where a row stands: depth, path, and what its key is sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    depth: i64,
    path: Vec<u8>,
    sorted_by: [u8; 16],
}

/// What is looked at, and what it is held against.
struct Look<'a> {
    bundle: &'a Bundle,
    table: &'a TableInfo,
    plan: Arc<ColumnPlan>,
    columns: Columns,
    /// Values in `blob/`, and whether a row names them.
    blobs: BTreeMap<String, AtomicBool>,
    monitor: &'a dyn Monitor,
}

/// The row groups of a table, put together in their order.
struct Pass<'a> {
    look: &'a Look<'a>,
    threads: usize,
    /// Row groups that are looked at together.
    due: Vec<(&'a FileInfo, Rows)>,
    tally: Tally,
    /// Where the row before stands.
    last: Option<Place>,
    /// The last part that could not be read to its end.
    broken: Option<&'a FileInfo>,
    report: &'a mut Report,
}

impl<'a> Pass<'a> {
    fn part(&mut self, files: &Checked<'_>, file: &'a FileInfo) -> Result<()> {
        let rows = match files.open(file, &self.look.plan, true, self.look.monitor) {
            Ok(rows) => rows,
            Err(error) => {
                self.look_at_due()?;
                return self.end(file, Err(error));
            }
        };
        for group in rows.by_row_group() {
            self.due.push((file, group));
            if self.due.len() >= self.threads {
                self.look_at_due()?;
            }
            if self.is_broken(file) {
                break;
            }
        }
        Ok(())
    }

    fn is_broken(&self, file: &FileInfo) -> bool {
        self.broken.is_some_and(|broken| broken.path == file.path)
    }

    fn look_at_due(&mut self) -> Result<()> {
        let look = self.look;
        let stretches =
            side_by_side(std::mem::take(&mut self.due), |(file, rows)| (file, Stretch::of(look, file).read(rows)));
        stretches.into_iter().try_for_each(|(file, (stretch, read))| self.add(file, stretch, read))
    }

    fn add(&mut self, file: &'a FileInfo, stretch: Stretch<'_>, read: Result<()>) -> Result<()> {
        // As if they had been read one after the other.
        if self.is_broken(file) {
            return Ok(());
        }
        if let (Some(last), Some((first, key))) = (&self.last, &stretch.first)
            && last >= first
        {
            self.report.add(out_of_order(*key, file));
        }
        self.last = stretch.last.or(self.last.take());
        self.tally.add(&stretch.tally);
        self.report.absorb_rows(stretch.report);
        let read = read.and_then(|()| self.report.check_hope());
        self.end(file, read)
    }

    fn end(&mut self, file: &'a FileInfo, read: Result<()>) -> Result<()> {
        if !keep_going(read, file, self.report)? {
            self.broken = Some(file);
        }
        Ok(())
    }

    fn finish(self) {
        let path = data_path(self.look.table);
        let (counts, steps) = (&self.look.table.counts, self.tally.steps);
        let kinds = [
            (K::WrongCount, "rows of step 1", steps[1], counts.roots),
            (K::WrongCount, "rows of step 2", steps[2], counts.missing_parents),
            (K::WrongCount, "rows of step 3", steps[3], counts.children),
            (K::WrongCount, "early rows", self.tally.early, counts.early),
            (K::OutsideWindow, "rows before the window", self.tally.late, counts.late),
        ];
        for (kind, what, found, said) in kinds {
            if found != said {
                let detail = format!("{found} {what}, where the manifest says {said}");
                self.report.add(Finding::new(kind, Some(&path), detail));
            }
        }
        for (reference, _) in self.look.blobs.iter().filter(|(_, used)| !used.load(Ordering::Relaxed)) {
            let blob = format!("{path}/{reference}");
            self.report.add(Finding::new(K::UnusedBlob, Some(&blob), "no row names this value"));
        }
    }
}

fn out_of_order(key: Guid, file: &FileInfo) -> Finding {
    let detail = format!("the row of key {key} does not stand after the row before it");
    Finding::new(K::OutOfOrder, Some(&file.path), detail)
}

/// One row group, or what could be read of it.
struct Stretch<'a> {
    look: &'a Look<'a>,
    file: &'a FileInfo,
    /// Where it begins, with which key.
    first: Option<(Place, Guid)>,
    /// Where the row before stands; at the end, the last one.
    last: Option<Place>,
    tally: Tally,
    report: Report,
}

impl<'a> Stretch<'a> {
    fn of(look: &'a Look<'a>, file: &'a FileInfo) -> Self {
        Self { look, file, first: None, last: None, tally: Tally::default(), report: Report::default() }
    }

    fn read(mut self, rows: Rows) -> (Self, Result<()>) {
        let read = rows.each_in_turn(|mut batch| {
            self.look.monitor.check()?;
            self.place_large(&mut batch)?;
            for row in 0..batch.rows() {
                if let Err(error) = self.row(&batch, row) {
                    self.report.add(Finding::of(K::BadRow, Some(&self.file.path), &error));
                }
            }
            self.report.rows += batch.rows() as u64;
            self.report.check_hope()?;
            self.look.monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            Ok(())
        });
        (self, read)
    }

    /// Values in `blob/` were read already; here each row's reference is followed.
    fn place_large(&mut self, batch: &mut BatchRows) -> Result<()> {
        for large in batch.large_refs()? {
            let bytes = self.look.table.blob_file(&large.reference).and_then(|blob| blob.content_bytes);
            match (bytes, self.look.blobs.get(&large.reference)) {
                (Some(_), Some(used)) => used.store(true, Ordering::Relaxed),
                _ => {
                    let detail = format!("a row names {:?}, which is not in the bundle", large.reference);
                    self.report.add(Finding::new(K::BadBlob, Some(&self.file.path), detail));
                }
            }
            batch.supply_size(&large, bytes.unwrap_or(0));
        }
        Ok(())
    }

    fn row(&mut self, batch: &BatchRows, row: usize) -> Result<()> {
        let (look, key) = (self.look, batch.key(row)?);
        for column in 0..look.plan.columns().len() {
            batch.cell(row, column)?;
        }
        for column in &look.columns.hashed {
            self.content(batch, (row, *column), key)?;
        }
        let int = |column| match batch.cell(row, column)? {
            Cell::Int(value) => Ok(value),
            _ => Err(Error::verification("a Delta column is NULL").key(key)),
        };
        let (step, depth) = (int(look.columns.step)?, int(look.columns.depth)?);
        let early = matches!(batch.cell(row, look.columns.early)?, Cell::Bool(true));
        let version = batch.version(row, false)?;
        self.place_in_window((key, step, early), &version);
        let key_order = look.table.key_order;
        let path = match look.columns.path.map(|path| batch.cell(row, path)).transpose()? {
            Some(Cell::Bytes(path)) => Cow::from(path),
            Some(Cell::Text(path)) => Cow::from(path.as_bytes()),
            Some(Cell::Guid(path)) => Cow::from(key_order.sort_key(path).to_vec()),
            _ => Cow::from(&[]),
        };
        self.place_in_order(key, (depth, &path, key_order.sort_key(key)));
        Ok(())
    }

    fn place_in_order(&mut self, key: Guid, (depth, path, sorted_by): (i64, &[u8], [u8; 16])) {
        let Some(last) = &mut self.last else {
            let place = || Place { depth, path: path.to_vec(), sorted_by };
            (self.first, self.last) = (Some((place(), key)), Some(place()));
            return;
        };
        if (last.depth, last.path.as_slice(), last.sorted_by) >= (depth, path, sorted_by) {
            self.report.add(out_of_order(key, self.file));
        }
        // In place: a path of a hostile part may be as large as a page.
        last.path.clear();
        last.path.extend_from_slice(path);
        (last.depth, last.sorted_by) = (depth, sorted_by);
    }

    fn content(&mut self, batch: &BatchRows, (row, column): (usize, usize), key: Guid) -> Result<()> {
        let said = batch.content_sha256(row, column)?;
        let found = match batch.cell(row, column)? {
            Cell::Null => None,
            Cell::Bytes(bytes) => Some(Sha256::of(bytes)),
            // The value's file was read, and is what its name says.
            _ => batch
                .blob_ref(row, column)?
                .and_then(|reference| Sha256::parse(reference.strip_prefix("blob/")?.strip_suffix(".zst")?).ok()),
        };
        if said != found {
            let name = &self.look.plan.columns()[column].name;
            let detail = format!("column {name}, key {key}: {said:?} is said, the value is {found:?}");
            self.report.add(Finding::new(K::WrongContentHash, Some(&self.file.path), detail));
        }
        Ok(())
    }

    fn place_in_window(&mut self, (key, step, early): (Guid, i64, bool), version: &Version) {
        let run = &self.look.bundle.manifest().run;
        // A compacted bundle has rows of several runs, and what was early for one of them may lie in
        // the window of all.
        let is_delta = self.look.bundle.manifest().kind == BundleKind::Delta;
        if is_delta && (version.run_id, version.run_started_at) != (run.run_id, run.started_at.0) {
            let detail = format!("key {key} says run {} of {}", version.run_id, version.run_started_at);
            self.report.add(Finding::new(K::WrongRun, Some(&self.file.path), detail));
        }
        let counted = usize::try_from(step).ok().filter(|step| (1..=3).contains(step));
        self.tally.steps[counted.unwrap_or(0)] += 1;
        self.tally.early += u64::from(early);
        let window = self.look.table.window.window();
        let is_of_window = step != i64::from(Step::MissingParents.number());
        let is_right = match version.modified_on {
            Some(at) if early => (at >= window.end || !is_delta) && is_of_window,
            None if early => false,
            _ if !is_of_window => true,
            Some(at) if at >= window.start => at < window.end,
            // Before the window, or without a stamp: as many as came by name.
            _ => {
                self.tally.late += 1;
                true
            }
        };
        if !is_right {
            let stamp = version.modified_on.map_or("NULL".to_owned(), |at| at.to_string());
            let detail = format!("key {key}: {stamp} is not where [{}, {}) allows it", window.start, window.end);
            self.report.add(Finding::new(K::OutsideWindow, Some(&self.file.path), detail));
        }
    }
}

fn tombstones(
    files: &Checked<'_>,
    table: &TableInfo,
    file: &FileInfo,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<()> {
    let plan = Arc::new(ColumnPlan::tombstones(&table.key_column)?);
    let manifest = files.bundle.manifest();
    let (run, is_delta) = (&manifest.run, manifest.kind == BundleKind::Delta);
    let mut last = None;
    files.open(file, &plan, true, monitor)?.each(|batch| {
        for row in 0..batch.rows() {
            let (key, version) = match batch.key(row).and_then(|key| Ok((key, batch.version(row, true)?))) {
                Ok(found) => found,
                Err(error) => {
                    report.add(Finding::of(K::BadRow, Some(&file.path), &error));
                    continue;
                }
            };
            let sorted_by = table.key_order.sort_key(key);
            if last.is_some_and(|last| last >= sorted_by) {
                let kind = if last == Some(sorted_by) { K::DuplicateKey } else { K::OutOfOrder };
                report.add(Finding::new(kind, Some(&file.path), format!("the tombstone of key {key}")));
            }
            if is_delta && (version.run_id, version.run_started_at) != (run.run_id, run.started_at.0) {
                report.add(Finding::new(K::WrongRun, Some(&file.path), format!("the tombstone of key {key}")));
            }
            last = Some(sorted_by);
        }
        report.rows += batch.rows() as u64;
        report.check_hope()?;
        monitor.check()?;
        monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
        Ok(())
    })
}

/// Names of columns that a pass reads, for `closure`.
pub(super) fn subset(table: &TableInfo, names: &BTreeSet<&str>) -> Result<Arc<ColumnPlan>> {
    let columns: Vec<_> =
        table.model_columns()?.into_iter().filter(|column| names.contains(column.name.as_str())).collect();
    ColumnPlan::rows(&columns, &table.key_column).map(Arc::new)
}
