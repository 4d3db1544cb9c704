//! What needs all keys of a table: one row a key, every parent there or listed, a parent above
//! its child.
//!
//! Memory does not grow with the rows. The keys are split into parts by a hash with a random
//! seed, so that no order or choice of keys fills one part more than another, and each part is
//! checked in a pass of its own over the key columns alone.

use super::finding::{Finding, FindingKind as K, Report};
use super::reading::Checked;
use super::rows::{data_path, keep_going, subset};
use crate::bundle::{FileInfo, FileRole, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_PARENT_KEY};
use crate::model::id::Guid;
use crate::monitor::{Monitor, Silent};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// Checks one table whose files are all sound; about `keys_per_pass` keys, and so many parents,
/// are held at a time.
pub(super) fn check(
    files: &Checked<'_>,
    table: &TableInfo,
    keys_per_pass: u64,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<()> {
    let rows: u64 = table.files.iter().filter_map(|file| file.rows).sum();
    let parts = rows.div_ceil(keys_per_pass.max(1)).max(1);
    let seed = RandomState::new();
    for part in 0..parts {
        monitor.check()?;
        let is_here = |key: &Guid| seed.hash_one(key) % parts == part;
        let mut pass = Pass {
            table,
            is_here: &is_here,
            depths: HashMap::new(),
            parents: HashMap::new(),
            absent_children: HashMap::new(),
            absent_parents: HashSet::new(),
            last_absent: None,
            is_first: part == 0,
            report,
        };
        for file in table.files_of(FileRole::AbsentParents) {
            let read = pass.absent(files, file);
            if !keep_going(read, file, pass.report)? {
                return Ok(());
            }
        }
        for file in table.files_of(FileRole::Rows) {
            let read = pass.rows(files, file);
            if !keep_going(read, file, pass.report)? {
                return Ok(());
            }
        }
        pass.finish();
    }
    Ok(())
}

struct Pass<'a> {
    table: &'a TableInfo,
    is_here: &'a dyn Fn(&Guid) -> bool,
    /// Depth of each key.
    depths: HashMap<Guid, i64>,
    /// Of each parent that a row names, its highest child.
    parents: HashMap<Guid, (i64, Guid)>,
    /// Rows that are listed as without parent, and whether they were seen.
    absent_children: HashMap<Guid, bool>,
    absent_parents: HashSet<Guid>,
    /// What the list of absent parents is sorted by, so far.
    last_absent: Option<[u8; 16]>,
    /// What no choice of keys changes is said once.
    is_first: bool,
    report: &'a mut Report,
}

impl Pass<'_> {
    fn absent(&mut self, files: &Checked<'_>, file: &FileInfo) -> Result<()> {
        let plan = Arc::new(ColumnPlan::absent_parents()?);
        files.open(file, &plan, true, &Silent)?.each(|batch| {
            for row in 0..batch.rows() {
                let child = batch.key(row)?;
                let sorted_by = self.table.key_order.sort_key(child);
                if self.is_first && self.last_absent.is_some_and(|last| last >= sorted_by) {
                    let detail = format!("the absent parent of key {child} does not stand after the one before it");
                    self.report.add(Finding::new(K::OutOfOrder, Some(&file.path), detail));
                }
                self.last_absent = Some(sorted_by);
                if (self.is_here)(&child) {
                    self.absent_children.insert(child, false);
                }
                if let Cell::Guid(parent) = batch.cell(row, 1)?
                    && (self.is_here)(&parent)
                {
                    self.absent_parents.insert(parent);
                }
            }
            self.report.check_hope()
        })
    }

    fn rows(&mut self, files: &Checked<'_>, file: &FileInfo) -> Result<()> {
        let named = [Some(&self.table.key_column), self.table.parent_path_column.as_ref()];
        let mut names: BTreeSet<&str> = named.into_iter().flatten().map(String::as_str).collect();
        names.extend([DELTA_DEPTH, DELTA_PARENT_KEY]);
        let plan = subset(self.table, &names)?;
        let (Some(depth), Some(parent)) = (plan.index_of(DELTA_DEPTH), plan.index_of(DELTA_PARENT_KEY)) else {
            return Ok(());
        };
        let parent_path = self.table.parent_path_column.as_ref().and_then(|name| plan.index_of(name));
        files.open(file, &plan, false, &Silent)?.each(|batch| {
            for row in 0..batch.rows() {
                // A row that cannot be decoded is a finding of the pass before.
                let _ = self.row(&batch, row, (depth, parent, parent_path), file);
            }
            self.report.check_hope()
        })
    }

    fn row(
        &mut self,
        batch: &BatchRows,
        row: usize,
        (depth, parent, parent_path): (usize, usize, Option<usize>),
        file: &FileInfo,
    ) -> Result<()> {
        let key = batch.key(row)?;
        let Cell::Int(depth) = batch.cell(row, depth)? else { return Ok(()) };
        let parent = match batch.cell(row, parent)? {
            Cell::Guid(parent) => Some(parent),
            _ => None,
        };
        if (self.is_here)(&key) {
            let is_listed = self.absent_children.get_mut(&key).map(|seen| *seen = true).is_some();
            if self.depths.insert(key, depth).is_some() {
                self.report.add(Finding::new(K::DuplicateKey, Some(&file.path), format!("key {key} comes again")));
            }
            let has_path = match parent_path {
                Some(column) => batch.cell(row, column)? != Cell::Null,
                None => false,
            };
            if parent.is_none() && has_path && !is_listed {
                let detail = format!("key {key} has a parent that is neither in the bundle nor listed as absent");
                self.report.add(Finding::new(K::MissingParent, Some(&file.path), detail));
            }
        }
        if let Some(parent) = parent.filter(self.is_here) {
            let highest = self.parents.entry(parent).or_insert((depth, key));
            *highest = (*highest).min((depth, key));
        }
        Ok(())
    }

    fn finish(self) {
        let path = data_path(self.table);
        let mut parents: Vec<_> = self.parents.into_iter().collect();
        parents.sort_unstable();
        for (parent, (depth, child)) in parents {
            let (kind, detail) = match self.depths.get(&parent) {
                Some(above) if *above < depth => continue,
                Some(above) => {
                    (K::WrongDepth, format!("key {child} at depth {depth} has its parent {parent} at depth {above}"))
                }
                None if self.absent_parents.contains(&parent) => continue,
                None => {
                    let detail =
                        format!("parent {parent} of key {child} is neither in the bundle nor listed as absent");
                    (K::MissingParent, detail)
                }
            };
            self.report.add(Finding::new(kind, Some(&path), detail));
        }
        let present = self.absent_parents.iter().filter(|parent| self.depths.contains_key(parent));
        let mut wrong: Vec<String> =
            present.map(|parent| format!("parent {parent} is listed as absent, and is there")).collect();
        let unseen = self.absent_children.iter().filter(|(_, seen)| !**seen);
        wrong.extend(unseen.map(|(child, _)| format!("key {child} is listed as without parent, and is not there")));
        wrong.sort_unstable();
        for detail in wrong {
            self.report.add(Finding::new(K::WrongAbsentParent, Some(&path), detail));
        }
    }
}
