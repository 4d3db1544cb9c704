//! [`Beneath`]: everything below one folder, reached from a handle of it.
//!
//! Whoever may write in a folder, its owner or another process, can put a link in the place of
//! anything below it, at any moment. So each component of a path below the root is opened relative
//! to the one before, and a link is refused, not followed: no operation ever leaves the folder that
//! the user named. The root itself is opened once, and may be a link, because the user named it.

use super::at::{self, At, Modes};
use super::entry::{EntryKind, FolderEntry};
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

#[cfg(unix)]
type Handle = std::os::fd::OwnedFd;
#[cfg(not(unix))]
type Handle = PathBuf;

/// Who may read what is made below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Its user alone, or the user's group too ([`super::keep_private`]), whatever the umask.
    Ours,
    /// Group and others as the folder itself lets them: a drop folder.
    AsFolder,
}

/// See the module's text. Clones share the handle.
#[derive(Clone, Debug)]
pub struct Beneath {
    root: PathBuf,
    handle: Arc<Handle>,
    modes: Option<Modes>,
}

impl Beneath {
    /// Opens a folder that the user named; an empty path is the working folder.
    ///
    /// # Errors
    /// Io, if it is not there or is no folder.
    pub fn open(root: &Path, sharing: Sharing) -> Result<Self> {
        let named = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let opened = at::open_root(named).and_then(|handle| Self::new(root, handle, sharing));
        opened.map_err(|error| Error::io("open", root, error))
    }

    fn new(root: &Path, handle: Handle, sharing: Sharing) -> io::Result<Self> {
        let modes = match sharing {
            Sharing::Ours => None,
            Sharing::AsFolder => Some(Modes::of_folder(at::mode_of(&handle)?)),
        };
        Ok(Self { root: root.to_owned(), handle: Arc::new(handle), modes })
    }

    /// A folder below this one.
    ///
    /// # Errors
    /// Verification, if a link or anything else stands there; Io.
    pub fn folder(&self, path: &Path, sharing: Sharing) -> Result<Self> {
        let opened = self.walk(path).and_then(|(above, name)| match name {
            Some(name) => at::open_folder(&above, name),
            None => Ok(above),
        });
        let opened = opened.and_then(|handle| Self::new(path, handle, sharing));
        opened.map_err(|error| refused("open", path, error))
    }

    /// The folder, as the user named it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What stands at a path, if anything does; a link is seen as such.
    ///
    /// # Errors
    /// Verification, if a link or a file stands where a folder above it has to be; Io.
    pub fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        match self.on(path, at::look) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map_err(|error| refused("look at", path, error)),
        }
    }

    /// What is in a folder, by name. Links are listed, not followed.
    ///
    /// # Errors
    /// As [`Beneath::look`].
    pub fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        // Through a handle of the folder, which a link cannot be.
        let listed = self.folder(path, Sharing::Ours)?;
        listed.on(path, at::list).map_err(|error| refused("list", path, error))
    }

    /// Opens a regular file for reading; `None` where there is none.
    ///
    /// # Errors
    /// Verification, if a link stands in the way or at the path, or it is no regular file; Io.
    pub fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        let file = match self.on(path, at::open) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("open", path, error)),
        };
        regular(file, path).map(Some)
    }

    pub(super) fn on<T>(&self, path: &Path, work: impl FnOnce(&At<'_>) -> io::Result<T>) -> io::Result<T> {
        let (above, name) = self.walk(path)?;
        work(&At::inside(above, name.unwrap_or(OsStr::new(".")), self.modes))
    }

    /// The folder that a path lies in, and its last name; no name for the root itself.
    fn walk<'p>(&self, path: &'p Path) -> io::Result<(Handle, Option<&'p OsStr>)> {
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "this path does not lie in the folder");
        let below = path.strip_prefix(&self.root).map_err(|_| outside())?;
        let mut names = Vec::new();
        for component in below.components() {
            match component {
                Component::Normal(name) => names.push(name),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        let last = names.pop();
        let mut at = self.again()?;
        for name in names {
            at = at::open_folder(&at, name)?;
        }
        Ok((at, last))
    }

    #[cfg(unix)]
    fn again(&self) -> io::Result<Handle> {
        self.handle.try_clone()
    }

    #[cfg(not(unix))]
    fn again(&self) -> io::Result<Handle> {
        Ok(self.handle.as_ref().clone())
    }
}

