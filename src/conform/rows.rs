//! [`RowRules`]: what holds of each row of a table.

use super::deviation::{Deviation as D, first_of};
use crate::bundle::layout::PayloadFile;
use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_BUSINESS_UNIT, DELTA_DEPTH, DELTA_EARLY, DELTA_STEP};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::{KeyType, ShownKey, path_order};
use crate::model::run::{Scope, Step, TableCounts};
use crate::model::version::Version;
use std::collections::BTreeMap;

/// Where a row stands: depth, path, and what its key is sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPosition {
    depth: i64,
    path: Vec<u8>,
    sorted_by: [u8; 16],
}

/// Rows of each kind.
#[derive(Default)]
pub struct Tally {
    /// Rows by step; 0 for what is none.
    pub steps: [u64; 4],
    /// Rows that are marked so.
    pub early: u64,
    /// Rows of steps 1 and 3 from before the window, or without a stamp.
    pub late: u64,
    /// Values that are left out, and their bytes, by the bundle that holds them.
    pub known: BTreeMap<Sha256, (u64, u64)>,
    /// Rows of which nothing was seen of their values, and so not what is left out.
    without_values: bool,
}

impl Tally {
    /// Takes those of another.
    pub fn add(&mut self, other: &Self) {
        self.steps.iter_mut().zip(other.steps).for_each(|(sum, steps)| *sum += steps);
        self.early += other.early;
        self.late += other.late;
        other.known.iter().for_each(|(root, found)| self.add_known(*root, *found));
        self.without_values |= other.without_values;
    }

    fn add_known(&mut self, root: Sha256, (values, bytes): (u64, u64)) {
        let sum = self.known.entry(root).or_default();
        *sum = (sum.0.saturating_add(values), sum.1.saturating_add(bytes));
    }
}

impl Tally {
    /// Says where rows, or values that are left out, are not as many as the manifest counts; rows before the window deviate
    /// otherwise.
    pub fn check(&self, table: &TableInfo, report: &mut dyn FnMut(D, String)) {
        for (deviation, what, found, said) in self.counted(&table.counts) {
            if found != said {
                report(deviation, format!("{found} {what}, where the manifest says {said}"));
            }
        }
        for known in table.known_content.iter().filter(|_| !self.without_values) {
            let (values, bytes) = self.known.get(&known.root_sha256).copied().unwrap_or_default();
            if (values, bytes) != (known.values, known.bytes) {
                let said = format!("the manifest says {} of {} bytes", known.values, known.bytes);
                let held = format!("because the bundle {} holds them", known.root_sha256);
                report(D::WrongCount, format!("{values} values of {bytes} bytes are left out {held}, where {said}"));
            }
        }
    }

    /// Says where they are more already.
    fn check_so_far(&self, said: &TableCounts, report: &mut dyn FnMut(D, String)) {
        for (deviation, what, found, said) in self.counted(said) {
            if found > said {
                report(deviation, format!("{found} {what} and more, where the manifest says {said}"));
            }
        }
    }

    fn counted(&self, said: &TableCounts) -> [(D, &'static str, u64, u64); 6] {
        [
            (D::WrongCount, "rows of no step", self.steps[0], 0),
            (D::WrongCount, "rows of step 1", self.steps[1], said.roots),
            (D::WrongCount, "rows of step 2", self.steps[2], said.missing_parents),
            (D::WrongCount, "rows of step 3", self.steps[3], said.children),
            (D::WrongCount, "early rows", self.early, said.early),
            (D::OutsideWindow, "rows before the window", self.late, said.late),
        ]
    }
}

/// How far rows were looked at, one after the other.
#[derive(Default)]
pub struct RowWalk {
    /// Where they begin, with which key.
    pub first: Option<(RowPosition, Guid)>,
    /// Where the row before stands; at the end, the last one.
    pub last: Option<RowPosition>,
    /// Rows of each kind.
    pub tally: Tally,
}

/// What holds of each row of a table; shared by those who look at its rows side by side.
pub struct RowRules<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    key_type: KeyType,
    step: usize,
    depth: usize,
    early: usize,
    path: Option<usize>,
    unit: usize,
    hashed: Vec<usize>,
}

impl<'b> RowRules<'b> {
    /// Those of a table, for batches of a plan of all its columns; or without those of values, which say nothing of values.
    ///
    /// # Errors
    /// Verification: the table lacks columns of the format.
    pub fn new(bundle: &'b Bundle, table: &'b TableInfo, plan: &ColumnPlan) -> Result<Self> {
        let index = |name: &str| {
            plan.index_of(name).ok_or_else(|| Error::verification("the table lacks columns of the format").column(name))
        };
        let planned = plan.planned().iter().take(plan.columns().len()).enumerate();
        Ok(Self {
            bundle,
            table,
            key_type: table.key_type(),
            step: index(DELTA_STEP)?,
            depth: index(DELTA_DEPTH)?,
            early: index(DELTA_EARLY)?,
            path: table.path_column.as_ref().and_then(|path| plan.index_of(path)),
            unit: index(DELTA_BUSINESS_UNIT)?,
            hashed: planned.filter(|(_, column)| column.content_sha256.is_some()).map(|(at, _)| at).collect(),
        })
    }

