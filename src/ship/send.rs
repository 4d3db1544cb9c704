//! [`ship`]: a bundle to a destination.
//!
//! Claim, parts, schemas, tag files, the list of tag files, marker; then the claim goes. A crash
//! leaves a claim and objects without a marker, which nobody takes for a bundle; shipping again
//! sends what is missing. An object that is there with the right size and hash is not sent again.

use super::claim::Claim;
use super::marker;
use super::shipment::Shipment;
use crate::bundle::layout::SIGNATURE;
use crate::bundle::{Outgoing, read_marker};
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location, Store, Upload, Watch};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is read at a time of an object whose hash nobody recorded.
const READ_BYTES: u64 = 8 << 20;

/// How a bundle is shipped.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ShipOptions {}

/// A bundle that is at its destination, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name there.
    pub name: String,
    /// Where it is, as a URL or path that every command takes.
    pub place: PathBuf,
    /// What its marker says: the root digest; of an encrypted archive the hash of the file.
    pub root_sha256: Sha256,
    /// Whether it was there before, and nothing had to be sent.
    pub stood: bool,
    /// Files that were sent.
    pub files_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Files that were there already.
    pub files_skipped: u64,
    /// Their bytes.
    pub bytes_skipped: u64,
}

/// Ships a bundle: a folder or an archive. Can be called again after any failure, and goes on.
///
/// # Errors
/// Usage: no bundle, or another one stands there under its name; Verification, if it is not what it
/// says; Config: no such bucket, no keys; Io; Cancelled.
pub fn ship(
    bundle: &Path,
    destination: &Location,
    options: &ShipOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Shipped> {
    let ShipOptions {} = options;
    let shipment = Shipment::open(bundle, monitor)?;
    let store = store::open(destination, disk)?;
    monitor.event(Event::WorkStarted {
        what: "ship",
        name: &shipment.name,
        rows: None,
        bytes: Some(shipment.outgoing().iter().map(|file| file.bytes).sum()),
    });
    let shipped = Sending::new(store.as_ref(), destination, &shipment, monitor).run();
    monitor.event(Event::WorkFinished);
    shipped
}

struct Sending<'a> {
    store: &'a dyn Store,
    at: &'a Location,
    shipment: &'a Shipment,
    monitor: &'a dyn Monitor,
    shipped: Shipped,
}

impl<'a> Sending<'a> {
    fn new(store: &'a dyn Store, at: &'a Location, shipment: &'a Shipment, monitor: &'a dyn Monitor) -> Self {
        let shipped = Shipped {
            name: shipment.name.clone(),
            place: at.join(&shipment.name),
            root_sha256: shipment.root_sha256,
            stood: false,
            files_sent: 0,
            bytes_sent: 0,
            files_skipped: 0,
            bytes_skipped: 0,
        };
        Self { store, at, shipment, monitor, shipped }
    }

    fn run(mut self) -> Result<Shipped> {
        let (name, root) = (&self.shipment.name, self.shipment.root_sha256);
        if let Some(there) = read_marker(self.store, self.at, name)? {
            if there != root {
                return Err(marker::other(self.at, name));
            }
            return self.stood();
        }
        let mut claim = Claim::take(self.store, self.at, name, root)?;
        if let Err(error) = self.send(&mut claim) {
            // A name under which something foreign lies is not ours to keep.
            if !claim.is_resumed && self.shipped.files_sent == 0 && error.kind() == crate::error::Kind::Usage {
                let _ = claim.release();
            }
            return Err(error);
        }
        self.store.settle(name)?;
        marker::put(self.store, self.at, name, root)?;
        claim.release()?;
        Ok(self.shipped)
    }

