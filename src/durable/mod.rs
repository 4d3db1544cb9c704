//! The only place that creates, writes, syncs, renames and removes files.
//!
//! Everything that must survive a crash goes through a [`Disk`], and every commit of a database
//! is announced to it ([`Disk::before_commit`]), and every statement that is given to an embedded
//! one ([`Disk::before_statement`]), so that a test can count them and fail at any.
//!
//! Three promises: a file is never created over another; nothing is ever replaced but by
//! [`Disk::replace`], which says so; and a disk [`Disk::beneath`] a folder never leaves that folder,
//! whatever links somebody puts into it (rule 26).

mod at;
mod beneath;
mod entry;
mod faulty;
mod identity;
mod local;
mod point;
mod staging;
mod trusted;

pub use beneath::{Beneath, Sharing, in_the_way, remove_ours};
pub use entry::{EntryKind, FolderEntry};
pub use faulty::{Faulty, InjectedFault, When};
pub use identity::{file_number, folder_identity, has_other_names, is_ours_alone};
pub use local::{Local, keep_private, make_private};
pub use staging::{is_abandoned, make_held, staging_base, staging_name};
pub use trusted::{TrustedFile, read_trusted};

use crate::error::Result;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long is waited for those who put a few names in a folder in order, which takes moments.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

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
    /// This disk, for paths below `root` alone: each is reached from a handle of that folder, and no link
    /// below it is followed. Of a disk that is beneath a folder already, one further down.
    ///
    /// # Errors
    /// Io, if there is no such folder; Verification, where a link stands in its place below another.
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>>;

    /// What stands at a path, if anything does; a link is seen as such.
    ///
    /// # Errors
    /// Io; Verification, where a link or a file stands in the way.
    fn look(&self, path: &Path) -> Result<Option<FolderEntry>>;

    /// What is in a folder, by name; links are listed, not followed.
    ///
    /// # Errors
    /// As [`Disk::look`].
    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>>;

    /// Opens a regular file for reading, and gives its size; `None` where there is none.
    ///
    /// # Errors
    /// As [`Disk::look`]; Verification, for anything but a regular file.
    fn read(&self, path: &Path) -> Result<Option<(File, u64)>>;

    /// Holds a file or folder by an advisory lock, until the value is dropped or the process ends, however
    /// it ends. `None`, if somebody else holds it, it is not there, or the file system has no locks.
    fn hold(&self, path: &Path) -> Option<File>;

    /// The same, after waiting for whoever else holds it, but no longer than that. `None`, if the file system has
    /// no locks.
    ///
    /// # Errors
    /// Io, if somebody else holds it for longer, or it is not there; as [`Disk::look`].
    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>>;

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

    /// Gives a file its name, over a file that may have it: at no time there is none of that name, and
    /// what is read under it is the one or the other. A link of that name goes, and is not followed.
    ///
    /// # Errors
    /// Io, also where a folder has the name.
    fn replace(&self, from: &Path, to: &Path) -> Result<()>;

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

    /// Removes an empty folder. With what is ours in it: [`remove_ours`].
    ///
    /// # Errors
    /// Io.
    fn remove_dir(&self, path: &Path) -> Result<()>;

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
    fn before_statement(&self, sql: &str) -> std::result::Result<(), InjectedRefusal> {
        let _ = sql;
        Ok(())
    }
}

/// How an embedded database refuses a statement, in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedRefusal {
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

/// Removes a folder and all that is in it; links go, and are not followed. Nothing is an error where there is nothing.
///
/// # Errors
/// As [`Disk::look`]; Io.
pub fn remove_tree(disk: &dyn Disk, folder: &Path) -> Result<()> {
    let mut folders = match disk.look(folder)? {
        Some(_) => vec![folder.to_owned()],
        None => Vec::new(),
    };
    let mut nth = 0;
    while let Some(at) = folders.get(nth).cloned() {
        for entry in disk.list(&at)? {
            let path = at.join(&entry.name);
            match entry.kind {
                EntryKind::Folder => folders.push(path),
                EntryKind::File | EntryKind::Other => disk.remove_file(&path)?,
            }
        }
        nth += 1;
    }
    folders.iter().rev().try_for_each(|folder| disk.remove_dir(folder))
}
