//! Operations on a name in a folder that is held open: the one place that calls the file system.
//!
//! On Unix every operation goes by the handle of the folder, and never follows a link at the name.
//! Elsewhere it goes by the path, which is looked at before.

use super::entry::{EntryKind, FolderEntry};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether our group may read what this process makes; said once, when it begins.
static WITH_GROUP: AtomicBool = AtomicBool::new(false);

/// From here on what this process makes is to be read by its user's group too, or not.
pub(super) fn let_group_read(may: bool) {
    WITH_GROUP.store(may, Ordering::Relaxed);
}

/// What a folder hands on of itself: its group, where it has that bit, and what its group and others may do.
const HANDED_ON: u32 = 0o2077;

/// The permission bits of what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes {
    /// Of files.
    pub(super) file: u32,
    /// Of folders.
    pub(super) folder: u32,
}

impl Modes {
    /// Ours, and what a folder that is shared with others gives to its group and to them.
    pub(super) fn of_folder(mode: u32) -> Self {
        Self { file: 0o600 | (mode & 0o066), folder: 0o700 | (mode & HANDED_ON) }
    }

    /// Ours alone, or to be read by our group too; the umask can take from that and give nothing.
    fn own() -> Self {
        match WITH_GROUP.load(Ordering::Relaxed) {
            true => Self { file: 0o640, folder: 0o750 },
            false => Self { file: 0o600, folder: 0o700 },
        }
    }
}

#[cfg(unix)]
pub(super) use unix::*;

