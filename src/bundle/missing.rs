//! What a compacted bundle was made without, because somebody allowed it by name (rule 22): whoever is handed it is told
//! as those are who are handed the bundles one by one.

use super::canonical::few;
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is missing between the bundles that one was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Root digests of bundles that those here follow, sorted.
    #[serde(deserialize_with = "few::<10_000, _, _>")]
    pub bundles: Vec<Sha256>,
    /// Time within the window that the window of none of them covers, in order, in the clock of the window.
    #[serde(deserialize_with = "few::<10_000, _, _>")]
    pub windows: Vec<Uncovered>,
}

/// Time that no window covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Missing {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty() && self.windows.is_empty()
    }
}
