//! [`Pool`]: large buffers that are filled again and again.
//!
//! What an allocator frees of a megabyte and more it gives back to the system, which hands it out
//! again page by page, each a fault and filled with zeros: an eighth of the CPU of a pack went there
//! (perf, Linux 6.18, glibc). A buffer of a pool becomes [`Bytes`], which whoever has them may pass on and
//! cut; when the last of them is dropped, it is back in the pool.
//!
//! A pool has no more than was in use at one time: what is new takes the place of what is free and does
//! not fit.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's text. A clone is the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<FreeBuffers>);

#[derive(Debug)]
struct FreeBuffers {
    free: Mutex<Vec<Vec<u8>>>,
    most_bytes: usize,
    most_buffers: usize,
}

impl Pool {
    /// One that keeps up to so many bytes, in so many buffers, that nobody uses.
    pub fn new(most_bytes: usize, most_buffers: usize) -> Self {
        Self(Arc::new(FreeBuffers { free: Mutex::default(), most_bytes, most_buffers }))
    }

    /// An empty buffer with room for so many bytes: the smallest free one that has, or a new one.
    pub fn take(&self, room: usize) -> PoolBuffer {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= room);
        let smallest = fitting.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at);
        let bytes = smallest.map(|at| free.swap_remove(at));
        if bytes.is_none() {
            let mut given_up = 0;
            while given_up < room
                && let Some(unused) = free.pop()
            {
                given_up += unused.capacity();
            }
        }
        drop(free);
        PoolBuffer { bytes: bytes.unwrap_or_else(|| Vec::with_capacity(room)), pool: Arc::clone(&self.0) }
    }
}

/// A buffer of a pool, in one hand.
#[derive(Debug)]
pub struct PoolBuffer {
    bytes: Vec<u8>,
    pool: Arc<FreeBuffers>,
}

impl PoolBuffer {
    /// Appends bytes, and grows where there is no room for them.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What it holds, from now on unchanged.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PoolBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PoolBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if free.len() < self.pool.most_buffers && kept + bytes.capacity() <= self.pool.most_bytes {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_of_its_bytes_is_dropped() {
        let pool = Pool::new(1 << 20, 9);
        let mut buffer = pool.take(1000);
        buffer.extend(&[7; 900]);
        let at = buffer.as_ref().as_ptr();
        let bytes = buffer.freeze();
        let cut = bytes.slice(100..200);
        drop(bytes);
        assert_ne!(pool.take(900).freeze().as_ptr(), at, "still in use");
        assert_eq!(cut, [7; 100][..]);
        drop(cut);
        let again = pool.take(950);
        assert_eq!((again.as_ref().as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn a_pool_keeps_no_more_than_it_may() {
        let pool = Pool::new(1500, 9);
        drop((pool.take(1000), pool.take(1000)));
        assert_eq!(free(&pool), [1000]);
        let pool = Pool::new(5000, 2);
        drop([1000; 4].map(|room| pool.take(room)));
        assert_eq!(free(&pool), [1000; 2]);
    }

    #[test]
    fn what_is_too_small_makes_room_for_what_is_not() {
        let pool = Pool::new(5000, 9);
        drop([1000; 4].map(|room| pool.take(room)));
        let large = pool.take(1400);
        assert_eq!(free(&pool), [1000; 2]);
        drop(large);
        assert_eq!(free(&pool), [1000, 1000, 1400]);
    }

    fn free(pool: &Pool) -> Vec<usize> {
        pool.0.free.lock().unwrap().iter().map(Vec::capacity).collect()
    }
}
