//! What the job database keeps of its past, and what it gives up.
//!
//! A run goes whole, with all that stands under its RunId, or stays whole. What must stay is said
//! once a backend, in `sql/sqlite/prune.sql` and in `usp_BlobDelta_Prune`; a retention
//! can only keep more than that.

use crate::error::{Error, Result};

/// Runs that are kept beside those that something still needs: what either of the two says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest runs of each table.
    pub keep_runs: Option<u32>,
    /// Those that started so many days, or fewer, before now. A clock that runs ahead removes
    /// nothing more: "now" is never later than the start of the newest run.
    pub keep_days: Option<u32>,
}

impl Retention {
    /// A century.
    pub const MOST_DAYS: u32 = 36_500;

    /// Refuses one that says nothing.
    ///
    /// # Errors
    /// Usage.
    pub fn check(&self) -> Result<()> {
        match (self.keep_runs, self.keep_days) {
            (None, None) | (Some(0), _) | (_, Some(0)) => {
                Err(Error::usage("what is to be kept has to be said, in runs or in days, 1 at least"))
            }
            (_, Some(days)) if days > Self::MOST_DAYS => Err(Error::usage("days are kept for a century at most")),
            _ => Ok(()),
        }
    }
}

/// What pruning did, or would do, to one table of the job database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedTable {
    /// Its name.
    pub table: String,
    /// Rows that stood in it before.
    pub rows: u64,
    /// Of them, rows that are gone, or would be.
    pub removed: u64,
}
