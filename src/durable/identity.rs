//! [`folder_identity`]: which folder of this machine one is, whatever its path; [`file_number`]: whether a path leads to
//! the file that it led to; [`is_ours_alone`]: whether anybody else can write a file.

use crate::error::{Error, Result};
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What tells a folder from a copy of it: its inode and when it was made, where the file system keeps
/// that. The same after a rename within a file system and after its files were replaced; another one of
/// a copy (`cp -a`, a restored archive), of a folder that was moved to another file system, and of one
/// that was made anew. A clone of the whole disk has the same.
///
/// # Errors
/// Io.
pub fn folder_identity(folder: &Path) -> Result<String> {
    let metadata = folder.metadata().map_err(|error| Error::io("look at", folder, error))?;
    let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or("-".to_owned(), |since| since.as_nanos().to_string());
    Ok(format!("folder {} made {made}", number(&metadata)))
}

#[cfg(unix)]
fn number(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ino().to_string()
}

/// When it was made has to do.
#[cfg(not(unix))]
fn number(_: &Metadata) -> String {
    "-".to_owned()
}

/// The device and inode of the file that a path leads to, by which a file that somebody has open is told from one that
/// came in its place. Nothing, if there is none, and where files that are open can be neither removed nor replaced.
#[cfg(unix)]
pub fn file_number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Files that are open are neither removed nor replaced here.
#[cfg(not(unix))]
pub fn file_number(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Whether the file that a path leads to has other names beside its own (hard links).
#[cfg(unix)]
pub fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().is_ok_and(|metadata| metadata.nlink() > 1)
}

/// Nothing is known of that here.
#[cfg(not(unix))]
pub fn has_other_names(_: &Path) -> bool {
    false
}

/// Whether an open file can be written by its owner alone, and that is who we are, or root.
#[cfg(unix)]
pub fn is_ours_alone(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = file.metadata() else { return false };
    let is_ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
    is_ours && metadata.mode() & 0o022 == 0
}

/// Nothing is known of that here.
#[cfg(not(unix))]
pub fn is_ours_alone(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_itself_when_it_is_renamed_and_its_copy_is_another() {
        let ground = tempfile::tempdir().unwrap();
        let (first, second) = (ground.path().join("first"), ground.path().join("second"));
        std::fs::create_dir(&first).unwrap();
        let identity = folder_identity(&first).unwrap();
        std::fs::write(first.join("file"), "x").unwrap();
        std::fs::rename(&first, &second).unwrap();
        assert_eq!(folder_identity(&second).unwrap(), identity);
        std::fs::create_dir(&first).unwrap();
        assert_ne!(folder_identity(&first).unwrap(), identity);
        assert!(folder_identity(&ground.path().join("third")).is_err());
    }
}