    /// Looks at the next row of a batch whose large values were supplied, or their sizes. A value that lies in `blob/` is
    /// taken for what its name says, which is held against its bytes by whoever reads it.
    ///
    /// # Errors
    /// Verification: values that no row can have.
    pub fn row(
        &self,
        (batch, row): (&BatchRows, usize),
        walk: &mut RowWalk,
        report: &mut dyn FnMut(D, String),
    ) -> Result<()> {
        let key = batch.key(row)?;
        for column in &self.hashed {
            self.content(batch, (row, *column), key, report)?;
            self.left_out(batch, (row, *column), (key, &mut walk.tally), report)?;
        }
        let int = |column| match batch.cell(row, column)? {
            Cell::Int(value) => Ok(value),
            _ => Err(Error::verification("a Delta column is NULL").key(self.key_type.shown(key))),
        };
        let (step, depth) = (int(self.step)?, int(self.depth)?);
        let early = matches!(batch.cell(row, self.early)?, Cell::Bool(true));
        let version = batch.version(row, false)?;
        self.check_unit((batch, row), (key, step), report)?;
        check_run(self.bundle, self.table, key, &version, report);
        check_times(self.bundle, self.table, key, &version, report);
        self.place_in_window((key, step, early), &version, &mut walk.tally, report);
        let path = self.path.map(|path| batch.cell(row, path)).transpose()?;
        let path = path_order(path, self.table.key_order);
        let place = (depth, &*path, self.key_type.sort_key(self.table.key_order, key));
        walk.place_in_order(self.key_type.shown(key), key, place, report);
        Ok(())
    }

    /// Looks at the next rows of a batch, one after the other, where all rows before them were looked at by this walk.
    ///
    /// # Errors
    /// As [`RowRules::row`].
    pub fn batch(&self, batch: &BatchRows, walk: &mut RowWalk, report: &mut dyn FnMut(D, String)) -> Result<()> {
        (0..batch.rows()).try_for_each(|row| self.row((batch, row), walk, report))?;
        walk.tally.without_values |= self.hashed.is_empty();
        walk.tally.check_so_far(&self.table.counts, report);
        Ok(())
    }

    fn content(
        &self,
        batch: &BatchRows,
        (row, column): (usize, usize),
        key: Guid,
        report: &mut dyn FnMut(D, String),
    ) -> Result<()> {
        let said = batch.content_sha256(row, column)?;
        if batch.known_ref(row, column)?.is_some() {
            return Ok(());
        }
        let found = match batch.cell(row, column)? {
            Cell::Null => None,
            Cell::Bytes(bytes) => Some(Sha256::of(bytes)),
            _ => batch.blob_ref(row, column)?.and_then(PayloadFile::sha256_of_reference),
        };
        if said != found {
            let name = &batch.plan().columns()[column].name;
            let shown = |digest: Option<Sha256>| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            let (said, found) = (shown(said), shown(found));
            let detail = format!(
                "column {name}, key {}: the hash that is said is {said}, that of the value {found}",
                self.key_type.shown(key)
            );
            report(D::WrongContentHash, detail);
        }
        Ok(())
    }

    /// A value that is left out has a hash, and a bundle that the manifest names.
    fn left_out(
        &self,
        batch: &BatchRows,
        (row, column): (usize, usize),
        (key, tally): (Guid, &mut Tally),
        report: &mut dyn FnMut(D, String),
    ) -> Result<()> {
        let Some(known) = batch.known_ref(row, column)? else { return Ok(()) };
        let name = &batch.plan().columns()[column].name;
        let mut bad = |what: String| {
            let key = self.key_type.shown(key);
            report(D::BadKnownContent, format!("column {name}, key {key}: the value is left out, and {what}"));
        };
        if batch.cell(row, column)? != Cell::Large(known.bytes) {
            bad("is there".to_owned());
        }
        match batch.content_sha256(row, column)? {
            None => bad("its hash is not said".to_owned()),
            Some(content) if content == Sha256::of(&[]) => bad("its hash is that of an empty value".to_owned()),
            Some(_) => {}
        }
        if self.table.known_content_of(known.root_sha256).is_none() {
            bad(format!("the bundle {} that holds it is not in the manifest", known.root_sha256));
            return Ok(());
        }
        tally.add_known(known.root_sha256, (1, known.bytes));
        Ok(())
    }

