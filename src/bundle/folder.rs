//! Looking into a bundle's folder without ever following a link out of it.

use super::container::missing;
use crate::error::{Error, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Deeper than any bundle: `data/t001-x/blob/<sha>.zst` is 4.
const MAX_DEPTH: usize = 6;

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a pipe, a device: nothing that a bundle may hold.
    Other,
}

/// Something in a bundle's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the bundle's folder on, with `/`; bytes that are not UTF-8 are shown replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for others.
    pub bytes: u64,
}

/// Everything in a bundle's folder, in the order of paths. Links are listed, not followed.
///
/// # Errors
/// Io; Verification, if it is deeper than any bundle.
pub fn list(root: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut open: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 1)];
    while let Some((dir, prefix, depth)) = open.pop() {
        let failed = |error| Error::io("list", &dir, error);
        if depth > MAX_DEPTH {
            return Err(Error::verification("the folder is deeper than any bundle").file(&dir));
        }
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let (kind, bytes) = kind_of(&metadata);
            if kind == EntryKind::Folder {
                open.push((entry.path(), format!("{path}/"), depth + 1));
            }
            found.push(Entry { path, kind, bytes });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn kind_of(metadata: &Metadata) -> (EntryKind, u64) {
    if metadata.is_dir() {
        (EntryKind::Folder, 0)
    } else if metadata.is_file() {
        (EntryKind::File, metadata.len())
    } else {
        (EntryKind::Other, 0)
    }
}

/// Opens a regular file for reading; `path` is one that the grammar of paths let through.
///
/// # Errors
/// Verification, if a link stands in the way or it is no regular file; Io.
pub(super) fn open(root: &Path, path: &str) -> Result<(File, u64)> {
    let full = root.join(path);
    let file = open_beneath(root, path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return missing(full.clone());
        }
        Error::io("open", &full, error)
    })?;
    let metadata = file.metadata().map_err(|error| Error::io("read", &full, error))?;
    if !metadata.is_file() {
        return Err(Error::verification("a file of the bundle is no regular file").file(&full));
    }
    Ok((file, metadata.len()))
}

/// Each folder is opened relative to the one before, and none of them may be a link. A pipe does
/// not block: it is opened without waiting, and refused after.
#[cfg(unix)]
fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    let (dirs, name) = path.rsplit_once('/').map_or((None, path), |(dirs, name)| (Some(dirs), name));
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = open(root, folder, Mode::empty())?;
    for dir in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
        at = openat(&at, dir, folder | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let file = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(openat(&at, name, file, Mode::empty())?))
}

#[cfg(not(unix))]
fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    let mut at = root.to_owned();
    for part in path.split('/') {
        at.push(part);
        if at.symlink_metadata()?.file_type().is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a link stands in the way"));
        }
    }
    File::open(at)
}
