//! What ties those together that serve one connection: each call goes to who serves it.
//!
//! A backend has a `Database`, which knows of statements and transactions, and above it the engine, the replay and the
//! inventory, each with what it alone knows. Here is no logic.

use super::content::{ComingValue, KnownValue};
use super::deletion_script::DeletionSource;
use super::existing::ExistingVersions;
use super::extract::{Extract, LeaseKeeper};
use super::inventory::{Inventory, InventoryRow, ParentRow, Remains, WholeTable};
use super::jobs::{
    BundleRecord, DeployStep, Jobs, KeyRequest, MissingParentRecord, PackState, PendingRecord, PendingShipment,
    StepRecord, UnitWatermarkRecord, WatermarkRecord,
};
use super::keys::{KeyRecord, Keys, UnknownName};
use super::places::{PlaceRecord, Places};
use super::servers::{AdoptedBundle, ChainRecord, Handed, Servers};
use super::slices::{PreviousBundle, Slices, TableReport};
use super::target::{
    Applied, AppliedBundle, ExistingContent, JobDatabase, LedgerEntry, Target, TargetCompatibility, TargetSpec,
    TombstoneRow,
};
use super::upkeep::{Advice, BackupRecord, Upkeep};
use crate::backend::prune::{PrunedTable, Retention};
use crate::error::Result;
use crate::model::cell::{CellSink, RowSource};
use crate::model::clock::ServerTime;
use crate::model::column::Column;
use crate::model::destination::Destination;
use crate::model::digest::Sha256;
use crate::model::id::{Guid, KeyOrder};
use crate::model::name::TableName;
use crate::model::run::{
    AbsentParent, BatchOutcome, Fence, Run, RunRequest, Scope, Status, Step, TableCounts, TablePlan, TableRun,
};
use crate::model::slice::{Deletion, ReadLimits, SliceMarker, SlicePosition};
use crate::model::sqltype::SqlType;
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::time::Timestamp;
use crate::model::version::Version;
use std::collections::BTreeSet;
use std::io::Write;

/// A session, whose servants work on one connection, one at a time.
pub trait Servants {
    /// Who serves runs and the job database.
    type Engine<'a>: Jobs + Keys + Places + Extract + Slices + Upkeep
    where
        Self: 'a;
    /// Who applies bundles to targets.
    type Replay<'a>: Target
    where
        Self: 'a;
    /// Who reads what a source has.
    type Inventory<'a>: Inventory
    where
        Self: 'a;

    /// See [`Servants::Engine`].
    fn engine(&mut self) -> Self::Engine<'_>;

    /// See [`Servants::Replay`].
    fn replay(&mut self) -> Self::Replay<'_>;

    /// See [`Servants::Inventory`].
    fn inventory(&mut self) -> Self::Inventory<'_>;
}

/// Methods of a trait that are a servant's.
macro_rules! forward {
    ($servant:ident: $(fn $name:ident(&mut $me:ident $(, $argument:ident: $of:ty)*) $(-> $gives:ty)?;)*) => {
        $(fn $name(&mut $me $(, $argument: $of)*) $(-> $gives)? {
            $me.$servant().$name($($argument),*)
        })*
    };
}

