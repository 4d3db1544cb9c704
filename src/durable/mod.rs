//! The only place that creates, writes, syncs, renames and removes files.
//!
//! Everything that must survive a crash goes through a [`Disk`], and every commit of a database
//! is announced to it ([`Disk::before_commit`]), and every statement that is given to an embedded
//! one ([`Disk::before_statement`]), so that a test can count them and fail at any. Two promises: a file is never created over another, and a
//! rename never replaces anything.

mod faulty;
mod local;
mod point;

pub use faulty::{Fault, Faulty, When};
pub use local::Local;

use crate::error::Result;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// A file that was created by [`Disk::create`] and is being written.
pub trait DurableFile: Write + Send {
    /// Makes what was written survive a loss of power. To be called once, at the end; a failed
    /// sync is never tried again, because the kernel may have dropped the pages.
    ///
    /// # Errors
    /// Io.
    fn sync(&mut self) -> Result<()>;

    /// Begins to bring what was written so far to the disk, so that the last sync has little to wait
    /// for; first waits for what was begun before. A failed one is never tried again either.
    ///
    /// # Errors
    /// Io, of what was begun before.
    fn begin_sync(&mut self) -> Result<()>;

    /// Sets when it was last changed, as file systems tell it. To be called after the last write.
    ///
    /// # Errors
    /// Io.
    fn set_modified(&mut self, at: SystemTime) -> Result<()>;
}

/// Where files are made. Operations are not idempotent, and are never retried.
pub trait Disk: Send + Sync {
    /// Creates a folder that is not there yet.
    ///
    /// # Errors
    /// Io, also if anything stands under that name.
    fn create_dir(&self, path: &Path) -> Result<()>;

    /// Creates a file that is not there yet.
    ///
    /// # Errors
    /// Io, also if anything stands under that name.
    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>>;

    /// Renames a file or folder on one file system; nothing may stand under the new name.
    ///
    /// # Errors
    /// Io.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Makes the names in a folder survive a loss of power.
    ///
    /// # Errors
    /// Io.
    fn sync_dir(&self, path: &Path) -> Result<()>;

    /// Makes a folder and everything in it survive a loss of power, files that were not synced one
    /// by one included. To be called once, at the end, for what is many small files.
    ///
    /// # Errors
    /// Io.
    fn sync_tree(&self, path: &Path) -> Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Io.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes a folder with all that is in it, without following links.
    ///
    /// # Errors
    /// Io.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;

    /// A database is about to commit; `what` names the operation.
    ///
    /// # Errors
    /// Only in tests: the commit is then not made.
    fn before_commit(&self, what: &str) -> Result<()> {
        let _ = what;
        Ok(())
    }

    /// An embedded database is about to be given a statement.
    ///
    /// # Errors
    /// Only in tests: how the database refuses it.
    fn before_statement(&self, sql: &str) -> std::result::Result<(), Refusal> {
        let _ = sql;
        Ok(())
    }
}

/// How an embedded database refuses a statement, in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process holds it for longer than is waited.
    Busy,
    /// Its disk fails; the open transaction is rolled back, as SQLite may.
    Io,
    /// Its disk is full, likewise.
    Full,
}

/// Creates a file with these bytes, and syncs it.
///
/// # Errors
/// Io.
pub fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = disk.create(path)?;
    file.write_all(bytes).map_err(|error| crate::error::Error::io("write", path, error))?;
    file.sync()
}