/// A file that was opened, with its size.
pub(super) fn regular(file: File, path: &Path) -> Result<(File, u64)> {
    let metadata = file.metadata().map_err(|error| Error::io("read", path, error))?;
    if !metadata.is_file() {
        return Err(Error::verification("this is no regular file")
            .file(path)
            .hint("look who put it there, and remove it; whoever can write in this folder can do it again"));
    }
    Ok((file, metadata.len()))
}

/// An error of an operation below a folder: what stands in the way is told as that.
pub(super) fn refused(operation: &str, path: &Path, error: io::Error) -> Error {
    if !at::is_in_the_way(&error) {
        return Error::io(operation, path, error);
    }
    in_the_way(path)
}

/// What is told of a link, or anything else that is none of ours, where a file or folder of ours has to be.
pub fn in_the_way(path: &Path) -> Error {
    Error::verification(
        "a link, or something else that is not ours, stands in the way; it was not followed, and nothing was changed",
    )
    .file(path)
    .hint("look who put it there, and remove it; whoever can write in this folder can do it again")
}

/// Removes a folder with what is ours in it: files whose paths from the folder on, with `/`, `is_ours`
/// takes, and folders that are empty then. Links and everything else stay where they are. Gives what stayed; the folder
/// is gone if that is nothing.
///
/// # Errors
/// As [`Beneath::look`]; Io.
pub fn remove_ours(disk: &dyn super::Disk, folder: &Path, is_ours: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    remove_level(disk, folder, "", MAX_LEVELS, is_ours, &mut left)?;
    Ok(left)
}

/// Deeper than anything that we make.
const MAX_LEVELS: u32 = 8;

