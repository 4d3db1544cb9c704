//! Whether bundles hold what the source has: the answer to "was any change missed?".
//!
//! The latest version of each key in the bundles goes into a temporary store; then the source's
//! in-scope keys are gone through page by page and held against it, and what the source did not
//! name is looked for there. Memory does not depend on the number of rows. Nothing is changed but
//! what is asked for: keys made pending for the next run, deletions logged.

mod ancestors;
mod bundles;
mod options;
mod run;

pub use options::{Difference, DifferenceKind, NotReported, ReconcileOptions, TableDifferences};
pub use run::reconcile;
