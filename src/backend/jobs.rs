//! The job database: configuration, and what the monitoring queries show.

use super::servers::{AdoptedBundle, ChainRecord, Handed, Servers};
use crate::error::{Error, Result};
use crate::model::clock::ServerTime;
use crate::model::column::Column;
use crate::model::destination::Destination;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Run, Scope};
use crate::model::slice::Deletion;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use std::path::{Path, PathBuf};

/// One thing that [`Jobs::deploy`] did or found done.
#[derive(Clone, Debug)]
pub struct DeployStep {
    /// The script, the database or the slice.
    pub name: String,
    /// What was done to it.
    pub outcome: String,
    /// Whether somebody has to do something about it.
    pub needs_attention: bool,
}

/// A row of `BlobDeltaRunStep`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "field for column of BlobDeltaRunStep, see its schema script")]
pub struct StepRecord {
    pub table: TableName,
    pub step: u8,
    pub batch: u32,
    pub rows_processed: u64,
    pub total_rows_processed: u64,
    pub window_start: Option<Timestamp>,
    pub window_end: Option<Timestamp>,
    pub started_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub status: String,
    pub error: Option<String>,
}

/// A row of `BlobDeltaHighWatermark`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "field for column of BlobDeltaHighWatermark, see its schema script")]
pub struct WatermarkRecord {
    pub table: TableName,
    pub last_high_water: Option<Timestamp>,
    pub last_run_id: Option<Guid>,
    pub last_run_completed_at: Option<Timestamp>,
    pub is_initial_full_load_done: bool,
    pub is_running: bool,
    pub lease_expires_at: Option<Timestamp>,
    pub lease_run_id: Option<Guid>,
    pub lease_epoch: i64,
}

/// A row of `BlobDeltaBusinessUnitWatermark` that has a watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "field for column of BlobDeltaBusinessUnitWatermark, see its schema script")]
pub struct UnitWatermarkRecord {
    pub table: TableName,
    pub unit: Guid,
    pub last_high_water: Timestamp,
    pub last_run_id: Option<Guid>,
    pub last_run_completed_at: Option<Timestamp>,
}

/// How a key is asked for.
#[derive(Debug, Clone, Copy)]
pub struct KeyRequest<'a> {
    /// The scope whose runs are to take it; each that has a watermark where there is none.
    pub scope: Option<Scope>,
    /// Why, for those who find it later.
    pub reason: &'a str,
    /// Whether runs over all units take it even if no metadata names it. Nobody but an operator may say so: such a row is of no
    /// unit and in no filter, so nothing else says whose it is.
    pub without_metadata: bool,
}

impl<'a> KeyRequest<'a> {
    /// Of one scope or of every one, as its metadata has it.
    #[must_use]
    pub fn of(scope: Option<Scope>, reason: &'a str) -> Self {
        Self { scope, reason, without_metadata: false }
    }
}

/// What waits in `BlobDeltaPendingKey` of one table, for one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRecord {
    /// The table.
    pub table: TableName,
    /// Whose runs it waits for; `None`: everybody's.
    pub scope: Option<Scope>,
    /// How many keys.
    pub keys: u64,
    /// Since when the first of them waits, UTC, where whoever asked for it wrote a time.
    pub since: Option<Timestamp>,
}

/// A row of `BlobDeltaMissingParentsQueue`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "field for column of BlobDeltaMissingParentsQueue, see its schema script")]
pub struct MissingParentRecord {
    pub table: TableName,
    pub stream_id: Guid,
    pub business_unit: Option<Guid>,
    pub processed: bool,
    pub created_at: Timestamp,
}

/// A row of `BlobDeltaBundle`: one table in one published bundle.
#[derive(Clone, Debug)]
pub struct BundleRecord {
    /// The run.
    pub run_id: Guid,
    /// The table.
    pub table: TableName,
    /// n-th pack of the run, from 1.
    pub pack_number: u32,
    /// Whose rows.
    pub scope: Scope,
    /// Root digest of the bundle.
    pub root_sha256: Sha256,
    /// The `previous` link that its manifest has for this table.
    pub previous_root_sha256: Option<Sha256>,
    /// The bundle's name.
    pub name: String,
    /// The folder in which it was published.
    pub folder: String,
    /// UTC.
    pub published_at: Timestamp,
    /// The destination that it is still to be shipped to or was shipped to, as it was given; `None` where it is not
    /// to be shipped. Never a secret.
    pub ship_to: Option<String>,
    /// When it stood there, UTC; `None` while it is unshipped.
    pub shipped_at: Option<Timestamp>,
    /// The columns of its rows; empty where it is read from a job database.
    pub columns: Vec<Column>,
    /// Whether what was put aside of its content is remembered; false where it is read.
    pub remembers_content: bool,
}

