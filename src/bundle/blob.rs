//! Values over the inline limit: one zstd frame a file, named by the hash of its content.
//!
//! A [`BlobWriter`] takes a value in chunks, so that none is ever in memory whole. The same
//! content twice is one file. A [`BlobReader`] never gives more bytes than the manifest says,
//! never takes a larger window than 128 MiB, and ends in an error if the content is not the one
//! that it is named by.

use super::content::{Content, ContentReader};
use super::hashing::HashingFile;
use super::layout::{PayloadFile, PayloadPath, TableFolder};
use super::manifest::{FileInfo, FileRole};
use super::part::PartOptions;
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::known::KnownRef;
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The largest window that a reader takes, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;
/// Of the compressed value, until the disk takes them.
const WAITING_BYTES: u64 = 2 << 20;
pub(super) const STAGING_NAME: &str = "incoming.zst";

/// Where a value was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// `blob/<sha256>.zst`, from the table's folder on: what `DeltaBlobRef` says.
    pub reference: String,
    /// Of the value.
    pub content_sha256: Sha256,
    /// Of the value.
    pub content_bytes: u64,
}

/// Values of one table that are in `blob/` already.
pub(super) type Blobs = BTreeMap<Sha256, FileInfo>;

/// Writes one value. Dropped unfinished, it leaves a file that only removing the staging folder
/// removes: the table's stage is of no more use then.
pub struct BlobWriter<'s> {
    disk: &'s dyn Disk,
    root: &'s Path,
    folder: &'s TableFolder,
    blobs: &'s mut Blobs,
    staging: PathBuf,
    encoder: zstd::stream::write::Encoder<'static, HashingFile>,
    hasher: Hasher,
    bytes: u64,
}

impl<'s> BlobWriter<'s> {
    pub(super) fn create(
        disk: &'s dyn Disk,
        root: &'s Path,
        folder: &'s TableFolder,
        blobs: &'s mut Blobs,
        options: &PartOptions,
    ) -> Result<Self> {
        let dir = root.join(folder.data_path()).join("blob");
        if blobs.is_empty() && dir.symlink_metadata().is_err() {
            disk.create_dir(&dir)?;
        }
        let staging = dir.join(STAGING_NAME);
        let file = HashingFile::create(disk, &staging, WAITING_BYTES)?;
        let encoder = zstd::stream::write::Encoder::new(file, options.zstd_level)
            .map_err(|error| Error::io("compress", &staging, error))?;
        Ok(Self { disk, root, folder, blobs, staging, encoder, hasher: Hasher::default(), bytes: 0 })
    }

    /// Closes the file and gives it its name.
    ///
    /// # Errors
    /// Io; Config, if the value did not have the bytes that the backend had said, and so was
    /// changed while it was read.
    pub fn finish(self, expected_bytes: u64) -> Result<StoredBlob> {
        let stored = self.finish_unless(expected_bytes, &|_| None)?;
        stored.map_err(|_| Error::internal("a value was left out that nobody wanted to leave out"))
    }

    /// The same, unless the value with this hash is left out: then no file stays, and what is said of it is given.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn finish_unless(
        self,
        expected_bytes: u64,
        left_out: &dyn Fn(Sha256) -> Option<KnownRef>,
    ) -> Result<std::result::Result<StoredBlob, (KnownRef, Sha256)>> {
        let mut file = self.encoder.finish().map_err(|error| Error::io("write", &self.staging, error))?;
        let (bytes, sha256) = file.seal()?;
        if self.bytes != expected_bytes {
            let what = format!("a large value had {expected_bytes} bytes and then {}", self.bytes);
            return Err(Error::config(what).hint("something else writes to the slice; stop it, and pack again"));
        }
        let content_sha256 = self.hasher.finish();
        let path = PayloadPath { folder: self.folder.clone(), file: PayloadFile::Blob(content_sha256) };
        if let Some(known) = left_out(content_sha256) {
            self.disk.remove_file(&self.staging)?;
            // No bundle has an empty folder.
            if let (true, Some(dir)) = (self.blobs.is_empty(), self.staging.parent()) {
                self.disk.remove_dir(dir)?;
            }
            return Ok(Err((known, content_sha256)));
        }
        if self.blobs.contains_key(&content_sha256) {
            self.disk.remove_file(&self.staging)?;
        } else {
            self.disk.rename(&self.staging, &self.root.join(path.to_string()))?;
            let info = FileInfo {
                path: path.to_string(),
                role: FileRole::Blob,
                bytes,
                sha256,
                rows: None,
                row_groups: None,
                content_bytes: Some(self.bytes),
            };
            self.blobs.insert(content_sha256, info);
        }
        Ok(Ok(StoredBlob { reference: path.file.to_string(), content_sha256, content_bytes: self.bytes }))
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.encoder.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

/// Reads one value; see the module's text. Its end is only believed when it was reached:
/// read until 0.
pub struct BlobReader {
    decoder: zstd::stream::read::Decoder<'static, BufReader<ContentReader>>,
    hasher: Option<Hasher>,
    left: u64,
    content_sha256: Sha256,
}

impl BlobReader {
    pub(super) fn new(file: &Content, content_bytes: u64, content_sha256: Sha256) -> io::Result<Self> {
        let mut decoder = zstd::stream::read::Decoder::new(file.reader(0))?.single_frame();
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        Ok(Self { decoder, hasher: Some(Hasher::default()), left: content_bytes, content_sha256 })
    }

    fn end(&mut self) -> io::Result<usize> {
        let bad = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        if self.left > 0 {
            return bad("the value is shorter than the manifest says");
        }
        if !self.decoder.get_mut().fill_buf()?.is_empty() {
            return bad("something stands behind the value");
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.content_sha256 => bad("the value is not the one it is named by"),
            _ => Ok(0),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let read = self.decoder.read(out)?;
        if read == 0 {
            return self.end();
        }
        let Some(left) = self.left.checked_sub(read as u64) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the value is longer than the manifest says"));
        };
        self.left = left;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&out[..read]);
        }
        Ok(read)
    }
}