#[cfg(unix)]
mod unix {
    use super::*;
    use rustix::fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat,
    };
    use rustix::io::Errno;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// A name in a folder.
    pub(in super::super) struct At<'a> {
        folder: Option<OwnedFd>,
        name: &'a OsStr,
        modes: Option<Modes>,
    }

    impl<'a> At<'a> {
        /// A path of the user's, links in it followed but for its last name.
        pub(in super::super) fn path(path: &'a Path) -> Self {
            Self { folder: None, name: path.as_os_str(), modes: None }
        }

        /// A name in a folder that is held.
        pub(in super::super) fn inside(folder: OwnedFd, name: &'a OsStr, modes: Option<Modes>) -> Self {
            Self { folder: Some(folder), name, modes }
        }

        fn folder(&self) -> BorrowedFd<'_> {
            self.folder.as_ref().map_or(CWD, AsFd::as_fd)
        }
    }

    /// Opens the folder that a user named; the path may be a link to it.
    pub(in super::super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
        Ok(openat(CWD, path, FOLDER_FLAGS, Mode::empty())?)
    }

    /// Opens a folder in a folder; a link is refused.
    pub(in super::super) fn open_folder(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
        Ok(openat(folder, name, FOLDER_FLAGS | OFlags::NOFOLLOW, Mode::empty())?)
    }

    /// The permission bits of a folder.
    pub(in super::super) fn mode_of(folder: impl AsFd) -> io::Result<u32> {
        Ok(Mode::from_raw_mode(fstat(folder)?.st_mode).as_raw_mode())
    }

    /// Whether an error says that a link, or no folder, stood where a folder had to be.
    pub(in super::super) fn is_in_the_way(error: &io::Error) -> bool {
        [Errno::LOOP, Errno::NOTDIR].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    }

    pub(in super::super) fn create_dir(at: &At<'_>) -> io::Result<()> {
        mkdirat(at.folder(), at.name, Mode::from_raw_mode(Modes::own().folder))?;
        if let Some(modes) = at.modes {
            let made = open_folder(at.folder(), at.name)?;
            fchmod(made, Mode::from_raw_mode(modes.folder))?;
        }
        Ok(())
    }

    pub(in super::super) fn create(at: &At<'_>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(at.folder(), at.name, flags, Mode::from_raw_mode(Modes::own().file))?;
        if let Some(modes) = at.modes {
            fchmod(&file, Mode::from_raw_mode(modes.file))?;
        }
        Ok(File::from(file))
    }

    /// A file, or a folder. A pipe does not block: it is opened without waiting. The caller looks at what it
    /// has opened.
    pub(in super::super) fn open(at: &At<'_>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(at.folder(), at.name, flags, Mode::empty())?))
    }

    pub(in super::super) fn open_any_folder(at: &At<'_>) -> io::Result<File> {
        Ok(File::from(openat(at.folder(), at.name, FOLDER_FLAGS, Mode::empty())?))
    }

    pub(in super::super) fn look(at: &At<'_>) -> io::Result<Option<FolderEntry>> {
        match statat(at.folder(), at.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(entry_of(at.name, &found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(in super::super) fn list(at: &At<'_>) -> io::Result<Vec<FolderEntry>> {
        let folder = open_any_folder(at)?;
        let mut found = Vec::new();
        for one in Dir::read_from(&folder)? {
            let one = one?;
            let name = OsStr::from_bytes(one.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => found.push(entry_of(name, &stat)),
                // It went in the meantime.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn entry_of(name: &OsStr, stat: &Stat) -> FolderEntry {
        let (kind, bytes) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => (EntryKind::File, u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => (EntryKind::Folder, 0),
            _ => (EntryKind::Other, 0),
        };
        let seconds = u64::try_from(stat.st_mtime).ok();
        let modified = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        FolderEntry { name: name.to_owned(), kind, bytes, modified }
    }

    pub(in super::super) fn remove_file(at: &At<'_>) -> io::Result<()> {
        Ok(unlinkat(at.folder(), at.name, AtFlags::empty())?)
    }

    pub(in super::super) fn remove_dir(at: &At<'_>) -> io::Result<()> {
        Ok(unlinkat(at.folder(), at.name, AtFlags::REMOVEDIR)?)
    }

    /// rename(2) replaces an empty folder and any file, so the flag that forbids it is asked for.
    pub(in super::super) fn rename(from: &At<'_>, to: &At<'_>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(from.folder(), from.name, to.folder(), to.name, RenameFlags::NOREPLACE) {
                // A file system without the flag (some network mounts).
                Err(Errno::INVAL | Errno::NOSYS) => {}
                other => return Ok(other?),
            }
        }
        if look(to)?.is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        replace(from, to)
    }

    /// Over a file or a link that may have the name.
    pub(in super::super) fn replace(from: &At<'_>, to: &At<'_>) -> io::Result<()> {
        Ok(renameat(from.folder(), from.name, to.folder(), to.name)?)
    }
}

#[cfg(not(unix))]
pub(super) use by_path::*;

#[cfg(not(unix))]
mod by_path {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A name in a folder.
    pub(in super::super) struct At<'a> {
        path: PathBuf,
        name: &'a OsStr,
    }

    impl<'a> At<'a> {
        /// A path of the user's.
        pub(in super::super) fn path(path: &'a Path) -> Self {
            Self { path: path.to_owned(), name: path.as_os_str() }
        }

        /// A name in a folder that was looked at.
        pub(in super::super) fn inside(folder: PathBuf, name: &'a OsStr, _: Option<Modes>) -> Self {
            Self { path: folder.join(name), name }
        }
    }

    pub(in super::super) fn open_root(path: &Path) -> io::Result<PathBuf> {
        if path.is_dir() { Ok(path.to_owned()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
    }

    pub(in super::super) fn open_folder(folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
        let path = folder.join(name);
        if path.symlink_metadata()?.is_dir() { Ok(path) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
    }

    pub(in super::super) fn mode_of(_: &Path) -> io::Result<u32> {
        Ok(0)
    }

    pub(in super::super) fn is_in_the_way(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotADirectory
    }

    pub(in super::super) fn create_dir(at: &At<'_>) -> io::Result<()> {
        fs::create_dir(&at.path)
    }

    pub(in super::super) fn create(at: &At<'_>) -> io::Result<File> {
        fs::OpenOptions::new().write(true).create_new(true).open(&at.path)
    }

    pub(in super::super) fn open(at: &At<'_>) -> io::Result<File> {
        match at.path.symlink_metadata()?.file_type().is_symlink() {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "a link stands here")),
            false => File::open(&at.path),
        }
    }

    pub(in super::super) fn open_any_folder(at: &At<'_>) -> io::Result<File> {
        File::open(&at.path)
    }

    pub(in super::super) fn look(at: &At<'_>) -> io::Result<Option<FolderEntry>> {
        match at.path.symlink_metadata() {
            Ok(found) => Ok(Some(entry_of(at.name, &found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn list(at: &At<'_>) -> io::Result<Vec<FolderEntry>> {
        let mut found = Vec::new();
        for one in fs::read_dir(&at.path)? {
            let one = one?;
            found.push(entry_of(&one.file_name(), &one.metadata()?));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn entry_of(name: &OsStr, found: &fs::Metadata) -> FolderEntry {
        let (kind, bytes) = match (found.is_file(), found.is_dir()) {
            (true, _) => (EntryKind::File, found.len()),
            (_, true) => (EntryKind::Folder, 0),
            _ => (EntryKind::Other, 0),
        };
        FolderEntry { name: name.to_owned(), kind, bytes, modified: found.modified().ok() }
    }

    pub(in super::super) fn remove_file(at: &At<'_>) -> io::Result<()> {
        fs::remove_file(&at.path)
    }

    pub(in super::super) fn remove_dir(at: &At<'_>) -> io::Result<()> {
        fs::remove_dir(&at.path)
    }

    pub(in super::super) fn rename(from: &At<'_>, to: &At<'_>) -> io::Result<()> {
        if look(to)?.is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        replace(from, to)
    }

    /// Over a file or a link that may have the name.
    pub(in super::super) fn replace(from: &At<'_>, to: &At<'_>) -> io::Result<()> {
        fs::rename(&from.path, &to.path)
    }
}
