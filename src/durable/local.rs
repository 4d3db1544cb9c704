//! The real file system.

use super::at::{self, At};
use super::beneath::{Beneath, Sharing, refused, regular};
use super::entry::FolderEntry;
use super::point::{reached, reached_statement};
use super::{Disk, DurableFile, InjectedRefusal};
use crate::error::{Error, Kind, Result};
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

const BETWEEN_TRIES: Duration = Duration::from_millis(5);

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
        self.note_sync(done.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn note_sync(&mut self, synced: io::Result<()>) -> Result<()> {
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
        self.note_sync(synced)
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
                self.note_sync(synced)
            }
        }
    }

    fn set_modified(&mut self, at: SystemTime) -> Result<()> {
        self.file.set_modified(at).map_err(|error| Error::io("set the time of", &self.path, error))
    }
}

impl Disk for Local {
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        Ok(Box::new(Beneath::open(root, sharing)?))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        at::look(&At::path(path)).map_err(|error| Error::io("look at", path, error))
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        at::list(&At::path(path)).map_err(|error| Error::io("list", path, error))
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        match at::open(&At::path(path)) {
            Ok(file) => regular(file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused("open", path, error)),
        }
    }

    fn hold(&self, path: &Path) -> Option<File> {
        at::open(&At::path(path)).ok().filter(|file| file.try_lock().is_ok())
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        let opened = at::open(&At::path(path)).map_err(|error| Error::io("open", path, error))?;
        wait_for(opened, path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        reached("create a folder");
        at::create_dir(&At::path(path)).map_err(|error| Error::io("create", path, error))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        reached("create a file");
        let file = at::create(&At::path(path)).map_err(|error| Error::io("create", path, error))?;
        Ok(Box::new(LocalFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        reached("rename");
        at::rename(&At::path(from), &At::path(to)).map_err(|error| Error::io("rename to its final name", to, error))
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        reached("replace");
        at::replace(&At::path(from), &At::path(to)).map_err(|error| Error::io("rename to its final name", to, error))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        reached("sync a folder");
        let synced = at::open_any_folder(&At::path(path)).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::io("sync", path, error))
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        reached("sync a tree");
        let synced = at::open_any_folder(&At::path(path)).and_then(|folder| sync_all_of(&folder, path));
        synced.map_err(|error| Error::io("sync", path, error))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        reached("remove a file");
        at::remove_file(&At::path(path)).map_err(|error| Error::io("remove", path, error))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        reached("remove a folder");
        at::remove_dir(&At::path(path)).map_err(|error| Error::io("remove", path, error))
    }

    fn before_commit(&self, what: &str) -> Result<()> {
        reached(&format!("commit: {what}"));
        Ok(())
    }

    fn before_statement(&self, sql: &str) -> std::result::Result<(), InjectedRefusal> {
        reached_statement(sql);
        Ok(())
    }
}

impl Disk for Beneath {
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        Ok(Box::new(self.folder(root, sharing)?))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        Self::look(self, path)
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        Self::list(self, path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        Self::read(self, path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        self.on(path, at::open).ok().filter(|file| file.try_lock().is_ok())
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        let opened = self.on(path, at::open).map_err(|error| refused("open", path, error))?;
        wait_for(opened, path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        reached("create a folder");
        self.on(path, at::create_dir).map_err(|error| refused("create", path, error))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        reached("create a file");
        let file = self.on(path, at::create).map_err(|error| refused("create", path, error))?;
        Ok(Box::new(LocalFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        reached("rename");
        let renamed = self.on(from, |from| self.on(to, |to| at::rename(from, to)));
        renamed.map_err(|error| refused("rename to its final name", to, error))
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        reached("replace");
        let replaced = self.on(from, |from| self.on(to, |to| at::replace(from, to)));
        replaced.map_err(|error| refused("rename to its final name", to, error))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        reached("sync a folder");
        let synced =
            self.folder(path, Sharing::Ours)?.on(path, at::open_any_folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| refused("sync", path, error))
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        reached("sync a tree");
        let opened = self.folder(path, Sharing::Ours)?.on(path, at::open_any_folder);
        opened.and_then(|folder| sync_all_of(&folder, path)).map_err(|error| refused("sync", path, error))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        reached("remove a file");
        self.on(path, at::remove_file).map_err(|error| refused("remove", path, error))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        reached("remove a folder");
        self.on(path, at::remove_dir).map_err(|error| refused("remove", path, error))
    }
}

/// Waits until nobody else holds it.
fn wait_for(file: File, path: &Path, timeout: Duration) -> Result<Option<File>> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // The file system has no locks.
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if began.elapsed() < timeout => std::thread::sleep(BETWEEN_TRIES),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Io, "somebody else holds this, so nothing was changed there")
                    .file(path)
                    .hint("see who works there (`fuser`, `lsof`), and repeat this"));
            }
        }
    }
}

