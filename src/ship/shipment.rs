//! [`Shipment`]: what is sent for a bundle, a bag file by file or an archive as it is.

use crate::bundle::layout::is_encrypted;
use crate::bundle::{Access, Bundle, BundleName, Container, Outgoing, check_sealed};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::monitor::Monitor;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 256 << 10;

/// See the module's text.
pub(super) struct Shipment {
    /// Its name at the destination.
    pub(super) name: String,
    /// What its marker says: the root digest; of an encrypted archive, which nobody can look into
    /// on the way, the hash of the file.
    pub(super) root_sha256: Sha256,
    source: ShipmentSource,
    outgoing: Vec<Outgoing>,
}

enum ShipmentSource {
    Bag(Box<Bundle>),
    File(PathBuf),
}

impl Shipment {
    /// Looks at a bundle. Of a folder, tag files are hashed and the set of files is compared; what
    /// is sent is hashed as it is sent. An archive is hashed whole.
    ///
    /// # Errors
    /// Usage, if there is no bundle; Verification, if it is not what it says; Io; Cancelled.
    pub(super) fn open(path: &Path, access: &Access, monitor: &dyn Monitor) -> Result<Self> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_encrypted(&file_name) && path.is_file() {
            if BundleName::of_file(&file_name).is_none() {
                return Err(Error::usage(
                    "an encrypted archive is shipped under its name, and this is not that of a bundle",
                )
                .file(path)
                .hint("give it the name that `blobdelta archive` gave it: <name>.bundle.tar.age"));
            }
            check_sealed(path, access, monitor)?;
            return Self::of_file(path, file_name, None, monitor);
        }
        let bundle = Bundle::open_in(Container::open(path, access)?)?;
        let name = bundle.manifest().bundle_name().to_string();
        if path.is_file() {
            bundle.check_whole(&Quiet(monitor))?;
            return Self::of_file(path, format!("{name}.tar"), Some(bundle.root_sha256()), monitor);
        }
        let outgoing = bundle.outgoing()?;
        Ok(Self { name, root_sha256: bundle.root_sha256(), source: ShipmentSource::Bag(Box::new(bundle)), outgoing })
    }

    fn of_file(path: &Path, name: String, root: Option<Sha256>, monitor: &dyn Monitor) -> Result<Self> {
        let (bytes, sha256) = hash(path, monitor)?;
        let outgoing = vec![Outgoing { path: String::new(), bytes, sha256 }];
        Ok(Self { name, root_sha256: root.unwrap_or(sha256), source: ShipmentSource::File(path.to_owned()), outgoing })
    }

    /// Whether it lies in many objects under its name, and not in one of its name.
    pub(super) fn is_bag(&self) -> bool {
        matches!(self.source, ShipmentSource::Bag(_))
    }

    /// What is sent, in this order. An archive's path is empty.
    pub(super) fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    /// The bytes of one file.
    ///
    /// # Errors
    /// As [`Bundle::raw`].
    pub(super) fn raw(&self, file: &Outgoing) -> Result<Box<dyn Read>> {
        match &self.source {
            ShipmentSource::Bag(bundle) => Ok(Box::new(bundle.raw(&file.path)?)),
            ShipmentSource::File(path) => {
                Ok(Box::new(File::open(path).map_err(|error| Error::io("open", path, error))?))
            }
        }
    }
}

fn hash(path: &Path, monitor: &dyn Monitor) -> Result<(u64, Sha256)> {
    let failed = |error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut bytes, mut block) = (Hasher::default(), 0, vec![0; BLOCK_BYTES]);
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => return Ok((bytes, hasher.finish())),
            read => {
                hasher.update(&block[..read]);
                bytes += read as u64;
                monitor.check()?;
            }
        }
    }
}

/// Hears of nothing, and stops when it is asked to: the bytes of progress are those that are sent.
struct Quiet<'a>(&'a dyn Monitor);

impl Monitor for Quiet<'_> {
    fn event(&self, _: crate::monitor::Event<'_>) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
