//! What stands under a name, seen without following a link.

use std::ffi::OsString;
use std::time::SystemTime;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a pipe, a device: nothing that we make, and nothing that is followed.
    Other,
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name in its folder.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for others.
    pub bytes: u64,
    /// When it was last changed, where the file system says so.
    pub modified: Option<SystemTime>,
}

impl FolderEntry {
    /// Its name as text; bytes that are not UTF-8 are shown replaced, so that it is no name of ours.
    pub fn text(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}
