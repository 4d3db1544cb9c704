//! [`KeyMap`]: values by key, in memory, and in a temporary file where they are many.

use super::stored::Stored;
use crate::backend::{KeyStore, open_key_store};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

/// How many are looked through at once.
const PAGE: u32 = 1024;

/// What a [`KeyMap`] may take of memory, and what for.
#[derive(Clone, Copy, Debug)]
pub struct KeyMemory {
    /// What the keys are of, for errors.
    pub work: &'static str,
    /// So many keys are held in memory, at most; where there are more, all of them lie in a temporary file.
    pub most_keys: usize,
    /// Bytes of that file's pages that are held in memory.
    pub cache_bytes: u64,
}

impl KeyMemory {
    /// So many keys, and 64 MiB of their file.
    pub const fn of(work: &'static str, most_keys: usize) -> Self {
        Self { work, most_keys, cache_bytes: 64 << 20 }
    }
}

/// See the module's text.
pub struct KeyMap<V> {
    held: BTreeMap<Guid, V>,
    stored: Option<Box<dyn KeyStore>>,
    memory: KeyMemory,
}

impl<V: Stored + Clone> KeyMap<V> {
    /// No key yet.
    pub fn new(memory: KeyMemory) -> Self {
        Self { held: BTreeMap::new(), stored: None, memory }
    }

    /// Whether no key came.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.stored.is_none()
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn get(&mut self, key: Guid) -> Result<Option<V>> {
        let Some(store) = &mut self.stored else { return Ok(self.held.get(&key).cloned()) };
        let found = store.get(key)?;
        found.map(|bytes| self.read(&bytes)).transpose()
    }

    /// Gives a key a value, whatever it had before.
    ///
    /// # Errors
    /// As [`KeyMap::get`].
    pub fn put(&mut self, key: Guid, value: V) -> Result<()> {
        self.make_room(key)?;
        match &mut self.stored {
            Some(store) => store.put(key, &bytes_of(&value)),
            None => {
                self.held.insert(key, value);
                Ok(())
            }
        }
    }

    /// Gives a key a value if it has none, and says whether it had none.
    ///
    /// # Errors
    /// As [`KeyMap::get`].
    pub fn add(&mut self, key: Guid, value: V) -> Result<bool> {
        self.make_room(key)?;
        match (&mut self.stored, self.held.entry(key)) {
            (Some(store), _) => store.add(key, &bytes_of(&value)),
            (None, Entry::Occupied(_)) => Ok(false),
            (None, Entry::Vacant(place)) => {
                place.insert(value);
                Ok(true)
            }
        }
    }

    /// The next keys after one, in the order of their bytes, at most so many, with their values.
    ///
    /// # Errors
    /// As [`KeyMap::get`].
    pub fn page(&mut self, after: Option<Guid>, most: u32) -> Result<Vec<(Guid, V)>> {
        let Some(store) = &mut self.stored else {
            let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let held = self.held.range(range).take(most as usize);
            return Ok(held.map(|(key, value)| (*key, value.clone())).collect());
        };
        let page = store.page(after, most)?;
        page.into_iter().map(|(key, bytes)| Ok((key, self.read(&bytes)?))).collect()
    }

    /// The next keys after one whose values are wanted, at most so many; fewer only at the end.
    ///
    /// # Errors
    /// As [`KeyMap::get`].
    pub fn select(
        &mut self,
        mut after: Option<Guid>,
        most: usize,
        is_wanted: impl Fn(&V) -> bool,
    ) -> Result<Vec<(Guid, V)>> {
        let mut found = Vec::new();
        loop {
            let page = self.page(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(*last);
            found.extend(page.into_iter().filter(|(_, value)| is_wanted(value)));
            if found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
    }

    /// One more key than may be held moves all of them into the file.
    fn make_room(&mut self, key: Guid) -> Result<()> {
        let has_room = self.held.len() < self.memory.most_keys || self.held.contains_key(&key);
        if has_room || self.stored.is_some() {
            return Ok(());
        }
        let mut store = open_key_store(self.memory.work, self.memory.cache_bytes)?;
        for (key, value) in std::mem::take(&mut self.held) {
            store.put(key, &bytes_of(&value))?;
        }
        self.stored = Some(store);
        Ok(())
    }

    fn read(&self, mut bytes: &[u8]) -> Result<V> {
        let value = V::read(&mut bytes).filter(|_| bytes.is_empty());
        let what = || format!("the temporary file of the {} gave what was not put there", self.memory.work);
        value.ok_or_else(|| Error::internal(what()))
    }
}

fn bytes_of(value: &impl Stored) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
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
        for most_keys in [0, 1, 30, 1000] {
            let mut keys = KeyMap::new(KeyMemory { work: "test", most_keys, cache_bytes: 1 << 20 });
            assert!(keys.is_empty());
            for nth in 0..100 {
                assert!(keys.add(key(nth), 3_i16).unwrap());
            }
            assert_eq!((keys.stored.is_some(), keys.is_empty()), (most_keys < 100, false));
            assert!(!keys.add(key(3), 4).unwrap());
            keys.put(key(500), 4).unwrap();
            assert_eq!([3, 500, 501].map(|nth| keys.get(key(nth)).unwrap()), [Some(3), Some(4), None]);
            keys.put(key(3), 9).unwrap();
            let mut of = |number| keys.select(None, 5, |value| *value == number).unwrap();
            assert_eq!([of(9), of(10)], [vec![(key(3), 9)], vec![]]);
            assert_eq!(keys.page(Some(key(98)), 9).unwrap(), [(key(99), 3), (key(500), 4)]);
            assert_eq!(keys.select(Some(key(90)), 2, |value| *value == 3).unwrap(), [(key(91), 3), (key(92), 3)]);
        }
    }
}
