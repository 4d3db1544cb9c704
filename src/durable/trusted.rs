//! [`read_trusted`]: a file that decides what this program does, which nobody else may have written.
//!
//! The file, each folder above it, and each link on the way belong to this account or to root, and nobody else may write
//! them. (Others may write a folder if it has the sticky bit, as `/tmp` has: they cannot replace what is not theirs there.)
//! Access lists beyond the permission bits are not looked at.

use crate::error::{Error, Result};
use std::io::Read as _;
use std::path::Path;

/// What such a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether accounts that are neither the owner nor in the file's group can read it.
    pub is_readable_by_all: bool,
}

/// Reads a file of at most `most` bytes, as the module's text says; `None`, if there is none.
///
/// # Errors
/// Usage: it is no regular file, it is longer, or somebody else may write it; Io.
pub fn read_trusted(path: &Path, most: u64) -> Result<Option<TrustedFile>> {
    let Some((file, is_readable_by_all)) = checked::open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io("read", path, error))?;
    if bytes.len() as u64 > most {
        return Err(Error::usage(format!("this file is longer than {most} bytes")).file(path));
    }
    Ok(Some(TrustedFile { bytes, is_readable_by_all }))
}

#[cfg(unix)]
mod checked {
    use crate::error::{Error, Result};
    use std::ffi::OsString;
    use std::fs::{File, Metadata};
    use std::io::ErrorKind;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Component, Path, PathBuf};

    /// Links on the way at most, as Linux has it.
    const MAX_LINKS: usize = 40;
    const OTHERS_WRITE: u32 = 0o022;
    const ALL_READ: u32 = 0o004;
    const STICKY: u32 = 0o1000;

    pub(super) fn open(path: &Path) -> Result<Option<(File, bool)>> {
        let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, error))?;
        let Some((real, seen)) = walked(&absolute)? else { return Ok(None) };
        if !seen.is_file() {
            return Err(Error::usage("this is no regular file").file(path));
        }
        let file = File::open(&real).map_err(|error| Error::io("open", &real, error))?;
        let opened = file.metadata().map_err(|error| Error::io("look at", &real, error))?;
        if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
            return Err(Error::usage("this file was replaced while it was being opened").file(path));
        }
        Ok(Some((file, opened.mode() & ALL_READ != 0)))
    }

    /// Where a path leads. Each step is looked at before it is taken.
    fn walked(absolute: &Path) -> Result<Option<(PathBuf, Metadata)>> {
        let (mut at, mut ahead) = (PathBuf::from("/"), components(absolute));
        let Some(mut seen) = looked(&at)? else { return Ok(None) };
        // How many names are ahead once the outermost link is behind.
        let (mut links, mut behind_link) = (0, None);
        while let Some(name) = ahead.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            behind_link = behind_link.filter(|behind| ahead.len() >= *behind);
            let Some(metadata) = looked(&next)? else {
                return match behind_link {
                    None => Ok(None),
                    Some(_) => Err(Error::usage("a link on the way to this file leads to nothing")
                        .file(absolute)
                        .hint(format!("make what it leads to, or remove the link: there is no {}", next.display()))),
                };
            };
            if !metadata.is_symlink() {
                (at, seen) = (next, metadata);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::usage("too many links lead to this file").file(absolute));
            }
            let target = std::fs::read_link(&next).map_err(|error| Error::io("read the link", &next, error))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            behind_link.get_or_insert(ahead.len());
            ahead.extend(components(&target));
        }
        Ok(Some((at, seen)))
    }

    /// The names of a path, the first one last.
    fn components(path: &Path) -> Vec<OsString> {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let mut names: Vec<OsString> = names.collect();
        names.reverse();
        names
    }

    fn looked(path: &Path) -> Result<Option<Metadata>> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(Error::io("look at", path, error)),
        };
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != 0 && metadata.uid() != own {
            return Err(refused("belongs to another account", path).hint(format!(
                "read what it says; then give it to root or to this account: chown {own} {}",
                path.display()
            )));
        }
        let is_shared_folder = metadata.is_dir() && metadata.mode() & STICKY != 0;
        if !metadata.is_symlink() && !is_shared_folder && metadata.mode() & OTHERS_WRITE != 0 {
            return Err(refused("can be written by others than its owner", path)
                .hint(format!("read what it says; then take that right away: chmod go-w {}", path.display())));
        }
        Ok(Some(metadata))
    }

    fn refused(why: &str, path: &Path) -> Error {
        Error::usage(format!("a file or folder that decides what this program does {why}")).file(path)
    }
}

