//! [`Versions`]: which version of each key wins, out of any number of them.
//!
//! What compaction asks of a database: to sort and join more keys than fit into memory. It is a
//! store of its own, made for one table of one compaction, and gone with the value.

use super::sqlite;
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::version::Version;

/// A key's sixteen bytes in the order by which keys are sorted.
pub type SortKey = [u8; 16];

/// One version of one key, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct VersionEntry {
    /// The number of the bundle.
    pub input: u32,
    /// The number of the row among the bundle's rows of this table, or among its tombstones.
    pub place: u64,
    /// The key.
    pub key: Guid,
    /// What the key is sorted by.
    pub sort: SortKey,
    /// Its version.
    pub version: Version,
    /// The parent's key, if it is known.
    pub parent: Option<Guid>,
    /// Whether the row says that it has a parent, known or not.
    pub has_parent: bool,
    /// Number of ancestors, as the bundle says it.
    pub depth: i64,
}

/// Versions of one bundle whose depth changes by the same number: they are kept in the order in
/// which they stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The number of the bundle.
    pub input: u32,
    /// Whether it is tombstones that are kept.
    pub tombstones: bool,
    /// What is to be added to their depth.
    pub shift: i64,
}

/// A row whose parent is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The row's key.
    pub child: Guid,
    /// Its parent's, if it is known.
    pub parent: Option<Guid>,
    /// What the row's key is sorted by.
    pub sort: SortKey,
}

/// See the module's text. First everything is added, then it is settled, then it is asked for.
pub trait Versions {
    /// Takes versions, in any order.
    ///
    /// # Errors
    /// Database.
    fn add(&mut self, entries: &[VersionEntry]) -> Result<()>;

    /// Decides which versions are kept: of each key the row that wins by rule 14, unless a
    /// tombstone does, and the latest tombstone.
    ///
    /// # Errors
    /// Config, with the key, if rows are their own ancestors; Database.
    fn settle(&mut self) -> Result<()>;

    /// What is kept, bundle by bundle.
    ///
    /// # Errors
    /// Database.
    fn kept(&mut self) -> Result<Vec<Kept>>;

    /// Places of kept versions, ascending, from `from` on; at most `most`.
    ///
    /// # Errors
    /// Database.
    fn places(&mut self, kept: Kept, from: u64, most: u32) -> Result<Vec<u64>>;

    /// Kept rows whose parent is not, ascending by what their keys are sorted by, after `after`.
    ///
    /// # Errors
    /// Database.
    fn orphans(&mut self, after: Option<SortKey>, most: u32) -> Result<Vec<Orphan>>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names. It
/// takes some 260 bytes a version there (measured with 200,000), more while it sorts, and keeps `cache_bytes`
/// of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_versions(cache_bytes: u64) -> Result<Box<dyn Versions>> {
    Ok(Box::new(sqlite::VersionStore::open(cache_bytes)?))
}
