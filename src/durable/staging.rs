//! Names of what is in the making: each is unique to one process, and whether that one still lives can be told.
//!
//! Whoever works under such a name holds an advisory lock, which ends with the process, however that
//! ends. Where a file system has no locks, nothing is known to be left behind, and nothing is swept.

use super::Disk;
use super::entry::EntryKind;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

const RANDOM_DIGITS: usize = 16;
/// Nobody takes longer between making a folder and holding it.
const IN_THE_MAKING: Duration = Duration::from_secs(60);
/// So often something is made anew that somebody took for left.
const MAX_TRIES: u32 = 8;

/// `.<base><mark><16 random hexadecimal digits>`: a name that no command takes for that of a bundle.
pub fn staging_name(base: &str, mark: &str) -> String {
    let digits = Guid::random().to_string();
    let random: String = digits.chars().filter(char::is_ascii_hexdigit).take(RANDOM_DIGITS).collect();
    format!(".{base}{mark}{random}")
}

/// The base of a name that [`staging_name`] made with this mark.
pub fn staging_base<'n>(name: &'n str, mark: &str) -> Option<&'n str> {
    let (base, random) = name.strip_prefix('.')?.rsplit_once(mark)?;
    let is_random = random.len() == RANDOM_DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_random.then_some(base)
}

/// Makes something under a new name that `path` gives, and holds it (`None` where there are no locks).
/// Whoever sweeps may take it for left until it is held; then it is made anew.
///
/// # Errors
/// As `make`; Io, if that goes on.
pub fn make_held<T>(
    disk: &dyn Disk,
    path: impl Fn() -> PathBuf,
    make: impl Fn(&Path) -> Result<T>,
) -> Result<(PathBuf, T, Option<File>)> {
    for _ in 0..MAX_TRIES {
        let path = path();
        let made = make(&path)?;
        let held = disk.hold(&path);
        if disk.look(&path)?.is_some() {
            return Ok((path, made, held));
        }
    }
    Err(Error::new(crate::error::Kind::Io, "what is made here is removed again and again").file(path()))
}

/// Whether nobody works any more in a folder or on a file of such a name. What is empty may have been
/// made this moment, and not be held yet.
pub fn is_abandoned(disk: &dyn Disk, path: &Path) -> bool {
    let Ok(Some(found)) = disk.look(path) else { return false };
    let is_empty = match found.kind {
        EntryKind::Folder => disk.list(path).is_ok_and(|entries| entries.is_empty()),
        _ => found.bytes == 0,
    };
    let is_old = found.modified.is_some_and(|at| at.elapsed().is_ok_and(|age| age > IN_THE_MAKING));
    (!is_empty || is_old) && disk.hold(path).is_some()
}
