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
mod attached;
mod batch;
mod commit_group;
mod config;
mod deploy;
mod extract;
mod filter;
mod finish;
mod give_up;
mod guarded;
mod inventory;
mod jobs;
mod keys;
mod latest;
mod lease;
mod made;
mod obstacles;
mod parked;
mod pieces;
mod places;
mod prepared;
mod prune;
mod ranks;
mod resolved;
mod rowid;
mod samples;
mod sandbox;
mod scope;
mod seen;
mod servers;
mod session;
mod slices;
mod sql;
mod standing;
mod start;
mod survey;
mod take;
mod target;
mod template;
mod temporary;
mod told;
mod types;
mod upkeep;
mod values;
mod versions;
mod write;

pub use latest::LatestStore;
pub use ranks::RankStore;
pub use seen::SeenStore;
pub use session::{JOB_DATABASE, Session};
pub use versions::VersionStore;
