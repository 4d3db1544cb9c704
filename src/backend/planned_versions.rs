//! [`PlannedVersions`]: what stands under each key, as it would be after some rows more.
//!
//! What the plan of a replay needs: more keys than fit into memory, each with what stands under it. It is a store of its own, and gone with the value.

use super::existing::ExistingVersions;
use super::sqlite;
use crate::error::Result;
use crate::model::id::Guid;

/// See the module's text.
pub trait PlannedVersions {
    /// What was put under a key.
    ///
    /// # Errors
    /// Database.
    fn get(&mut self, key: Guid) -> Result<Option<ExistingVersions>>;

    /// Puts something under a key, in the place of what was there.
    ///
    /// # Errors
    /// Database.
    fn put(&mut self, key: Guid, existing: &ExistingVersions) -> Result<()>;
}

/// A store in a temporary file of SQLite, in the folder that `SQLITE_TMPDIR` or `TMPDIR` names,
/// of some 70 bytes a key (measured with 1,000,000 rows), with 64 MiB of its pages in memory.
///
/// # Errors
/// Database.
pub fn open_planned_versions() -> Result<Box<dyn PlannedVersions>> {
    Ok(Box::new(sqlite::PlannedVersionStore::open()?))
}
