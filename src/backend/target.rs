//! Replaying into a database: tables, the ledger, and rows by rule 14.

use super::existing::ExistingVersions;
use crate::error::Result;
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::slice::DeletionReason;
use crate::model::sqltype::SqlType;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use std::io::Write;

/// A table to replay into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// The configured table of the source, as its bundles name it. Nothing in the target goes by it but the
    /// question of whose rows these are.
    pub table: TableName,
    /// The scope of the chain whose rows come.
    pub scope: Scope,
    /// The table to write, in the target's database.
    pub target: TableName,
    /// Columns of the rows that will come, Delta columns included.
    pub columns: Vec<Column>,
    /// The key among them.
    pub key_column: String,
    /// What the keys are.
    pub key_type: KeyType,
    /// The path among them; a table that is created gets an index on it.
    pub path_column: Option<String>,
    /// Whether, of two rows that a unique constraint of the target keeps from standing side by
    /// side, the older is removed; else that is an error.
    pub displace: bool,
    /// Whether tombstones come, which delete rows.
    pub removes: bool,
    /// Whether columns that the target lacks, or that are too narrow there, are added and widened (rule 24).
    pub evolve: Evolve,
    /// Whether a row that stands is written again by the run that it is of, whatever was done to it here.
    pub repair: bool,
}

/// Whose columns a replay may add and widen (rule 24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evolve {
    /// No table's.
    #[default]
    Never,
    /// Those of tables that a replay made: they keep the version of each row themselves.
    Own,
    /// Every table's.
    Any,
}

impl TargetSpec {
    /// What ledger, notes, tombstones and version columns go by: the table that is written, as it is called in its database,
    /// whatever the bundles say that its rows are of.
    pub fn here(&self) -> String {
        let part = |name: &str| format!("[{}]", name.replace(']', "]]"));
        format!("{}.{}", part(&self.target.schema), part(&self.target.table))
    }
}

/// How a table that is there takes the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetCompatibility {
    /// Whether it keeps the version of each row itself, in `DeltaModifiedOn`,
    /// [`DELTA_RUN_STARTED_AT`] and [`DELTA_RUN_ID`]; else `BlobDeltaReplayRow` does.
    pub has_version_columns: bool,
    /// Columns of the rows that it does not take: those that it computes, Delta columns that it does not have, and
    /// version columns where it lacks one of them.
    pub skipped: Vec<String>,
    /// The columns that it has, by name; of a table that was just made, none.
    pub columns: Vec<String>,
    /// Columns that are added or widened before rows come, as they will be; with the type that one has now.
    pub evolves: Vec<(Column, Option<SqlType>)>,
    /// Why a large value has to be held whole to be written, where it has to.
    pub needs_whole: Option<String>,
}

/// What a job database says of the instance that it stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobDatabase {
    /// The identity of the source that it makes bundles of.
    pub source_id: Option<Guid>,
    /// Database, schema and name of every table that its configuration names: sources, slices, metadata and units.
    pub tables: Vec<[String; 3]>,
    /// Whether this login may not read it.
    pub is_hidden: bool,
}

impl JobDatabase {
    /// Whether its configuration names a table, or it is this database itself.
    pub fn takes(&self, table: &TableName) -> bool {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        same(&table.db, "BlobDeltaJobs")
            || self.tables.iter().any(|[db, schema, name]| {
                same(db, &table.db) && same(schema, &table.schema) && same(name, &table.table)
            })
    }
}

/// What a batch of rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows that were written.
    pub written: u64,
    /// Rows that were removed, or not written, because of a unique constraint.
    pub displaced: u64,
}

/// A bundle that was applied whole: a row of `BlobDeltaReplayBundle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBundle {
    /// The source of its chain.
    pub source_id: Guid,
    /// The table of that source.
    pub table: TableName,
    /// The scope of its chain.
    pub scope: String,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// The root digest of the bundle before it in its chain.
    pub previous: Option<Sha256>,
    /// Start and end of its window; not known of one that came in another.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Why it does not follow what the target had of its chain, where that was allowed.
    pub gap: Option<String>,
    /// Whether it was the first of another source, or of another of its tables, than what the target had, and that was
    /// allowed.
    pub is_other_source: bool,
    /// The bundle that it came in, if it was compacted into another; or that was compacted without it.
    pub within: Option<Sha256>,
    /// The source's columns that its rows had; none of one that came in another.
    pub columns: Vec<Column>,
}

impl AppliedBundle {
    /// Whether the note says that another bundle was compacted without it (or without the time of its window, which
    /// nothing covers), and that it has not come since.
    pub fn was_missing(&self) -> bool {
        self.within.is_some() && self.gap.is_some()
    }
}

/// The content of a row that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingContent {
    /// The row's version.
    pub version: Version,
    /// SHA-256 of each value that was asked for; `None` for NULL.
    pub sha256: Vec<Option<Sha256>>,
}

/// A row of `BlobDeltaReplayLedger`: how far one part of one bundle was applied.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Root digest of the bundle.
    pub root_sha256: Sha256,
    /// The part's path in the bundle.
    pub part: String,
    /// Rows of the part that are applied.
    pub rows: u64,
    /// Whether that is all of them.
    pub complete: bool,
    /// Of them, those that count as applied with the rows that come, and are not written; 0 where the ledger is read.
    pub passed_by: u64,
    /// UTC.
    pub applied_at: Timestamp,
}