    /// It has its marker. What a crash left between marker and claim goes, and a signature that
    /// was made meanwhile is put beside the list that it signs.
    fn stood(mut self) -> Result<Shipped> {
        let name = &self.shipment.name;
        self.shipped.stood = true;
        for file in self.shipment.outgoing() {
            if self.shipment.is_bag() && file.path == SIGNATURE {
                let path = format!("{name}/{SIGNATURE}");
                let mut bytes = Vec::new();
                let read = std::io::Read::read_to_end(&mut self.shipment.raw(file)?, &mut bytes);
                read.map_err(|error| Error::io("read", Path::new(SIGNATURE), error))?;
                if !self.store.create(&path, &bytes)? {
                    return Err(Error::usage(
                        "the same bundle stands there, with another signature; nothing was changed",
                    )
                    .file(self.at.join(&path))
                    .hint("keep it as it is, or remove that signature there"));
                }
            }
            self.skipped(file);
        }
        let claim = format!("{name}.shipping");
        if self.store.head(&claim)?.is_some() {
            Claim::take(self.store, self.at, name, self.shipment.root_sha256)?.release()?;
        }
        Ok(self.shipped)
    }

    fn send(&mut self, claim: &mut Claim<'_>) -> Result<()> {
        let (store, shipment) = (self.store, self.shipment);
        let folder = store.staging(&shipment.name);
        let path_of = |file: &Outgoing| match shipment.is_bag() {
            true => format!("{folder}/{}", file.path),
            false => shipment.name.clone(),
        };
        let mut there: BTreeMap<String, u64> = match shipment.is_bag() {
            true => store.list(&folder)?.into_iter().map(|object| (object.path, object.bytes)).collect(),
            false => store.head(&shipment.name)?.map(|head| (shipment.name.clone(), head.bytes)).into_iter().collect(),
        };
        let mut due = Vec::new();
        for file in shipment.outgoing() {
            let path = path_of(file);
            match there.remove(&path) {
                Some(bytes) if bytes == file.bytes && self.is_whole(&path, file)? => self.skipped(file),
                Some(_) => due.push((path, file, true)),
                None => due.push((path, file, false)),
            }
        }
        let foreign = there.keys().next().or_else(|| due.iter().find(|(_, _, stands)| *stands).map(|(path, ..)| path));
        if let Some(path) = foreign.filter(|_| !claim.is_resumed) {
            return Err(Error::usage("something foreign lies under the bundle's name; nothing was overwritten")
                .file(self.at.join(path))
                .hint("remove what lies under the name, or ship to another destination"));
        }
        for path in there.keys() {
            store.delete(path)?;
        }
        for (path, file, _) in due {
            self.upload(&path, file, claim)?;
        }
        Ok(())
    }

    fn upload(&mut self, path: &str, file: &Outgoing, claim: &mut Claim<'_>) -> Result<()> {
        self.monitor.check()?;
        let mut source = self.shipment.raw(file)?;
        let upload = Upload { path, bytes: file.bytes, sha256: file.sha256, source: &mut source };
        self.store.upload(upload, &mut Heard { claim, monitor: self.monitor })?;
        claim.ended(path);
        self.shipped.files_sent += 1;
        self.shipped.bytes_sent += file.bytes;
        Ok(())
    }

    fn skipped(&mut self, file: &Outgoing) {
        self.monitor.event(Event::WorkDone { rows: 0, bytes: file.bytes });
        self.shipped.files_skipped += 1;
        self.shipped.bytes_skipped += file.bytes;
    }

    /// Whether an object of the right size has the right content: by what was recorded with it, or
    /// where nothing is, by its bytes.
    fn is_whole(&self, path: &str, file: &Outgoing) -> Result<bool> {
        if let Some(sha256) = self.store.head(path)?.and_then(|head| head.sha256) {
            return Ok(sha256 == file.sha256);
        }
        let (mut hasher, mut at) = (Hasher::default(), 0);
        while at < file.bytes {
            self.monitor.check()?;
            let bytes = self.store.read(path, at, READ_BYTES.min(file.bytes - at))?;
            if bytes.is_empty() {
                return Ok(false);
            }
            hasher.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(hasher.finish() == file.sha256)
    }
}

struct Heard<'a, 'c> {
    claim: &'a mut Claim<'c>,
    monitor: &'a dyn Monitor,
}

impl Watch for Heard<'_, '_> {
    fn begun(&mut self, path: &str, upload: &str) -> Result<()> {
        self.claim.begun(path, upload)
    }

    fn sent(&mut self, bytes: u64) -> Result<()> {
        self.monitor.event(Event::WorkDone { rows: 0, bytes });
        self.monitor.check()
    }
}
