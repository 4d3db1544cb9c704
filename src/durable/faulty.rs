//! A disk that fails, for tests: it counts durable operations, commits of databases included,
//! and fails at the n-th.

use super::{Disk, DurableFile, Local};
use crate::error::{Error, Kind, Result};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// What the disk does at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never fails; it counts alone.
    Never,
    /// The n-th operation (from 1) fails, and everything after it: the process has died there.
    CrashAt(u64),
    /// The n-th operation fails, once: no space left.
    FailOnceAt(u64),
}

/// See the module's text. Clones share one count.
#[derive(Clone, Debug)]
pub struct Faulty {
    when: When,
    count: Arc<AtomicU64>,
}

impl Faulty {
    /// A disk that fails like this.
    pub fn new(when: When) -> Self {
        Self { when, count: Arc::default() }
    }

    /// Operations so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether the chosen operation was reached.
    pub fn has_failed(&self) -> bool {
        match self.when {
            When::Never => false,
            When::CrashAt(at) | When::FailOnceAt(at) => self.count() >= at,
        }
    }

    fn operation(&self, what: &str) -> io::Result<()> {
        let nth = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        match self.when {
            When::CrashAt(at) if nth >= at => {
                Err(io::Error::other(format!("injected crash at operation {at} ({what})")))
            }
            When::FailOnceAt(at) if nth == at => Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }

    fn at(&self, what: &str, path: &Path) -> Result<()> {
        self.operation(what).map_err(|error| Error::io(what, path, error))
    }
}

struct FaultyFile {
    disk: Faulty,
    file: Box<dyn DurableFile>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.operation("write") {
            // A short write: half of it reaches the file, and nobody is told.
            let half = &bytes[..bytes.len() / 2];
            return self.file.write_all(half).and(Err(error));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DurableFile for FaultyFile {
    fn sync(&mut self) -> Result<()> {
        self.disk.at("sync", Path::new("a written file"))?;
        self.file.sync()
    }

    fn sync_data(&mut self) -> Result<()> {
        self.disk.at("sync", Path::new("a file that is being written"))?;
        self.file.sync_data()
    }

    fn set_modified(&mut self, at: SystemTime) -> Result<()> {
        self.file.set_modified(at)
    }
}

impl Disk for Faulty {
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.at("create", path)?;
        Local.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.at("create", path)?;
        let file = Local.create(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.at("rename", to)?;
        Local.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.at("sync", path)?;
        Local.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.at("remove", path)?;
        Local.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.at("remove", path)?;
        Local.remove_dir_all(path)
    }

    fn before_commit(&self, what: &str) -> Result<()> {
        self.operation("commit")
            .map_err(|error| Error::new(Kind::Database, format!("cannot commit: {what}")).caused_by(error))
    }
}