/// A tombstone.
#[derive(Clone, Copy, Debug)]
pub struct TombstoneRow {
    /// The key.
    pub key: Guid,
    /// Its version; `modified_on` is `DeletedOn`.
    pub version: Version,
    /// Why it stands.
    pub reason: DeletionReason,
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
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetCompatibility>;

    /// The table that a table of a bundle is replayed into, as this instance calls it, whatever name leads there;
    /// as it is asked for, where it is not there yet.
    ///
    /// # Errors
    /// Config: what is never a target ([`check_target`](super::check_target)), by the name that is asked for and by
    /// that of what stands there: databases of the server's and of ours, and tables of ours; what stands there and is no table; or a name that is too long here.
    fn resolve_target(&mut self, table: TableName) -> Result<TableName>;

    /// The job databases of the instance that a database stands in.
    ///
    /// # Errors
    /// Database; Config, for one that cannot be read.
    fn job_databases(&mut self, database: &str) -> Result<Vec<JobDatabase>>;

    /// What this session made is to stay.
    fn keep_targets(&mut self);

    /// Removes tables, ledgers and databases that this session made since it was opened or
    /// [`Target::keep_targets`], where nothing has come into them. The session is of no more use if its main
    /// database was one of them.
    ///
    /// # Errors
    /// Database; Io.
    fn take_back_targets(&mut self) -> Result<()>;

    /// The same as [`Target::prepare_target`] without changing anything; nothing, if there is no such database or table.
    ///
    /// # Errors
    /// As [`Target::prepare_target`].
    fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetCompatibility>>;

    /// What the ledger has of this bundle; nothing, where there is no ledger.
    ///
    /// # Errors
    /// Database.
    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>>;

    /// Forgets how far the table's parts of this bundle were applied, so that they are applied again.
    ///
    /// # Errors
    /// Database.
    fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()>;

    /// Applies rows of one part and moves the ledger to `entry`, in one transaction. `versions`
    /// and `keys` are those of the rows. A row loses against a newer row of its key, and against a
    /// newer tombstone that concerns its chain ([`ExistingVersions`]); what loses against another chain's row is noted beside it. A [`Cell::Large`](crate::model::cell::Cell) is read from [`RowSource::large`] in
    /// chunks, while its row wins.
    ///
    /// # Errors
    /// Internal, if the ledger is not where `entry.rows` minus these rows and `entry.passed_by` says; Config, with both
    /// keys, if a unique constraint keeps a row out and [`TargetSpec::displace`] is not set.
    fn apply_rows(
        &mut self,
        spec: &TargetSpec,
        rows: &dyn RowSource,
        keys: &[Guid],
        versions: &[Version],
        entry: &LedgerEntry,
    ) -> Result<Applied>;

    /// Applies tombstones of one part, likewise. Returns how many rows were removed.
    ///
    /// # Errors
    /// As [`Target::apply_rows`].
    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64>;

    /// Whether calls of a commit group share transactions, so that small ones cost little.
    fn shares_transactions(&mut self) -> bool {
        false
    }

    /// Begins a commit group: until [`Target::end_commit_group`], a target may put several of these calls into one
    /// transaction, and commit it when it is large enough, or before whatever else is asked of it. A call that
    /// fails then undoes all since the last commit, ledger included, and is not to be repeated before the
    /// ledger was read again.
    fn begin_commit_group(&mut self) {}

    /// Ends a commit group, if one was begun: what was applied, and not undone, is durable when this returns.
    ///
    /// # Errors
    /// Database; what was not committed yet is undone.
    fn end_commit_group(&mut self) -> Result<()> {
        Ok(())
    }

    /// The bundles of this table that were applied whole, of any chain; nothing, where there is no
    /// ledger. They are as many as were replayed, some hundreds a decade.
    ///
    /// # Errors
    /// Database.
    fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>>;

    /// Notes bundles of this table that were applied whole, in one transaction; what was noted of
    /// one before stays.
    ///
    /// # Errors
    /// Database.
    fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()>;

    /// Says of a bundle that was applied before what is missing before it now; nothing, where what was
    /// missing has come since.
    ///
    /// # Errors
    /// Database.
    fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()>;

    /// What a target that is there, and takes rows like this, has under each of these keys.
    ///
    /// # Errors
    /// Database.
    fn existing(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        keys: &[Guid],
    ) -> Result<Vec<ExistingVersions>>;

    /// The content of the rows that stand under these keys, in these columns of
    /// [`TargetSpec::columns`], as large binaries hashed where they lie.
    ///
    /// # Errors
    /// Database.
    fn existing_content(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<ExistingContent>>>;

    /// Writes out the value that stands under a key in a column of large binaries, in chunks. Returns its bytes.
    ///
    /// # Errors
    /// Database, also where no row stands; Io of the writer.
    fn read_content(&mut self, spec: &TargetSpec, column: usize, key: Guid, out: &mut dyn Write) -> Result<u64>;
}
