//! [`KnownContent`]: content that a bundle leaves out, because bundles before it in its chain hold it.

use crate::model::digest::Sha256;
use serde::{Deserialize, Serialize};

/// The entry of `requires` of a bundle that leaves out content.
pub const KNOWN_CONTENT: &str = "known-content";

/// What a table leaves out because one bundle holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownContent {
    /// Root digest of the bundle that holds the values: an earlier one of the same chain.
    pub root_sha256: Sha256,
    /// How many values are left out.
    pub values: u64,
    /// Bytes of these values.
    pub bytes: u64,
}
