//! [`SeenKeys`]: which keys came already, out of more than fit into memory.

use super::sqlite;
use crate::error::Result;
use crate::model::id::Guid;

/// See the module's text.
pub trait SeenKeys: Send {
    /// Takes keys, and gives the first of them that was there before, or comes twice among them.
    ///
    /// # Errors
    /// Database.
    fn add(&mut self, keys: &[Guid]) -> Result<Option<Guid>>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names. It takes some 40 bytes
/// a key there, and keeps `cache_bytes` of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_seen_keys(cache_bytes: u64) -> Result<Box<dyn SeenKeys>> {
    Ok(Box::new(sqlite::SeenStore::open(cache_bytes)?))
}
