//! Verifying a bundle: every check of `manifests/FORMAT.md`, from the names of files down to the last row,
//! with one typed finding for each way in which a bundle can be wrong.
//!
//! Nothing is parsed before its hash was checked, nothing is printed, and a hostile bundle can
//! neither panic the process nor make its memory grow with the number of rows.

mod closure;
mod finding;
mod known;
mod payload;
mod reading;
mod row_group;
mod rows;
mod run;
mod structure;
mod trust;

pub use finding::{Finding, FindingKind, FindingSeverity, VerifyLevel, VerifyReport};
pub use known::verify_known;
pub use run::{VerifyOptions, require_good, verify, verify_with};
