//! [`ValueSpool`]: values that were fetched for rows that leave them out, until the rows are written.
//!
//! Short values are in memory, and whoever fetches bounds how many are fetched at once; a long one lies in a temporary file, in
//! chunks, so that none is in memory whole.

use crate::backend::{KeyStore, open_key_store};
use crate::error::{Error, Kind, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// A longer value lies in a temporary file.
const IN_MEMORY_BYTES: u64 = 4 << 20;
const CHUNK_BYTES: usize = 256 << 10;
const CACHE_BYTES: u64 = 8 << 20;

/// A row of a batch and a column.
type CellPlace = (usize, usize);

/// See the module's text.
#[derive(Default)]
pub struct ValueSpool {
    held: BTreeMap<CellPlace, Vec<u8>>,
    stored: BTreeMap<CellPlace, u64>,
    file: Option<RefCell<Box<dyn KeyStore>>>,
}

impl ValueSpool {
    /// Takes the value of a cell, as `read` writes it out. It has to have this hash and so many bytes; says whether it has.
    ///
    /// # Errors
    /// Database: the temporary file failed; what `read` says.
    pub fn take(
        &mut self,
        place: CellPlace,
        (sha256, bytes): (Sha256, u64),
        read: impl FnOnce(&mut dyn Write) -> Result<u64>,
    ) -> Result<bool> {
        if bytes > IN_MEMORY_BYTES && self.file.is_none() {
            self.file = Some(RefCell::new(open_key_store("known content", CACHE_BYTES)?));
        }
        let file = self.file.as_ref().filter(|_| bytes > IN_MEMORY_BYTES);
        let mut taking =
            SpoolWriter { file, place, most: bytes, chunks: 0, held: Vec::new(), hasher: Hasher::default(), bytes: 0 };
        read(&mut taking)?;
        let is_it = taking.bytes == bytes && taking.hasher.clone().finish() == sha256;
        match (is_it, file) {
            (false, _) => {}
            (true, Some(_)) => {
                taking
                    .put()
                    .map_err(|error| Error::new(Kind::Io, "cannot keep a value for a while").caused_by(error))?;
                self.stored.insert(place, bytes);
            }
            (true, None) => drop(self.held.insert(place, taking.held)),
        }
        Ok(is_it)
    }

    /// The value of a cell that is in memory.
    pub fn held(&self, place: CellPlace) -> Option<&[u8]> {
        self.held.get(&place).map(Vec::as_slice)
    }

    /// The value of a cell, in pieces, if it was taken.
    pub fn open(&self, place: CellPlace) -> Option<Box<dyn Read + '_>> {
        if let Some(held) = self.held(place) {
            return Some(Box::new(held));
        }
        self.stored.get(&place)?;
        let file = self.file.as_ref()?;
        Some(Box::new(SpoolReader { file, place, chunk: 0, piece: io::Cursor::default() }))
    }
}

/// Row, column and number of a chunk.
fn chunk_key((row, column): CellPlace, chunk: u32) -> Guid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(row as u64).to_be_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(column).unwrap_or(u32::MAX).to_be_bytes());
    bytes[12..].copy_from_slice(&chunk.to_be_bytes());
    Guid::from_bytes(bytes)
}

struct SpoolWriter<'s> {
    file: Option<&'s RefCell<Box<dyn KeyStore>>>,
    place: CellPlace,
    most: u64,
    chunks: u32,
    held: Vec<u8>,
    hasher: Hasher,
    bytes: u64,
}

impl SpoolWriter<'_> {
    fn put(&mut self) -> io::Result<()> {
        if let Some(file) = self.file {
            let put = file.borrow_mut().put(chunk_key(self.place, self.chunks), &self.held);
            put.map_err(io::Error::other)?;
            self.chunks += 1;
            self.held.clear();
        }
        Ok(())
    }
}

impl Write for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        // Of what is longer than it should be nothing is kept.
        if self.bytes <= self.most {
            self.hasher.update(bytes);
            for piece in bytes.chunks(CHUNK_BYTES) {
                self.held.extend_from_slice(piece);
                if self.held.len() >= CHUNK_BYTES {
                    self.put()?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct SpoolReader<'s> {
    file: &'s RefCell<Box<dyn KeyStore>>,
    place: CellPlace,
    chunk: u32,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for SpoolReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let next = self.file.borrow_mut().get(chunk_key(self.place, self.chunk)).map_err(io::Error::other)?;
            let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(0) };
            self.chunk += 1;
            self.piece = io::Cursor::new(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_others_are_not_taken() {
        let mut spool = ValueSpool::default();
        let long: Vec<u8> = (0..IN_MEMORY_BYTES + 300_000).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
        for (nth, value) in [vec![7; 2000], vec![7; CHUNK_BYTES], long].iter().enumerate() {
            let due = (Sha256::of(value), value.len() as u64);
            let mut take = |due, value: &[u8]| {
                spool.take((nth, 3), due, |out| out.write_all(value).map(|()| 0).map_err(|_| Error::internal("x")))
            };
            assert!(!take((Sha256::of(b"another"), due.1), value).unwrap());
            assert!(!take((due.0, due.1 - 1), value).unwrap() && !take((due.0, due.1 + 1), value).unwrap());
            assert!(take(due, value).unwrap());
            let mut back = Vec::new();
            spool.open((nth, 3)).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == *value, "{nth}");
            assert!(spool.open((nth, 2)).is_none());
        }
    }
}
