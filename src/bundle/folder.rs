//! Looking into a bundle's folder without ever following a link out of it.

use crate::durable::{Disk, EntryKind};
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Deeper than any bundle: `data/t001-x/blob/<sha>.zst` is 4.
const MAX_DEPTH: usize = 6;

/// Something in a bundle's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleEntry {
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
pub fn list(disk: &dyn Disk, root: &Path) -> Result<Vec<BundleEntry>> {
    let mut found = Vec::new();
    let mut open: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 1)];
    while let Some((dir, prefix, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(Error::verification("the folder is deeper than any bundle").file(&dir));
        }
        for entry in disk.list(&dir)? {
            let path = format!("{prefix}{}", entry.text());
            if entry.kind == EntryKind::Folder {
                open.push((dir.join(&entry.name), format!("{path}/"), depth + 1));
            }
            found.push(BundleEntry { path, kind: entry.kind, bytes: entry.bytes });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Opens a regular file for reading; `path` is one that the grammar of paths let through.
///
/// # Errors
/// Verification, if a link stands in the way, or it is no regular file or missing; Io.
pub(super) fn open(disk: &dyn Disk, root: &Path, path: &str) -> Result<(File, u64)> {
    let full = root.join(path);
    disk.read(&full)?.ok_or_else(|| missing(full))
}

/// A file that a list names and that is not there.
pub(super) fn missing(place: PathBuf) -> Error {
    Error::verification("a file of the bundle is missing").file(place)
}

/// A read that failed: of a disk, or of an encrypted archive that was changed.
pub(super) fn read_failed(place: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::verification("this file cannot be read: the archive that holds it was changed")
                .file(place)
                .caused_by(error)
        }
        _ => Error::io("read", place, error),
    }
}
