//! [`HashingFile`]: a file that is hashed and counted while it is written, on a thread of its own.
//!
//! Whoever makes the bytes only fills blocks; hashing one and handing it to the system take about
//! as long as compressing it. A few blocks are on their way, and are filled again.

use super::block::Block;
use crate::durable::{Disk, DurableFile};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Blocks that are full and wait: 32 MiB, because a row group comes at once, and the next is made
/// while it is written.
const MOST_WAITING: usize = 128;
/// Bytes after which they are brought to the disk, so that the last sync has little to wait for.
const SYNC_BYTES: u64 = 64 << 20;

enum Message {
    Block(Block),
    Seal,
}

/// See the module's text. Dropped unsealed, it leaves a file of no use.
pub(super) struct HashingFile {
    block: Block,
    full: Option<SyncSender<Message>>,
    emptied: Receiver<Block>,
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
        Ok(Self { block: Block::new(), full: Some(full), emptied, worker: Some(worker) })
    }

    /// Writes what is left and syncs; to be called once, at the end. Gives bytes and hash.
    pub(super) fn seal(&mut self) -> Result<(u64, Sha256)> {
        let rest = std::mem::replace(&mut self.block, Block::new());
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
        if self.block.room() == 0 {
            let next = self.emptied.try_recv().unwrap_or_else(|_| Block::new());
            let full = std::mem::replace(&mut self.block, next);
            if !self.send(Message::Block(full)) {
                return Err(self
                    .end()
                    .err()
                    .map_or_else(|| io::Error::other("nothing is written any more"), io::Error::other));
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
    back: &Sender<Block>,
) -> Result<(u64, Sha256)> {
    let (mut hasher, mut bytes, mut synced) = (Hasher::default(), 0, 0);
    for message in blocks {
        let Message::Block(mut block) = message else {
            file.sync()?;
            break;
        };
        hasher.update(block.filled());
        file.write_all(block.filled()).map_err(|error| Error::io("write", path, error))?;
        bytes += block.filled().len() as u64;
        if bytes - synced >= SYNC_BYTES {
            file.sync_data()?;
            synced = bytes;
        }
        block.clear();
        // Who fills blocks may have ended.
        let _ = back.send(block);
    }
    Ok((bytes, hasher.finish()))
}
