//! Rule 14: which of two versions of one key wins.

use super::id::Guid;
use super::time::Timestamp;

/// The rank of one version of a key. **The order of the fields is the rule**: the greatest
/// `modified_on` wins, NULL is least; on a tie a tombstone wins against a row; then the run
/// that started later; then the greater RunId in RFC byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `DeltaModifiedOn`, or `DeletedOn` of a tombstone.
    pub modified_on: Option<Timestamp>,
    /// Whether this version says that the row is gone.
    pub tombstone: bool,
    /// When the run that captured it started, UTC.
    pub run_started_at: Timestamp,
    /// The run that captured it.
    pub run_id: Guid,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(modified: Option<i64>, tombstone: bool, started: i64, run: u8) -> Version {
        Version {
            modified_on: modified.and_then(Timestamp::from_ticks),
            tombstone,
            run_started_at: Timestamp::from_ticks(started).unwrap(),
            run_id: Guid::from_bytes([run; 16]),
        }
    }

    #[test]
    fn rule_14_latest_by_modified_on() {
        let ascending = [
            version(None, false, 9, 9),
            version(Some(1), false, 1, 1),
            version(Some(2), false, 1, 1),
            version(Some(2), false, 1, 2),
            version(Some(2), false, 2, 1),
            version(Some(2), true, 1, 1),
            version(Some(3), false, 1, 1),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }
}
