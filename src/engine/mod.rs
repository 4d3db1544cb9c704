//! The engine: the loop over tables, steps and batches, and the packing of what they leave.
//!
//! It holds no SQL and no files: a [`crate::backend::Backend`] fills and reads slices, and
//! [`crate::bundle`] writes bundles. What it keeps is the order of things:
//!
//! 1. a complete slice that was not packed is packed before it may be emptied (rule 10), into the place
//!    that its own run was told, or by a run of the same tables and scope (rule 18);
//! 2. each table is extracted under its lease, which is renewed on a thread of its own (rule 8);
//! 3. one table that fails costs that table alone (rule 11);
//! 4. a bundle is published, then recorded, then the leases are released;
//! 5. a window is bounded by `MaxWindow`: what is left follows as a run of its own, window after window.
//!
//! What is to be shipped is shipped after that, by `shipping`.

mod admission;
mod adopt;
mod backup;
mod content;
mod export;
mod give_up;
mod leases;
mod options;
mod pack;
mod packer;
mod place;
mod plan;
mod roots;
mod route;
mod run;
mod windows;

pub use adopt::{Adoption, adopt};
pub use give_up::{GivenUp, give_up};
pub use options::{ContentChoice, PackOptions, PackReport, RunOptions, RunReport, TableRunOutcome, Waiver};
pub use pack::{PackRequest, pack};
pub use place::{find_others, find_recorded_others, refuse_or_share};
pub use plan::{plan, would_be_refused};
pub use roots::{find_fork, find_fork_of};
pub use run::run;
pub use windows::run_windows;
