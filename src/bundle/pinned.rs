//! [`Pinned`]: bytes that were hashed once, and are read again as they were, or not at all.
//!
//! A part is hashed before it is parsed, and read a second time for that. Where somebody else can write it in
//! between (a drop folder, a store that answers what it likes), each block of it is remembered by a
//! keyed hash while the whole is hashed, and every later read is held against that. The key is this process's secret, so
//! that nobody can look for other bytes of the same hash: SipHash is made for that (Aumasson and
//! Bernstein, 2012), and takes a fraction of the time of SHA-256.

use super::read_at::ReadAt;
use bytes::Bytes;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What is remembered by one hash: 8 bytes for each block.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks that are kept: pages lie in one or two, and as many readers as there are cores read side by side.
const KEPT_BLOCKS: usize = 8;

/// Remembers blocks while they are hashed.
pub(super) struct Pins {
    key: RandomState,
    block: Vec<u8>,
    hashes: Vec<u64>,
}

impl Pins {
    pub(super) fn new() -> Self {
        Self { key: RandomState::new(), block: Vec::with_capacity(BLOCK_BYTES), hashes: Vec::new() }
    }

    /// The next bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = rest;
            if self.block.len() == BLOCK_BYTES {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.hashes.push(hash(&self.key, &self.block));
        self.block.clear();
    }

    /// The source as it was: `bytes` bytes from `start` on, all of which were added.
    pub(super) fn pin(mut self, source: Arc<dyn ReadAt>, start: u64, bytes: u64) -> Pinned {
        if !self.block.is_empty() {
            self.close();
        }
        Pinned { source, start, bytes, key: self.key, hashes: self.hashes, kept: Mutex::default() }
    }
}

fn hash(key: &RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// See the module's text.
pub(super) struct Pinned {
    source: Arc<dyn ReadAt>,
    start: u64,
    bytes: u64,
    key: RandomState,
    hashes: Vec<u64>,
    /// The one that was used last stands last.
    kept: Mutex<Vec<(usize, Bytes)>>,
}

impl Pinned {
    fn block(&self, nth: usize) -> io::Result<Bytes> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(of, _)| *of == nth) {
                let found = kept.remove(at);
                kept.push(found.clone());
                return Ok(found.1);
            }
        }
        let from = nth as u64 * BLOCK_BYTES as u64;
        let length = usize::try_from(self.bytes - from).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        let mut block = vec![0; length];
        let mut done = 0;
        while done < length {
            match self.source.read_at(&mut block[done..], self.start + from + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if done < length || self.hashes.get(nth) != Some(&hash(&self.key, &block)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "these bytes were changed after they were hashed"));
        }
        let block = Bytes::from(block);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_BLOCKS {
            kept.remove(0);
        }
        kept.push((nth, block.clone()));
        Ok(block)
    }
}

impl ReadAt for Pinned {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let (nth, from) = (offset / BLOCK_BYTES as u64, offset % BLOCK_BYTES as u64);
        let block = self.block(usize::try_from(nth).map_err(io::Error::other)?)?;
        let from = usize::try_from(from).map_err(io::Error::other)?;
        let read = buffer.len().min(block.len() - from);
        buffer[..read].copy_from_slice(&block[from..from + read]);
        Ok(read)
    }

    fn is_steady(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that answers differently from the second time on.
    struct Liar(Mutex<Vec<u8>>);

    impl ReadAt for Liar {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let bytes = self.0.lock().unwrap();
            let from = usize::try_from(offset).unwrap().min(bytes.len());
            // Short reads, as stores give them.
            let read = buffer.len().min(bytes.len() - from).min(100_000);
            buffer[..read].copy_from_slice(&bytes[from..from + read]);
            Ok(read)
        }
    }

    fn all(pinned: &Pinned) -> io::Result<Vec<u8>> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 77_777]);
        loop {
            match pinned.read_at(&mut buffer, all.len() as u64)? {
                0 => return Ok(all),
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[test]
    fn what_was_hashed_is_read_as_it_was_or_not_at_all() {
        let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 12_345).map(|at| (at % 251) as u8).collect();
        let inner = bytes[10..].to_vec();
        for flipped in [None, Some(10), Some(10 + BLOCK_BYTES), Some(bytes.len() - 1), Some(9)] {
            let liar = Arc::new(Liar(Mutex::new(bytes.clone())));
            let mut pins = Pins::new();
            inner.chunks(99_991).for_each(|chunk| pins.add(chunk));
            let pinned = pins.pin(Arc::clone(&liar) as Arc<dyn ReadAt>, 10, inner.len() as u64);
            if let Some(at) = flipped {
                liar.0.lock().unwrap()[at] ^= 1;
            }
            match flipped {
                None | Some(9) => assert_eq!(all(&pinned).unwrap(), inner),
                Some(_) => assert_eq!(all(&pinned).unwrap_err().kind(), io::ErrorKind::InvalidData, "{flipped:?}"),
            }
            liar.0.lock().unwrap().truncate(bytes.len() - 1);
            let mut last = [0];
            let cut = Pinned { kept: Mutex::default(), ..pinned };
            assert!(cut.read_at(&mut last, inner.len() as u64 - 1).is_err(), "shorter than it was");
        }
    }
}
