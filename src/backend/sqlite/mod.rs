//! The embedded instance: a folder of SQLite files, one a database, attached under their names.
//!
//! **Atomicity.** Each file uses a rollback journal with `synchronous = FULL`. A transaction
//! over several attached files is then atomic by the super-journal that SQLite keeps beside the
//! main file (<https://www.sqlite.org/atomiccommit.html>, section 5); in WAL mode it would not
//! be. Every process opens the same main file, so any of them can finish a crashed commit.
//!
//! **Several processes.** Every write takes the lock of the main file first, and waits for others up to
//! the busy timeout; reads are short pages. So it is the lease that settles who may run, never a
//! file lock.
//!
//! **Storage.** A declared type is the T-SQL type followed by the SQLite storage that keeps it
//! lossless, such as `datetime2(7) TEXT` or `uniqueidentifier BLOB` (see [`types`]).

mod adopted;
mod ancestors;
mod apply;
mod asked;
mod attached;
mod attaching;
mod batch;
mod catalog;
mod chunks;
mod claim;
mod commit_group;
mod config;
mod content;
mod database;
mod deletion_script;
mod deploy;
mod drift;
mod engine;
mod errors;
mod evolve;
mod existing;
mod extract;
mod filter;
mod finish;
mod give_up;
mod guarded;
mod inventory;
mod job_databases;
mod jobs;
mod key_id;
mod key_store;
mod keys;
mod large;
mod lease;
mod ledger;
mod left;
mod made;
mod marker;
mod obstacles;
mod parked;
mod places;
mod prepared;
mod prune;
mod replay;
mod reported;
mod resolved;
mod rowid;
mod runs;
mod samples;
mod sandbox;
mod scope;
mod servers;
mod session;
mod slices;
mod sql;
mod stamp;
mod start;
mod statements;
mod survey;
mod take_back;
mod target;
mod template;
mod temporary;
mod transactions;
mod types;
mod unique;
mod upkeep;
mod value_check;
mod versions;
mod window;
mod write;

pub use database::JOB_DATABASE;
pub use key_store::KeyStoreFile;
pub use session::Session;
pub use versions::VersionStore;
