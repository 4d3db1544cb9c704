//! Masked bundles (rule 29): of each bundle another one of the same shape, in which nothing of the masked columns is left.
//!
//! A [`MaskPolicy`] says of each column how it is masked; a column that it does not name is refused. Masks follow from a
//! [`MaskSecret`], so they are the same each week. A masked bundle is of a source of its own, in a chain of its own, and
//! everything that reads bundles reads it.
//!
//! One pass: parts are hashed and decoded, rows are held against their manifest, masked on all cores, and written. What is held
//! is three batches and the row groups in the making, whatever the number of rows. Where keys or paths are masked, rows are put
//! in order again on the way, in a temporary file if they are many.
//!
//! The same bundles, policy and secret give the same bytes.

mod chain;
mod check;
mod column;
mod fixed;
mod init;
mod lists;
mod numbers;
mod options;
mod permute;
mod placeholder;
mod plan;
mod policy;
mod rows;
mod rule;
mod run;
mod secret;
mod structure;
mod table;
mod texts;
mod value;

pub use check::{MaskCheck, MaskFinding, MaskProof, check};
pub use init::init;
pub use options::MaskOptions;
pub use policy::{MaskPolicy, PolicySection};
pub use rule::{MaskKind, MaskRule, Otherwise};
pub use run::{MaskedBundle, mask};
pub use secret::MaskSecret;
