//! [`Published`]: a bundle under its final name.
//!
//! A folder with the final name is always whole: it comes there by one rename, after all its
//! files and folders were synced, and a rename never replaces anything. Where a crash came
//! between rename and record, the next run packs the same bytes, finds the name taken, checks
//! every byte of what stands there, and adopts it.

use super::layout::BundleName;
use super::read::Bundle;
use super::staged::Sealed;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::monitor::Monitor;
use std::path::{Path, PathBuf};

/// See the module's text. Only [`Sealed::publish`] makes one, so only what was published can be
/// recorded.
#[derive(Clone, Debug)]
pub struct Published {
    path: PathBuf,
    name: BundleName,
    root_sha256: Sha256,
    payload_bytes: u64,
    payload_files: u64,
    adopted: bool,
}

impl Published {
    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name.
    pub fn name(&self) -> &BundleName {
        &self.name
    }

    /// The hash of `tagmanifest-sha256.txt`.
    pub fn root_sha256(&self) -> Sha256 {
        self.root_sha256
    }

    /// Bytes under `data/`.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Files under `data/`.
    pub fn payload_files(&self) -> u64 {
        self.payload_files
    }

    /// Whether it stood there already, from a session that died before recording it.
    pub fn adopted(&self) -> bool {
        self.adopted
    }
}

impl Sealed<'_> {
    /// Gives the bundle its name, or adopts the same bundle that stands there already.
    ///
    /// # Errors
    /// Usage, if a foreign folder stands under the name: nothing is overwritten; Io.
    pub fn publish(mut self, monitor: &dyn Monitor) -> Result<Published> {
        let path = self.out_dir.join(self.name.as_str());
        let adopted = match self.staging.disk.rename(&self.staging.path, &path) {
            Ok(()) => {
                self.staging.keep = true;
                false
            }
            Err(_) if path.symlink_metadata().is_ok() => {
                self.check_twin(&path, monitor)?;
                true
            }
            Err(error) => return Err(error),
        };
        self.staging.disk.sync_dir(&self.out_dir)?;
        Ok(Published {
            path,
            name: self.name.clone(),
            root_sha256: self.root_sha256,
            payload_bytes: self.payload_bytes,
            payload_files: self.payload_files,
            adopted,
        })
    }

    fn check_twin(&self, path: &Path, monitor: &dyn Monitor) -> Result<()> {
        let foreign = |error: Error| {
            Error::usage("a foreign folder stands under the bundle's name; nothing was overwritten")
                .file(path)
                .caused_by(error)
                .hint("move it out of the output folder, or choose another one, then pack again")
        };
        let twin = Bundle::open(path).map_err(foreign)?;
        if twin.root_sha256() != self.root_sha256 {
            let what = format!("its root digest is {}, and not {}", twin.root_sha256(), self.root_sha256);
            return Err(foreign(Error::verification(what)));
        }
        twin.check_file_set().map_err(foreign)?;
        for file in twin.manifest().tables.iter().flat_map(|table| &table.files) {
            twin.check_file(file, monitor).map_err(foreign)?;
        }
        Ok(())
    }
}
