//! Places that bundles are shipped to: object stores and folders, behind synchronous calls.
//!
//! A [`Location`] names such a place; [`open`] gives its [`Store`], in which objects lie under paths
//! from there on. Object stores are reached through the `object_store` crate on a thread of its own
//! ([`engine`]); together with the backend of SQL Server this is the only place where Tokio lives.
//! A folder is written through [`crate::durable`], so that a crash leaves no half object, and is reached from one
//! handle of it, so that whoever else can write there leads nothing elsewhere.
//!
//! What holds for each store: an object is whole or not there; [`Store::create`] never replaces one;
//! a secret is in no location, no message and no log; every wait, retry and buffer has a bound.

mod answers;
mod cloud;
mod clouds;
mod crypto;
mod engine;
mod failures;
mod folder;
mod hook;
mod http;
mod http_time;
mod location;
mod pace;
mod profile;
mod refusals;
mod upload;

pub use answers::{Answers, HttpAnswer};
pub use hook::{HookLimits, HookUrl};
pub use location::Location;
pub use pace::limit_bandwidth;
pub use refusals::is_locked;

use crate::durable::Disk;
use crate::error::Result;
use crate::model::digest::Sha256;
use bytes::Bytes;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// From the location on, with `/`.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was last written, by the clock of the store, where that says so.
    pub modified: Option<SystemTime>,
}

/// What a store knows about an object without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// How long it is.
    pub bytes: u64,
    /// The hash that was recorded with it; a folder keeps none.
    pub sha256: Option<Sha256>,
}

/// An object on its way.
pub struct Upload<'a> {
    /// Where it goes.
    pub path: &'a str,
    /// How long it is.
    pub bytes: u64,
    /// Its hash, which is recorded with it, and without which it does not come into being.
    pub sha256: Sha256,
    /// Whether what has its path was looked at, is known to be a file of the bundle that is not as it is due, and may
    /// be replaced. A folder replaces nothing else; a store cannot tell.
    pub replaces: bool,
    /// Its content.
    pub source: &'a mut dyn Read,
}

/// Hears of an upload, and may stop it.
pub trait UploadWatch {
    /// The store gave the upload of this path this name, under which it can be ended by
    /// [`Store::abort`] if the process dies. Said before a byte is sent.
    ///
    /// # Errors
    /// The upload is not made.
    fn begun(&mut self, path: &str, upload: &str) -> Result<()>;

    /// So many bytes more were sent.
    ///
    /// # Errors
    /// The upload ends with this error.
    fn sent(&mut self, bytes: u64) -> Result<()>;
}

/// See the module's text. Shared between threads. Reading and deleting are idempotent; transport
/// that fails is tried again inside, within [`failures::RETRIES`].
pub trait Store: Send + Sync {
    /// What lies right under the location, without what lies deeper, by path; of that, what begins so.
    ///
    /// # Errors
    /// Config: no such bucket, container or folder; Io.
    fn names(&self, start: &str) -> Result<Vec<Object>>;

    /// Everything under a folder, at any depth, by path; nothing if there is no such folder.
    ///
    /// # Errors
    /// As [`Store::names`].
    fn list(&self, folder: &str) -> Result<Vec<Object>>;

    /// What is known about an object, if it is there.
    ///
    /// # Errors
    /// Io.
    fn head(&self, path: &str) -> Result<Option<ObjectHead>>;

    /// `bytes` bytes of an object from `offset` on; fewer at its end.
    ///
    /// # Errors
    /// Verification, if it is not there; Io.
    fn read(&self, path: &str, offset: u64, bytes: u64) -> Result<Bytes>;

    /// The start of an object, `most` bytes of it, if it is there.
    ///
    /// # Errors
    /// Io.
    fn get(&self, path: &str, most: u64) -> Result<Option<Bytes>>;

    /// Makes a small object that is not there yet, and says whether this one did. One that is there
    /// with the same bytes counts as made: the answer to the first try may have been lost.
    ///
    /// # Errors
    /// Io.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool>;

    /// Whether the store lets [`Store::create`] make an object only where none is. One that does not is asked first whether
    /// one is there, so that of two who create it at the same moment, both may think that they did. A store is tried once in a
    /// process, with an object of its own that goes again.
    ///
    /// # Errors
    /// Io.
    fn keeps_others_out(&self) -> Result<bool> {
        Ok(true)
    }