/// From here on what this process makes is for its user alone, or to be read by the user's group too;
/// in a drop folder its own bits decide ([`Sharing::AsFolder`]). Databases that SQLite makes are meant too.
pub fn keep_private(with_group: bool) {
    at::let_group_read(with_group);
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(if with_group { 0o027 } else { 0o077 }));
    // On Windows the folder's access list decides, which is inherited.
    #[cfg(not(unix))]
    let _ = with_group;
}

/// Makes an empty file that its user alone may read (or the group too, [`keep_private`]), whatever the umask, for
/// who is going to fill it by other ways than a [`Disk`]: SQLite, whose journals get the rights of their database.
/// One that is there stays as it is.
///
/// # Errors
/// Io.
pub fn make_private(path: &Path) -> Result<()> {
    match at::create(&At::path(path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", path, error)),
        _ => Ok(()),
    }
}

/// One call for the file system, where there is such a call: a sync for each of many small files
/// takes longer than writing them.
#[cfg(target_os = "linux")]
fn sync_all_of(folder: &File, _: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all_of(_: &File, folder: &Path) -> io::Result<()> {
    sync_each(folder)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(target_os = "linux"))]
fn sync_each(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            sync_each(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
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
        Local.remove_dir(&b).unwrap();
        Local.rename(&a, &b).unwrap();
        assert!(b.is_dir() && !a.exists());
    }

    /// Whatever the umask of whoever uses the library: it takes nothing from these, and adds nothing.
    #[cfg(unix)]
    #[test]
    fn what_is_made_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, inner, database) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        Local.create(&file).unwrap();
        Local.create_dir(&inner).unwrap();
        make_private(&database).unwrap();
        make_private(&database).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&file), mode(&inner), mode(&database)), (0o600, 0o700, 0o600));
    }

    #[cfg(unix)]
    #[test]
    fn a_tree_that_is_removed_takes_nothing_along_that_a_link_in_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("kept"), b"x").unwrap();
        std::fs::write(tree.join("a/b/file"), b"x").unwrap();
        std::os::unix::fs::symlink(&other, tree.join("a/link")).unwrap();
        crate::durable::remove_tree(&Local, &tree).unwrap();
        assert!(!tree.exists() && other.join("kept").exists());
        crate::durable::remove_tree(&Local, &tree).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_a_sync_met_on_its_way_is_reported_by_the_next() {
        // A pipe takes bytes, and cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let mut file = LocalFile::new(File::from(std::os::fd::OwnedFd::from(writer)), Path::new("pipe"));
        file.write_all(b"bytes").unwrap();
        file.begin_sync().unwrap();
        let reported = file.end_sync().unwrap_err();
        assert!(reported.to_string().contains("pipe"), "{reported}");
        // Whoever asks again is told again, whatever the system says now.
        file.file = Arc::new(tempfile::tempfile().unwrap());
        assert!(file.begin_sync().is_err());
        assert!(file.sync().is_err());
    }
}
