//! [`Ranks`]: what stands under each key, as it would be after some rows more.
//!
//! What the plan of a replay needs: more keys than fit into memory, each with what stands under it. It is a store of its own, and gone with the value.

use super::sqlite;
use super::standing::Standing;
use crate::error::Result;
use crate::model::id::Guid;

/// See the module's text.
pub trait Ranks {
    /// What was put under a key.
    ///
    /// # Errors
    /// Database.
    fn get(&mut self, key: Guid) -> Result<Option<Standing>>;

    /// Puts something under a key, in the place of what was there.
    ///
    /// # Errors
    /// Database.
    fn put(&mut self, key: Guid, standing: &Standing) -> Result<()>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names,
/// of some 70 bytes a key (measured with 1,000,000 rows), with 64 MiB of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_ranks() -> Result<Box<dyn Ranks>> {
    Ok(Box::new(sqlite::RankStore::open()?))
}
