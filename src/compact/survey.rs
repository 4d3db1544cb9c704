//! The first pass: the version and the parent of each row, and no value. All rows of each bundle are held against its
//! manifest and against each other, also those that are not kept.

use super::inputs::Parts;
use crate::backend::{VersionEntry, Versions};
use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::conform::{
    Closure, Deviation, RowRules, RowWalk, TombstoneRules, TombstoneWalk, first_of, plan_without_values,
};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_PARENT_KEY};
use crate::monitor::{Event, Monitor};
use std::sync::Arc;

/// Holds a batch against what is said of it.
type Hold<'h> = dyn FnMut(&BatchRows, &mut dyn FnMut(Deviation, String)) -> Result<()> + 'h;

/// Puts every version of a table into the store.
pub(super) fn survey(parts: &Parts<'_>, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
    for (input, (bundle, table)) in (0_u32..).zip(parts) {
        let mut survey = InputSurvey { bundle, table, input, versions, monitor };
        survey.table().map_err(|error| error.file(bundle.path()))?;
    }
    Ok(())
}

struct InputSurvey<'a> {
    bundle: &'a Bundle,
    table: &'a TableInfo,
    input: u32,
    versions: &'a mut dyn Versions,
    monitor: &'a dyn Monitor,
}

impl InputSurvey<'_> {
    fn table(&mut self) -> Result<()> {
        let (bundle, table) = (self.bundle, self.table);
        let (mut closure, mut walk) = (Closure::new(table), RowWalk::default());
        self.role(FileRole::AbsentParents, ColumnPlan::absent_parents()?, &mut |batch, report| {
            closure.absent(batch, report)
        })?;
        self.role(FileRole::Rows, plan_without_values(table)?, &mut |batch, report| {
            closure.rows(batch, report)?;
            closure.settle(report)?;
            RowRules::new(bundle, table, batch.plan())?.batch(batch, &mut walk, report)
        })?;
        first_of(bundle, |report| {
            walk.tally.check(&table.counts, report);
            closure.finish(report)
        })?;
        let (rules, mut walk) = (TombstoneRules::new(bundle, table), TombstoneWalk::default());
        self.role(FileRole::Tombstones, ColumnPlan::tombstones(&table.key_column)?, &mut |batch, report| {
            (0..batch.rows()).try_for_each(|row| rules.tombstone((batch, row), &mut walk, report))
        })
    }

    /// Holds all of one role, and puts it into the store.
    fn role(&mut self, role: FileRole, plan: ColumnPlan, hold: &mut Hold<'_>) -> Result<()> {
        let (plan, mut place) = (Arc::new(plan), 0);
        self.table.files_of(role).try_for_each(|file| self.file(file, &plan, &mut place, hold))
    }

    fn file(&mut self, file: &FileInfo, plan: &Arc<ColumnPlan>, place: &mut u64, hold: &mut Hold<'_>) -> Result<()> {
        let checked = self.bundle.check_file(file, self.monitor)?;
        let names = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = PartRead { columns: Some(names), ..PartRead::default() };
        for batch in self.bundle.open_part(checked, &read)? {
            self.monitor.check()?;
            let rows = BatchRows::new(plan.clone(), batch?)?;
            first_of(self.bundle, |report| hold(&rows, report))?;
            if file.role == FileRole::AbsentParents {
                continue;
            }
            let entries = (0..rows.rows())
                .zip(*place..)
                .map(|(row, place)| self.entry(&rows, row, place, file.role == FileRole::Tombstones))
                .collect::<Result<Vec<_>>>()?;
            self.versions.add(&entries)?;
            *place += entries.len() as u64;
            self.monitor.event(Event::WorkDone { rows: entries.len() as u64, bytes: 0 });
        }
        Ok(())
    }

    fn entry(&self, rows: &BatchRows, row: usize, place: u64, tombstone: bool) -> Result<VersionEntry> {
        let cell = |name: &str| rows.plan().index_of(name).map(|column| rows.cell(row, column)).transpose();
        let key = rows.key(row)?;
        let parent = match cell(DELTA_PARENT_KEY)? {
            Some(Cell::Guid(parent)) if !tombstone => Some(parent),
            _ => None,
        };
        let path = self.table.parent_path_column.as_deref().map(cell).transpose()?.flatten();
        let depth = match cell(DELTA_DEPTH)? {
            Some(Cell::Int(depth)) => depth,
            _ => 0,
        };
        Ok(VersionEntry {
            input: self.input,
            place,
            key,
            sort: self.table.key_order.sort_key(key),
            version: rows.version(row, tombstone)?,
            parent,
            has_parent: path.is_some_and(|path| path != Cell::Null),
            depth,
        })
    }
}
