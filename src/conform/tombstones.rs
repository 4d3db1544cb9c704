//! [`TombstoneRules`]: what holds of each tombstone of a table.

use super::deviation::Deviation as D;
use super::rows::{check_run, check_times};
use crate::bundle::{Bundle, TableInfo};
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::key::KeyType;

/// What holds of each tombstone of a table.
pub struct TombstoneRules<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    key_type: KeyType,
}

/// What the last key was sorted by; tombstones stand in the order of their keys, each once.
#[derive(Default)]
pub struct TombstoneWalk(Option<[u8; 16]>);

impl<'b> TombstoneRules<'b> {
    /// Those of a table.
    pub fn new(bundle: &'b Bundle, table: &'b TableInfo) -> Self {
        Self { bundle, table, key_type: table.key_type() }
    }

    /// Looks at the next tombstone of a batch.
    ///
    /// # Errors
    /// Verification: values that no tombstone can have.
    pub fn tombstone(
        &self,
        (batch, row): (&BatchRows, usize),
        walk: &mut TombstoneWalk,
        report: &mut dyn FnMut(D, String),
    ) -> Result<()> {
        let (key, version) = (batch.key(row)?, batch.version(row, true)?);
        batch.reason(row)?;
        let sorted_by = self.key_type.sort_key(self.table.key_order, key);
        if walk.0.is_some_and(|last| last >= sorted_by) {
            let deviation = if walk.0 == Some(sorted_by) { D::DuplicateKey } else { D::OutOfOrder };
            report(deviation, format!("the tombstone of key {}", self.key_type.shown(key)));
        }
        walk.0 = Some(sorted_by);
        check_run(self.bundle, self.table, key, &version, report);
        check_times(self.bundle, self.table, key, &version, report);
        Ok(())
    }
}
