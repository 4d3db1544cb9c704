//! Instances: what the engine asks of a database server.
//!
//! The traits are the same for both kinds of instance. Every method is one unit of work: it is
//! done whole or not at all, and a caller may repeat it after an error (the methods of
//! [`Extract`] and [`Slices`] that write are fenced, see [`Fence`](crate::model::run::Fence)).

mod compatibility;
mod connect;
mod content;
mod deletion_script;
mod existing;
mod extract;
mod filter;
mod inventory;
mod jobs;
mod key_store;
mod keys;
mod obstacles;
mod places;
mod prune;
mod resolved;
mod sandbox;
mod servers;
mod session;
mod slices;
pub mod sqlite;
pub mod sqlserver;
mod suspect;
mod target;
mod upkeep;
mod versions;

pub use connect::{Connection, OpenOptions};
pub use content::{ComingValue, KnownValue};
pub use deletion_script::{AuditTable, DeletionSource};
pub use existing::{ChainVersion, ExistingVersions};
pub use extract::{Extract, LeaseKeeper};
pub use inventory::{Flagged, Inventory, InventoryRow, ParentRow, Remains, WholeTable};
pub use jobs::{
    BundleRecord, DeployStep, Jobs, KeyRequest, MissingParentRecord, PackState, PendingRecord, PendingShipment,
    StepRecord, UnitWatermarkRecord, WatermarkRecord,
};
pub use key_store::{KeyStore, open_key_store};
pub use keys::{KeyRecord, KeyState, Keys, UnknownName};
pub use places::{PlaceRecord, Places};
pub use prune::{PrunedTable, Retention};
pub use resolved::check_target;
pub use sandbox::{Sandbox, TableScan};
pub use servers::{AdoptedBundle, ChainRecord, Handed, Servers};
pub use slices::{PreviousBundle, Slices, TableReport};
pub use sqlserver::{AccessToken, Address, Credentials, printed_by};
pub use target::{
    Applied, AppliedBundle, Evolve, ExistingContent, JobDatabase, LedgerEntry, Target, TargetCompatibility, TargetSpec,
    TombstoneRow,
};
pub use upkeep::{Advice, BackupRecord, Severity, Upkeep};
pub use versions::{Kept, Orphan, SortKey, VersionEntry, Versions, open_versions};

/// One open session on an instance.
pub trait Backend: Jobs + Keys + Places + Extract + Slices + Target + Upkeep + Inventory {}

impl<T: Jobs + Keys + Places + Extract + Slices + Target + Upkeep + Inventory> Backend for T {}
