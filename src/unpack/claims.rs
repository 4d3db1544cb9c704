//! Which names are taken, in every folder, whatever their case.
//!
//! Kept are 8 bytes a name, of a hash over folder and folded name. Should two hashes be equal by
//! chance, a name gets its key though it need not: nothing is lost by it.

use super::names::file_name;
use crate::model::digest::Hasher;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use std::collections::HashSet;

/// A folder of one table's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Dir {
    /// The table's own.
    Top,
    /// That of a row.
    Folder(Guid),
    /// That of a parent which is not there; `None` if its key is not known.
    Orphans(Option<Guid>),
}

/// See the module's text.
pub(super) struct Claims {
    given: HashSet<[u8; 8]>,
    key_type: KeyType,
}

/// A name that was given.
pub(super) struct ClaimedName {
    pub name: String,
    /// Whether the key stands in it.
    pub has_key: bool,
}

impl Claims {
    /// For rows whose keys are of this type.
    pub(super) fn of(key_type: KeyType) -> Self {
        Self { given: HashSet::new(), key_type }
    }

    pub(super) fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// A key, as it stands in names.
    pub(super) fn shown(&self, key: Guid) -> String {
        self.key_type.shown(key).to_string()
    }

    /// Takes a name of our own, which no row may have.
    pub(super) fn reserve(&mut self, dir: Dir, name: &str) {
        self.given.insert(hash(dir, name));
    }

    /// The name of a row in a folder: its own, made safe, or if that is taken the same with the
    /// first eight digits of its key, or all of them. `None`, if even that is taken, which only a
    /// name that was made up for it can bring about. `stands` says what is there on the disk: a
    /// file system may hold more names to be equal than we do.
    pub(super) fn claim(
        &mut self,
        dir: Dir,
        key: Guid,
        name: &str,
        stands: &dyn Fn(&str) -> bool,
    ) -> Option<ClaimedName> {
        let short = match self.key_type {
            KeyType::UniqueIdentifier => Some(key.short()),
            // An integer has no first digits that tell it from others, and those of binaries may be one prefix.
            KeyType::Integer | KeyType::Binary(_) => None,
        };
        let suffixes = [None, short, Some(self.key_type.shown(key).to_string())];
        let suffixes = suffixes.into_iter().enumerate().filter(|(nth, suffix)| *nth != 1 || suffix.is_some());
        for (_, suffix) in suffixes {
            let name = file_name(name, suffix.as_deref());
            if self.given.insert(hash(dir, &name)) && !stands(&name) {
                return Some(ClaimedName { name, has_key: suffix.is_some() });
            }
        }
        None
    }
}

fn hash(dir: Dir, name: &str) -> [u8; 8] {
    let (kind, key) = match dir {
        Dir::Top => (0, [0; 16]),
        Dir::Folder(key) => (1, *key.as_bytes()),
        Dir::Orphans(None) => (2, [0; 16]),
        Dir::Orphans(Some(key)) => (3, *key.as_bytes()),
    };
    let mut hasher = Hasher::default();
    hasher.update(&[kind]);
    hasher.update(&key);
    // Up and down again: letters with several lower-case forms become one.
    hasher.update(name.to_uppercase().to_lowercase().as_bytes());
    let digest = hasher.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    first
}
