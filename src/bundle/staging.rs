//! Folders and files under names that are not their own, on the way to a bundle.
//!
//! What is made in an output folder is made under `.<name>.staging-<random>`, reached from a handle of
//! the output folder, and gets its own name by one rename. Whoever works there holds an advisory lock,
//! so that what a dead process left can be told from what is in the making. What is removed are files
//! that a bundle has by the grammar of its paths; a folder with anything else in it stays.

use super::blob;
use super::layout::{
    BAG_INFO_TXT, BAGIT_TXT, BundleName, MANIFEST_JSON, PAYLOAD_LIST, PayloadPath, SIGNATURE, TAG_LIST, check_tag_path,
};
use crate::durable::{Disk, DurableFile, EntryKind, Sharing, remove_ours, staging_base, staging_name};
use crate::error::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STAGING_MARK: &str = ".staging-";

/// A staging folder or file, removed when dropped unless it was let go.
pub(super) struct Staging {
    /// Beneath the output folder.
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    pub(super) is_folder: bool,
    pub(super) keep: bool,
    /// Says to other processes that somebody works here ([`crate::durable::is_abandoned`]).
    alive: Option<File>,
}

impl Staging {
    /// `.<file name>.staging-<random>` in the output folder; nothing is made yet.
    ///
    /// # Errors
    /// Usage, if the output folder is not a folder.
    pub(super) fn new(disk: &dyn Disk, out_dir: &Path, file_name: &str, is_folder: bool) -> Result<Self> {
        let disk = open_out_dir(disk, out_dir)?;
        let path = out_dir.join(staging_name(file_name, STAGING_MARK));
        Ok(Self { disk, path, is_folder, keep: false, alive: None })
    }

    /// Makes the folder, and holds it until the value is dropped.
    ///
    /// # Errors
    /// Io.
    pub(super) fn make_folder(&mut self) -> Result<()> {
        self.disk.create_dir(&self.path)?;
        self.alive = self.disk.hold(&self.path);
        Ok(())
    }

    /// Makes the file, likewise.
    ///
    /// # Errors
    /// Io.
    pub(super) fn make_file(&mut self) -> Result<Box<dyn DurableFile>> {
        let file = self.disk.create(&self.path)?;
        self.alive = self.disk.hold(&self.path);
        Ok(file)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Best effort: what stays is swept by a later run.
        let _ = match self.is_folder {
            true => remove_staged(self.disk.as_ref(), &self.path, "").map(drop),
            false => self.disk.remove_file(&self.path),
        };
    }
}

/// A folder beside bundles in the making, for what is made on the way to one. It is removed with the
/// value, or after a crash as a staging folder is.
pub struct Scratch(Staging);

impl Scratch {
    /// Makes one in the output folder, on the way to this bundle.
    ///
    /// # Errors
    /// As [`StagedBundle::create`](super::staged::StagedBundle::create).
    pub fn create(disk: &dyn Disk, out_dir: &Path, name: &BundleName) -> Result<Self> {
        let mut staging = Staging::new(disk, out_dir, name.as_str(), true)?;
        staging.make_folder()?;
        Ok(Self(staging))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The disk from which it is reached, whatever is put in its place.
    pub fn disk(&self) -> &dyn Disk {
        self.0.disk.as_ref()
    }
}

/// What a dead process left, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The staging folder or file.
    pub path: PathBuf,
    /// What in it is no file of a bundle, and was left there; if there is none, the folder is gone.
    pub left: Vec<PathBuf>,
}

/// For people: what was removed, or why it was not.
impl std::fmt::Display for Swept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.left.first() {
            None => write!(f, "removed {}, which a process that died had left", self.path.display()),
            Some(first) => write!(
                f,
                "left {}: {} in it is not ours, as {}; look at it and remove it by hand",
                self.path.display(),
                if self.left.len() == 1 { "something".to_owned() } else { format!("{} things", self.left.len()) },
                first.display()
            ),
        }
    }
}

/// Removes staging folders and files from an output folder; `is_dead` says of each whether nobody
/// packs under that name, or works at that path ([`crate::durable::is_abandoned`]), any more. Touches nothing else.
///
/// # Errors
/// Usage, if the output folder is not a folder; Io.
pub fn sweep_staging(
    disk: &dyn Disk,
    out_dir: &Path,
    is_dead: &dyn Fn(&BundleName, &Path) -> bool,
) -> Result<Vec<Swept>> {
    let disk = open_out_dir(disk, out_dir)?;
    let mut swept = Vec::new();
    for entry in disk.list(out_dir)? {
        let Some((name, is_folder)) = entry.name.to_str().and_then(staging_of) else { continue };
        let path = out_dir.join(&entry.name);
        let due = if is_folder { EntryKind::Folder } else { EntryKind::File };
        if entry.kind != due || !is_dead(&name, &path) {
            continue;
        }
        let left = match is_folder {
            true => remove_staged(disk.as_ref(), &path, "")?,
            false => disk.remove_file(&path).map(|()| Vec::new())?,
        };
        swept.push(Swept { path, left });
    }
    Ok(swept)
}

/// The output folder by its handle.
pub(super) fn open_out_dir(disk: &dyn Disk, out_dir: &Path) -> Result<Arc<dyn Disk>> {
    if !out_dir.is_dir() {
        return Err(Error::usage("the output folder is not there, or is not a folder")
            .file(out_dir)
            .hint("make the folder first, or correct --out"));
    }
    disk.beneath(out_dir, Sharing::Ours).map(Arc::from)
}

/// Removes a folder of a bundle in the making, or one in it, which lies at `prefix` there. Gives what is
/// no file of a bundle, and stays.
pub(super) fn remove_staged(disk: &dyn Disk, folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    remove_ours(disk, folder, &|path| is_of_bundle(&format!("{prefix}{path}")))
}

/// Whether a file is one of a bundle that is whole or in the making, by the grammar of its path; also
/// in a folder of bundles ([`Scratch`]).
pub fn is_of_bundle(path: &str) -> bool {
    let path = match path.split_once('/') {
        Some((first, below)) if BundleName::parse(first).is_some() || staging_of(first).is_some() => below,
        _ => path,
    };
    let is_staged_blob = path
        .strip_suffix(blob::STAGING_NAME)
        .is_some_and(|folder| PayloadPath::parse(&format!("{folder}{}.zst", "0".repeat(64))).is_ok());
    [BAGIT_TXT, BAG_INFO_TXT, MANIFEST_JSON, PAYLOAD_LIST, TAG_LIST, SIGNATURE].contains(&path)
        || check_tag_path(path).is_ok()
        || PayloadPath::parse(path).is_ok()
        || is_staged_blob
}

/// The bundle that a staging folder (true) or file (false) was to become.
fn staging_of(file_name: &str) -> Option<(BundleName, bool)> {
    let name = staging_base(file_name, STAGING_MARK)?;
    let bundle = BundleName::of_file(name)?;
    let is_folder = name == bundle.as_str();
    Some((bundle, is_folder))
}