fn remove_level(
    disk: &dyn super::Disk,
    folder: &Path,
    prefix: &str,
    levels: u32,
    is_ours: &dyn Fn(&str) -> bool,
    left: &mut Vec<PathBuf>,
) -> Result<()> {
    let before = left.len();
    for entry in disk.list(folder)? {
        let (path, relative) = (folder.join(&entry.name), format!("{prefix}{}", entry.text()));
        match entry.kind {
            EntryKind::Folder if levels > 0 => {
                remove_level(disk, &path, &format!("{relative}/"), levels - 1, is_ours, left)?;
            }
            EntryKind::File if is_ours(&relative) => disk.remove_file(&path)?,
            _ => left.push(path),
        }
    }
    if left.len() == before { disk.remove_dir(folder) } else { Ok(()) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::durable::{Disk, Local};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    /// A root with a link in it to a folder outside, which holds a file.
    struct LinkedRoot {
        _all: TempDir,
        root: PathBuf,
        outside: PathBuf,
    }

    fn ground() -> LinkedRoot {
        let all = tempfile::tempdir().unwrap();
        let (root, outside) = (all.path().join("root"), all.path().join("outside"));
        fs::create_dir_all(outside.join("below")).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        fs::create_dir(&root).unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink(outside.join("kept"), root.join("file")).unwrap();
        LinkedRoot { _all: all, root, outside }
    }

    fn untouched(outside: &Path) {
        let names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(outside.join("below")).unwrap().count(), 0);
    }

    type Try = fn(&dyn Disk, &Path) -> Result<()>;

    #[test]
    fn no_operation_follows_a_link() {
        let ground = ground();
        let disk = Local.beneath(&ground.root, Sharing::Ours).unwrap();
        let at = |path: &str| ground.root.join(path);
        let tries: [(&str, &str, Try); 11] = [
            ("create", "link/new", |disk, at| disk.create(at).map(drop)),
            ("create over a link", "file", |disk, at| disk.create(at).map(drop)),
            ("create a folder", "link/new", |disk, at| disk.create_dir(at)),
            ("remove a file", "link/kept", |disk, at| disk.remove_file(at)),
            ("remove a folder", "link/below", |disk, at| disk.remove_dir(at)),
            ("remove a link as a folder", "link", |disk, at| disk.remove_dir(at)),
            ("rename from", "link/kept", |disk, at| disk.rename(at, &at.with_file_name("x"))),
            ("list", "link", |disk, at| disk.list(at).map(drop)),
            ("read", "file", |disk, at| disk.read(at).map(drop)),
            ("look through", "link/kept", |disk, at| disk.look(at).map(drop)),
            ("sync", "link", |disk, at| disk.sync_dir(at)),
        ];
        for (what, path, attempt) in tries {
            let error = attempt(disk.as_ref(), &at(path)).unwrap_err();
            assert!(error.to_string().contains("root/"), "{what}: {error}");
            untouched(&ground.outside);
        }
        assert!(disk.hold(&at("link")).is_none());
        assert!(disk.beneath(&at("link"), Sharing::Ours).is_err());
        fs::write(at("own"), "own").unwrap();
        assert!(disk.rename(&at("own"), &at("link/moved")).is_err());
        untouched(&ground.outside);
        assert!(disk.create(&ground.root.join("../outside/new")).is_err(), "a path that climbs");
        assert!(disk.create(&ground.outside.join("new")).is_err(), "a path elsewhere");
        untouched(&ground.outside);
    }

    #[test]
    fn what_is_removed_is_ours_and_links_are_left() {
        let ground = ground();
        let disk = Local.beneath(&ground.root, Sharing::Ours).unwrap();
        let folder = ground.root.join("folder");
        fs::create_dir_all(folder.join("data/deep")).unwrap();
        for name in ["ours", "data/ours", "data/deep/ours"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        symlink(&ground.outside, folder.join("data/ours.too")).unwrap();
        fs::write(folder.join("foreign"), "x").unwrap();
        let left =
            remove_ours(disk.as_ref(), &folder, &|path| path.ends_with("ours") || path.ends_with("too")).unwrap();
        assert_eq!(left, [folder.join("data/ours.too"), folder.join("foreign")]);
        untouched(&ground.outside);
        assert!(!folder.join("data/deep").exists() && !folder.join("ours").exists());
        fs::remove_file(folder.join("data/ours.too")).unwrap();
        assert_eq!(remove_ours(disk.as_ref(), &folder, &|_| true).unwrap(), [] as [PathBuf; 0]);
        assert!(!folder.exists());
    }

    #[test]
    fn a_root_that_is_swapped_is_still_the_one_that_was_opened() {
        let ground = ground();
        let disk = Local.beneath(&ground.root, Sharing::Ours).unwrap();
        let moved = ground.root.with_file_name("moved");
        fs::rename(&ground.root, &moved).unwrap();
        symlink(&ground.outside, &ground.root).unwrap();
        write(disk.as_ref(), &ground.root.join("new"));
        assert!(moved.join("new").exists());
        untouched(&ground.outside);
    }

    #[test]
    fn a_drop_folder_says_who_may_read_what_is_put_there() {
        for (mode, file, folder) in [(0o700, 0o600, 0o700), (0o770, 0o660, 0o770), (0o2775, 0o664, 0o2775)] {
            let ground = ground();
            fs::set_permissions(&ground.root, fs::Permissions::from_mode(mode)).unwrap();
            let disk = Local.beneath(&ground.root, Sharing::AsFolder).unwrap();
            write(disk.as_ref(), &ground.root.join("new"));
            disk.create_dir(&ground.root.join("below")).unwrap();
            let mode_of = |name: &str| fs::metadata(ground.root.join(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode_of("new"), mode_of("below")), (file, folder), "{mode:o}");
        }
    }

    fn write(disk: &dyn Disk, path: &Path) {
        crate::durable::write_file(disk, path, b"new").unwrap();
    }
}
