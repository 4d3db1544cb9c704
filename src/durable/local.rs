//! The real file system.

use super::point::{reached, reached_statement};
use super::{Disk, DurableFile, Refusal};
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

struct LocalFile {
    file: Arc<File>,
    path: PathBuf,
    /// What brings to the disk what was written before.
    syncing: Option<JoinHandle<io::Result<()>>>,
    /// Whether a sync failed: the system tells of it once, and the next one would say that all is well.
    is_broken: bool,
}

impl LocalFile {
    fn new(file: File, path: &Path) -> Self {
        Self { file: Arc::new(file), path: path.to_owned(), syncing: None, is_broken: false }
    }

    /// Waits for what was begun.
    fn end_sync(&mut self) -> Result<()> {
        let done = self.syncing.take().map_or(Ok(Ok(())), JoinHandle::join);
        self.told(done.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn told(&mut self, synced: io::Result<()>) -> Result<()> {
        let synced = if self.is_broken { Err(io::Error::other("a sync before it failed")) } else { synced };
        self.is_broken |= synced.is_err();
        synced.map_err(|error| Error::io("sync", &self.path, error))
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        // Nobody touches the file any more when this returns.
        let _ = self.syncing.take().map(JoinHandle::join);
    }
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DurableFile for LocalFile {
    fn sync(&mut self) -> Result<()> {
        reached("sync a file");
        self.end_sync()?;
        let synced = self.file.sync_all();
        self.told(synced)
    }

    fn begin_sync(&mut self) -> Result<()> {
        self.end_sync()?;
        let file = Arc::clone(&self.file);
        match std::thread::Builder::new().name("sync".into()).spawn(move || file.sync_data()) {
            Ok(started) => {
                self.syncing = Some(started);
                Ok(())
            }
            // There are as many threads as there may be.
            Err(_) => {
                let synced = self.file.sync_data();
                self.told(synced)
            }
        }
    }

    fn set_modified(&mut self, at: SystemTime) -> Result<()> {
        self.file.set_modified(at).map_err(|error| Error::io("set the time of", &self.path, error))
    }
}

impl Disk for Local {
    fn create_dir(&self, path: &Path) -> Result<()> {
        reached("create a folder");
        fs::create_dir(path).map_err(|error| Error::io("create", path, error))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        reached("create a file");
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        let file = opened.map_err(|error| Error::io("create", path, error))?;
        Ok(Box::new(LocalFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        reached("rename");
        rename_exclusively(from, to).map_err(|error| Error::io("rename to its final name", to, error))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        reached("sync a folder");
        let synced = File::open(path).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::io("sync", path, error))
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        reached("sync a tree");
        sync_all_of(path).map_err(|error| Error::io("sync", path, error))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        reached("remove a file");
        fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        reached("remove a folder");
        fs::remove_dir_all(path).map_err(|error| Error::io("remove", path, error))
    }

    fn before_commit(&self, what: &str) -> Result<()> {
        reached(&format!("commit: {what}"));
        Ok(())
    }

    fn before_statement(&self, sql: &str) -> std::result::Result<(), Refusal> {
        reached_statement(sql);
        Ok(())
    }
}

/// One call for the file system, where there is such a call: a sync for each of many small files
/// takes longer than writing them.
#[cfg(target_os = "linux")]
fn sync_all_of(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all_of(folder: &Path) -> io::Result<()> {
    sync_each(folder)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(target_os = "linux"))]
fn sync_each(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_each(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

/// rename(2) replaces an empty folder and any file, so the flag that forbids it is asked for.
#[cfg(target_os = "linux")]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system without the flag (some network mounts).
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => rename_if_absent(from, to),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    rename_if_absent(from, to)
}

fn rename_if_absent(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ever_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        Local.create_dir(&a).unwrap();
        Local.create_dir(&b).unwrap();
        assert!(Local.rename(&a, &b).is_err());
        assert!(Local.create(&a).is_err());
        Local.remove_dir_all(&b).unwrap();
        Local.rename(&a, &b).unwrap();
        assert!(b.is_dir() && !a.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_a_sync_met_on_its_way_is_told_by_the_next() {
        // A pipe takes bytes, and cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let mut file = LocalFile::new(File::from(std::os::fd::OwnedFd::from(writer)), Path::new("pipe"));
        file.write_all(b"bytes").unwrap();
        file.begin_sync().unwrap();
        let told = file.end_sync().unwrap_err();
        assert!(told.to_string().contains("pipe"), "{told}");
        // Whoever asks again is told again, whatever the system says now.
        file.file = Arc::new(tempfile::tempfile().unwrap());
        assert!(file.begin_sync().is_err());
        assert!(file.sync().is_err());
    }
}
