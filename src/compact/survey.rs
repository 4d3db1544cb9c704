//! The first pass: the version and the parent of each row, and no value. All rows of each bundle are held against its
//! manifest and against each other, also those that are not kept.

use super::inputs::Parts;
use crate::backend::{VersionEntry, Versions};
use crate::bundle::{FileRole, TableInfo};
use crate::conform::TableWalk;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_PARENT_KEY};
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, TableRows};

/// Puts every version of a table into the store.
pub(super) fn survey(parts: &Parts<'_>, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
    for (input, (bundle, table)) in (0_u32..).zip(parts) {
        let surveyed = InputSurvey { input, table }.read(TableRows { bundle, table }, versions, monitor);
        surveyed.map_err(|error| error.file(bundle.path()))?;
    }
    Ok(())
}

struct InputSurvey<'a> {
    input: u32,
    table: &'a TableInfo,
}

impl InputSurvey<'_> {
    fn read(&self, source: TableRows<'_>, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
        let mut walk = TableWalk::new(source.bundle, source.table);
        let absent_parents = PartColumns::all(self.table, FileRole::AbsentParents)?;
        source.each(FileRole::AbsentParents, &absent_parents, monitor, |batch| walk.absent_parents(&batch))?;
        let mut place = 0;
        let rows = PartColumns::without_values(self.table)?;
        source.each(FileRole::Rows, &rows, monitor, |batch| {
            walk.rows(&batch)?;
            self.add((&batch, false), &mut place, versions, monitor)
        })?;
        let mut place = 0;
        let tombstones = PartColumns::all(self.table, FileRole::Tombstones)?;
        source.each(FileRole::Tombstones, &tombstones, monitor, |batch| {
            walk.tombstones(&batch)?;
            self.add((&batch, true), &mut place, versions, monitor)
        })?;
        walk.finish()
    }

    /// Puts a batch into the store, of which the first stands at a place.
    fn add(
        &self,
        (batch, are_tombstones): (&BatchRows, bool),
        place: &mut u64,
        versions: &mut dyn Versions,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let entries = (0..batch.rows()).zip(*place..);
        let entries: Vec<_> =
            entries.map(|(row, place)| self.entry(batch, row, place, are_tombstones)).collect::<Result<_>>()?;
        versions.add(&entries)?;
        *place += entries.len() as u64;
        monitor.event(Event::WorkDone { rows: entries.len() as u64, bytes: 0 });
        Ok(())
    }

    fn entry(&self, rows: &BatchRows, row: usize, place: u64, tombstone: bool) -> Result<VersionEntry> {
        let cell = |name: &str| rows.plan().index_of(name).map(|column| rows.cell(row, column)).transpose();
        let key = rows.key(row)?;
        let parent = rows.plan().index_of(DELTA_PARENT_KEY).filter(|_| !tombstone);
        let parent = parent.map(|column| rows.id(row, column)).transpose()?.flatten();
        let path = self.table.parent_path_column.as_deref().map(cell).transpose()?.flatten();
        let depth = match cell(DELTA_DEPTH)? {
            Some(Cell::Int(depth)) => depth,
            _ => 0,
        };
        Ok(VersionEntry {
            input: self.input,
            place,
            key,
            sort: rows.plan().key_type().sort_key(self.table.key_order, key),
            version: rows.version(row, tombstone)?,
            parent,
            has_parent: path.is_some_and(|path| path != Cell::Null),
            depth,
        })
    }
}
