//! Where the configuration file is, and who may have written it.

use super::parsed::ConfigFile;
use crate::durable::read_trusted;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

const NAME: &str = "blobdelta.toml";
const FOLDER: &str = "blobdelta";
const MAX_BYTES: u64 = 1 << 20;

/// Reads the file that was named, or the first one of [`places`]. None, if the empty name was given, or there is none.
///
/// # Errors
/// Usage: a file that was named is not there, or cannot be understood; as [`read_trusted`].
pub fn find(named: Option<&Path>) -> Result<Option<ConfigFile>> {
    if let Some(path) = named {
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        return match read(path)? {
            Some(file) => Ok(Some(file)),
            None => Err(Error::usage("there is no configuration file of this name").file(path)),
        };
    }
    places().iter().find_map(|path| read(path).transpose()).transpose()
}

/// Where a configuration file is looked for: that of the user, then that of the machine. Never in the working folder.
pub fn places() -> Vec<PathBuf> {
    let folder = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let (user, machine) = if cfg!(windows) {
        (folder("APPDATA"), folder("PROGRAMDATA"))
    } else {
        let home = folder("HOME").map(|home| home.join(".config"));
        (folder("XDG_CONFIG_HOME").or(home), Some(PathBuf::from("/etc")))
    };
    let folders = user.into_iter().chain(machine);
    folders.map(|folder| folder.join(FOLDER).join(NAME)).collect()
}

fn read(path: &Path) -> Result<Option<ConfigFile>> {
    let Some(file) = read_trusted(path, MAX_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(file.bytes).map_err(|_| Error::usage("this file is not UTF-8").file(path))?;
    ConfigFile::parse(path, &text, file.is_readable_by_all).map(Some)
}
