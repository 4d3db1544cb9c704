//! [`HashingFile`]: a file that is hashed and counted while it is written, by two threads of its own.
//!
//! Whoever makes the bytes only fills blocks. One thread hashes them; the other hands them to the
//! system (2 GiB of blobs on two cores: 4.1 s, where one thread did both 4.6), and waits for the disk only
//! where it is behind (4.3 s, where each wait held up the next block 5.0).
//! A few blocks are on their way, and are filled again.

use super::block::{BLOCK_BYTES, Block};
use crate::durable::{Disk, DurableFile};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Of three blocks that may wait, two are full and wait to be hashed, as a row group comes at once; one is
/// hashed and waits while the disk takes what was written before.
const HASHED_ONE_OF: usize = 3;
/// Bytes after which they begin to be brought to the disk, so that the last sync has little to wait for.
const SYNC_BYTES: u64 = 32 << 20;

enum Message {
    Block(Block),
    Seal,
}

/// See the module's text. Dropped unsealed, it leaves a file of no use.
pub(super) struct HashingFile {
    block: Block,
    full: Option<SyncSender<Message>>,
    emptied: Receiver<Block>,
    worker: Option<Sealing>,
}

/// A file that takes nothing more; what it took is hashed, written and synced meanwhile.
pub(super) struct Sealing(Option<Workers>);

struct Workers {
    hash: JoinHandle<Sha256>,
    write: JoinHandle<Result<u64>>,
}

impl Sealing {
    /// Waits until the file is on the disk. Gives bytes and hash.
    ///
    /// # Errors
    /// Io.
    pub(super) fn end(mut self) -> Result<(u64, Sha256)> {
        let workers = self.0.take().ok_or_else(|| Error::internal("a file was sealed twice"))?;
        let sha256 = workers.hash.join().unwrap_or_else(|panic| resume_unwind(panic));
        let bytes = workers.write.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok((bytes, sha256))
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        // Nobody touches the file any more when this returns.
        if let Some(Workers { hash, write }) = self.0.take() {
            let _ = (hash.join(), write.join());
        }
    }
}

impl HashingFile {
    /// Creates a file. Up to `waiting_bytes` wait to be hashed or written.
    pub(super) fn create(disk: &dyn Disk, path: &Path, waiting_bytes: u64) -> Result<Self> {
        let file = disk.create(path)?;
        // Three blocks are in somebody's hand: of who fills, who hashes, and who writes.
        let blocks = usize::try_from(waiting_bytes).unwrap_or(usize::MAX) / BLOCK_BYTES;
        let waiting = blocks.saturating_sub(3).max(HASHED_ONE_OF);
        let (full, filled) = sync_channel(waiting - waiting / HASHED_ONE_OF);
        let (hashed, written) = sync_channel(waiting / HASHED_ONE_OF);
        let (back, emptied) = channel();
        let path = path.to_owned();
        let write = start("write", move || write(file, &path, &written, &back))?;
        let hash = start("hash", move || hash(&filled, &hashed))?;
        Ok(Self {
            block: Block::new(),
            full: Some(full),
            emptied,
            worker: Some(Sealing(Some(Workers { hash, write }))),
        })
    }

    /// Writes what is left and syncs; to be called once, at the end. Gives bytes and hash.
    pub(super) fn seal(&mut self) -> Result<(u64, Sha256)> {
        self.begin_seal()?.end()
    }

    /// The same, without waiting for it.
    pub(super) fn begin_seal(&mut self) -> Result<Sealing> {
        let rest = std::mem::replace(&mut self.block, Block::new());
        if self.send(Message::Block(rest)) {
            self.send(Message::Seal);
        }
        self.close()
    }

    /// Whether somebody takes it.
    fn send(&self, message: Message) -> bool {
        self.full.as_ref().is_some_and(|full| full.send(message).is_ok())
    }

    fn close(&mut self) -> Result<Sealing> {
        self.full = None;
        self.worker.take().ok_or_else(|| Error::internal("a file was sealed twice"))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.room() == 0 {
            let next = self.emptied.try_recv().unwrap_or_else(|_| Block::new());
            let full = std::mem::replace(&mut self.block, next);
            if !self.send(Message::Block(full)) {
                let reported = self.close().and_then(Sealing::end).err();
                return Err(reported.map_or_else(|| io::Error::other("nothing is written any more"), io::Error::other));
            }
        }
        Ok(self.block.take(bytes))
    }

    /// Does nothing: what counts is [`HashingFile::seal`], and blocks stay whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for HashingFile {
    fn drop(&mut self) {
        // Both threads end when nothing comes any more. `Sealing`, which is dropped next, waits for them.
        self.full = None;
    }
}

fn start<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|error| Error::internal("no thread can be started").caused_by(error))
}

fn hash(filled: &Receiver<Message>, hashed: &SyncSender<Message>) -> Sha256 {
    let mut hasher = Hasher::default();
    for message in filled {
        if let Message::Block(block) = &message {
            hasher.update(block.filled());
        }
        // Who writes may have failed, which it says at the end.
        if hashed.send(message).is_err() {
            break;
        }
    }
    hasher.finish()
}

fn write(mut file: Box<dyn DurableFile>, path: &Path, hashed: &Receiver<Message>, back: &Sender<Block>) -> Result<u64> {
    let (mut bytes, mut synced) = (0, 0);
    for message in hashed {
        let Message::Block(mut block) = message else {
            file.sync()?;
            break;
        };
        file.write_all(block.filled()).map_err(|error| Error::io("write", path, error))?;
        bytes += block.filled().len() as u64;
        if bytes - synced >= SYNC_BYTES {
            file.begin_sync()?;
            synced = bytes;
        }
        block.clear();
        // Who fills blocks may have ended.
        let _ = back.send(block);
    }
    Ok(bytes)
}