/// A bundle that was recorded to be shipped, and was not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingShipment {
    /// The run.
    pub run_id: Guid,
    /// n-th pack of the run, from 1.
    pub pack_number: u32,
    /// Root digest of the bundle.
    pub root_sha256: Sha256,
    /// The bundle's name.
    pub name: String,
    /// The folder in which it was published.
    pub folder: String,
    /// The destination, as it was given.
    pub ship_to: String,
}

impl PendingShipment {
    /// Where it was published.
    pub fn path(&self) -> PathBuf {
        Path::new(&self.folder).join(&self.name)
    }
}

/// Whether a table of a run is in a bundle yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackState {
    /// Its slice is complete, and in no bundle.
    Unpacked,
    /// It is in this pack of the run, and its slice still holds it.
    Packed(u32),
    /// Its slice was emptied since.
    SliceGone,
    /// Its slice was given up; the next run takes what it held.
    GivenUp,
    /// The table run was not completed.
    NotCompleted,
}

/// See the module's text.
pub trait Jobs {
    /// The instance for people, without secrets.
    fn describe(&mut self) -> String;

    /// The server's clock.
    ///
    /// # Errors
    /// Database.
    fn now(&mut self) -> Result<ServerTime>;

    /// Creates or upgrades the job database, and marks the slices that may be marked. Can be
    /// repeated at any time. The first time it notes the server.
    ///
    /// # Errors
    /// Database; Config, if the job database is of a newer version, or does not know this server.
    fn deploy(&mut self) -> Result<Vec<DeployStep>>;

    /// Where the job database stands, and which servers it knows. Changes nothing.
    ///
    /// # Errors
    /// Database.
    fn servers(&mut self) -> Result<Servers>;

    /// Rule 28: that the job database knows the server that it stands on. Whatever goes on with a chain,
    /// or settles anything of it, asks this first.
    ///
    /// # Errors
    /// As [`Servers::check`]; Database.
    fn check_server(&mut self) -> Result<()> {
        self.servers()?.check()
    }

    /// The job database moved here, or may fail over to here: it knows this server from now on. Does
    /// nothing where it does already, or where nothing was deployed.
    ///
    /// # Errors
    /// Database.
    fn add_server(&mut self) -> Result<()>;

    /// The job database is a copy: it gets a SourceId of its own, knows this server alone, and forgets runs,
    /// watermarks, leases, bundles and what was still to be shipped to destinations; its slices are marked as empty. So its
    /// chains begin anew, each with a full load. Configuration, scripts, exclusions, keys that were
    /// asked for and logged deletions stay. In one transaction; a slice that is not there is reported.
    ///
    /// # Errors
    /// Config, if nothing was deployed; Database.
    fn become_own_source(&mut self) -> Result<Vec<DeployStep>>;

    /// That the job database has what this program needs.
    ///
    /// # Errors
    /// Config, if nothing was deployed, or an older version.
    fn check_deployed(&mut self) -> Result<()>;

    /// The identity of this source, given once at deploy.
    ///
    /// # Errors
    /// Config, if nothing was deployed.
    fn source_id(&mut self) -> Result<Guid>;

    /// All configured tables, by name.
    ///
    /// # Errors
    /// Config, if a row cannot be understood.
    fn tables(&mut self) -> Result<Vec<TableConfig>>;

    /// One configured table.
    ///
    /// # Errors
    /// Config, naming those that there are.
    fn table(&mut self, name: &TableName) -> Result<TableConfig> {
        one_of(self.tables()?, name)
    }

    /// Adds or changes a configured table: checks it against the catalog, and makes its
    /// watermark row, its slice table and the slice's marker row where they are missing.
    ///
    /// # Errors
    /// Config, naming the column of the configuration that is wrong.
    fn save_table(&mut self, table: &TableConfig) -> Result<()>;

    /// Rule 24: empties a slice whose rows are in a bundle, or that has none, and has it follow its source's columns. Does
    /// nothing where they are the same.
    ///
    /// # Errors
    /// Config: a slice that is not packed, or on which a run is at work; Database.
    fn refresh_slice(&mut self, table: &TableConfig) -> Result<()>;

    /// The columns of the source.
    ///
    /// # Errors
    /// Config: no such table, or a type that cannot be carried.
    fn source_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>>;

    /// One run.
    ///
    /// # Errors
    /// Usage, if there is no such run.
    fn run(&mut self, id: Guid) -> Result<Run>;

