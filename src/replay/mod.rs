//! Replaying bundles into a database: in the order of their links, each once, the latest version of each key.
//!
//! Every part is hashed before it is decoded, and goes in batches of at most 16 MiB through
//! [`crate::backend::Target`], which notes in the same transaction how far it is. So a replay
//! that was cut off goes on where it was, and bundles may come again or in any order. What is
//! never let through silently is a gap: time that no window of the chain covers, or a bundle that
//! follows one that the target never had. A replay that fails takes back what it made and nothing came
//! into. [`plan`] says what a replay would do, and [`check`] whether a target still holds what was replayed.

mod apply;
mod chain;
mod check;
mod gap;
mod guard;
mod known;
mod options;
mod plan;
mod run;
mod scopes;
mod source_table;
mod sources;
mod whole;
mod work;

pub use check::check;
pub use options::{
    BundleOutcome, CheckFinding, CheckKind, CheckReport, PlannedTable, ReplayOptions, ReplayReport, TableReplayOutcome,
    TargetScopes,
};
pub use plan::plan;
pub use run::replay;
pub use source_table::SourceTable;
pub use work::OpenedBundles;
