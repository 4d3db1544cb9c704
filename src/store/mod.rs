//! Places that bundles are shipped to: object stores and folders, behind synchronous calls.
//!
//! A [`Location`] names such a place; [`open`] gives its [`Store`], in which objects lie under paths
//! from there on. Object stores are reached through the `object_store` crate on a thread of its own
//! ([`engine`]); together with the backend of SQL Server this is the only place where Tokio lives.
//! A folder is written through [`crate::durable`], so that a crash leaves no half object.
//!
//! What holds for each store: an object is whole or not there; [`Store::create`] never replaces one;
//! a secret is in no location, no message and no log; every wait, retry and buffer has a bound.

mod cloud;
mod clouds;
mod crypto;
mod engine;
mod failures;
mod folder;
mod http;
mod location;
mod profile;
mod upload;

pub use location::Location;

use crate::durable::Disk;
use crate::error::Result;
use crate::model::digest::Sha256;
use bytes::Bytes;
use std::io::Read;
use std::sync::Arc;

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// From the location on, with `/`.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
}

/// What a store knows about an object without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
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
    /// Its content.
    pub source: &'a mut dyn Read,
}

/// Hears of an upload, and may stop it.
pub trait Watch {
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
/// that fails is tried again inside, within [`clouds::RETRIES`].
pub trait Store: Send + Sync {
    /// What lies right under the location, without what lies deeper, by path.
    ///
    /// # Errors
    /// Config: no such bucket, container or folder; Io.
    fn names(&self) -> Result<Vec<Object>>;

    /// Everything under a folder, at any depth, by path; nothing if there is no such folder.
    ///
    /// # Errors
    /// As [`Store::names`].
    fn list(&self, folder: &str) -> Result<Vec<Object>>;

    /// What is known about an object, if it is there.
    ///
    /// # Errors
    /// Io.
    fn head(&self, path: &str) -> Result<Option<Head>>;

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

    /// Writes a small object, over one that may be there.
    ///
    /// # Errors
    /// Io.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Makes an object, over one that may be there, after its hash was found to be the one that is
    /// due. In parts, if it is large.
    ///
    /// # Errors
    /// Verification, for another hash or length; Io; whatever `watch` says.
    fn upload(&self, upload: Upload<'_>, watch: &mut dyn Watch) -> Result<()>;

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

    /// Removes all that lies under a name, or is it; fine if there is nothing.
    ///
    /// # Errors
    /// Io.
    fn remove(&self, name: &str) -> Result<()> {
        for object in self.list(name)? {
            self.delete(&object.path)?;
        }
        self.delete(name)
    }

    /// The folder under which the files of `name` are to be put before [`Store::settle`]: a store
    /// with folders shows nothing under a final name that is not whole.
    fn staging(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Gives what was put under [`Store::staging`] its name.
    ///
    /// # Errors
    /// Io.
    fn settle(&self, name: &str) -> Result<()> {
        let _ = name;
        Ok(())
    }
}

/// Opens a location. Nothing is sent yet; `disk` is where a folder is written.
///
/// # Errors
/// Config: an environment that cannot work, such as a profile that is not there.
pub fn open<'d>(location: &Location, disk: &'d dyn Disk) -> Result<Arc<dyn Store + 'd>> {
    match location.folder() {
        Some(path) => Ok(Arc::new(folder::Folder::new(disk, path))),
        None => Ok(Arc::new(cloud::Cloud::open(location)?)),
    }
}
