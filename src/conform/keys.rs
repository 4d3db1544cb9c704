//! [`Keys`]: the keys of a table's rows, each once.

use super::deviation::Deviation as D;
use crate::backend::{SeenKeys, open_seen_keys};
use crate::error::Result;
use crate::model::id::Guid;
use std::collections::HashSet;

/// Keys that are held in memory, some 10 MB; those of larger tables lie in a temporary file.
const MOST_IN_MEMORY: usize = 1 << 18;
/// Pages of that file that are held in memory.
const CACHE_BYTES: u64 = 8 << 20;

/// See the module's text.
#[derive(Default)]
pub struct Keys {
    held: HashSet<Guid>,
    stored: Option<Box<dyn SeenKeys>>,
}

impl Keys {
    /// Takes the keys of the next rows, and says the first that came before.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn add(&mut self, keys: &[Guid], tell: &mut dyn FnMut(D, String)) -> Result<()> {
        if self.stored.is_none() && self.held.len() + keys.len() > MOST_IN_MEMORY {
            let mut store = open_seen_keys(CACHE_BYTES)?;
            store.add(&self.held.drain().collect::<Vec<_>>())?;
            self.held.shrink_to_fit();
            self.stored = Some(store);
        }
        let twice = match &mut self.stored {
            Some(store) => store.add(keys)?,
            None => keys.iter().copied().find(|key| !self.held.insert(*key)),
        };
        if let Some(key) = twice {
            tell(D::DuplicateKey, format!("the key {key} comes twice"));
        }
        Ok(())
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
    fn a_key_that_comes_twice_is_told_in_memory_and_behind_it() {
        let mut told = Vec::new();
        let mut keys = Keys::default();
        for start in (0..MOST_IN_MEMORY + 40_000).step_by(20_000) {
            let next: Vec<Guid> = (start..start + 20_000).map(key).collect();
            keys.add(&next, &mut |_, detail| told.push(detail)).unwrap();
        }
        assert_eq!(told, Vec::<String>::new());
        assert!(keys.stored.is_some());
        keys.add(&[key(3)], &mut |_, detail| told.push(detail)).unwrap();
        let mut small = Keys::default();
        small.add(&[key(1), key(2), key(1)], &mut |_, detail| told.push(detail)).unwrap();
        assert_eq!(told, [3, 1].map(|number| format!("the key {} comes twice", key(number))));
    }
}
