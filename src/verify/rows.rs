//! Every row of a table, decoded once, in order: values and their hashes, run, window, counts,
//! total order. Holds one batch and one position; what needs all keys is in `closure`.

use super::finding::{Finding, FindingKind as K, Report};
use super::reading::Checked;
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
use std::sync::Arc;

/// Checks one table whose files are all sound. Returns whether its rows could be read to the end:
/// what is said of all of them together is of no use otherwise.
pub(super) fn check(
    files: &Checked<'_>,
    table: &TableInfo,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let blobs = check_blobs(files.bundle, table, report, monitor)?;
    let plan = Arc::new(ColumnPlan::rows(&table.model_columns()?, &table.key_column)?);
    let Some(columns) = Columns::find(&plan, table) else {
        report.add(Finding::new(K::BadManifest, Some(&data_path(table)), "the table lacks columns of the format"));
        return Ok(false);
    };
    let mut pass = Pass { files, table, plan, columns, blobs, tally: Tally::default(), last: None, report };
    let mut is_whole = true;
    for file in table.files_of(FileRole::Rows) {
        let read = pass.part(file, monitor);
        is_whole &= keep_going(read, file, pass.report)?;
    }
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

/// Reads every value in `blob/`. Returns their references, none used yet.
fn check_blobs(
    bundle: &Bundle,
    table: &TableInfo,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, bool>> {
    let mut unused = BTreeMap::new();
    for file in table.files_of(FileRole::Blob) {
        let read = bundle.check_file(file, monitor).and_then(|checked| {
            let mut value = bundle.open_blob(checked)?;
            std::io::copy(&mut value, &mut std::io::sink())
                .map_err(|error| Error::verification("this value cannot be read").caused_by(error))
        });
        match read {
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            Err(error) => report.add(Finding::of(K::BadBlob, Some(&file.path), &error)),
            Ok(_) => {}
        }
        let reference = file.path.strip_prefix(&format!("{}/", data_path(table))).unwrap_or(&file.path);
        unused.insert(reference.to_owned(), false);
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

struct Pass<'a> {
    files: &'a Checked<'a>,
    table: &'a TableInfo,
    plan: Arc<ColumnPlan>,
    columns: Columns,
    blobs: BTreeMap<String, bool>,
    tally: Tally,
    /// Where the row before stands: depth, path, and what its key is sorted by.
    last: Option<(i64, Vec<u8>, [u8; 16])>,
    report: &'a mut Report,
}

impl Pass<'_> {
    fn part(&mut self, file: &FileInfo, monitor: &dyn Monitor) -> Result<()> {
        self.files.open(file, &self.plan, true, monitor)?.each(|mut batch| {
            monitor.check()?;
            self.place_large(&mut batch, file)?;
            for row in 0..batch.rows() {
                if let Err(error) = self.row(&batch, row, file) {
                    self.report.add(Finding::of(K::BadRow, Some(&file.path), &error));
                }
            }
            self.report.rows += batch.rows() as u64;
            self.report.check_hope()?;
            monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            Ok(())
        })
    }

    /// Values in `blob/` were read already; here each row's reference is followed.
    fn place_large(&mut self, batch: &mut BatchRows, file: &FileInfo) -> Result<()> {
        for large in batch.large_refs()? {
            let bytes = self.table.blob_file(&large.reference).and_then(|blob| blob.content_bytes);
            match (bytes, self.blobs.get_mut(&large.reference)) {
                (Some(_), Some(used)) => *used = true,
                _ => {
                    let detail = format!("a row names {:?}, which is not in the bundle", large.reference);
                    self.report.add(Finding::new(K::BadBlob, Some(&file.path), detail));
                }
            }
            batch.supply_size(&large, bytes.unwrap_or(0));
        }
        Ok(())
    }

    fn row(&mut self, batch: &BatchRows, row: usize, file: &FileInfo) -> Result<()> {
        let key = batch.key(row)?;
        for column in 0..self.plan.columns().len() {
            batch.cell(row, column)?;
        }
        for column in self.columns.hashed.clone() {
            self.content(batch, (row, column), key, file)?;
        }
        let int = |column| match batch.cell(row, column)? {
            Cell::Int(value) => Ok(value),
            _ => Err(Error::verification("a Delta column is NULL").key(key)),
        };
        let (step, depth) = (int(self.columns.step)?, int(self.columns.depth)?);
        let early = matches!(batch.cell(row, self.columns.early)?, Cell::Bool(true));
        let version = batch.version(row, false)?;
        self.place_in_window((key, step, early), &version, file);
        let path = match self.columns.path.map(|path| batch.cell(row, path)).transpose()? {
            Some(Cell::Bytes(path)) => Cow::from(path),
            Some(Cell::Text(path)) => Cow::from(path.as_bytes()),
            Some(Cell::Guid(path)) => Cow::from(self.table.key_order.sort_key(path).to_vec()),
            _ => Cow::from(&[]),
        };
        let sorted_by = self.table.key_order.sort_key(key);
        let (last_depth, last_path, last_key) = self.last.get_or_insert((i64::MIN, Vec::new(), [0; 16]));
        if (*last_depth, last_path.as_slice(), *last_key) >= (depth, &*path, sorted_by) {
            let detail = format!("the row of key {key} does not stand after the row before it");
            self.report.add(Finding::new(K::OutOfOrder, Some(&file.path), detail));
        }
        // In place: a path of a hostile part may be as large as a page.
        last_path.clear();
        last_path.extend_from_slice(&path);
        (*last_depth, *last_key) = (depth, sorted_by);
        Ok(())
    }

    fn content(&mut self, batch: &BatchRows, (row, column): (usize, usize), key: Guid, file: &FileInfo) -> Result<()> {
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
            let name = &self.plan.columns()[column].name;
            let detail = format!("column {name}, key {key}: {said:?} is said, the value is {found:?}");
            self.report.add(Finding::new(K::WrongContentHash, Some(&file.path), detail));
        }
        Ok(())
    }

    fn place_in_window(&mut self, (key, step, early): (Guid, i64, bool), version: &Version, file: &FileInfo) {
        let run = &self.files.bundle.manifest().run;
        // A compacted bundle has rows of several runs, and what was early for one of them may lie in
        // the window of all.
        let is_delta = self.files.bundle.manifest().kind == BundleKind::Delta;
        if is_delta && (version.run_id, version.run_started_at) != (run.run_id, run.started_at.0) {
            let detail = format!("key {key} says run {} of {}", version.run_id, version.run_started_at);
            self.report.add(Finding::new(K::WrongRun, Some(&file.path), detail));
        }
        let counted = usize::try_from(step).ok().filter(|step| (1..=3).contains(step));
        self.tally.steps[counted.unwrap_or(0)] += 1;
        self.tally.early += u64::from(early);
        let window = self.table.window.window();
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
            self.report.add(Finding::new(K::OutsideWindow, Some(&file.path), detail));
        }
    }

    fn finish(self) {
        let path = data_path(self.table);
        let (counts, steps) = (&self.table.counts, self.tally.steps);
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
        for (reference, _) in self.blobs.iter().filter(|(_, used)| !**used) {
            let blob = format!("{path}/{reference}");
            self.report.add(Finding::new(K::UnusedBlob, Some(&blob), "no row names this value"));
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
