//! [`OutFolder`]: the folder that an unpacking writes into.

use crate::durable::{Disk, EntryKind, Sharing};
use crate::error::{Error, Kind, Result};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// See the module's text. It is empty, or not there yet, and no link. It is made when something is written, held
/// against another unpacking, and everything in it is reached from its handle, so that whoever can
/// write beside it, or in it, leads nothing out of it.
pub(super) struct OutFolder<'a> {
    /// Beneath the folder that it lies in.
    above: Box<dyn Disk>,
    path: &'a Path,
    opened: Option<LockedFolder>,
}

struct LockedFolder {
    disk: Box<dyn Disk>,
    /// The lock, where the file system has locks.
    _held: Option<File>,
}

impl<'a> OutFolder<'a> {
    /// Looks at it; makes nothing.
    ///
    /// # Errors
    /// Usage, if it cannot be the one; Io.
    pub(super) fn check(disk: &dyn Disk, path: &'a Path) -> Result<Self> {
        let Some(above) = path.parent().filter(|_| path.file_name().is_some()) else {
            return Err(refused(path, "this names no folder that could be made"));
        };
        if !above.as_os_str().is_empty() && !above.is_dir() {
            return Err(refused(path, "the folder that it is to be made in is not there"));
        }
        let out = Self { above: disk.beneath(above, Sharing::Ours)?, path, opened: None };
        out.check_empty()?;
        Ok(out)
    }

    /// Its path, as the user gave it.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The disk beneath it; makes it, if it is not there yet.
    ///
    /// # Errors
    /// Usage, if another unpacking writes into it, or has; Verification, if a link stands there by now; Io.
    pub(super) fn disk(&mut self) -> Result<&dyn Disk> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(self.opened.insert(opened).disk.as_ref())
    }

    fn open(&self) -> Result<LockedFolder> {
        if !self.check_empty()? {
            self.above.create_dir(self.path)?;
        }
        let another = || refused(self.path, "another unpacking writes into this folder");
        let held = self.above.lock(self.path, Duration::ZERO).map_err(|error| match error.kind() {
            Kind::Io => another().caused_by(error),
            _ => error,
        })?;
        // Where there are locks, whoever writes into it holds it, and what it holds is looked at under the lock.
        if !self.above.list(self.path)?.is_empty() {
            return Err(another());
        }
        Ok(LockedFolder { disk: self.above.beneath(self.path, Sharing::Ours)?, _held: held })
    }

    /// Whether it is there; if so, it is empty.
    fn check_empty(&self) -> Result<bool> {
        match self.above.look(self.path)? {
            None => Ok(false),
            Some(found) if found.kind != EntryKind::Folder => {
                Err(refused(self.path, "this is no folder, or a link to one"))
            }
            Some(_) if !self.above.list(self.path)?.is_empty() => Err(refused(self.path, "this folder is not empty")),
            Some(_) => Ok(true),
        }
    }
}

fn refused(path: &Path, what: &str) -> Error {
    Error::usage(what).file(path).hint("name a folder that is not there yet, or is empty")
}
