//! A disk that fails, for tests: it counts durable operations, commits of databases included, or
//! the statements that a database is given, and fails at the n-th.

use super::{Disk, DurableFile, FolderEntry, InjectedRefusal, Local, Sharing};
use crate::error::{Error, Kind, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What the disk does at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never fails; it counts durable operations alone.
    Never,
    /// The n-th operation (from 1) fails, and everything after it: the process has died there.
    CrashAt(u64),
    /// The n-th of the operations that can fail like this does so, once.
    FailOnceAt(u64, InjectedFault),
}

/// How one operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// ENOSPC; of a write, half has arrived.
    NoSpace,
    /// EIO, likewise.
    Io,
    /// A write takes half of the bytes and says so, as write(2) may: no failure.
    ShortWrite,
    /// A sync gives EIO, and the next one of the same file would succeed, as those of Linux do.
    FailedSync,
    /// A database refuses a statement.
    Statement(InjectedRefusal),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write,
    Sync,
    Statement,
    Other,
}

impl InjectedFault {
    fn hits(self, operation: Operation) -> bool {
        match self {
            Self::NoSpace | Self::Io => operation != Operation::Statement,
            Self::ShortWrite => operation == Operation::Write,
            Self::FailedSync => operation == Operation::Sync,
            Self::Statement(_) => operation == Operation::Statement,
        }
    }
}

/// See the module's text. Clones share what they count.
#[derive(Clone)]
pub struct Faulty {
    when: When,
    shared: Arc<FaultState>,
    /// What does what is let through.
    inner: Arc<dyn Disk>,
}

#[derive(Debug, Default)]
struct FaultState {
    count: AtomicU64,
    unsynced: Mutex<BTreeSet<PathBuf>>,
    synced_again: AtomicBool,
}

impl Faulty {
    /// A disk that fails like this.
    pub fn new(when: When) -> Self {
        Self { when, shared: Arc::default(), inner: Arc::new(Local) }
    }

    /// Operations so far; of a disk that fails once, those that can fail like it does.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Whether the chosen operation was reached.
    pub fn has_failed(&self) -> bool {
        match self.when {
            When::Never => false,
            When::CrashAt(at) | When::FailOnceAt(at, _) => self.count() >= at,
        }
    }

    /// Whether a sync was asked for again of what could not be synced: the second one says nothing
    /// about what the first one lost.
    pub fn was_synced_again(&self) -> bool {
        self.shared.synced_again.load(Ordering::SeqCst)
    }

    /// The fault, if this operation is the one that has it.
    fn operation(&self, operation: Operation) -> Option<InjectedFault> {
        let fault = match self.when {
            When::FailOnceAt(_, fault) => fault,
            When::Never | When::CrashAt(_) => InjectedFault::Io,
        };
        if !fault.hits(operation) {
            return None;
        }
        let nth = self.shared.count.fetch_add(1, Ordering::SeqCst) + 1;
        let is_due = match self.when {
            When::Never => false,
            When::CrashAt(at) => nth >= at,
            When::FailOnceAt(at, _) => nth == at,
        };
        is_due.then_some(fault)
    }

    fn attempt(&self, operation: Operation, what: &str) -> io::Result<()> {
        match self.operation(operation) {
            None | Some(InjectedFault::ShortWrite | InjectedFault::Statement(_)) => Ok(()),
            Some(InjectedFault::NoSpace) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(InjectedFault::Io | InjectedFault::FailedSync) => {
                Err(io::Error::other(format!("injected I/O error ({what})")))
            }
        }
    }

    fn at(&self, what: &str, path: &Path) -> Result<()> {
        self.attempt(Operation::Other, what).map_err(|error| Error::io(what, path, error))
    }

    fn sync(&self, path: &Path) -> Result<()> {
        let mut unsynced = self.shared.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        if unsynced.contains(path) {
            self.shared.synced_again.store(true, Ordering::SeqCst);
        }
        self.attempt(Operation::Sync, "sync").map_err(|error| {
            unsynced.insert(path.to_owned());
            Error::io("sync", path, error)
        })
    }
}

struct FaultyFile {
    disk: Faulty,
    file: Box<dyn DurableFile>,
    path: PathBuf,
    /// What the sync that was begun last met on its way: the next one tells it.
    begun: Result<()>,
}

impl FaultyFile {
    fn end_sync(&mut self) -> Result<()> {
        std::mem::replace(&mut self.begun, Ok(()))
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let half = &bytes[..bytes.len().div_ceil(2)];
        match self.disk.operation(Operation::Write) {
            None => self.file.write(bytes),
            Some(InjectedFault::ShortWrite) => self.file.write_all(half).map(|()| half.len()),
            Some(InjectedFault::NoSpace) => {
                self.file.write_all(half).and(Err(io::Error::from(io::ErrorKind::StorageFull)))
            }
            Some(_) => self.file.write_all(half).and(Err(io::Error::other("injected I/O error (write)"))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DurableFile for FaultyFile {
    fn sync(&mut self) -> Result<()> {
        self.end_sync()?;
        self.disk.sync(&self.path)?;
        self.file.sync()
    }

    fn begin_sync(&mut self) -> Result<()> {
        self.end_sync()?;
        self.begun = self.disk.sync(&self.path);
        self.file.begin_sync()
    }

    fn set_modified(&mut self, at: SystemTime) -> Result<()> {
        self.file.set_modified(at)
    }
}

impl Disk for Faulty {
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        let inner = Arc::from(self.inner.beneath(root, sharing)?);
        Ok(Box::new(Self { when: self.when, shared: Arc::clone(&self.shared), inner }))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        self.inner.look(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        self.inner.list(path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        self.inner.read(path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        self.inner.hold(path)
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        self.inner.lock(path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.at("create", path)?;
        self.inner.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.at("create", path)?;
        let file = self.inner.create(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), file, path: path.to_owned(), begun: Ok(()) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.at("rename", to)?;
        self.inner.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.at("rename", to)?;
        self.inner.replace(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.sync(path)?;
        self.inner.sync_dir(path)
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        self.sync(path)?;
        self.inner.sync_tree(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.at("remove", path)?;
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.at("remove", path)?;
        self.inner.remove_dir(path)
    }

    fn before_commit(&self, what: &str) -> Result<()> {
        self.attempt(Operation::Other, "commit")
            .map_err(|error| Error::new(Kind::Database, format!("cannot commit: {what}")).caused_by(error))
    }

    fn before_statement(&self, _: &str) -> std::result::Result<(), InjectedRefusal> {
        match self.operation(Operation::Statement) {
            Some(InjectedFault::Statement(refusal)) => Err(refusal),
            _ => Ok(()),
        }
    }
}
