//! [`KeyStore`]: values under keys, of which there are more than fit into memory.
//!
//! What a value means is not known here: `latest` has what is made of it.

use super::sqlite;
use crate::error::Result;
use crate::model::id::Guid;

/// See the module's text. It is gone with the value.
pub trait KeyStore: Send {
    /// The value under a key.
    ///
    /// # Errors
    /// Database.
    fn get(&mut self, key: Guid) -> Result<Option<Vec<u8>>>;

    /// Puts a value under a key, in the place of what was there.
    ///
    /// # Errors
    /// Database.
    fn put(&mut self, key: Guid, value: &[u8]) -> Result<()>;

    /// Puts a value under a key where none is, and says whether none was.
    ///
    /// # Errors
    /// Database.
    fn add(&mut self, key: Guid, value: &[u8]) -> Result<bool>;

    /// Keys after `after` in the order of their bytes, at most `most`, with their values.
    ///
    /// # Errors
    /// Database.
    fn page(&mut self, after: Option<Guid>, most: u32) -> Result<Vec<(Guid, Vec<u8>)>>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names. With a million keys in no order it
/// takes 187 bytes a key for values of 137 bytes, and 27 for values of 2. `cache_bytes` of its pages are in memory. Errors say
/// what it is for.
///
/// # Errors
/// Database.
pub fn open_key_store(work: &'static str, cache_bytes: u64) -> Result<Box<dyn KeyStore>> {
    Ok(Box::new(sqlite::KeyStoreFile::open(work, cache_bytes)?))
}
