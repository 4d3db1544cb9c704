//! [`TableWalk`]: all that a table holds, held against its manifest and against each other as it is read.

use super::closure::Closure;
use super::deviation::first_of;
use super::rows::{RowRules, RowWalk};
use super::tombstones::{TombstoneRules, TombstoneWalk};
use crate::bundle::{Bundle, TableInfo};
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::RowSource as _;

/// See the module's text. Every call ends with an error at the first deviation (Verification, with the bundle), so nothing
/// needs to be done with rows before they were looked at.
pub struct TableWalk<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    /// Nothing is said of all rows together where some are left out.
    closure: Option<Closure<'b>>,
    rows: RowWalk,
    tombstones: TombstoneWalk,
}

impl<'b> TableWalk<'b> {
    /// Of a table whose absent parents come first, then all of its rows, and its tombstones.
    pub fn new(bundle: &'b Bundle, table: &'b TableInfo) -> Self {
        Self { closure: Some(Closure::new(table)), ..Self::of_some(bundle, table) }
    }

    /// Of a table of which not all comes.
    pub fn of_some(bundle: &'b Bundle, table: &'b TableInfo) -> Self {
        let (rows, tombstones) = (RowWalk::default(), TombstoneWalk::default());
        Self { bundle, table, closure: None, rows, tombstones }
    }

    /// Takes the next absent parents.
    ///
    /// # Errors
    /// As [`Closure::absent`].
    pub fn absent_parents(&mut self, batch: &BatchRows) -> Result<()> {
        let Some(closure) = &mut self.closure else { return Ok(()) };
        first_of(self.bundle, |report| closure.absent(batch, report))
    }

    /// Takes the next rows, whose large values were supplied, or their sizes, or which have none of these columns.
    ///
    /// # Errors
    /// As [`RowRules::row`] and [`Closure::rows`].
    pub fn rows(&mut self, batch: &BatchRows) -> Result<()> {
        let rules = RowRules::new(self.bundle, self.table, batch.plan())?;
        first_of(self.bundle, |report| {
            if let Some(closure) = &mut self.closure {
                closure.rows(batch, report)?;
                closure.settle(report)?;
            }
            rules.batch(batch, &mut self.rows, report)
        })
    }

    /// Takes the next tombstones.
    ///
    /// # Errors
    /// As [`TombstoneRules::tombstone`].
    pub fn tombstones(&mut self, batch: &BatchRows) -> Result<()> {
        let rules = TombstoneRules::new(self.bundle, self.table);
        first_of(self.bundle, |report| {
            (0..batch.rows()).try_for_each(|row| rules.tombstone((batch, row), &mut self.tombstones, report))
        })
    }

    /// All of it came: what can only be said at the end.
    ///
    /// # Errors
    /// As [`Closure::finish`].
    pub fn finish(&mut self) -> Result<()> {
        let Some(closure) = &mut self.closure else { return Ok(()) };
        first_of(self.bundle, |report| {
            self.rows.tally.check(self.table, report);
            closure.finish(report)
        })
    }
}
