//! Rows that stand in each other's way and both come: two that swap a unique value, or many that pass theirs on.
//!
//! SQLite holds a unique constraint row by row, so the one that stands gives its unique values up first, and gets those that
//! come with it later. Until it has, nothing is committed. What is still without its values when its table
//! ends did not come: that is the clash that it looked like, and all of it is undone.

use crate::backend::compatibility::Clash;
use crate::model::id::Guid;
use std::collections::BTreeMap;

/// Rows whose unique values were taken from them, and for which row.
#[derive(Default)]
pub(super) struct Parked(BTreeMap<Guid, Clash>);

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A row has its values, or is gone.
    pub(super) fn forget(&mut self, key: Guid) {
        self.0.remove(&key);
    }

    /// The values of the row that stands were taken for the one that comes.
    pub(super) fn add(&mut self, clash: Clash) {
        self.0.insert(clash.existing.0, clash);
    }

    /// All of them, of which none stands so any more; gives the first.
    pub(super) fn take_first(&mut self) -> Option<Clash> {
        std::mem::take(&mut self.0).pop_first().map(|(_, clash)| clash)
    }
}
