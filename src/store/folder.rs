//! [`Folder`]: a folder as a place of bundles: a drop folder, a mounted share (rule 26).
//!
//! Whoever owns it, or may write in it, can put anything under any name of ours, at any moment. So all of it
//! is reached from one handle of the folder, no link below that is followed, and what is found in the place of
//! a file or folder of ours is reported and left.
//!
//! Nothing half has a name that a reader takes for a bundle's: files are made under names that start with
//! a dot, synced, and renamed, and the files of a bundle are put together in a folder of such a name. These names
//! are each process's own ([`staging_name`]). A rename replaces nothing but a file that is known to be a damaged one of the
//! same bundle. Nothing is recorded with a file: whoever wants its hash reads it.

use super::{Alone, Object, ObjectHead, StagingFolder, Store, Upload, UploadWatch, pace, upload};
use crate::durable::{
    Disk, DurableFile, EntryKind, FolderEntry, LOCK_TIMEOUT, Sharing, in_the_way, make_held, remove_ours, staging_base,
    staging_name,
};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use bytes::Bytes;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Deeper than any bundle in a folder.
const MAX_DEPTH: usize = 8;
const BLOCK_BYTES: usize = 256 << 10;
/// One file on its way.
const SENDING: &str = ".sending-";
/// A bundle that is put together.
const SHIPPING: &str = ".shipping-";
/// A bundle that is being removed.
const REMOVING: &str = ".removing-";

/// See the module's text.
pub(super) struct Folder {
    /// Beneath the folder.
    disk: Box<dyn Disk>,
    root: PathBuf,
}

/// A file that is made under a name of its own.
struct NewFile {
    path: PathBuf,
    file: Box<dyn DurableFile>,
    _held: Option<File>,
}

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// Config, if there is no such folder; Io.
    pub(super) fn open(disk: &dyn Disk, root: &Path) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::config("there is no such folder to ship to or to receive from")
                .file(root)
                .hint("make it first, or mount what is mounted there"));
        }
        Ok(Self { disk: disk.beneath(root, Sharing::AsFolder)?, root: root.to_owned() })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A regular file; `None`, if nothing stands there.
    fn file(&self, path: &str) -> Result<Option<FolderEntry>> {
        let at = self.at(path);
        match self.disk.look(&at)? {
            Some(found) if found.kind != EntryKind::File => Err(in_the_way(&at)),
            found => Ok(found),
        }
    }

    /// A folder; `None`, if nothing stands there.
    fn folder(&self, path: &str) -> Result<Option<FolderEntry>> {
        let at = self.at(path);
        match self.disk.look(&at)? {
            Some(found) if found.kind != EntryKind::Folder => Err(in_the_way(&at)),
            found => Ok(found),
        }
    }

    /// Makes a file beside the bundles, on the way to `path`.
    fn make(&self, path: &str) -> Result<NewFile> {
        let first = path.split('/').next().unwrap_or(path).trim_start_matches('.');
        let name = || self.root.join(staging_name(first, SENDING));
        let (path, file, held) = make_held(self.disk.as_ref(), name, |path| self.disk.create(path))?;
        Ok(NewFile { path, file, _held: held })
    }

    /// Makes the folders that a path lies in.
    fn make_folders(&self, path: &str) -> Result<()> {
        let mut above = self.root.clone();
        let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let folder = above.join(part);
            match self.disk.look(&folder)? {
                Some(found) if found.kind == EntryKind::Folder => {}
                Some(_) => return Err(in_the_way(&folder)),
                None => self.make_one(&folder, &above)?,
            }
            above = folder;
        }
        Ok(())
    }

    fn make_one(&self, folder: &Path, above: &Path) -> Result<()> {
        match self.disk.create_dir(folder) {
            Ok(()) => self.disk.sync_dir(above),
            // Somebody who ships the same bundle was faster.
            Err(_) if self.disk.look(folder)?.is_some_and(|found| found.kind == EntryKind::Folder) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a file that was made its name; says whether it has it. If not, something else has it.
    fn put(&self, made: NewFile, path: &str, replaces: bool) -> Result<bool> {
        let to = self.at(path);
        // A file that has to go is replaced, so that whoever ships the same bundle at the same time never misses one
        // that he has just put there.
        let replaces = replaces && self.file(path)?.is_some();
        let put = if replaces { self.disk.replace(&made.path, &to) } else { self.disk.rename(&made.path, &to) };
        if let Err(error) = put {
            // Best effort: it is swept by the next ship.
            let _ = self.disk.remove_file(&made.path);
            return if self.disk.look(&to)?.is_some() { Ok(false) } else { Err(error) };
        }
        self.disk.sync_dir(to.parent().unwrap_or(&self.root))?;
        Ok(true)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<NewFile> {
        let mut made = self.make(path)?;
        io::Write::write_all(&mut made.file, bytes).map_err(|error| Error::io("write", &made.path, error))?;
        made.file.sync()?;
        Ok(made)
    }

    fn walk(&self, folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Object>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::verification("the folder is deeper than any bundle").file(folder));
        }
        for entry in self.disk.list(folder)? {
            let (path, at) = (format!("{prefix}/{}", entry.text()), folder.join(&entry.name));
            match entry.kind {
                EntryKind::Folder => self.walk(&at, &path, depth + 1, found)?,
                EntryKind::File => found.push(Object { path, bytes: entry.bytes, modified: entry.modified }),
                EntryKind::Other => return Err(in_the_way(&at)),
            }
        }
        Ok(())
    }

    /// A folder of a bundle that a dead process left; it is ours from now on.
    fn left_behind(&self, name: &str) -> Result<Option<StagingFolder>> {
        for entry in self.disk.list(&self.root)? {
            let folder = entry.text();
            if entry.kind != EntryKind::Folder || staging_base(&folder, SHIPPING) != Some(name) {
                continue;
            }
            let held = self.disk.hold(&self.at(&folder));
            // Whoever held it until now may have given it its name.
            if held.is_some() && self.folder(&folder)?.is_some() {
                return Ok(Some(StagingFolder { folder, _held: held }));
            }
        }
        Ok(None)
    }

    fn sweep_one(&self, entry: &FolderEntry, is_of_bundle: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let path = self.root.join(&entry.name);
        if entry.kind == EntryKind::Other {
            return Ok(vec![path]);
        }
        if self.disk.hold(&path).is_none() {
            return Ok(Vec::new());
        }
        match entry.kind {
            EntryKind::Folder => remove_ours(self.disk.as_ref(), &path, is_of_bundle),
            _ => self.disk.remove_file(&path).map(|()| Vec::new()),
        }
    }
}

