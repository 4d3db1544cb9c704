//! SQL Server, and servers that speak TDS and T-SQL. The only place that knows the driver.
//!
//! **Consistency.** What must be one transaction is one stored procedure of
//! `sql/sqlserver/05_BlobDeltaJobs_Engine.sql`, which a SQL Agent job calls too; this side adds
//! nothing to what they promise. Each call is one unit that may be repeated when its answer was
//! lost: keys that were copied are marked in the transaction that copied them, so a batch that
//! is asked for again takes the next keys.
//!
//! **Time** is the server's, through `dbo.ufn_BlobDelta_UtcNow`. **Names** are compared as the
//! server compares them, and spelled as its catalog does.

mod abilities;
mod address;
mod adopted;
mod apply;
mod browser;
mod catalog;
mod client;
mod config;
mod content;
mod database;
mod deletion_script;
mod deploy;
mod deployed;
mod engine;
mod errors;
mod existing;
mod extract;
mod insert;
mod inventory;
mod job_databases;
mod jobs;
mod key_id;
mod keys;
mod keywords;
mod known;
mod large;
mod ledger;
mod made;
mod marker;
mod obstacles;
mod page;
mod params;
mod places;
mod readers;
mod reading;
mod replay;
mod resolved;
mod runs;
mod sandbox;
mod servers;
mod session;
mod slices;
mod sql;
mod staging;
mod stamp;
mod stream;
mod take_back;
mod target;
mod template;
mod unique;
mod upkeep;
mod values;
mod watch;

pub use address::{AccessToken, Address, Credentials, printed_by};
pub use session::Session;