/// Permissions are not looked at here: the folders where such a file is looked for belong to the user, or to those who
/// administer the machine.
#[cfg(not(unix))]
mod checked {
    use crate::error::{Error, Result};
    use std::fs::File;
    use std::io::ErrorKind;
    use std::path::Path;

    pub(super) fn open(path: &Path) -> Result<Option<(File, bool)>> {
        match File::open(path) {
            Ok(file) => Ok(Some((file, false))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_write_is_not_read() {
        let ground = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (ground.path().join("own"), ground.path().join("shared"));
        for made in [&folder, &elsewhere] {
            std::fs::create_dir(made).unwrap();
            chmod(made, 0o755);
        }
        let file = folder.join("file");
        std::fs::write(&file, "x").unwrap();
        chmod(&file, 0o600);
        let read = |path: &Path| read_trusted(path, 10).map(|file| file.map(|file| file.is_readable_by_all));
        assert_eq!(read(&file).unwrap(), Some(false));
        chmod(&file, 0o644);
        assert_eq!(read(&file).unwrap(), Some(true));
        assert_eq!(read(&folder.join("none")).unwrap(), None);
        assert_eq!(read(&file.join("below")).unwrap(), None);
        for mode in [0o664, 0o646, 0o666] {
            chmod(&file, mode);
            assert!(read(&file).unwrap_err().to_string().contains("chmod go-w"), "{mode:o}");
        }
        chmod(&file, 0o600);
        // Whoever writes a folder replaces what is in it; and whoever writes the folder of a link, where it leads.
        symlink(&file, elsewhere.join("link")).unwrap();
        symlink(&elsewhere, ground.path().join("by")).unwrap();
        symlink("link", elsewhere.join("twice")).unwrap();
        symlink("../shared/../own/file", folder.join("around")).unwrap();
        let ways =
            [elsewhere.join("link"), ground.path().join("by/link"), elsewhere.join("twice"), folder.join("around")];
        for way in &ways {
            assert_eq!(read(way).unwrap(), Some(false), "{}", way.display());
        }
        chmod(&elsewhere, 0o775);
        for way in &ways {
            assert!(read(way).is_err(), "{}", way.display());
        }
        chmod(&elsewhere, 0o1777);
        assert_eq!(read(&ways[2]).unwrap(), Some(false));
        chmod(&folder, 0o777);
        assert!(read(&file).is_err() && read(&ways[0]).is_err());
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let ground = tempfile::tempdir().unwrap();
        chmod(ground.path(), 0o755);
        let file = ground.path().join("file");
        std::fs::write(&file, "0123456789").unwrap();
        assert!(read_trusted(&file, 9).is_err());
        assert_eq!(read_trusted(&file, 10).unwrap().unwrap().bytes, b"0123456789");
        assert!(read_trusted(ground.path(), 9).is_err());
        // A link to a folder says nothing of what is not in it; one that leads nowhere was meant.
        symlink("nowhere", ground.path().join("dangling")).unwrap();
        symlink(".", ground.path().join("here")).unwrap();
        symlink("here/dangling", ground.path().join("by_another")).unwrap();
        for dangling in ["dangling", "dangling/below", "here/dangling", "by_another"] {
            let told = read_trusted(&ground.path().join(dangling), 9).unwrap_err().to_string();
            assert!(told.contains("leads to nothing") && told.contains("nowhere"), "{dangling}: {told}");
        }
        assert_eq!(read_trusted(&ground.path().join("here/none"), 9).unwrap(), None);
        symlink("loop", ground.path().join("loop")).unwrap();
        assert!(read_trusted(&ground.path().join("loop"), 9).unwrap_err().to_string().contains("links"));
        let pipe = ground.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        assert!(read_trusted(&pipe, 9).is_err());
    }

    #[test]
    fn what_belongs_to_another_account_is_not_read() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root gives a file away");
            return;
        }
        let ground = tempfile::tempdir().unwrap();
        let (file, link) = (ground.path().join("file"), ground.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        chmod(&file, 0o600);
        symlink(&file, &link).unwrap();
        assert!(read_trusted(&link, 9).unwrap().is_some());
        std::os::unix::fs::lchown(&link, Some(4321), None).unwrap();
        assert!(read_trusted(&link, 9).is_err() && read_trusted(&file, 9).is_ok());
        std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
        assert!(read_trusted(&file, 9).unwrap_err().to_string().contains("another account"));
    }
}
