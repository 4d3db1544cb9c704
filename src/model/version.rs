//! Rule 14: which of two versions of one key wins.

use super::id::Guid;
use super::slice::DeletionReason;
use super::time::Timestamp;
use std::cmp::Ordering;

/// The order of the versions of a key: the greatest `modified_on` wins, NULL is least; on a tie a deletion wins; then the
/// run that started later; then the greater RunId in RFC byte order. To have left a scope outranks what earlier runs handed
/// out by the same time, and no later one: a row that comes back to its scope has its old `ModifiedOn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// `DeltaModifiedOn`, or `DeletedOn` of a tombstone.
    pub modified_on: Option<Timestamp>,
    /// That the row is gone, and why; `None` of a row.
    pub tombstone: Option<DeletionReason>,
    /// When the run that captured it started, UTC.
    pub run_started_at: Timestamp,
    /// The run that captured it.
    pub run_id: Guid,
}

impl Version {
    /// **The order of the fields is the rule.** The last makes versions equal only where all of them is.
    fn order(&self) -> impl Ord {
        let is_deleted = self.tombstone == Some(DeletionReason::Deleted);
        (self.modified_on, is_deleted, self.run_started_at, self.run_id, self.tombstone.is_some())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(modified: Option<i64>, tombstone: Option<DeletionReason>, started: i64, run: u8) -> Version {
        Version {
            modified_on: modified.and_then(Timestamp::from_ticks),
            tombstone,
            run_started_at: Timestamp::from_ticks(started).unwrap(),
            run_id: Guid::from_bytes([run; 16]),
        }
    }

    #[test]
    fn rule_14_latest_by_modified_on() {
        use DeletionReason::{Deleted, LeftScope};
        let ascending = [
            version(None, None, 9, 9),
            version(Some(1), None, 1, 1),
            version(Some(2), None, 1, 1),
            version(Some(2), None, 1, 2),
            version(Some(2), Some(LeftScope), 1, 2),
            version(Some(2), None, 2, 1),
            version(Some(2), Some(LeftScope), 3, 1),
            version(Some(2), None, 4, 1),
            version(Some(2), Some(Deleted), 1, 1),
            version(Some(3), None, 1, 1),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }
}