    /// Rule 18: what a run was told of its bundle, in place of what it was told before.
    ///
    /// # Errors
    /// Database.
    fn record_destination(&mut self, run_id: Guid, recorded: &Destination) -> Result<()>;

    /// The latest runs, newest first.
    ///
    /// # Errors
    /// Database.
    fn recent_runs(&mut self, limit: u32) -> Result<Vec<Run>>;

    /// The tables that a run took, with whether each is packed.
    ///
    /// # Errors
    /// Database.
    fn run_tables(&mut self, id: Guid) -> Result<Vec<(TableName, PackState)>>;

    /// The batches of a run, by table, step and number.
    ///
    /// # Errors
    /// Database.
    fn run_steps(&mut self, id: Guid) -> Result<Vec<StepRecord>>;

    /// Watermarks and leases, by table.
    ///
    /// # Errors
    /// Database.
    fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>>;

    /// Watermarks of business units that have one, by table and unit.
    ///
    /// # Errors
    /// Database.
    fn unit_watermarks(&mut self) -> Result<Vec<UnitWatermarkRecord>>;

    /// What waits in `BlobDeltaPendingKey`, by table and scope.
    ///
    /// # Errors
    /// Database.
    fn pending(&mut self) -> Result<Vec<PendingRecord>>;

    /// The queue of missing parents of a run.
    ///
    /// # Errors
    /// Database.
    fn missing_parents(&mut self, id: Guid) -> Result<Vec<MissingParentRecord>>;

    /// The bundles of a chain (rule 16) of which there is a record, the last one first.
    ///
    /// # Errors
    /// Database.
    fn chain_records(&mut self, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>>;

    /// Records bundles of a chain, oldest first, that were published before the job database was restored
    /// from a backup: the next bundle follows the last of them. The scope's watermark goes back to that of the
    /// last, if it stands behind it, and never forward. Can be repeated.
    ///
    /// # Errors
    /// Database.
    fn adopt_bundles(&mut self, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()>;

    /// Keeps what such a bundle handed out to a business unit, so that the unit's next run tells deletions of it and
    /// what left; or that it told that the keys left. To be called for bundles from the oldest on, with each key once
    /// a call. Can be repeated.
    ///
    /// # Errors
    /// Database.
    fn adopt_keys(&mut self, table: &TableName, scope: Scope, handed: Handed, keys: &[(Guid, Version)]) -> Result<()>;

    /// The bundles of a run, by pack number and table.
    ///
    /// # Errors
    /// Database.
    fn bundles(&mut self, id: Guid) -> Result<Vec<BundleRecord>>;

    /// Bundles that are to be shipped and were not yet, in the order in which they were recorded. What
    /// is unshipped stands here and nowhere else: [`Slices::record_bundle`](super::Slices::record_bundle)
    /// writes it in the transaction of the bundle, so nothing that dies after it forgets anything.
    ///
    /// # Errors
    /// Database.
    fn unshipped(&mut self) -> Result<Vec<PendingShipment>>;

    /// The n-th bundle of a run is still to be shipped to this destination, and to the one before it no longer.
    ///
    /// # Errors
    /// Usage, if there is no such bundle; Database.
    fn add_pending_shipment(&mut self, run_id: Guid, pack_number: u32, destination: &str) -> Result<()>;

    /// The bundle stands whole at its destination. Can be repeated; changes nothing where the bundle
    /// is still to be shipped to another destination by now. Takes no lease.
    ///
    /// # Errors
    /// Database.
    fn record_shipped(&mut self, bundle: &PendingShipment) -> Result<()>;

    /// Rules 5 and 17: asks for a key. Where it waits already, the reason is the new one, and who asked for it without
    /// metadata has asked.
    ///
    /// # Errors
    /// Database.
    fn pend_key(&mut self, table: &TableName, key: Guid, asked: &KeyRequest<'_>) -> Result<()>;

    /// Rule 6: never takes this key again, until it is removed from `BlobDeltaExcludedKey`.
    ///
    /// # Errors
    /// Database.
    fn exclude_key(&mut self, table: &TableName, key: Guid, reason: &str) -> Result<()>;

    /// Rule 15: logs that a row is gone; `LoggedAt` is the server's clock.
    ///
    /// # Errors
    /// Database.
    fn log_deletion(&mut self, table: &TableName, deletion: &Deletion) -> Result<()>;
}

/// The table of this name; else an error that names those that there are.
pub(super) fn one_of(tables: Vec<TableConfig>, name: &TableName) -> Result<TableConfig> {
    let known: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
    tables.into_iter().find(|table| table.name == *name).ok_or_else(|| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Error::config("this table is not configured").table(name).hint(format!("configured are: {known}"))
    })
}