    /// The rows of a business unit's bundle are that unit's (rule 18). The ancestors that they need may be another unit's, and
    /// come without content then (rule 7).
    fn check_unit(
        &self,
        (batch, row): (&BatchRows, usize),
        (key, step): (Guid, i64),
        report: &mut dyn FnMut(D, String),
    ) -> Result<()> {
        let Scope::BusinessUnit(unit) = self.table.scope.0 else { return Ok(()) };
        let found = match batch.cell(row, self.unit)? {
            Cell::Guid(found) if found == unit => return Ok(()),
            Cell::Guid(found) => format!("business unit {found}"),
            _ => "no business unit".to_owned(),
        };
        let is_ancestor = step == i64::from(Step::MissingParents.number());
        let has_content = |column: &usize| match batch.content_sha256(row, *column)? {
            None => Ok(false),
            Some(content) => Ok(content != Sha256::of(&[])),
        };
        let content = self.hashed.iter().map(has_content).collect::<Result<Vec<bool>>>()?;
        if !is_ancestor || content.contains(&true) {
            report(
                D::WrongUnit,
                format!("key {} is of {found}, in a bundle of business unit {unit}", self.key_type.shown(key)),
            );
        }
        Ok(())
    }

    fn place_in_window(
        &self,
        (key, step, early): (Guid, i64, bool),
        version: &Version,
        tally: &mut Tally,
        report: &mut dyn FnMut(D, String),
    ) {
        // What was early for one of the runs of a compacted bundle may lie in the window of all.
        let is_delta = self.bundle.manifest().kind == BundleKind::Delta;
        let counted = usize::try_from(step).ok().filter(|step| (1..=3).contains(step));
        tally.steps[counted.unwrap_or(0)] += 1;
        tally.early += u64::from(early);
        let window = self.table.window.window();
        let is_of_window = step != i64::from(Step::MissingParents.number());
        let is_right = match version.modified_on {
            Some(at) if early => (at >= window.end || !is_delta) && is_of_window,
            None if early => false,
            _ if !is_of_window => true,
            Some(at) if at >= window.start => at < window.end,
            // Before the window, or without a stamp: as many as came by name.
            _ => {
                tally.late += 1;
                true
            }
        };
        if !is_right {
            let stamp = version.modified_on.map_or("NULL".to_owned(), |at| at.to_string());
            let key = self.key_type.shown(key);
            let detail = format!("key {key}: {stamp} is not where [{}, {}) allows it", window.start, window.end);
            report(D::OutsideWindow, detail);
        }
    }
}

impl RowWalk {
    /// What is said of a row that stands before the one before it, or is that one.
    pub fn out_of_order(key: ShownKey) -> String {
        format!("the row of key {key} does not stand after the row before it")
    }

    fn place_in_order(
        &mut self,
        shown: ShownKey,
        key: Guid,
        (depth, path, sorted_by): (i64, &[u8], [u8; 16]),
        report: &mut dyn FnMut(D, String),
    ) {
        let Some(last) = &mut self.last else {
            let place = || RowPosition { depth, path: path.to_vec(), sorted_by };
            (self.first, self.last) = (Some((place(), key)), Some(place()));
            return;
        };
        if (last.depth, last.path.as_slice(), last.sorted_by) >= (depth, path, sorted_by) {
            report(D::OutOfOrder, Self::out_of_order(shown));
        }
        // In place: a path of a hostile part may be as large as a page.
        last.path.clear();
        last.path.extend_from_slice(path);
        (last.depth, last.sorted_by) = (depth, sorted_by);
    }
}

/// What holds of a row or tombstone for whoever reads no more of it than its key and version: it is of a run that the bundle
/// may have rows of, and of no later time than rule 27 lets it be.
///
/// # Errors
/// Verification.
pub fn check_version(bundle: &Bundle, table: &TableInfo, key: Guid, version: &Version) -> Result<()> {
    first_of(bundle, |report| {
        check_run(bundle, table, key, version, report);
        check_times(bundle, table, key, version, report);
        Ok(())
    })
}

/// A delta has rows of its own run alone; a compacted bundle has those of runs that began no later than its last.
pub(super) fn check_run(
    bundle: &Bundle,
    table: &TableInfo,
    key: Guid,
    version: &Version,
    report: &mut dyn FnMut(D, String),
) {
    let manifest = bundle.manifest();
    let run = &manifest.run;
    let is_right = match manifest.kind {
        BundleKind::Delta => (version.run_id, version.run_started_at) == (run.run_id, run.started_at.0),
        BundleKind::Compacted => version.run_started_at <= run.started_at.0,
    };
    if !is_right {
        let key = table.shown_key(key);
        report(D::WrongRun, format!("key {key} says run {} of {}", version.run_id, version.run_started_at));
    }
}

/// Rule 27: no stamp is later than the start of its run and a day.
pub(super) fn check_times(
    bundle: &Bundle,
    table: &TableInfo,
    key: Guid,
    version: &Version,
    report: &mut dyn FnMut(D, String),
) {
    let latest = table.window.latest_of(version.run_started_at.min(bundle.manifest().run.started_at.0));
    if let Some(at) = version.modified_on.filter(|at| *at > latest) {
        let key = table.shown_key(key);
        let detail = format!("key {key}: {at} is later than its run's start and a day ({latest})");
        report(D::InTheFuture, detail);
    }
}
