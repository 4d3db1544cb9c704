//! [`ReadAt`]: what the bytes of a bundle are read from.

use crate::durable::is_ours_alone;
use std::fs::File;
use std::io;

/// Something that can be read at any offset, by several readers at once.
pub(super) trait ReadAt: Send + Sync {
    /// Reads some bytes from `offset` on; 0 only at the end, or for an empty buffer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether nobody else can change it between one read and the next.
    fn is_steady(&self) -> bool {
        false
    }
}

#[cfg(unix)]
impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn is_steady(&self) -> bool {
        is_ours_alone(self)
    }
}

#[cfg(windows)]
impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }

    fn is_steady(&self) -> bool {
        is_ours_alone(self)
    }
}