/// Whether a name is one of ours on the way to a bundle: its own, or that of its marker and the like.
fn is_on_the_way(file_name: &str, name: &str) -> bool {
    let of_folder = [SHIPPING, REMOVING].iter().any(|mark| staging_base(file_name, mark) == Some(name));
    let of_file = staging_base(file_name, SENDING).and_then(|base| base.strip_prefix(name));
    of_folder || of_file.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Store for Folder {
    fn names(&self, start: &str) -> Result<Vec<Object>> {
        let files = self.disk.list(&self.root)?.into_iter().filter(|entry| entry.kind == EntryKind::File);
        let objects = files.map(|entry| Object { path: entry.text(), bytes: entry.bytes, modified: entry.modified });
        let mut found: Vec<Object> =
            objects.filter(|object| !object.path.starts_with('.') && object.path.starts_with(start)).collect();
        found.sort();
        Ok(found)
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let (at, mut found) = (self.at(folder), Vec::new());
        match self.disk.look(&at)?.map(|entry| entry.kind) {
            Some(EntryKind::Folder) => self.walk(&at, folder, 1, &mut found)?,
            Some(EntryKind::Other) => return Err(in_the_way(&at)),
            Some(EntryKind::File) | None => {}
        }
        found.sort();
        Ok(found)
    }

    fn head(&self, path: &str) -> Result<Option<ObjectHead>> {
        Ok(self.file(path)?.map(|found| ObjectHead { bytes: found.bytes, sha256: None }))
    }

    fn read(&self, path: &str, offset: u64, bytes: u64) -> Result<Bytes> {
        let at = self.at(path);
        let failed = |error| Error::io("read", &at, error);
        let (mut file, _) = self.disk.read(&at)?.ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))?;
        let mut content = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(bytes).read_to_end(&mut content));
        read.map_err(failed)?;
        Ok(content.into())
    }

    fn get(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        let at = self.at(path);
        let Some((file, _)) = self.disk.read(&at)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(most).read_to_end(&mut content).map_err(|error| Error::io("read", &at, error))?;
        Ok(Some(content.into()))
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        self.make_folders(path)?;
        let is_same = || Ok(self.get(path, bytes.len() as u64 + 1)?.is_some_and(|there| there == bytes));
        if self.file(path)?.is_some() {
            return is_same();
        }
        // If not, somebody was faster.
        if self.put(self.write(path, bytes)?, path, false)? { Ok(true) } else { is_same() }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let is_put = self.put(self.write(path, bytes)?, path, true)?;
        if is_put { Ok(()) } else { Err(in_the_way(&self.at(path))) }
    }

    fn upload(&self, upload: Upload<'_>, watch: &mut dyn UploadWatch) -> Result<()> {
        let Upload { path, bytes, sha256, replaces, source } = upload;
        self.make_folders(path)?;
        let mut made = self.make(path)?;
        let written = copy(source, made.file.as_mut(), path, &made.path, watch)
            .and_then(|read| upload::check(path, read, (bytes, sha256)))
            .and_then(|()| made.file.sync());
        if let Err(error) = written {
            // Best effort: it is swept by the next ship.
            let _ = self.disk.remove_file(&made.path);
            return Err(error);
        }
        if self.put(made, path, replaces)? || hash_of(self, path)? == (bytes, sha256) {
            return Ok(());
        }
        Err(Error::usage("something foreign has come in the place of a file of the bundle; it was left")
            .file(self.at(path))
            .hint("see who else writes there, and remove it; or ship to another destination"))
    }

    fn abort(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete(&self, path: &str) -> Result<()> {
        if self.file(path)?.is_none() {
            return Ok(());
        }
        if let Err(error) = self.disk.remove_file(&self.at(path))
            && self.file(path)?.is_some()
        {
            return Err(error);
        }
        self.disk.sync_dir(&self.root)
    }

    fn alone(&self) -> Result<Alone> {
        Ok(Alone { held: self.disk.lock(&self.root, LOCK_TIMEOUT)? })
    }

    fn stage(&self, name: &str) -> Result<StagingFolder> {
        if self.folder(name)?.is_some() {
            return Ok(StagingFolder::in_place(name));
        }
        if let Some(left) = self.left_behind(name)? {
            return Ok(left);
        }
        let new = || self.root.join(staging_name(name, SHIPPING));
        let (path, (), held) = make_held(self.disk.as_ref(), new, |path| self.disk.create_dir(path))?;
        self.disk.sync_dir(&self.root)?;
        let folder = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(StagingFolder { folder, _held: held })
    }

    fn settle(&self, name: &str, stage: StagingFolder) -> Result<bool> {
        if stage.folder == name {
            return Ok(true);
        }
        let (staged, to) = (self.at(&stage.folder), self.at(name));
        match self.disk.rename(&staged, &to) {
            Ok(()) => self.disk.sync_dir(&self.root).map(|()| true),
            // What was put into the stage is swept.
            Err(_) if self.disk.look(&to)?.is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set_aside(&self, name: &str) -> Result<StagingFolder> {
        let at = self.at(name);
        match self.disk.look(&at)?.map(|found| found.kind) {
            Some(EntryKind::Other) => Err(in_the_way(&at)),
            Some(EntryKind::File) | None => Ok(StagingFolder::in_place(name)),
            Some(EntryKind::Folder) => {
                // Held before it has that name, so that nobody takes it for left.
                let held = self.disk.hold(&at);
                let folder = staging_name(name, REMOVING);
                self.disk.rename(&at, &self.at(&folder))?;
                self.disk.sync_dir(&self.root)?;
                Ok(StagingFolder { folder, _held: held })
            }
        }
    }

    fn remove(&self, stage: &StagingFolder, files: &[String]) -> Result<Vec<PathBuf>> {
        let at = self.at(&stage.folder);
        let is_listed: HashSet<&str> = files.iter().map(String::as_str).collect();
        let left = match self.disk.look(&at)?.map(|found| found.kind) {
            Some(EntryKind::File) if is_listed.contains("") => self.disk.remove_file(&at).map(|()| Vec::new())?,
            Some(EntryKind::Folder) => remove_ours(self.disk.as_ref(), &at, &|path| is_listed.contains(path))?,
            Some(EntryKind::File | EntryKind::Other) => vec![at],
            None => Vec::new(),
        };
        self.disk.sync_dir(&self.root)?;
        Ok(left)
    }

    fn sweep(&self, name: &str, is_of_bundle: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for entry in self.disk.list(&self.root)? {
            if is_on_the_way(&entry.text(), name) {
                left.extend(self.sweep_one(&entry, is_of_bundle)?);
            }
        }
        self.disk.sync_dir(&self.root)?;
        Ok(left)
    }
}

/// Length and hash of what has a path; nothing has none.
fn hash_of(folder: &Folder, path: &str) -> Result<(u64, Sha256)> {
    let at = folder.at(path);
    let (mut hasher, mut bytes, mut block) = (Hasher::default(), 0, vec![0; BLOCK_BYTES]);
    if let Some((mut file, _)) = folder.disk.read(&at)? {
        loop {
            let read = file.read(&mut block).map_err(|error| Error::io("read", &at, error))?;
            if read == 0 {
                break;
            }
            hasher.update(&block[..read]);
            bytes += read as u64;
        }
    }
    Ok((bytes, hasher.finish()))
}

fn copy(
    source: &mut dyn Read,
    file: &mut dyn DurableFile,
    path: &str,
    to: &Path,
    watch: &mut dyn UploadWatch,
) -> Result<(u64, Sha256)> {
    let (mut hasher, mut bytes, mut block) = (Hasher::default(), 0_u64, vec![0; pace::block_bytes(BLOCK_BYTES)]);
    loop {
        let read = match source.read(&mut block) {
            Ok(0) => return Ok((bytes, hasher.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(upload::unread(path, error)),
        };
        hasher.update(&block[..read]);
        pace::wait(read);
        file.write_all(&block[..read]).map_err(|error| Error::io("write", to, error))?;
        bytes += read as u64;
        watch.sent(read as u64)?;
    }
}
