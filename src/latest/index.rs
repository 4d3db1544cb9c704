//! [`LatestIndex`]: the latest version of each key over several bundles (rule 14).

use super::map::{KeyMap, KeyMemory};
use super::stored::{Stored, stored};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::version::Version;

/// What is kept of a version of a key.
pub trait Versioned {
    /// The version.
    fn version(&self) -> &Version;
}

/// See the module's text.
pub struct LatestIndex<V>(KeyMap<LatestEntry<V>>);

#[derive(Clone)]
struct LatestEntry<V> {
    latest: V,
    is_matched: bool,
}

stored!(LatestEntry<V> where V { latest, is_matched });

impl<V: Versioned + Stored + Clone> LatestIndex<V> {
    /// Without keys.
    pub fn new(memory: KeyMemory) -> Self {
        Self(KeyMap::new(memory))
    }

    /// Takes a version; it stays if it is the latest of its key. Of equal ones the first stays.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn upsert(&mut self, key: Guid, latest: V) -> Result<()> {
        let existing = self.0.get(key)?;
        if existing.is_none_or(|existing| latest.version() > existing.latest.version()) {
            self.0.put(key, LatestEntry { latest, is_matched: false })?;
        }
        Ok(())
    }

    /// The latest version of a key, which does not count as matched for it.
    ///
    /// # Errors
    /// As [`LatestIndex::upsert`].
    pub fn get(&mut self, key: Guid) -> Result<Option<V>> {
        Ok(self.0.get(key)?.map(|entry| entry.latest))
    }

    /// The latest version of a key, which counts as matched from now on.
    ///
    /// # Errors
    /// As [`LatestIndex::upsert`].
    pub fn match_key(&mut self, key: Guid) -> Result<Option<V>> {
        let Some(entry) = self.0.get(key)? else { return Ok(None) };
        if !entry.is_matched {
            self.0.put(key, LatestEntry { is_matched: true, ..entry.clone() })?;
        }
        Ok(Some(entry.latest))
    }

    /// Keys after `after` that were not matched and are wanted, at most `most`; fewer only at the end.
    ///
    /// # Errors
    /// As [`LatestIndex::upsert`].
    pub fn unmatched(
        &mut self,
        after: Option<Guid>,
        most: usize,
        is_wanted: impl Fn(&V) -> bool,
    ) -> Result<Vec<(Guid, V)>> {
        let found = self.0.select(after, most, |entry| !entry.is_matched && is_wanted(&entry.latest))?;
        Ok(found.into_iter().map(|(key, entry)| (key, entry.latest)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    impl Versioned for Version {
        fn version(&self) -> &Version {
            self
        }
    }

    fn version(modified: i64, run: u8) -> Version {
        let at = |ticks| Timestamp::from_ticks(ticks).unwrap();
        let run_id = Guid::from_bytes([run; 16]);
        Version { modified_on: Some(at(modified)), tombstone: None, run_started_at: at(1), run_id }
    }

    #[test]
    fn rule_14_the_latest_stays_in_memory_and_behind_it() {
        let key = |number| Guid::from_bytes([number; 16]);
        for most_keys in [0, 2, 100] {
            let mut index = LatestIndex::new(KeyMemory { work: "test", most_keys, cache_bytes: 1 << 20 });
            for (number, modified, run) in [(1, 5, 1), (2, 5, 1), (1, 7, 1), (2, 4, 9), (3, 1, 1), (1, 7, 1)] {
                index.upsert(key(number), version(modified, run)).unwrap();
            }
            assert_eq!(index.match_key(key(2)).unwrap(), Some(version(5, 1)));
            assert_eq!(index.match_key(key(9)).unwrap(), None);
            assert_eq!(index.get(key(3)).unwrap(), Some(version(1, 1)));
            let all = [(key(1), version(7, 1)), (key(3), version(1, 1))];
            assert_eq!(index.unmatched(None, 9, |_| true).unwrap(), all);
            assert_eq!(index.unmatched(Some(key(1)), 9, |_| true).unwrap(), all[1..]);
            assert_eq!(index.unmatched(None, 9, |one| one.modified_on == version(7, 1).modified_on).unwrap(), all[..1]);
        }
    }
}
