//! Replaying into a database: tables, the ledger, and rows by rule 14.

use crate::error::Result;
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use crate::model::version::Version;

/// A table to replay into.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// The configured table of the source: what ledger and tombstones go by.
    pub table: TableName,
    /// The table to write, in the target's database.
    pub target: TableName,
    /// Columns of the rows that will come, Delta columns included.
    pub columns: Vec<Column>,
    /// The key among them.
    pub key_column: String,
    /// The path among them; a table that is created gets an index on it.
    pub path_column: Option<String>,
}

/// The column of a target that keeps when the run started that captured the row, UTC.
pub const DELTA_RUN_STARTED_AT: &str = "DeltaRunStartedAt";
/// The column of a target that keeps the run that captured the row.
pub const DELTA_RUN_ID: &str = "DeltaRunId";

/// A row of `BlobDeltaReplayLedger`: how far one part of one bundle was applied.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Root digest of the bundle.
    pub root_sha256: Sha256,
    /// The table.
    pub table: TableName,
    /// The part's path in the bundle.
    pub part: String,
    /// Rows of the part that are applied.
    pub rows: u64,
    /// Whether that is all of them.
    pub complete: bool,
    /// UTC.
    pub applied_at: Timestamp,
}

/// A tombstone.
#[derive(Clone, Copy, Debug)]
pub struct TombstoneRow {
    /// The key.
    pub key: Guid,
    /// Its rank; `modified_on` is `DeletedOn`.
    pub version: Version,
}

/// See the module's text. The ledger and the tombstones lie in the target's database, so that
/// each call is one transaction of that database.
pub trait Target {
    /// Makes sure that ledger, tombstones and table are there; the table is created if `create`
    /// is set and it is missing, with every source column as a plain one, beside them
    /// [`DELTA_RUN_STARTED_AT`] and [`DELTA_RUN_ID`], and the key alone unique. Columns of
    /// values without bound stand last.
    ///
    /// # Errors
    /// Config, before anything is written: no such table, or a missing or narrower column.
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<()>;

    /// What the ledger has of this bundle.
    ///
    /// # Errors
    /// Database.
    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>>;

    /// Applies rows of one part and moves the ledger to `entry`, in one transaction. `versions`
    /// and `keys` are those of the rows. A row loses against a newer row or tombstone that the
    /// target has. Returns how many rows were written. A [`Cell::Large`](crate::model::cell::Cell)
    /// is read from [`RowSource::large`] in pieces, while its row wins.
    ///
    /// # Errors
    /// Internal, if the ledger is not where `entry.rows` minus these rows says.
    fn apply_rows(
        &mut self,
        spec: &TargetSpec,
        rows: &dyn RowSource,
        keys: &[Guid],
        versions: &[Version],
        entry: &LedgerEntry,
    ) -> Result<u64>;

    /// Applies tombstones of one part, likewise. Returns how many rows were removed.
    ///
    /// # Errors
    /// As [`Target::apply_rows`].
    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64>;

    /// The end of the last window applied of this chain, kept for finding gaps.
    ///
    /// # Errors
    /// Database.
    fn chain_end(&mut self, spec: &TargetSpec, source_id: Guid, scope: &str) -> Result<Option<Timestamp>>;

    /// Notes that a bundle of this chain was applied whole. Never moves the end backwards.
    ///
    /// # Errors
    /// Database.
    fn note_chain(
        &mut self,
        spec: &TargetSpec,
        source_id: Guid,
        scope: &str,
        root: Sha256,
        end: Timestamp,
    ) -> Result<()>;
}
