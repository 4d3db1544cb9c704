//! Reading a complete slice, and recording that it was published.

use super::content::{ComingValue, KnownValue};
use super::jobs::BundleRecord;
use crate::error::{Error, Result};
use crate::model::cell::CellSink;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::{Guid, KeyOrder};
use crate::model::name::TableName;
use crate::model::run::{AbsentParent, Fence, Scope, TableCounts};
use crate::model::slice::{Deletion, ReadLimits, SliceMarker, SlicePosition};
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::time::Timestamp;
use crate::model::window::Window;
use std::io::Write;

/// What the job database knows of a completed table run: the table's part of the manifest.
#[derive(Clone, Debug)]
pub struct TableReport {
    /// The table.
    pub table: TableName,
    /// Its window.
    pub window: Window,
    /// Where the window would have ended that `MaxWindow` cut; its end, if it cut none.
    pub goal: Timestamp,
    /// `SafetyBufferMinutes` of that window.
    pub buffer_minutes: u32,
    /// Start of the oldest open transaction; `None` says `lag_only` (rule 2).
    pub active_transaction_floor: Option<Timestamp>,
    /// Whose rows.
    pub scope: Scope,
    /// The scope's watermark before.
    pub watermark_before: Option<Timestamp>,
    /// The scope's watermark after.
    pub watermark_after: Timestamp,
    /// What there is to tell.
    pub counts: TableCounts,
    /// Rule 12: units new in scope, whose older rows no run has taken.
    pub new_business_units: Vec<Guid>,
    /// When the slice was complete, UTC.
    pub completed_at: Timestamp,
}

/// The bundle that another one of its chain follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousBundle {
    /// Its root digest.
    pub root_sha256: Sha256,
    /// The columns of its rows; `None` where nobody noted them.
    pub columns: Option<Vec<Column>>,
}

impl PreviousBundle {
    /// From its record: the root digest, and the columns in JSON.
    pub(super) fn read(root: &str, columns: Option<&str>) -> Result<Self> {
        let broken = |error| Error::config("a row of BlobDeltaBundle has broken JSON in Columns").caused_by(error);
        let columns = columns.map(serde_json::from_str).transpose().map_err(broken)?;
        Ok(Self { root_sha256: Sha256::parse(root)?, columns })
    }
}

/// The columns that [`columns_json`] wrote; none, where nothing was.
pub(super) fn columns_of(json: Option<String>) -> Result<Vec<Column>> {
    let broken = |error| Error::config("a note of a bundle has broken JSON in Columns").caused_by(error);
    json.map_or(Ok(Vec::new()), |json| serde_json::from_str(&json).map_err(broken))
}

/// Columns as [`PreviousBundle`] has them.
pub(super) fn columns_json(columns: &[Column]) -> Result<String> {
    serde_json::to_string(columns)
        .map_err(|error| Error::internal("columns cannot be written as JSON").caused_by(error))
}

/// See the module's text.
pub trait Slices {
    /// The marker row of a table's slice.
    ///
    /// # Errors
    /// Config, without a marker row.
    fn slice_marker(&mut self, table: &TableConfig) -> Result<SliceMarker>;

    /// The columns of the slice table, Delta columns included, in the order of the catalog.
    ///
    /// # Errors
    /// Config: no such table, or a type that cannot be carried.
    fn slice_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>>;

    /// The script templates that runs of a table carry out, and that are not as this program ships them.
    ///
    /// # Errors
    /// Config: one is missing; Database.
    fn changed_scripts(&mut self, table: &TableConfig) -> Result<Vec<ChangedScript>>;

    /// How the server sorts keys: the order of the rows, deletions and absent parents that it
    /// gives, wherever keys decide.
    ///
    /// # Errors
    /// Database, also for an order that is not known.
    fn key_order(&mut self) -> Result<KeyOrder>;

    /// Reads rows in the total order of rule 13, after a position, until a limit is reached.
    /// Cells come in the order of [`Slices::slice_columns`]. Returns the last row's position,
    /// `None` if there was no row. Checks the fence and the marker.
    ///
    /// # Errors
    /// Superseded; Config with key and column, for a value that its column cannot have.
    fn read_slice(
        &mut self,
        fence: &Fence,
        after: Option<&SlicePosition>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<SlicePosition>>;

    /// Reads one large value in chunks. Returns its bytes.
    ///
    /// # Errors
    /// Superseded; Io of the writer.
    fn read_large(&mut self, fence: &Fence, key: Guid, column: &str, out: &mut dyn Write) -> Result<u64>;

    /// Deletions of the slice in the server's key order, after a key.
    ///
    /// # Errors
    /// Superseded.
    fn read_deletions(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<Deletion>>;

    /// What is known of a completed table run.
    ///
    /// # Errors
    /// Usage, if it was not completed.
    fn table_report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport>;

    /// The tables of a run that failed at any time, with the last reason.
    ///
    /// # Errors
    /// Database.
    fn table_errors(&mut self, run_id: Guid) -> Result<Vec<(TableName, String)>>;

    /// Rule 7: parents that the source lacks or that are excluded, by child, in the
    /// server's key order, after a child.
    ///
    /// # Errors
    /// Database.
    fn absent_parents(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<AbsentParent>>;

    /// The last bundle of this chain (rule 16) before the given run.
    ///
    /// # Errors
    /// Database.
    fn previous_bundle(&mut self, table: &TableName, scope: Scope, run_id: Guid) -> Result<Option<PreviousBundle>>;

    /// Records that a bundle was published: for each of its tables a row, the marker `Packed`, and
    /// `RequireBundle` set where nobody had said anything of it; what was put aside of its content is known from then on, or
    /// nothing of the chain is ([`BundleRecord::remembers_content`]); all in one transaction, each under its fence; and the leases released, unless they are kept for what is still to be read. Gives the tables whose
    /// `RequireBundle` was set.
    ///
    /// # Errors
    /// Superseded, with nothing written.
    fn record_bundle(&mut self, records: &[(Fence, BundleRecord)], keep_leases: bool) -> Result<Vec<TableName>>;

    /// What the chain of a slice has under these keys in a column, by what was remembered of it; nothing of a key that the slice
    /// has a deletion of.
    ///
    /// # Errors
    /// Superseded; Database.
    fn known_values(
        &mut self,
        fence: &Fence,
        scope: Scope,
        column: &str,
        keys: &[Guid],
    ) -> Result<Vec<Option<KnownValue>>>;

    /// Puts aside what the bundle that is packed brings in a column, until it is recorded ([`Slices::record_bundle`]). Of a key
    /// that comes twice, as a row and as a deletion, no content is known then.
    ///
    /// # Errors
    /// Superseded; Database.
    fn put_values_aside(&mut self, fence: &Fence, column: &str, values: &[ComingValue]) -> Result<()>;

    /// Forgets what was put aside of a table, by a pack that did not come to its end.
    ///
    /// # Errors
    /// As [`Slices::put_values_aside`].
    fn clear_values_aside(&mut self, fence: &Fence) -> Result<()>;

    /// Gives up a complete slice that is in no bundle, and releases its lease: the marker is `Empty` and
    /// names no run; the scope's watermark is back where it was before the run, if it is still the run's;
    /// pending keys that the run took, and all else that it had settled, are asked for again. Its rows
    /// go when the next run fills it. Of a run that is not known any more the marker alone is changed.
    ///
    /// # Errors
    /// Superseded, with nothing written.
    fn give_up(&mut self, fence: &Fence) -> Result<()>;
}
