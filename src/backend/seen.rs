//! [`SeenKeys`]: which keys came already, each with a small number, out of more than fit into memory.

use super::sqlite;
use crate::error::Result;
use crate::model::id::Guid;

/// See the module's text.
pub trait SeenKeys: Send {
    /// Takes keys, and gives the first of them that was there before, or comes twice among them; that one keeps its number.
    ///
    /// # Errors
    /// Database.
    fn add(&mut self, keys: &[(Guid, i16)]) -> Result<Option<Guid>>;

    /// The number of a key, if it came.
    ///
    /// # Errors
    /// Database.
    fn get(&mut self, key: Guid) -> Result<Option<i16>>;

    /// Gives a key that came another number.
    ///
    /// # Errors
    /// Database.
    fn set(&mut self, key: Guid, number: i16) -> Result<()>;

    /// Some key of this number.
    ///
    /// # Errors
    /// Database.
    fn any_of(&mut self, number: i16) -> Result<Option<Guid>>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names. It takes some 40 bytes
/// a key there, and keeps `cache_bytes` of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_seen_keys(cache_bytes: u64) -> Result<Box<dyn SeenKeys>> {
    Ok(Box::new(sqlite::SeenStore::open(cache_bytes)?))
}
