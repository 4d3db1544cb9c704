//! [`HashingFile`]: a file that is hashed and counted while it is written, on a thread of its own.
//!
//! Whoever makes the bytes only fills blocks; hashing one and handing it to the system take about
//! as long as compressing it. A few blocks are on their way, and are filled again.

use crate::durable::{Disk, DurableFile};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Bytes that are hashed and written at once: few calls, and still in the cache.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// Blocks that are full and wait: 4 MiB.
const MOST_WAITING: usize = 16;

enum Message {
    Block(Vec<u8>),
    Seal,
}

/// See the module's text. Dropped unsealed, it leaves a file of no use.
pub(super) struct HashingFile {
    block: Vec<u8>,
    full: Option<SyncSender<Message>>,
    emptied: Receiver<Vec<u8>>,
    worker: Option<JoinHandle<Result<(u64, Sha256)>>>,
}

impl HashingFile {
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.create(path)?;
        let (full, blocks) = sync_channel(MOST_WAITING);
        let (back, emptied) = channel();
        let path = path.to_owned();
        let work = move || write(file, &path, &blocks, &back);
        let worker = std::thread::Builder::new().name("write".to_owned()).spawn(work);
        let worker = worker.map_err(|error| Error::internal("no thread can be started").caused_by(error))?;
        Ok(Self { block: Vec::with_capacity(BLOCK_BYTES), full: Some(full), emptied, worker: Some(worker) })
    }

    /// Writes what is left and syncs; to be called once, at the end. Gives bytes and hash.
    pub(super) fn seal(&mut self) -> Result<(u64, Sha256)> {
        let rest = std::mem::take(&mut self.block);
        if self.send(Message::Block(rest)) {
            self.send(Message::Seal);
        }
        self.end()
    }

    /// Whether somebody takes it.
    fn send(&self, message: Message) -> bool {
        self.full.as_ref().is_some_and(|full| full.send(message).is_ok())
    }

    /// Waits for the thread, and gives what it has to say.
    fn end(&mut self) -> Result<(u64, Sha256)> {
        self.full = None;
        let worker = self.worker.take().ok_or_else(|| Error::internal("a file was sealed twice"))?;
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK_BYTES {
            let next = self.emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES));
            let full = std::mem::replace(&mut self.block, next);
            if !self.send(Message::Block(full)) {
                return Err(self
                    .end()
                    .err()
                    .map_or_else(|| io::Error::other("nothing is written any more"), io::Error::other));
            }
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Does nothing: what counts is [`HashingFile::seal`], and blocks stay whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for HashingFile {
    fn drop(&mut self) {
        self.full = None;
        if let Some(worker) = self.worker.take() {
            // Nobody touches the file any more when this returns.
            let _ = worker.join();
        }
    }
}

fn write(
    mut file: Box<dyn DurableFile>,
    path: &Path,
    blocks: &Receiver<Message>,
    back: &Sender<Vec<u8>>,
) -> Result<(u64, Sha256)> {
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    for message in blocks {
        let Message::Block(mut block) = message else {
            file.sync()?;
            break;
        };
        hasher.update(&block);
        file.write_all(&block).map_err(|error| Error::io("write", path, error))?;
        bytes += block.len() as u64;
        block.clear();
        // Who fills blocks may have ended.
        let _ = back.send(block);
    }
    Ok((bytes, hasher.finish()))
}
