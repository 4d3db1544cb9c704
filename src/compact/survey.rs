//! The first pass: the rank and the parent of every version, and nothing else.

use super::inputs::Parts;
use crate::backend::{VersionEntry, Versions};
use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::conform::{Keys, first_of};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_MODIFIED_ON, DELTA_PARENT_KEY};
use crate::monitor::{Event, Monitor};
use std::sync::Arc;

/// Puts every version of a table into the store.
pub(super) fn survey(parts: &Parts<'_>, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
    for (input, (bundle, table)) in (0_u32..).zip(parts) {
        let mut survey = Survey { bundle, table, input, versions, monitor };
        for role in [FileRole::Rows, FileRole::Tombstones] {
            survey.files(role).map_err(|error| error.file(bundle.path()))?;
        }
    }
    Ok(())
}

struct Survey<'a> {
    bundle: &'a Bundle,
    table: &'a TableInfo,
    input: u32,
    versions: &'a mut dyn Versions,
    monitor: &'a dyn Monitor,
}

impl Survey<'_> {
    fn files(&mut self, role: FileRole) -> Result<()> {
        let plan = Arc::new(self.plan(role)?);
        let (mut place, mut keys) = (0, Keys::default());
        for file in self.table.files_of(role) {
            self.file(file, &plan, &mut place, &mut keys)?;
        }
        Ok(())
    }

    fn plan(&self, role: FileRole) -> Result<ColumnPlan> {
        if role == FileRole::Tombstones {
            return ColumnPlan::tombstones(&self.table.key_column);
        }
        let named = [Some(&self.table.key_column), self.table.parent_path_column.as_ref()];
        let is_needed = |name: &String| {
            [DELTA_MODIFIED_ON, DELTA_DEPTH, DELTA_PARENT_KEY].contains(&name.as_str()) || named.contains(&Some(name))
        };
        let columns: Vec<_> =
            self.table.model_columns()?.into_iter().filter(|column| is_needed(&column.name)).collect();
        ColumnPlan::rows(&columns, &self.table.key_column)
    }

    fn file(&mut self, file: &FileInfo, plan: &Arc<ColumnPlan>, place: &mut u64, keys: &mut Keys) -> Result<()> {
        let checked = self.bundle.check_file(file, self.monitor)?;
        let names = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = PartRead { columns: Some(names), ..PartRead::default() };
        for batch in self.bundle.open_part(checked, &read)? {
            let rows = BatchRows::new(plan.clone(), batch?)?;
            first_of(self.bundle, |tell| keys.add(&rows.keys()?, tell))?;
            let entries = (0..rows.rows())
                .zip(*place..)
                .map(|(row, place)| self.entry(&rows, row, place, file.role == FileRole::Tombstones))
                .collect::<Result<Vec<_>>>()?;
            self.versions.add(&entries)?;
            *place += entries.len() as u64;
            self.monitor.event(Event::WorkDone { rows: entries.len() as u64, bytes: 0 });
            self.monitor.check()?;
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
