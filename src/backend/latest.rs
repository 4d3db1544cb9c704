//! [`LatestIndex`]: the latest version of each key that bundles hold.
//!
//! What a reconciliation needs: more keys than fit into memory. It is a store of its own, and gone
//! with the value.

use super::sqlite;
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::version::Version;

/// A version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestVersion {
    /// When and by which run it came, and whether it is a tombstone.
    pub version: Version,
    /// Whether it came because something lies under it, and not by itself.
    pub is_ancestor: bool,
    /// Its business unit.
    pub unit: Option<Guid>,
    /// The hash of its path's bytes.
    pub path: Option<Sha256>,
    /// The key of the row that it lies in.
    pub parent_key: Option<Guid>,
    /// The hash of its content hashes.
    pub content: Option<Sha256>,
}

/// See the module's text.
pub trait LatestIndex {
    /// Takes a version; it stays if it is the latest of its key (rule 14).
    ///
    /// # Errors
    /// Database.
    fn upsert(&mut self, key: Guid, latest: &LatestVersion) -> Result<()>;

    /// The latest version of a key, which counts as matched from now on.
    ///
    /// # Errors
    /// Database.
    fn match_key(&mut self, key: Guid) -> Result<Option<LatestVersion>>;

    /// The latest version of a key, which does not count as matched for it.
    ///
    /// # Errors
    /// Database.
    fn get(&mut self, key: Guid) -> Result<Option<LatestVersion>>;

    /// Notes that a key was looked at, and whether it is for the first time.
    ///
    /// # Errors
    /// Database.
    fn visit(&mut self, key: Guid) -> Result<bool>;

    /// Keys after `after` that were not matched and are not deleted, at most `most`.
    ///
    /// # Errors
    /// Database.
    fn unmatched(&mut self, after: Option<Guid>, most: u32) -> Result<Vec<(Guid, LatestVersion)>>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names,
/// of some 170 bytes a key (measured with 1,000,000), with 64 MiB of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_latest_index() -> Result<Box<dyn LatestIndex>> {
    Ok(Box::new(sqlite::LatestStore::open()?))
}
