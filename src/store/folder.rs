//! [`Folder`]: a folder as a place of bundles: a drop folder, a mounted share.
//!
//! Files are made under names that start with a dot, synced, and renamed; the files of a bundle are
//! put together under such a name too, so that a reader who knows nothing of markers sees no half
//! bundle either. Nothing is recorded with a file: whoever wants its hash reads it.

use super::{Head, Object, Store, Upload, Watch, upload};
use crate::durable::{Disk, DurableFile, remove_ours, write_file};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Deeper than any bundle in a folder.
const MAX_DEPTH: usize = 8;
const BLOCK_BYTES: usize = 256 << 10;
const SENDING: &str = ".sending-";

/// See the module's text.
pub(super) struct Folder<'d> {
    disk: &'d dyn Disk,
    root: PathBuf,
}

impl<'d> Folder<'d> {
    pub(super) fn new(disk: &'d dyn Disk, root: &Path) -> Self {
        Self { disk, root: root.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A name beside the bundles under which one file is made, and that nobody else takes. What a
    /// crash leaves there is removed by whoever settles the same bundle.
    fn temporary(&self, path: &str) -> PathBuf {
        let first = path.split('/').next().unwrap_or(path).trim_start_matches('.');
        self.root.join(format!(".{first}{SENDING}{}", Guid::random()))
    }

    /// Removes what a dead process left on the way to `name`.
    fn sweep(&self, name: &str) -> Result<()> {
        let failed = |error| Error::io("list", &self.root, error);
        let own = format!(".{name}");
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_left =
                entry.file_name().to_str().is_some_and(|file| file.starts_with(&own) && file.contains(SENDING));
            if is_left {
                self.disk.remove_file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes the folders that a path lies in.
    fn make_folders(&self, path: &str) -> Result<()> {
        self.check_root()?;
        let mut above = self.root.clone();
        for part in path.rsplit_once('/').map_or("", |(folders, _)| folders).split('/').filter(|part| !part.is_empty())
        {
            let folder = above.join(part);
            if !folder.is_dir() {
                self.disk.create_dir(&folder)?;
                self.disk.sync_dir(&above)?;
            }
            above = folder;
        }
        Ok(())
    }

    fn check_root(&self) -> Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        Err(Error::config("there is no such folder to ship to or to receive from")
            .file(&self.root)
            .hint("make it first, or mount what is mounted there"))
    }

    /// Gives a file its name, over one that may be there. At no time there is none, so that nobody who
    /// ships the same bundle at the same time finds that one missing which he has just put there.
    fn put(&self, from: &Path, path: &str) -> Result<()> {
        if let Err(error) = self.disk.replace(from, &self.at(path)) {
            // Best effort: it is removed by the next ship.
            let _ = self.disk.remove_file(from);
            return Err(error);
        }
        self.sync_above(path)
    }

    fn sync_above(&self, path: &str) -> Result<()> {
        self.disk.sync_dir(self.at(path).parent().unwrap_or(&self.root))
    }

    fn walk(&self, folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Object>) -> Result<()> {
        let failed = |error| Error::io("list", folder, error);
        if depth > MAX_DEPTH {
            return Err(Error::verification("the folder is deeper than any bundle").file(folder));
        }
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_dir() {
                self.walk(&entry.path(), &path, depth + 1, found)?;
            } else {
                found.push(Object { path, bytes: metadata.len() });
            }
        }
        Ok(())
    }
}

impl Store for Folder<'_> {
    fn names(&self) -> Result<Vec<Object>> {
        self.check_root()?;
        let failed = |error| Error::io("list", &self.root, error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_file() && !name.starts_with('.') {
                found.push(Object { path: name, bytes: metadata.len() });
            }
        }
        found.sort();
        Ok(found)
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        self.check_root()?;
        let (at, mut found) = (self.at(folder), Vec::new());
        if at.is_dir() {
            self.walk(&at, folder, 1, &mut found)?;
            found.sort();
        }
        Ok(found)
    }

    fn head(&self, path: &str) -> Result<Option<Head>> {
        match self.at(path).symlink_metadata() {
            Ok(found) if found.is_file() => Ok(Some(Head { bytes: found.len(), sha256: None })),
            Ok(_) => Err(Error::usage("something else than a file stands here").file(self.at(path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", &self.at(path), error)),
        }
    }

    fn read(&self, path: &str, offset: u64, bytes: u64) -> Result<Bytes> {
        let at = self.at(path);
        let mut content = Vec::new();
        let read = File::open(&at).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            file.take(bytes).read_to_end(&mut content)
        });
        read.map_err(|error| Error::io("read", &at, error))?;
        Ok(content.into())
    }

    fn get(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        match self.head(path)? {
            Some(_) => self.read(path, 0, most).map(Some),
            None => Ok(None),
        }
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        self.make_folders(path)?;
        let is_same = || Ok(self.get(path, bytes.len() as u64 + 1)?.is_some_and(|there| there == bytes));
        let to = self.at(path);
        if to.symlink_metadata().is_ok() {
            return is_same();
        }
        let from = self.temporary(path);
        write_file(self.disk, &from, bytes)?;
        match self.disk.rename(&from, &to) {
            Ok(()) => self.sync_above(path).map(|()| true),
            // Somebody was faster.
            Err(_) if to.symlink_metadata().is_ok() => {
                // Best effort: whoever was faster may have removed it.
                let _ = self.disk.remove_file(&from);
                is_same()
            }
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let from = self.temporary(path);
        write_file(self.disk, &from, bytes)?;
        self.put(&from, path)
    }

    fn upload(&self, upload: Upload<'_>, watch: &mut dyn Watch) -> Result<()> {
        let Upload { path, bytes, sha256, source } = upload;
        self.make_folders(path)?;
        let from = self.temporary(path);
        let mut file = self.disk.create(&from)?;
        let written = copy(source, file.as_mut(), path, &from, watch)
            .and_then(|read| upload::check(path, read, (bytes, sha256)))
            .and_then(|()| file.sync());
        drop(file);
        if let Err(error) = written {
            // Best effort: it is removed by the next ship.
            let _ = self.disk.remove_file(&from);
            return Err(error);
        }
        self.put(&from, path)
    }

    fn abort(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete(&self, path: &str) -> Result<()> {
        let at = self.at(path);
        if at.symlink_metadata().is_err() {
            return Ok(());
        }
        if let Err(error) = self.disk.remove_file(&at)
            && at.symlink_metadata().is_ok()
        {
            return Err(error);
        }
        // Stores have no folders: those that are empty now go too.
        let mut above = at.parent();
        while let Some(folder) = above.filter(|folder| *folder != self.root && folder.starts_with(&self.root)) {
            let is_empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
            if !is_empty {
                return self.disk.sync_dir(folder);
            }
            self.disk.remove_dir(folder)?;
            above = folder.parent();
        }
        self.disk.sync_dir(&self.root)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let (at, aside) = (self.at(name), self.at(&format!(".{name}.removing")));
        self.sweep(name)?;
        if at.is_file() {
            return self.delete(name);
        }
        // A reader who knows nothing of markers sees no half of it.
        if at.is_dir() && !aside.exists() {
            self.disk.rename(&at, &aside)?;
            self.disk.sync_dir(&self.root)?;
        }
        if aside.exists() {
            remove_ours(self.disk, &aside, &|_| true)?;
        }
        self.disk.sync_dir(&self.root)
    }

    fn staging(&self, name: &str) -> String {
        // A file is put in its place by one rename anyway, and so is what stands there already.
        if self.at(name).is_dir() { name.to_owned() } else { staging_of(name) }
    }

    fn settle(&self, name: &str) -> Result<()> {
        let (staged, to) = (self.at(&staging_of(name)), self.at(name));
        if staged.is_dir() && to.symlink_metadata().is_err() {
            self.disk.rename(&staged, &to)?;
        } else if staged.is_dir() {
            // Somebody who shipped the same bundle was faster; what was put there since is of no use.
            remove_ours(self.disk, &staged, &|_| true)?;
        }
        self.sweep(name)?;
        self.disk.sync_dir(&self.root)
    }
}

fn staging_of(name: &str) -> String {
    format!(".{name}.shipping")
}

fn copy(
    source: &mut dyn Read,
    file: &mut dyn DurableFile,
    path: &str,
    to: &Path,
    watch: &mut dyn Watch,
) -> Result<(u64, Sha256)> {
    let (mut hasher, mut bytes, mut block) = (Hasher::default(), 0_u64, vec![0; BLOCK_BYTES]);
    loop {
        let read = match source.read(&mut block) {
            Ok(0) => return Ok((bytes, hasher.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(upload::unread(path, error)),
        };
        hasher.update(&block[..read]);
        file.write_all(&block[..read]).map_err(|error| Error::io("write", to, error))?;
        bytes += read as u64;
        watch.sent(read as u64)?;
    }
}
