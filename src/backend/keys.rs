//! Keys that an operator spoke of by name: excluded, or asked for.

use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;

/// What was said of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is in `BlobDeltaExcludedKey`: no run takes it.
    Excluded,
    /// It is in `BlobDeltaPendingKey`: the next run takes it, once its row is there.
    Pending,
}

impl KeyState {
    /// For people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Excluded => "Excluded",
            Self::Pending => "Pending",
        }
    }
}

/// A key and what was said of it.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub key: Guid,
    /// What was said.
    pub state: KeyState,
    /// Why.
    pub reason: String,
    /// When, UTC.
    pub created_at: Timestamp,
}

/// See the module's text. [`Jobs`](super::Jobs) excludes and asks.
pub trait Keys {
    /// Takes an exclusion back, and has every scope take the key. Says whether it was excluded.
    ///
    /// # Errors
    /// Config, if the table is not configured; Database.
    fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool>;

    /// The keys of a table that somebody or a run spoke of, the excluded ones first, so many at most.
    ///
    /// # Errors
    /// Config, if the table is not configured; Database.
    fn named_keys(&mut self, table: &TableName, limit: u32) -> Result<Vec<KeyRecord>>;
}
