//! [`Container`]: where the files of a bundle lie, a folder or an archive, here or at a destination,
//! behind one way of listing and opening them.

use super::access::{Access, Distrust, Policy};
use super::archive::{self, Archive, Identities};
use super::content::Content;
use super::folder::{self, BundleEntry, missing, read_failed};
use super::layout::{BUNDLE_SUFFIX, BundleName, MANIFEST_JSON, SIGNATURE, is_encrypted};
use super::manifest::Manifest;
use super::remote::{Objects, Remote};
use super::signature::{MAX_SIGNATURE_BYTES, SignedBy};
use crate::durable::{Disk, EntryKind, Local, Sharing};
use crate::error::{Error, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::digest::Sha256;
use crate::store::Location;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module's text.
pub struct Container {
    path: PathBuf,
    /// The folder that a URL of a folder names; else the path.
    at: PathBuf,
    form: ContainerForm,
    /// The root digest that the marker beside it says, at a destination.
    marker: Option<Sha256>,
    policy: Arc<Policy>,
    allows_future: bool,
}

enum ContainerForm {
    /// Reached from a handle of the folder, or of one above it.
    Folder(Arc<dyn Disk>),
    Archive(Archive, ArchiveSeal),
    Objects(Remote, Objects),
}

/// How an archive was kept from those who are not meant.
#[derive(Clone, Copy)]
enum ArchiveSeal {
    Plain,
    Age,
}

impl Container {
    /// Looks at what stands at `path`: a folder; an archive, whose headers are all read; an
    /// encrypted archive, for which one of the identities is needed; or, where the path is a URL, any
    /// of them with a marker beside it. What the files hold is not looked at.
    ///
    /// # Errors
    /// Usage, if there is nothing, something that is neither, or no identity that opens it;
    /// Verification, for an archive in another form than the one it can have; Config, for a place
    /// that cannot be reached so; Io.
    pub fn open(path: &Path, access: &Access) -> Result<Self> {
        let opened = match Location::of_path(path)? {
            Some(url) => Self::at(path, &url, &access.identities),
            None => Self::form(path, &access.identities).map(|form| Self::new(path, form)),
        };
        let opened = opened.map_err(|error| error.file(path))?;
        Ok(Self { policy: Arc::clone(&access.policy), allows_future: access.allows_future, ..opened })
    }

    /// The same for a path beneath a folder that is held: a link there is not followed.
    ///
    /// # Errors
    /// As [`Container::open`]; Verification, for a link.
    pub fn open_beneath(disk: &dyn Disk, path: &Path, access: &Access) -> Result<Self> {
        let form = Self::form_beneath(disk, path, &access.identities).map_err(|error| error.file(path))?;
        let policy = Arc::clone(&access.policy);
        Ok(Self { policy, allows_future: access.allows_future, ..Self::new(path, form) })
    }

    /// A folder that we made ourselves, and that lies beneath this disk.
    pub(super) fn folder(disk: Arc<dyn Disk>, path: &Path) -> Self {
        Self { allows_future: true, ..Self::new(path, ContainerForm::Folder(disk)) }
    }

    fn new(path: &Path, form: ContainerForm) -> Self {
        Self {
            path: path.to_owned(),
            at: path.to_owned(),
            marker: None,
            policy: Arc::default(),
            allows_future: false,
            form,
        }
    }

    fn at(path: &Path, url: &Location, identities: &Identities) -> Result<Self> {
        let remote = Remote::open(url)?;
        let is_encrypted = is_encrypted(&remote.name);
        // What the marker of an encrypted archive says is the hash of the file, and not the root.
        let marker = (!is_encrypted).then_some(remote.marker);
        if let Some(folder) = remote.location.folder() {
            let at = folder.join(&remote.name);
            let form = Self::form_beneath(Local.beneath(folder, Sharing::Ours)?.as_ref(), &at, identities)?;
            return Ok(Self { at, marker, ..Self::new(path, form) });
        }
        let form = if remote.name.ends_with(BUNDLE_SUFFIX) {
            let entries = remote.entries()?.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
            ContainerForm::Objects(remote, entries)
        } else {
            Self::archive(remote.archive()?, identities)?
        };
        Ok(Self { marker, ..Self::new(path, form) })
    }

    fn form_beneath(disk: &dyn Disk, path: &Path, identities: &Identities) -> Result<ContainerForm> {
        match disk.look(path)?.map(|found| found.kind) {
            None => Err(neither("nowhere")),
            Some(EntryKind::Folder) => Ok(ContainerForm::Folder(Arc::from(disk.beneath(path, Sharing::Ours)?))),
            Some(_) => {
                let (file, bytes) = disk.read(path)?.ok_or_else(|| missing(path.to_owned()))?;
                Self::archive(Content::new(Arc::new(file), 0, bytes), identities)
            }
        }
    }

    fn form(path: &Path, identities: &Identities) -> Result<ContainerForm> {
        let metadata = match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                return Local.beneath(path, Sharing::Ours).map(|disk| ContainerForm::Folder(Arc::from(disk)));
            }
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(neither("nowhere")),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        if !metadata.is_file() {
            return Err(neither("neither a folder nor a file"));
        }
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::archive(Content::new(Arc::new(file), 0, metadata.len()), identities).map_err(|error| error.file(path))
    }

    fn archive(content: Content, identities: &Identities) -> Result<ContainerForm> {
        let mut start = Vec::new();
        let read = content.reader(0).take(32).read_to_end(&mut start);
        read.map_err(|error| Error::new(crate::error::Kind::Io, "cannot read this archive").caused_by(error))?;
        if let Some((_, what)) = OTHER_ARCHIVES.iter().find(|(begins, _)| start.starts_with(begins)) {
            return Err(Error::usage(format!("this is {what}, and no bundle")).hint(
                "unpack it, and name the folder that ends in .bundle, or the archive .bundle.tar, that was in it",
            ));
        }
        if !archive::is_encrypted(&start) {
            let bytes = content.bytes();
            return Ok(ContainerForm::Archive(Archive::open(content.into_source(), bytes)?, ArchiveSeal::Plain));
        }
        let (source, bytes) = archive::decrypt(content, identities)?;
        Ok(ContainerForm::Archive(Archive::open(Arc::new(source), bytes)?, ArchiveSeal::Age))
    }

    /// Whether the bundle is the one that the marker beside it says; where it is not at a
    /// destination, there is no marker.
    ///
    /// # Errors
    /// Verification.
    pub fn check_marker(&self, root: Sha256) -> Result<()> {
        match self.marker.filter(|marker| *marker != root) {
            None => Ok(()),
            Some(marker) => Err(Error::verification(format!(
                "the marker beside the bundle says the root digest {marker}, and the bundle's is {root}"
            ))
            .file(&self.path)
            .hint("do not use it; ship the bundle again, under another destination")),
        }
    }

    /// Who has to vouch for what is in it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Rule 27: no run is still to come, by the clock of this machine and a day.
    ///
    /// # Errors
    /// Verification.
    pub fn check_clock(&self, manifest: &Manifest) -> Result<()> {
        if self.allows_future || !manifest.is_to_come(SystemClock.now().utc) {
            return Ok(());
        }
        let at = manifest.run.started_at.0;
        Err(Error::verification(format!("this bundle says that its run began at {at}, which is still to come"))
            .file(self.place(MANIFEST_JSON))
            .hint(
                "is the clock of this machine right? If it is, the clock of the sender was not: do not use this bundle",
            ))
    }

    /// Holds the list of tag files against what is asked; gives who signed it, where that was asked.
    ///
    /// # Errors
    /// Verification, where it is not believed; Io.
    pub(super) fn vouched(&self, tag_list: &[u8]) -> Result<Option<SignedBy>> {
        if self.policy.asks_nothing() {
            return Ok(None);
        }
        let signature = self.signature()?;
        self.policy.check(tag_list, signature.as_deref()).map_err(Distrust::into_error)
    }

    /// The signature beside the list of tag files, if there is one. It was not checked.
    ///
    /// # Errors
    /// Verification, if it is over 64 KiB long or no regular file; Io.
    pub fn signature(&self) -> Result<Option<Vec<u8>>> {
        let is_there = self.entries()?.iter().any(|entry| entry.path == SIGNATURE);
        is_there.then(|| self.read(SIGNATURE, MAX_SIGNATURE_BYTES)).transpose()
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How a file of the bundle is called in messages.
    pub fn place(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Everything in it, in the order of paths. Links are listed, not followed.
    ///
    /// # Errors
    /// Io; Verification, for a folder that is deeper than any bundle.
    pub fn entries(&self) -> Result<Vec<BundleEntry>> {
        match &self.form {
            ContainerForm::Folder(disk) => folder::list(disk.as_ref(), &self.at),
            ContainerForm::Archive(archive, _) => Ok(archive.entries()),
            ContainerForm::Objects(_, objects) => Ok(objects.values().cloned().collect()),
        }
    }

    /// Holds what the container says by itself against the manifest: the bundle's name, and in
    /// an archive the time of its files. A folder may be renamed, but not to the name of another
    /// bundle.
    ///
    /// # Errors
    /// Verification.
    pub fn check_claims(&self, manifest: &Manifest) -> Result<()> {
        let (name, modified) = match &self.form {
            ContainerForm::Folder(_) | ContainerForm::Objects(..) => {
                let name = self.path.file_name().and_then(|name| name.to_str());
                (name.and_then(BundleName::parse), None)
            }
            ContainerForm::Archive(archive, _) => (Some(archive.name().clone()), Some(archive.modified())),
        };
        let own = manifest.bundle_name();
        if let Some(name) = name.filter(|name| *name != own) {
            return Err(Error::verification(format!(
                "this bundle is called {name}, and its manifest is that of {own}"
            ))
            .hint("somebody renamed it: do not use it under this name"));
        }
        if modified.is_some_and(|modified| modified != manifest.started_seconds()) {
            return Err(Error::verification("the time of the archive's files is not that of the run"));
        }
        Ok(())
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.form, ContainerForm::Folder(_))
    }

    /// Whether only who has an identity can look into it.
    pub fn was_encrypted(&self) -> bool {
        matches!(self.form, ContainerForm::Archive(_, ArchiveSeal::Age))
    }

    /// Opens a file; `file` is a path that the grammar of paths let through.
    ///
    /// # Errors
    /// Verification, if it is not there, a link stands in its way, or it is no regular file; Io.
    pub(super) fn content(&self, file: &str) -> Result<Content> {
        match &self.form {
            ContainerForm::Folder(disk) => {
                let (file, bytes) = folder::open(disk.as_ref(), &self.at, file)?;
                Ok(Content::new(Arc::new(file), 0, bytes))
            }
            ContainerForm::Objects(remote, objects) => {
                let entry = objects.get(file).ok_or_else(|| missing(self.place(file)))?;
                Ok(remote.content(entry))
            }
            ContainerForm::Archive(archive, _) => archive.content(file).ok_or_else(|| missing(self.place(file))),
        }
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    /// Verification, if it is larger than `most` bytes; else as [`Container::content`].
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>> {
        let content = self.content(file)?;
        if content.bytes() > most {
            return Err(Error::verification(format!("this file is over {most} bytes long")).file(self.place(file)));
        }
        let mut bytes = Vec::new();
        let read = content.reader(0).read_to_end(&mut bytes);
        read.map_err(|error| read_failed(&self.place(file), error))?;
        Ok(bytes)
    }
}

/// What files that are not archives of ours begin with.
const OTHER_ARCHIVES: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "a zip file"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\x1f\x8b", "a file that gzip compressed"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file"),
    (b"\x28\xb5\x2f\xfd", "a file that zstd compressed"),
    (b"\xfd7zXZ\x00", "a file that xz compressed"),
    (b"Rar!\x1a\x07", "a rar file"),
];

fn neither(what: &str) -> Error {
    Error::usage(format!("there is no such bundle: this is {what}"))
        .hint("name a folder that ends in .bundle, or an archive that ends in .bundle.tar or .bundle.tar.age")
}