impl<S: Servants> Jobs for S {
    forward! { engine:
        fn describe(&mut self) -> String;
        fn now(&mut self) -> Result<ServerTime>;
        fn deploy(&mut self) -> Result<Vec<DeployStep>>;
        fn servers(&mut self) -> Result<Servers>;
        fn check_server(&mut self) -> Result<()>;
        fn add_server(&mut self) -> Result<()>;
        fn become_own_source(&mut self) -> Result<Vec<DeployStep>>;
        fn check_deployed(&mut self) -> Result<()>;
        fn source_id(&mut self) -> Result<Guid>;
        fn tables(&mut self) -> Result<Vec<TableConfig>>;
        fn table(&mut self, name: &TableName) -> Result<TableConfig>;
        fn save_table(&mut self, table: &TableConfig) -> Result<()>;
        fn refresh_slice(&mut self, table: &TableConfig) -> Result<()>;
        fn source_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>>;
        fn run(&mut self, id: Guid) -> Result<Run>;
        fn record_destination(&mut self, run_id: Guid, recorded: &Destination) -> Result<()>;
        fn recent_runs(&mut self, limit: u32) -> Result<Vec<Run>>;
        fn run_tables(&mut self, id: Guid) -> Result<Vec<(TableName, PackState)>>;
        fn run_steps(&mut self, id: Guid) -> Result<Vec<StepRecord>>;
        fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>>;
        fn unit_watermarks(&mut self) -> Result<Vec<UnitWatermarkRecord>>;
        fn pending(&mut self) -> Result<Vec<PendingRecord>>;
        fn missing_parents(&mut self, id: Guid) -> Result<Vec<MissingParentRecord>>;
        fn chain_records(&mut self, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>>;
        fn adopt_bundles(&mut self, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()>;
        fn adopt_keys(&mut self, table: &TableName, scope: Scope, handed: Handed, keys: &[(Guid, Version)]) -> Result<()>;
        fn bundles(&mut self, id: Guid) -> Result<Vec<BundleRecord>>;
        fn unshipped(&mut self) -> Result<Vec<PendingShipment>>;
        fn add_pending_shipment(&mut self, run_id: Guid, pack_number: u32, destination: &str) -> Result<()>;
        fn record_shipped(&mut self, bundle: &PendingShipment) -> Result<()>;
        fn pend_key(&mut self, table: &TableName, key: Guid, asked: &KeyRequest<'_>) -> Result<()>;
        fn exclude_key(&mut self, table: &TableName, key: Guid, reason: &str) -> Result<()>;
        fn log_deletion(&mut self, table: &TableName, deletion: &Deletion) -> Result<()>;
    }
}

impl<S: Servants> Keys for S {
    forward! { engine:
        fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool>;
        fn named_keys(&mut self, table: &TableName, scope: Option<Scope>, limit: u32) -> Result<Vec<KeyRecord>>;
        fn unknown_names(&mut self) -> Result<Vec<UnknownName>>;
        fn remove_table(&mut self, table: &TableName, force: bool) -> Result<()>;
    }
}

impl<S: Servants> Places for S {
    forward! { engine:
        fn place_records(&mut self) -> Result<Vec<PlaceRecord>>;
        fn share_place(&mut self, place: &str, scope: Scope) -> Result<()>;
        fn waive_shipments(&mut self, run_id: Guid) -> Result<Vec<String>>;
    }
}

impl<S: Servants> Extract for S {
    forward! { engine:
        fn plan_table(&mut self, request: &RunRequest, table: &TableConfig) -> Result<TablePlan>;
        fn start_run(&mut self, request: &RunRequest, recorded: Option<&Destination>) -> Result<Run>;
        fn resume_run(&mut self, id: Guid) -> Result<Run>;
        fn take_over(&mut self, run: Guid) -> Result<()>;
        fn start_table(&mut self, run: &Run, table: &TableConfig, lease_seconds: u32) -> Result<TableRun>;
        fn queue_missing_parents(&mut self, table_run: &TableRun) -> Result<u64>;
        fn run_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome>;
        fn finish_table(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts>;
        fn fail_table(&mut self, run: &Run, table: &TableName, fence: Option<&Fence>, status: Status,
            message: &str) -> Result<()>;
        fn finish_run(&mut self, run: &Run, status: Status, message: Option<&str>) -> Result<()>;
        fn take_lease(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence>;
        fn release_leases(&mut self, fences: &[Fence]) -> Result<()>;
        fn lease_keeper(&mut self) -> Result<Box<dyn LeaseKeeper>>;
    }
}

impl<S: Servants> Slices for S {
    forward! { engine:
        fn slice_marker(&mut self, table: &TableConfig) -> Result<SliceMarker>;
        fn slice_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>>;
        fn changed_scripts(&mut self, table: &TableConfig) -> Result<Vec<ChangedScript>>;
        fn key_order(&mut self) -> Result<KeyOrder>;
        fn read_slice(&mut self, fence: &Fence, after: Option<&SlicePosition>, limits: ReadLimits,
            sink: &mut dyn CellSink) -> Result<Option<SlicePosition>>;
        fn read_large(&mut self, fence: &Fence, key: Guid, column: &str, out: &mut dyn Write) -> Result<u64>;
        fn read_deletions(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<Deletion>>;
        fn table_report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport>;
        fn table_errors(&mut self, run_id: Guid) -> Result<Vec<(TableName, String)>>;
        fn absent_parents(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<AbsentParent>>;
        fn previous_bundle(&mut self, table: &TableName, scope: Scope, run_id: Guid) -> Result<Option<PreviousBundle>>;
        fn record_bundle(&mut self, records: &[(Fence, BundleRecord)], keep_leases: bool) -> Result<Vec<TableName>>;
        fn known_values(&mut self, fence: &Fence, scope: Scope, column: &str,
            keys: &[Guid]) -> Result<Vec<Option<KnownValue>>>;
        fn put_values_aside(&mut self, fence: &Fence, column: &str, values: &[ComingValue]) -> Result<()>;
        fn clear_values_aside(&mut self, fence: &Fence) -> Result<()>;
        fn give_up(&mut self, fence: &Fence) -> Result<()>;
    }
}

impl<S: Servants> Upkeep for S {
    forward! { engine:
        fn limit_memory(&mut self, bytes: u64) -> Result<()>;
        fn doctor(&mut self) -> Result<Vec<Advice>>;
        fn look_at_data(&mut self, table: &TableConfig) -> Result<Vec<Advice>>;
        fn deletion_script(&mut self, table: &TableConfig, from: &DeletionSource) -> Result<String>;
        fn check_backup(&mut self, databases: &[String], place: &str) -> Result<()>;
        fn backup(&mut self, fences: &[Fence], database: &str, path: &str,
            progress: &mut dyn FnMut(u8)) -> Result<BackupRecord>;
        fn prune(&mut self, retention: &Retention, plan: bool) -> Result<Vec<PrunedTable>>;
    }
}

impl<S: Servants> Target for S {
    forward! { replay:
        fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetCompatibility>;
        fn resolve_target(&mut self, table: TableName) -> Result<TableName>;
        fn job_databases(&mut self, database: &str) -> Result<Vec<JobDatabase>>;
        fn keep_targets(&mut self);
        fn take_back_targets(&mut self) -> Result<()>;
        fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetCompatibility>>;
        fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>>;
        fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()>;
        fn apply_rows(&mut self, spec: &TargetSpec, rows: &dyn RowSource, keys: &[Guid], versions: &[Version],
            entry: &LedgerEntry) -> Result<Applied>;
        fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64>;
        fn shares_transactions(&mut self) -> bool;
        fn begin_commit_group(&mut self);
        fn end_commit_group(&mut self) -> Result<()>;
        fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>>;
        fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()>;
        fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()>;
        fn existing(&mut self, spec: &TargetSpec, compatibility: &TargetCompatibility, keys: &[Guid]) -> Result<Vec<ExistingVersions>>;
        fn existing_content(&mut self, spec: &TargetSpec, compatibility: &TargetCompatibility, columns: &[usize],
            keys: &[Guid]) -> Result<Vec<Option<ExistingContent>>>;
        fn read_content(&mut self, spec: &TargetSpec, column: usize, key: Guid, out: &mut dyn Write) -> Result<u64>;
    }
}

impl<S: Servants> Inventory for S {
    forward! { inventory:
        fn inventory(&mut self, table: &TableConfig, unit: Option<Guid>, now: Timestamp, after: Option<Guid>,
            most: u32) -> Result<Vec<InventoryRow>>;
        fn reached(&mut self, table: &TableName, scope: Scope) -> Result<Option<Timestamp>>;
        fn has_unit(&mut self, tables: &[TableConfig], unit: Guid) -> Result<bool>;
        fn units(&mut self) -> Result<BTreeSet<Guid>>;
        fn remains(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<Remains>>;
        fn parents(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<ParentRow>>;
        fn whole_table(&mut self, table: &TableConfig, now: Timestamp) -> Result<WholeTable>;
        fn unfit_deletion(&mut self, table: &TableConfig, scope: Scope, again: Option<Timestamp>,
            key: SqlType) -> Result<Option<(i64, Guid)>>;
        fn source_content(&mut self, table: &TableConfig, columns: &[Column],
            keys: &[Guid]) -> Result<Vec<Option<Vec<Option<Sha256>>>>>;
    }
}
