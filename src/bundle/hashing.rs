//! [`HashingFile`]: a file that is hashed and counted while it is written.

use crate::durable::{Disk, DurableFile};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes that are hashed and written at once: few calls, and still in the cache.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// See the module's text.
pub(super) struct HashingFile {
    file: Box<dyn DurableFile>,
    path: PathBuf,
    block: Vec<u8>,
    hasher: Hasher,
    bytes: u64,
}

impl HashingFile {
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.create(path)?;
        let block = Vec::with_capacity(BLOCK_BYTES);
        Ok(Self { file, path: path.to_owned(), block, hasher: Hasher::default(), bytes: 0 })
    }

    /// Writes what is left and syncs; to be called once, at the end.
    pub(super) fn seal(&mut self) -> Result<(u64, Sha256)> {
        self.write_block().map_err(|error| Error::io("write", &self.path, error))?;
        self.file.sync()?;
        Ok((self.bytes, std::mem::take(&mut self.hasher).finish()))
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.hasher.update(&self.block);
        self.file.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK_BYTES {
            self.write_block()?;
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    /// Does nothing: what counts is [`HashingFile::seal`], and blocks stay whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
