//! [`ship`]: a bundle to a destination.
//!
//! Claim, parts, schemas, tag files, the list of tag files, marker; then the claim goes. A crash
//! leaves a claim and objects without a marker, which nobody takes for a bundle; shipping again
//! sends what is missing. An object that is there with the right size and hash is not sent again.
//!
//! A bundle that has its marker is looked at before it is said to stand there. Where a file of it is
//! missing or wrong, the marker goes first, then what is wrong is sent again.

use super::claim::{Claim, claim_of};
use super::marker;
use super::note::notes;
use super::shipment::Shipment;
use super::there::{Depth, foreign, is_as_due, is_whole, objects, path_in};
use crate::bundle::layout::SIGNATURE;
use crate::bundle::{Access, Outgoing, is_of_bundle, marker_of, read_marker};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location, StagingFolder, Store, Upload, UploadWatch};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How a bundle is shipped.
#[derive(Clone, Debug, Default)]
pub struct ShipOptions {
    /// Who has to vouch for the bundle.
    pub access: Access,
}

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
    /// Whether it had its marker before and lacked files, or had wrong ones; they were sent again.
    pub mended: bool,
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
    let shipment = Shipment::open(bundle, &options.access, monitor)?;
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

/// What is there of a file that is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Whole,
    Wrong,
    Not,
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
            mended: false,
            files_sent: 0,
            bytes_sent: 0,
            files_skipped: 0,
            bytes_skipped: 0,
        };
        Self { store, at, shipment, monitor, shipped }
    }

    fn run(mut self) -> Result<Shipped> {
        let (name, root) = (&self.shipment.name, self.shipment.root_sha256);
        let is_marked = match read_marker(self.store, self.at, name)? {
            Some(there) if there != root => return Err(marker::other(self.at, name)),
            Some(_) if self.is_as_due(Depth::Hashes)? => return self.stood(),
            there => there.is_some(),
        };
        match self.fill(is_marked) {
            Ok(claim) => {
                claim.release()?;
                self.sweep()?;
                Ok(self.shipped)
            }
            // Somebody who ships the same bundle was faster, and put away what this one worked on.
            Err(error)
                if error.kind() == Kind::Io
                    && read_marker(self.store, self.at, name)? == Some(root)
                    && self.is_as_due(Depth::Hashes)? =>
            {
                self.stood()
            }
            Err(error) => Err(error),
        }
    }

    fn is_as_due(&self, depth: Depth) -> Result<bool> {
        is_as_due(self.store, self.at, self.shipment, depth, self.monitor)
    }

    /// Claims the name, sends what is missing under it, and puts the marker. A marker stands with its exact
    /// files alone, so that of a damaged bundle goes first; its root said that what lies there is this bundle's, and
    /// may be overwritten.
    fn fill(&mut self, is_marked: bool) -> Result<Claim<'a>> {
        let name = &self.shipment.name;
        if !self.store.keeps_others_out()? {
            self.monitor.event(Event::Warning(&format!(
                "{} replaces an object that is to be created only where there is none. Two commands that work there at the same \
                 moment may not see each other: see that one ships, signs or prunes there at a time",
                self.at
            )));
        }
        let mut claim = Claim::take(self.store, self.at, name, self.shipment.root_sha256)?;
        if is_marked {
            claim.is_resumed = true;
            self.store.delete(&marker_of(name))?;
            self.shipped.mended = true;
        }
        match self.stage().and_then(|stage| self.send(&mut claim, &stage).and_then(|()| self.settle(stage))) {
            Ok(()) => Ok(claim),
            Err(error) => {
                // A name under which something foreign lies is not ours to keep.
                let is_foreign = matches!(error.kind(), Kind::Usage | Kind::Verification);
                if !claim.is_resumed && self.shipped.files_sent == 0 && is_foreign {
                    let _ = claim.release();
                }
                Err(error)
            }
        }
    }

    /// Where the files are put. An archive is one, and has its name as soon as it is whole.
    fn stage(&self) -> Result<StagingFolder> {
        let name = &self.shipment.name;
        if self.shipment.is_bag() { self.store.stage(name) } else { Ok(StagingFolder::in_place(name)) }
    }

    /// Gives what was sent its name, looks whether all of it is there, and puts the marker: at one place one ship or
    /// prune after the other. See manifests/FORMAT.md, section 9, steps 3 and 4 of a process that ships; it also says which
    /// race each check closes.
    fn settle(&self, stage: StagingFolder) -> Result<()> {
        let (name, root) = (&self.shipment.name, self.shipment.root_sha256);
        let alone = self.store.alone()?;
        let is_own = self.store.settle(name, stage)?;
        // What somebody else put under the name is read before it gets a marker.
        let is_there = self.is_as_due(if is_own { Depth::Sizes } else { Depth::Bytes })?;
        if is_there {
            marker::put(self.store, self.at, name, root)?;
        }
        // Where there is no lock, a prune may have looked before: it has its note still, or its files are gone.
        if is_there && (alone.is_held() || (notes(self.store, name)?.is_empty() && self.is_as_due(Depth::Sizes)?)) {
            return Ok(());
        }
        if is_there {
            self.store.delete(&marker_of(name))?;
        }
        Err(Error::new(
            Kind::Io,
            "what was put there does not lie there any more, or is being removed; it has no marker",
        )
        .file(self.at.join(name))
        .hint("see who else works on that place, and ship the bundle again, which sends what is missing"))
    }

    /// It has its marker and its files. What dead processes left beside it goes, and a signature that was
    /// made meanwhile is put beside the list that it signs.
    fn stood(mut self) -> Result<Shipped> {
        let name = &self.shipment.name;
        self.shipped = Shipped { stood: true, files_skipped: 0, bytes_skipped: 0, ..self.shipped };
        for file in self.shipment.outgoing() {
            if !self.is_signature(file) {
                self.skipped(file);
            }
        }
        let signature = self.shipment.outgoing().iter().find(|file| self.is_signature(file));
        let stands = |file| self.store.head(&path_in(self.shipment, name, file)).map(|head| head.is_some());
        let is_signed = signature.map_or(Ok(true), stands)?;
        let claim = match is_signed && self.store.head(&claim_of(name))?.is_none() {
            true => None,
            false => Some(Claim::take(self.store, self.at, name, self.shipment.root_sha256)?),
        };
        let alone = if is_signed { None } else { Some(self.store.alone()?) };
        if alone.is_some() && read_marker(self.store, self.at, name)? != Some(self.shipment.root_sha256) {
            return Err(Error::new(Kind::Io, "the bundle has gone there meanwhile; its signature was not put")
                .file(self.at.join(name))
                .hint("see who else works on that place, and ship the bundle again"));
        }
        self.sign(name)?;
        drop(alone);
        claim.map_or(Ok(()), Claim::release)?;
        self.sweep()?;
        Ok(self.shipped)
    }

    /// What dead ships of the bundle left goes, but for what is none of ours, which is reported.
    fn sweep(&self) -> Result<()> {
        for path in self.store.sweep(&self.shipment.name, &is_of_bundle)? {
            self.monitor.event(Event::Warning(&format!(
                "left {}: it stands in the place of something of ours, and is none of ours; look at it and remove it by hand",
                path.display()
            )));
        }
        Ok(())
    }

    fn is_signature(&self, file: &Outgoing) -> bool {
        self.shipment.is_bag() && file.path == SIGNATURE
    }

    /// Puts the signature beside the list that it signs, in the folder where the bundle lies.
    fn sign(&mut self, folder: &str) -> Result<()> {
        let Some(file) = self.shipment.outgoing().iter().find(|file| self.is_signature(file)) else { return Ok(()) };
        let path = path_in(self.shipment, folder, file);
        let mut bytes = Vec::new();
        let read = self.shipment.raw(file)?.read_to_end(&mut bytes);
        read.map_err(|error| Error::io("read", Path::new(SIGNATURE), error))?;
        let was_there = self.store.head(&path)?.is_some();
        if !self.store.create(&path, &bytes)? {
            return Err(Error::usage("the same bundle is there, with another signature; nothing was changed")
                .file(self.at.join(&path))
                .hint("keep it as it is, or remove that signature there"));
        }
        if was_there {
            self.skipped(file);
        } else {
            self.shipped.files_sent += 1;
            self.shipped.bytes_sent += file.bytes;
        }
        Ok(())
    }

    fn send(&mut self, claim: &mut Claim<'_>, stage: &StagingFolder) -> Result<()> {
        let (store, shipment, folder) = (self.store, self.shipment, stage.folder());
        let mut there = objects(store, shipment, folder)?;
        let mut due = Vec::new();
        for file in shipment.outgoing().iter().filter(|file| !self.is_signature(file)) {
            let path = path_in(shipment, folder, file);
            match there.remove(&path) {
                Some(bytes) if bytes == file.bytes && is_whole(store, &path, file, self.monitor)? => {
                    due.push((path, file, Stands::Whole))
                }
                Some(_) => due.push((path, file, Stands::Wrong)),
                None => due.push((path, file, Stands::Not)),
            }
        }
        // A signature may have been made there.
        there.remove(&format!("{folder}/{SIGNATURE}"));
        // What a dead ship of this bundle left that is not as it is due may be replaced; what no list names is not ours.
        let is_ours = claim.is_resumed || folder != shipment.name;
        let wrong = due.iter().find(|(.., stands)| *stands == Stands::Wrong && !is_ours).map(|(path, ..)| path);
        if let Some(path) = there.keys().next().or(wrong) {
            return Err(foreign(self.at, path));
        }
        for (path, file, stands) in due {
            match stands {
                Stands::Whole => self.skipped(file),
                Stands::Wrong => self.upload(&path, file, claim, true)?,
                Stands::Not => self.upload(&path, file, claim, false)?,
            }
        }
        self.sign(folder)
    }

    fn upload(&mut self, path: &str, file: &Outgoing, claim: &mut Claim<'_>, replaces: bool) -> Result<()> {
        self.monitor.check()?;
        let mut source = self.shipment.raw(file)?;
        let upload = Upload { path, bytes: file.bytes, sha256: file.sha256, replaces, source: &mut source };
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
}

struct Heard<'a, 'c> {
    claim: &'a mut Claim<'c>,
    monitor: &'a dyn Monitor,
}

impl UploadWatch for Heard<'_, '_> {
    fn begun(&mut self, path: &str, upload: &str) -> Result<()> {
        self.claim.begun(path, upload)
    }

    fn sent(&mut self, bytes: u64) -> Result<()> {
        self.monitor.event(Event::WorkDone { rows: 0, bytes });
        self.monitor.check()
    }
}
