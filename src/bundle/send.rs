//! The files of a bundle in the order in which they are sent somewhere: what is large first, then
//! what names it, and last the list whose hash is the root digest.

use super::checksums::Checksum;
use super::layout::{SIGNATURE, TAG_LIST, is_schema};
use super::read::Bundle;
use crate::error::Result;
use crate::model::digest::Sha256;
use std::io::Read;

/// A file to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// From the bundle's folder on.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// The hash that the bundle's lists say; of the signature, which no list names, its own.
    pub sha256: Sha256,
}

impl Bundle {
    /// All files: payload, schemas, the other tag files, the list of tag files, the signature.
    ///
    /// # Errors
    /// Verification, for a file that is missing or not of its size; Io.
    pub fn outgoing(&self) -> Result<Vec<Outgoing>> {
        self.check_file_set()?;
        let (schemas, tags): (Vec<_>, Vec<_>) = self.tags().iter().partition(|line| is_schema(&line.path));
        let list = Checksum { path: TAG_LIST.to_owned(), sha256: self.root_sha256() };
        let lines = self.payload().iter().chain(schemas).chain(tags).chain([&list]);
        let outgoing = |line: &Checksum| {
            let bytes = self.content(&line.path)?.bytes();
            Ok(Outgoing { path: line.path.clone(), bytes, sha256: line.sha256 })
        };
        let mut files = lines.map(outgoing).collect::<Result<Vec<_>>>()?;
        files.extend(self.signature()?.map(|signature| Outgoing {
            path: SIGNATURE.to_owned(),
            bytes: signature.len() as u64,
            sha256: Sha256::of(&signature),
        }));
        Ok(files)
    }

    /// The bytes of one of them, unchecked: whoever sends them hashes them.
    ///
    /// # Errors
    /// Verification, if it is not there; Io.
    pub fn raw(&self, path: &str) -> Result<impl Read + use<>> {
        Ok(self.content(path)?.reader(0))
    }
}
