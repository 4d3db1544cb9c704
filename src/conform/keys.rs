//! [`KeyDepths`]: keys of a table's rows, each once, with a small number.

use crate::backend::{SeenKeys, open_seen_keys};
use crate::error::Result;
use crate::model::id::Guid;
use std::collections::HashMap;

/// Keys that are held in memory unless told otherwise, some 10 MB; those of larger tables lie in a temporary file.
const MOST_IN_MEMORY: usize = 1 << 18;
/// Pages of that file that are held in memory.
const CACHE_BYTES: u64 = 8 << 20;

/// See the module's text.
pub(super) struct KeyDepths {
    held: HashMap<Guid, i16>,
    stored: Option<Box<dyn SeenKeys>>,
    most: usize,
    is_empty: bool,
}

impl Default for KeyDepths {
    fn default() -> Self {
        Self::holding(MOST_IN_MEMORY)
    }
}

impl KeyDepths {
    /// So many are held in memory, at most.
    pub(super) fn holding(most: usize) -> Self {
        Self { held: HashMap::new(), stored: None, most, is_empty: true }
    }

    /// Whether none came.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Takes the next keys, and gives the first that came before, which keeps its number.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub(super) fn add(&mut self, keys: &[(Guid, i16)]) -> Result<Option<Guid>> {
        self.is_empty &= keys.is_empty();
        if self.stored.is_none() && self.held.len() + keys.len() > self.most {
            let mut store = open_seen_keys(CACHE_BYTES)?;
            store.add(&self.held.drain().collect::<Vec<_>>())?;
            self.held.shrink_to_fit();
            self.stored = Some(store);
        }
        if let Some(store) = &mut self.stored {
            return store.add(keys);
        }
        let mut twice = None;
        for (key, number) in keys {
            match self.held.entry(*key) {
                std::collections::hash_map::Entry::Occupied(_) => _ = twice.get_or_insert(*key),
                std::collections::hash_map::Entry::Vacant(place) => _ = place.insert(*number),
            }
        }
        Ok(twice)
    }

    /// The number of a key, if it came.
    ///
    /// # Errors
    /// As [`KeyDepths::add`].
    pub(super) fn get(&mut self, key: Guid) -> Result<Option<i16>> {
        match &mut self.stored {
            Some(store) => store.get(key),
            None => Ok(self.held.get(&key).copied()),
        }
    }

    /// Gives a key that came another number.
    ///
    /// # Errors
    /// As [`KeyDepths::add`].
    pub(super) fn set(&mut self, key: Guid, number: i16) -> Result<()> {
        match &mut self.stored {
            Some(store) => store.set(key, number),
            None => {
                self.held.insert(key, number);
                Ok(())
            }
        }
    }

    /// Some key of this number.
    ///
    /// # Errors
    /// As [`KeyDepths::add`].
    pub(super) fn any_of(&mut self, number: i16) -> Result<Option<Guid>> {
        match &mut self.stored {
            Some(store) => store.any_of(number),
            None => Ok(self.held.iter().find(|(_, held)| **held == number).map(|(key, _)| *key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Guid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Guid::from_bytes(bytes)
    }

    #[test]
    fn keys_are_known_in_memory_and_behind_it() {
        for most in [1, 30, 1000] {
            let mut keys = KeyDepths::holding(most);
            assert!(keys.is_empty());
            for start in (0..100).step_by(20) {
                let next: Vec<_> = (start..start + 20).map(|nth| (key(nth), 3)).collect();
                assert_eq!(keys.add(&next).unwrap(), None);
            }
            assert_eq!((keys.stored.is_some(), keys.is_empty()), (most < 100, false));
            assert_eq!(keys.add(&[(key(500), 4), (key(3), 4), (key(500), 5)]).unwrap(), Some(key(3)));
            assert_eq!([3, 500, 501].map(|nth| keys.get(key(nth)).unwrap()), [Some(3), Some(4), None]);
            keys.set(key(3), 9).unwrap();
            assert_eq!([9, 10].map(|number| keys.any_of(number).unwrap()), [Some(key(3)), None]);
        }
    }
}