    /// Writes a small object, over one that may be there.
    ///
    /// # Errors
    /// Io.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Makes an object, after its hash was found to be the one that is due. In parts, if it is large.
    ///
    /// # Errors
    /// Verification, for another hash or length; Usage, where something else has its path by now; Io;
    /// whatever `watch` says.
    fn upload(&self, upload: Upload<'_>, watch: &mut dyn UploadWatch) -> Result<()>;

    /// Ends an upload that somebody left behind; fine if there is none.
    ///
    /// # Errors
    /// Io.
    fn abort(&self, path: &str, upload: &str) -> Result<()>;

    /// Removes an object; fine if it is not there.
    ///
    /// # Errors
    /// Io.
    fn delete(&self, path: &str) -> Result<()>;

    /// Whoever puts a marker, or takes one away, does it alone, with what has to be true of it: a
    /// folder is held until the value is dropped. A store has no locks; there claims have to do.
    ///
    /// # Errors
    /// Io, if somebody else holds it for a minute.
    fn alone(&self) -> Result<Alone> {
        Ok(Alone::default())
    }

    /// Where the files of `name` are put before [`Store::settle`]: a store with folders shows nothing under
    /// a final name that is not whole, and gives each process a folder of its own, or one that a dead
    /// process left. What stands under the name already is completed there.
    ///
    /// # Errors
    /// Verification, if a link, or anything but a folder, has the name; Io.
    fn stage(&self, name: &str) -> Result<StagingFolder> {
        Ok(StagingFolder::in_place(name))
    }

    /// Gives what was put into a stage its name, and says whether that is what has the name now. If not,
    /// somebody else was faster, or put something there.
    ///
    /// # Errors
    /// Io.
    fn settle(&self, name: &str, stage: StagingFolder) -> Result<bool> {
        Ok(stage.folder == name)
    }

    /// Takes what has a name out of the sight of readers, to be removed.
    ///
    /// # Errors
    /// As [`Store::stage`].
    fn set_aside(&self, name: &str) -> Result<StagingFolder> {
        Ok(StagingFolder::in_place(name))
    }

    /// Removes files of a stage by their paths in it, in this order, and gives what else lies there. An
    /// archive, which is one object, has an empty path.
    ///
    /// # Errors
    /// Io.
    fn remove(&self, stage: &StagingFolder, files: &[String]) -> Result<Vec<PathBuf>> {
        for file in files {
            self.delete(&stage.path(file))?;
        }
        Ok(self.list(&stage.folder)?.into_iter().map(|object| object.path.into()).collect())
    }

    /// Removes what dead processes left on the way to a name: files that `is_of_bundle` takes, by their paths in the
    /// bundle. Gives what else lies there, and stays.
    ///
    /// # Errors
    /// Io.
    fn sweep(&self, name: &str, is_of_bundle: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let _ = (name, is_of_bundle);
        Ok(Vec::new())
    }
}

/// See [`Store::alone`].
#[derive(Debug, Default)]
pub struct Alone {
    held: Option<File>,
}

impl Alone {
    /// Whether others are kept out: stores have no locks, and some file systems have none.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

/// The folder at a store in which a process works on a bundle; it is the process's own until the value is dropped.
#[derive(Debug)]
pub struct StagingFolder {
    folder: String,
    _held: Option<File>,
}

impl StagingFolder {
    /// The bundle's own name.
    pub fn in_place(name: &str) -> Self {
        Self { folder: name.to_owned(), _held: None }
    }

    /// The path of a file of the bundle; an empty one is that of an archive.
    pub fn path(&self, file: &str) -> String {
        if file.is_empty() { self.folder.clone() } else { format!("{}/{file}", self.folder) }
    }

    /// The folder, from the location on.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// Opens a location. Nothing is sent yet; `disk` is where a folder lies.
///
/// # Errors
/// Config: no such folder, or an environment that cannot work, such as a profile that is not there.
pub fn open(location: &Location, disk: &dyn Disk) -> Result<Arc<dyn Store>> {
    match location.folder() {
        Some(path) => Ok(Arc::new(folder::Folder::open(disk, path)?)),
        None => Ok(Arc::new(cloud::CloudStore::open(location)?)),
    }
}

/// Opens a place in an object store whose requests are answered so, and not by the network; none is tried again.
/// All that holds of answers holds of these.
///
/// # Errors
/// Usage, for a folder.
pub fn answered(location: &Location, by: Arc<dyn Answers>) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(cloud::CloudStore::answered(location, Some(by))?))
}
