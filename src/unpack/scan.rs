//! Reading the parts of a table, batch by batch.

use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::conform::check_version;
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::RowSource as _;
use crate::monitor::{Monitor, Uncounted};
use std::sync::Arc;

/// One table of one bundle.
#[derive(Clone, Copy)]
pub(super) struct ScannedTable<'b> {
    pub bundle: &'b Bundle,
    pub table: &'b TableInfo,
}

impl ScannedTable<'_> {
    /// Gives every batch of the table's rows, with the columns of the plan alone. Each part is
    /// hashed right before it is opened.
    ///
    /// # Errors
    /// Verification; Io; Cancelled; what `each` gives.
    pub(super) fn rows(
        &self,
        plan: &Arc<ColumnPlan>,
        monitor: &dyn Monitor,
        each: &mut dyn FnMut(&BatchRows) -> Result<()>,
    ) -> Result<()> {
        self.parts(FileRole::Rows, plan, monitor, each)
    }

    /// The same of its tombstones.
    ///
    /// # Errors
    /// As [`ScannedTable::rows`].
    pub(super) fn tombstones(
        &self,
        monitor: &dyn Monitor,
        each: &mut dyn FnMut(&BatchRows) -> Result<()>,
    ) -> Result<()> {
        let plan = Arc::new(ColumnPlan::tombstones(&self.table.key_column)?);
        self.parts(FileRole::Tombstones, &plan, monitor, each)
    }

    fn parts(
        &self,
        role: FileRole,
        plan: &Arc<ColumnPlan>,
        monitor: &dyn Monitor,
        each: &mut dyn FnMut(&BatchRows) -> Result<()>,
    ) -> Result<()> {
        for file in self.table.files_of(role) {
            self.part((file, role == FileRole::Tombstones), plan, monitor, each)
                .map_err(|error| error.table(&self.table.name).file(self.bundle.path()))?;
        }
        Ok(())
    }

    fn part(
        &self,
        (file, is_tombstone): (&FileInfo, bool),
        plan: &Arc<ColumnPlan>,
        monitor: &dyn Monitor,
        each: &mut dyn FnMut(&BatchRows) -> Result<()>,
    ) -> Result<()> {
        let checked = self.bundle.check_file(file, &Uncounted(monitor))?;
        let columns = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = PartRead { columns: Some(columns), ..PartRead::default() };
        let mut found = 0;
        for batch in self.bundle.open_part(checked, &read)? {
            monitor.check()?;
            let rows = BatchRows::new(plan.clone(), batch?)?;
            found += rows.rows() as u64;
            for row in 0..rows.rows() {
                let (key, version) = (rows.key(row)?, rows.version(row, is_tombstone)?);
                check_version(self.bundle, self.table, key, &version)?;
            }
            each(&rows)?;
        }
        if Some(found) == file.rows {
            return Ok(());
        }
        let what = format!("the part gave {found} rows where the manifest says {:?}", file.rows);
        Err(Error::verification(what).file(self.bundle.path().join(&file.path)))
    }
}
