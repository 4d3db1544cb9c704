//! [`Content`]: the bytes of one file of a bundle, wherever they lie.
//!
//! A bundle is a folder or an archive, and what is read of it is the same: a range of bytes of
//! something that can be read at any offset. A range never gives a byte from outside of itself,
//! whatever offset and length are asked for, because offsets come from hostile footers.

use super::block::Block;
use super::pinned::Pins;
use super::read_at::ReadAt;
use crate::error::Result;
use crate::model::digest::{Hasher, Sha256};
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// See the module's text.
#[derive(Clone)]
pub(super) struct Content {
    source: Arc<dyn ReadAt>,
    start: u64,
    bytes: u64,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes from {} on", self.bytes, self.start)
    }
}

impl Content {
    /// `bytes` bytes of a source, from `start` on.
    pub(super) fn new(source: Arc<dyn ReadAt>, start: u64, bytes: u64) -> Self {
        Self { source, start, bytes }
    }

    /// What the range is of, from its start on.
    pub(super) fn into_source(self) -> Arc<dyn ReadAt> {
        self.source
    }

    /// How many bytes there are, or should be: a file may have become shorter.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nobody else can change it between one read and the next.
    pub(super) fn is_steady(&self) -> bool {
        self.source.is_steady()
    }

    /// The same bytes as those that were added to the pins, from the first to the last.
    pub(super) fn pinned(self, pins: Pins) -> Self {
        let source = Arc::new(pins.pin(self.source, self.start, self.bytes));
        Self { source, start: 0, bytes: self.bytes }
    }

    /// Reads from `offset` in the range to its end.
    pub(super) fn reader(&self, offset: u64) -> ContentReader {
        let offset = offset.min(self.bytes);
        ContentReader { content: self.clone(), offset }
    }

    /// Hashes all of it in blocks; `on_block` hears of each, and may stop it.
    ///
    /// # Errors
    /// What reading says, and whatever `on_block` says, as the inner and the outer result.
    pub(super) fn hash(&self, on_block: &mut dyn FnMut(&[u8]) -> Result<()>) -> io::Result<Result<(u64, Sha256)>> {
        let (mut reader, mut block) = (self.reader(0), Block::new());
        let block = block.whole();
        let (mut hasher, mut bytes) = (Hasher::default(), 0_u64);
        loop {
            let read = match reader.read(block) {
                Ok(0) => return Ok(Ok((bytes, hasher.finish()))),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&block[..read]);
            bytes += read as u64;
            if let Err(error) = on_block(&block[..read]) {
                return Ok(Err(error));
            }
        }
    }
}

/// Reads a [`Content`] from some offset on.
#[derive(Debug)]
pub(super) struct ContentReader {
    content: Content,
    offset: u64,
}

impl Read for ContentReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.content.bytes - self.offset;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        let read = self.content.source.read_at(&mut out[..most], self.content.start + self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for ContentReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.content.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
        };
        let at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the start"))?;
        self.offset = at.min(self.content.bytes);
        Ok(self.offset)
    }
}

impl Length for Content {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Content {
    type T = io::BufReader<ContentReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // Looked at before room is made: a hostile footer may ask for any length.
        if start.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on, of {}", self.bytes)));
        }
        let mut bytes = vec![0; length];
        self.reader(start).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct BytesInMemory(Vec<u8>);

    impl ReadAt for BytesInMemory {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let mut rest = &self.0[usize::try_from(offset).unwrap().min(self.0.len())..];
            rest.read(buffer)
        }
    }

    #[test]
    fn a_range_gives_no_byte_from_outside_of_itself() {
        let content = Content::new(Arc::new(BytesInMemory(b"before|inside|after".to_vec())), 7, 6);
        let mut text = String::new();
        content.reader(0).read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        assert_eq!(content.get_bytes(2, 4).unwrap(), "side");
        for (start, length) in [(0, 7), (6, 1), (u64::MAX, 1), (3, usize::MAX)] {
            assert!(content.get_bytes(start, length).is_err(), "{start} {length}");
        }
        assert_eq!(content.reader(u64::MAX).read(&mut [0; 4]).unwrap(), 0);
        let (bytes, sha256) = content.hash(&mut |_| Ok(())).unwrap().unwrap();
        assert_eq!((bytes, sha256), (6, Sha256::of(b"inside")));
    }

    #[test]
    fn a_source_that_ends_early_gives_fewer_bytes() {
        let content = Content::new(Arc::new(BytesInMemory(b"short".to_vec())), 2, 100);
        let (bytes, _) = content.hash(&mut |_| Ok(())).unwrap().unwrap();
        assert_eq!(bytes, 3);
        assert!(content.get_bytes(0, 50).is_err());
    }
}
