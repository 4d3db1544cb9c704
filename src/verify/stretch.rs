//! [`Stretch`]: the rows of one row group, each decoded once, in order, by one thread that hashes their
//! values while they are in its cache. Holds one batch and two positions.

use super::finding::{Finding, FindingKind as K, Report};
use super::reading::Rows;
use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, FileInfo, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_EARLY, DELTA_STEP};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Step;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the columns stand that the checks look at.
pub(super) struct Columns {
    step: usize,
    depth: usize,
    early: usize,
    path: Option<usize>,
    hashed: Vec<usize>,
}

impl Columns {
    pub(super) fn find(plan: &ColumnPlan, table: &TableInfo) -> Option<Self> {
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

/// Rows of each kind.
#[derive(Default)]
pub(super) struct Tally {
    /// Rows by step; 0 for what is none.
    pub(super) steps: [u64; 4],
    /// Rows that are marked so.
    pub(super) early: u64,
    /// Rows of steps 1 and 3 from before the window, or without a stamp.
    pub(super) late: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.steps.iter_mut().zip(other.steps).for_each(|(sum, steps)| *sum += steps);
        self.early += other.early;
        self.late += other.late;
    }
}

/// Where a row stands: depth, path, and what its key is sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    depth: i64,
    path: Vec<u8>,
    sorted_by: [u8; 16],
}

/// What is looked at, and what it is held against.
pub(super) struct Look<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) table: &'a TableInfo,
    pub(super) plan: Arc<ColumnPlan>,
    pub(super) columns: Columns,
    /// Values in `blob/`, and whether a row names them.
    pub(super) blobs: BTreeMap<String, AtomicBool>,
    pub(super) monitor: &'a dyn Monitor,
}

/// What is said of a row that stands before the one before it, or is that one.
pub(super) fn out_of_order(key: Guid, file: &FileInfo) -> Finding {
    let detail = format!("the row of key {key} does not stand after the row before it");
    Finding::new(K::OutOfOrder, Some(&file.path), detail)
}

/// One row group, or what could be read of it.
pub(super) struct Stretch<'a> {
    look: &'a Look<'a>,
    file: &'a FileInfo,
    /// Where it begins, with which key.
    pub(super) first: Option<(Place, Guid)>,
    /// Where the row before stands; at the end, the last one.
    pub(super) last: Option<Place>,
    pub(super) tally: Tally,
    pub(super) report: Report,
}

impl<'a> Stretch<'a> {
    /// Nothing of it yet.
    pub(super) fn of(look: &'a Look<'a>, file: &'a FileInfo) -> Self {
        Self { look, file, first: None, last: None, tally: Tally::default(), report: Report::default() }
    }

    /// Looks at all of its rows, as far as they can be read.
    pub(super) fn read(mut self, rows: Rows) -> (Self, Result<()>) {
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
