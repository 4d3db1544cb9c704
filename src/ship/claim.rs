//! [`Claim`]: the small object `<name>.shipping` that says whose unfinished objects lie under a name.
//!
//! It is created before anything else, never over another one, and removed after the marker was put.
//! It holds the root digest, so that whoever ships the same bundle goes on with it and whoever ships
//! another one is refused, and the names of uploads that were begun, so that parts which a dead
//! process left are ended and not paid for.

use super::note::notes;
use crate::bundle::is_of_bundle;
use crate::bundle::layout::CLAIM_SUFFIX;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::store::{Location, Store};
use serde::{Deserialize, Serialize};

/// More than a claim with an upload for each file of the largest bundle.
const MAX_BYTES: u64 = 16 << 20;

/// The path of the claim of a bundle.
pub(super) fn claim_of(name: &str) -> String {
    format!("{name}{CLAIM_SUFFIX}")
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ClaimContent {
    root_sha256: Sha256,
    uploads: Vec<Begun>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begun {
    path: String,
    upload: String,
}

/// See the module's text.
pub(super) struct Claim<'a> {
    store: &'a dyn Store,
    path: String,
    content: ClaimContent,
    /// Whether another process, dead by now, had it before.
    pub(super) is_resumed: bool,
}

impl<'a> Claim<'a> {
    /// Claims a name. Uploads that a dead process left under it are ended.
    ///
    /// Whoever removes a bundle notes that first and then looks for a claim; this is claimed first and then
    /// looks for such a note: of two that meet, one at least goes away.
    ///
    /// # Errors
    /// Usage, if it is claimed for another root digest, or being removed; Verification, for a claim that cannot be
    /// read; Io.
    pub(super) fn take(store: &'a dyn Store, at: &Location, name: &str, root_sha256: Sha256) -> Result<Self> {
        let own = Self::create(store, at, name, root_sha256)?;
        let Some(note) = notes(store, name)?.into_iter().next() else { return Ok(own) };
        if !own.is_resumed {
            own.release()?;
        }
        Err(Error::usage("this bundle is being removed there by a prune, or one died on it; nothing was sent")
            .file(at.join(&note.path))
            .hint(format!("ship it later, or let a prune end what was begun: blobdelta prune {at} --keep-weeks 5200; at a store that takes a day, or remove this note, if no prune runs")))
    }

    fn create(store: &'a dyn Store, at: &Location, name: &str, root_sha256: Sha256) -> Result<Self> {
        let path = claim_of(name);
        let mut own =
            Self { store, path, content: ClaimContent { root_sha256, uploads: Vec::new() }, is_resumed: false };
        let found = match own.found(at)? {
            None if store.create(&own.path, &own.bytes()?)? => return Ok(own),
            // Somebody was faster.
            None => own.found(at)?,
            some => some,
        };
        let stale = || {
            Error::usage("this name is claimed at the destination for a bundle with another root digest; nothing was overwritten")
                .file(at.join(&own.path))
                .hint("ship that bundle completely; or, if it no longer exists, remove this claim and the files under the name")
        };
        let found = found.filter(|found| found.root_sha256 == root_sha256).ok_or_else(stale)?;
        // Whoever may write there may name anything: what is ended are uploads of files that this bundle has.
        let own_file = |begun: &&Begun| match begun.path.strip_prefix(name) {
            Some(rest) => {
                !begun.upload.is_empty() && (rest.is_empty() || rest.strip_prefix('/').is_some_and(is_of_bundle))
            }
            None => false,
        };
        for Begun { path, upload } in found.uploads.iter().filter(own_file) {
            store.abort(path, upload)?;
        }
        own.is_resumed = true;
        if !found.uploads.is_empty() {
            store.replace(&own.path, &own.bytes()?)?;
        }
        Ok(own)
    }

    fn found(&self, at: &Location) -> Result<Option<ClaimContent>> {
        let Some(bytes) = self.store.get(&self.path, MAX_BYTES)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::verification("this claim cannot be read, so nothing was overwritten")
                .file(at.join(&self.path))
                .caused_by(error)
                .hint("remove it if nothing is being shipped under this name")
        })
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(&self.content);
        json.map_err(|error| Error::internal("a claim cannot be written").caused_by(error))
    }

    /// Notes an upload that has begun.
    ///
    /// # Errors
    /// Io.
    pub(super) fn begun(&mut self, path: &str, upload: &str) -> Result<()> {
        self.content.uploads.push(Begun { path: path.to_owned(), upload: upload.to_owned() });
        self.store.replace(&self.path, &self.bytes()?)
    }

    /// An object is whole, so its upload is no more.
    pub(super) fn ended(&mut self, path: &str) {
        self.content.uploads.retain(|begun| begun.path != path);
    }

    /// Gives the name up.
    ///
    /// # Errors
    /// Io.
    pub(super) fn release(self) -> Result<()> {
        self.store.delete(&self.path)
    }
}
