//! The folders: rows that others lie in, and where they stand.

use super::claims::{Claims, Dir};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Rows whose parent is not in the bundles, by the parent's key.
pub(super) const ORPHANS: &str = "_orphans";
/// Folders whose path would be too long, by their key.
pub(super) const DEEP: &str = "_deep";
const UNKNOWN: &str = "unknown";
/// Bytes of a folder's path within its table's: with one more name and the way to it, that is
/// within the 4,096 of Linux.
const MAX_PATH_BYTES: usize = 2048;

/// The first 16 bytes of a path's hash. Whoever makes two paths of one puts their own rows into another folder of theirs.
pub(super) type PathKey = [u8; 16];

/// That of a path's bytes.
pub(super) fn path_key(path: &[u8]) -> PathKey {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::of(path).as_bytes()[..16]);
    key
}

/// What a row says about its place.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    /// Whether it lies in a folder.
    pub has_parent: bool,
    /// That folder's key, if it is known.
    pub parent: Option<Guid>,
    /// Its path.
    pub parent_path: Option<PathKey>,
    /// Whether the folder was found by that path, because the key that the row carries leads nowhere.
    pub is_by_path: bool,
    /// Its name, if it has one.
    pub name: Option<String>,
}

struct Placed {
    dir: Dir,
    /// Empty for one that stands in [`DEEP`].
    name: String,
    bytes: usize,
    has_key: bool,
}

/// See the module's text.
pub(super) struct Tree {
    key_type: KeyType,
    placed: BTreeMap<Guid, Placed>,
    /// Folders by paths at which keys of parents lead nowhere.
    by_path: BTreeMap<PathKey, Guid>,
    /// Folders that stand in such a one.
    placed_by_path: BTreeSet<Guid>,
}

impl Tree {
    /// Places the folders, each once, ancestors first; which one gets a name that several have
    /// depends on nothing but the folders. A circle of folders is cut, and becomes orphans.
    ///
    /// # Errors
    /// Verification: names that were made up so that they cannot be told apart.
    pub(super) fn build(
        nodes: &BTreeMap<Guid, TreeNode>,
        by_path: BTreeMap<PathKey, Guid>,
        claims: &mut Claims,
    ) -> Result<Self> {
        claims.reserve(Dir::Top, ORPHANS);
        claims.reserve(Dir::Top, DEEP);
        let is_placed = nodes.iter().filter(|(_, node)| node.is_by_path);
        let placed_by_path = is_placed.map(|(key, _)| *key).collect();
        let mut tree = Self { key_type: claims.key_type(), placed: BTreeMap::new(), by_path, placed_by_path };
        for start in nodes.keys() {
            let (mut way, mut on_way) = (vec![*start], BTreeSet::from([*start]));
            while let Some(parent) = way.last().and_then(|last| nodes.get(last)?.parent) {
                if tree.placed.contains_key(&parent) || !nodes.contains_key(&parent) || !on_way.insert(parent) {
                    break;
                }
                way.push(parent);
            }
            while let Some(key) = way.pop() {
                if let Some(node) = nodes.get(&key).filter(|_| !tree.placed.contains_key(&key)) {
                    tree.place(key, node, claims)?;
                }
            }
        }
        Ok(tree)
    }

    fn place(&mut self, key: Guid, node: &TreeNode, claims: &mut Claims) -> Result<()> {
        let dir = self.dir_of(node.has_parent, node.parent, None);
        let name = node.name.clone().unwrap_or_else(|| claims.shown(key));
        let claim = claims.claim(dir, key, &name, &|_| false).ok_or_else(|| no_name(claims.shown(key)))?;
        let bytes = self.bytes(dir) + claim.name.len() + 1;
        let placed = if bytes > MAX_PATH_BYTES {
            Placed { dir: Dir::Top, name: String::new(), bytes: DEEP.len() + 38, has_key: false }
        } else {
            Placed { dir, name: claim.name, bytes, has_key: claim.has_key }
        };
        self.placed.insert(key, placed);
        Ok(())
    }

    fn bytes(&self, dir: Dir) -> usize {
        match dir {
            Dir::Top => 0,
            Dir::Folder(key) => self.placed.get(&key).map_or(0, |placed| placed.bytes),
            Dir::Orphans(_) => ORPHANS.len() + 38,
        }
    }

    /// The folder that a row lies in: that of its parent's key, or else of its parent's path.
    pub(super) fn dir_of(&self, has_parent: bool, parent: Option<Guid>, parent_path: Option<PathKey>) -> Dir {
        let by_path = || parent_path.and_then(|path| self.by_path.get(&path)).filter(|found| self.has(**found));
        match (has_parent, parent) {
            (false, _) => Dir::Top,
            (true, Some(parent)) if self.has(parent) => Dir::Folder(parent),
            (true, parent) => by_path().map_or(Dir::Orphans(parent), |found| Dir::Folder(*found)),
        }
    }

    /// Whether a folder stands in one that was found by its path.
    pub(super) fn is_by_path(&self, key: Guid) -> bool {
        self.placed_by_path.contains(&key)
    }

    /// Whether a row is a folder that others lie in.
    pub(super) fn has(&self, key: Guid) -> bool {
        self.placed.contains_key(&key)
    }

    /// Whether such a folder got its key into its name.
    pub(super) fn has_key(&self, key: Guid) -> bool {
        self.placed.get(&key).is_some_and(|placed| placed.has_key)
    }

    /// Whether a folder stands in one of [`Dir::Orphans`] itself.
    pub(super) fn is_orphan(&self, key: Guid) -> bool {
        self.placed.get(&key).is_some_and(|placed| matches!(placed.dir, Dir::Orphans(_)))
    }

    /// The components of a folder's path, from the table's folder on; each is one safe name.
    pub(super) fn components(&self, dir: Dir) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = dir;
        loop {
            match at {
                Dir::Top => break,
                Dir::Orphans(parent) => {
                    way.push(
                        parent.map_or_else(|| UNKNOWN.to_owned(), |parent| self.key_type.shown(parent).to_string()),
                    );
                    way.push(ORPHANS.to_owned());
                    break;
                }
                Dir::Folder(key) => match self.placed.get(&key) {
                    Some(placed) if placed.name.is_empty() => {
                        way.extend([self.key_type.shown(key).to_string(), DEEP.to_owned()]);
                        break;
                    }
                    // Each folder was placed after the one that it lies in: this ends.
                    Some(placed) => {
                        way.push(placed.name.clone());
                        at = placed.dir;
                    }
                    None => break,
                },
            }
        }
        way.reverse();
        way
    }

    /// The same as one path.
    pub(super) fn path(&self, dir: Dir) -> PathBuf {
        self.components(dir).iter().collect()
    }
}

/// A row whose name, and name with its key, are both taken.
pub(super) fn no_name(key: String) -> Error {
    Error::verification("the names of these rows cannot be told apart, even with their keys")
        .key(key)
        .hint("unpack only this row, with --key")
}
