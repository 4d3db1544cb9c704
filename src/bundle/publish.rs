//! [`Published`]: a bundle under its final name.
//!
//! A folder or archive with the final name is always whole: it comes there by one rename, after
//! all its files and folders were synced, and a rename never replaces anything. Where a crash came
//! between rename and record, the next run packs the same bytes, finds the name taken, checks
//! every byte of what stands there, and adopts it. Where that is not the same, or is encrypted, it is kept under
//! another name.

use super::access::Access;
use super::archive::{self, ArchiveSink, Recipients};
use super::container::Container;
use super::content::Content;
use super::layout::{BundleName, SIGNATURE};
use super::read::Bundle;
use super::remote::Remote;
use super::staged::{Sealed, sync_folders};
use super::staging::{Staging, open_out_dir, sweep_staging};
use crate::durable::{Disk, is_abandoned};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::monitor::{Event, Monitor, Uncounted};
use crate::store::Location;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// How a bundle is published.
#[derive(Clone, Debug, Default)]
pub enum PublishForm {
    /// A folder.
    #[default]
    Folder,
    /// An archive, `<name>.tar`.
    Archive,
    /// An archive that these can open, `<name>.tar.age`.
    Encrypted(Arc<Recipients>),
}

impl PublishForm {
    /// Those whom the archive is encrypted to.
    pub fn recipients(&self) -> Option<&Recipients> {
        match self {
            Self::Encrypted(recipients) => Some(recipients),
            Self::Folder | Self::Archive => None,
        }
    }
}

impl Sealed {
    /// Gives the bundle its name, or adopts the same bundle that stands there already. For an
    /// archive, the folder goes again.
    ///
    /// # Errors
    /// Usage, if something foreign stands under the name: nothing is overwritten; Io; as
    /// [`archive`].
    pub fn publish(mut self, form: &PublishForm, monitor: &dyn Monitor) -> Result<Published> {
        if !matches!(form, PublishForm::Folder) {
            let bundle = Bundle::open_in(Container::folder(Arc::clone(&self.staging.disk), &self.staging.path))?;
            let (disk, monitor) = (self.staging.disk.as_ref(), Uncounted(monitor));
            return archive(&bundle, disk, &self.out_dir, form.recipients(), &monitor);
        }
        let path = self.out_dir.join(self.name.as_str());
        let (root, out_dir) = (self.root_sha256, self.out_dir.clone());
        let own = Own { root_sha256: root, signature: self.signature.take() };
        let adopted = settle(&mut self.staging, &out_dir, &path, &own, monitor)?;
        Ok(Published {
            path,
            name: self.name.clone(),
            root_sha256: root,
            payload_bytes: self.payload_bytes,
            payload_files: self.payload_files,
            adopted,
        })
    }
}

/// Publishes a bundle once more, as an archive in `out_dir`: `<name>.tar`, or `<name>.tar.age`
/// for recipients. Every file is hashed on its way.
///
/// # Errors
/// Verification, if the bundle is not what it says; Usage, if something foreign stands under the
/// name, or an encrypted archive, which cannot be looked into: nothing is overwritten; Io.
pub fn archive(
    bundle: &Bundle,
    disk: &dyn Disk,
    out_dir: &Path,
    recipients: Option<&Recipients>,
    monitor: &dyn Monitor,
) -> Result<Published> {
    let name = bundle.manifest().bundle_name();
    sweep_attempts(disk, out_dir, &name)?;
    let file_name = archive::file_name(&name, recipients.is_some());
    let mut staging = Staging::new(disk, out_dir, &file_name, false)?;
    let mut sink = ArchiveSink::new(staging.make_file()?, &staging.path, recipients)?;
    archive::write(bundle, &mut sink, &staging.path, monitor)?;
    sink.finish(&staging.path)?;
    let path = out_dir.join(file_name);
    let adopted = settle(&mut staging, out_dir, &path, &Own::of(bundle)?, monitor)?;
    Ok(published(bundle, path, adopted))
}

/// Keeps under another name what stands where a bundle of a run is to be published, and that nobody recorded: a
/// process died between rename and record, and what it published is not what is packed now (of fewer tables, say), or
/// is encrypted, so that nobody here can tell. Gives that name; nothing, if what stands there is another run's.
///
/// # Errors
/// Usage, if the output folder is not a folder; Io.
pub fn set_unrecorded_aside(
    disk: &dyn Disk,
    out_dir: &Path,
    (name, run): (&BundleName, Guid),
    form: &PublishForm,
) -> Result<Option<PathBuf>> {
    let file_name = match form {
        PublishForm::Folder => name.to_string(),
        PublishForm::Archive | PublishForm::Encrypted(_) => archive::file_name(name, form.recipients().is_some()),
    };
    let (disk, path) = (open_out_dir(disk, out_dir)?, out_dir.join(&file_name));
    let is_own = || own_at(disk.as_ref(), &path).is_ok_and(|bundle| bundle.manifest().run.run_id == run);
    if disk.look(&path)?.is_none() || (form.recipients().is_none() && !is_own()) {
        return Ok(None);
    }
    let kept = out_dir.join(format!("{file_name}.unrecorded-{}", Guid::random().short()));
    disk.rename(&path, &kept)?;
    disk.sync_dir(out_dir)?;
    Ok(Some(kept))
}

/// Publishes a bundle once more, as a folder in `out_dir`: what makes an archive a folder again.
/// Every file is hashed on its way.
///
/// # Errors
/// As [`archive`].
pub fn extract(bundle: &Bundle, disk: &dyn Disk, out_dir: &Path, monitor: &dyn Monitor) -> Result<Published> {
    bundle.check_file_set()?;
    let name = bundle.manifest().bundle_name();
    sweep_attempts(disk, out_dir, &name)?;
    let mut staging = Staging::new(disk, out_dir, name.as_str(), true)?;
    staging.make_folder()?;
    // Nothing is reached by its path from here on, where somebody may have put a link.
    let disk = Arc::clone(&staging.disk);
    let mut folders = BTreeSet::new();
    for (file, due) in bundle.files()? {
        for (at, _) in file.match_indices('/') {
            if folders.insert(file[..at].to_owned()) {
                disk.create_dir(&staging.path.join(&file[..at]))?;
            }
        }
        let path = staging.path.join(file);
        let mut out = disk.create(&path)?;
        bundle.copy_file(file, due, &mut out, &path, monitor)?;
        out.sync()?;
    }
    sync_folders(disk.as_ref(), &staging.path)?;
    let path = out_dir.join(name.as_str());
    let adopted = settle(&mut staging, out_dir, &path, &Own::of(bundle)?, monitor)?;
    Ok(published(bundle, path, adopted))
}

/// Publishes an encrypted archive that stands at a destination, as it is. Its hash is the one of the marker;
/// nobody looks into it, unless somebody has to vouch for what is in it. Gives its path and whether it stood there already.
///
/// # Errors
/// Usage, if another file stands under the name, no marker is at the destination, or somebody has to vouch
/// and no identity opens it; Verification, if it is not the one of the marker, or not as asked; Io; Cancelled.
pub fn fetch_sealed(
    url: &Location,
    access: &Access,
    disk: &dyn Disk,
    out_dir: &Path,
    monitor: &dyn Monitor,
) -> Result<(PathBuf, bool)> {
    let remote = Remote::open(url)?;
    let path = out_dir.join(&remote.name);
    let on_block = |block: &[u8]| {
        monitor.event(Event::WorkDone { rows: 0, bytes: block.len() as u64 });
        monitor.check()
    };
    let beneath = open_out_dir(disk, out_dir)?;
    if let Some((file, bytes)) = beneath.read(&path)? {
        let hashed = Content::new(Arc::new(file), 0, bytes).hash(&mut |_| monitor.check());
        if hashed.map_err(|error| Error::io("read", &path, error))??.1 == remote.marker {
            check_sealed_by(|| Container::open_beneath(beneath.as_ref(), &path, access), access, monitor)?;
            return Ok((path, true));
        }
        return Err(Error::usage("another file with the archive's name is there; nothing was overwritten")
            .file(path)
            .hint("move it away, or choose another folder"));
    }
    let content = remote.archive()?;
    let mut staging = Staging::new(disk, out_dir, &remote.name, false)?;
    let mut out = staging.make_file()?;
    let hashed = content.hash(&mut |block| {
        out.write_all(block).map_err(|error| Error::io("write", &staging.path, error))?;
        on_block(block)
    });
    let (_, sha256) = hashed.map_err(|error| Error::io("read", Path::new(&url.to_string()), error))??;
    if sha256 != remote.marker {
        return Err(Error::verification("this archive's bytes were changed: its hash is not the one of its marker")
            .file(url.to_string())
            .hint("do not use it; ship it again, under another destination"));
    }
    out.sync()?;
    drop(out);
    check_sealed_by(|| Container::open_beneath(beneath.as_ref(), &staging.path, access), access, monitor)?;
    staging.disk.rename(&staging.path, &path)?;
    staging.keep = true;
    staging.disk.sync_dir(out_dir)?;
    Ok((path, false))
}

/// Holds what is in an encrypted archive against what is asked of it, if anything is.
///
/// # Errors
/// Usage, if no identity opens it; Verification; Io; Cancelled.
pub fn check_sealed(path: &Path, access: &Access, monitor: &dyn Monitor) -> Result<()> {
    check_sealed_by(|| Container::open(path, access), access, monitor)
}

fn check_sealed_by(open: impl FnOnce() -> Result<Container>, access: &Access, monitor: &dyn Monitor) -> Result<()> {
    if access.policy.asks_nothing() {
        return Ok(());
    }
    let container = open().map_err(|error| match error.kind() {
        Kind::Usage => error.hint("nobody can vouch for what cannot be looked into: name --identity too"),
        _ => error,
    })?;
    Bundle::open_in(container)?.check_whole(monitor)
}

/// Whether bundles may come to lie in this form: what was encrypted is published in plain only if that is
/// allowed, and is told then.
///
/// # Errors
/// Usage, if it is not allowed.
pub fn check_plain<'b>(
    mut bundles: impl Iterator<Item = &'b Bundle>,
    form: &PublishForm,
    allows_plain: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    let sealed = bundles.find(|bundle| bundle.was_encrypted()).filter(|_| form.recipients().is_none());
    let Some(bundle) = sealed else { return Ok(()) };
    if allows_plain {
        monitor.event(Event::Warning("what was encrypted is published in plain, as was allowed"));
        return Ok(());
    }
    Err(Error::usage("this bundle is encrypted, and what is made of it would be plain")
        .file(bundle.path())
        .hint("name who is to read it, --encrypt-to age1… (of compact with --archive), or allow it with --allow-plain"))
}

/// Removes what attempts at this bundle left that died.
fn sweep_attempts(disk: &dyn Disk, out_dir: &Path, name: &BundleName) -> Result<()> {
    sweep_staging(disk, out_dir, &|of, path| of == name && is_abandoned(disk, path)).map(drop)
}

fn published(bundle: &Bundle, path: PathBuf, adopted: bool) -> Published {
    let files = || bundle.manifest().tables.iter().flat_map(|table| &table.files);
    Published {
        path,
        name: bundle.manifest().bundle_name(),
        root_sha256: bundle.root_sha256(),
        payload_bytes: files().map(|file| file.bytes).sum(),
        payload_files: files().count() as u64,
        adopted,
    }
}

/// What makes a twin of a bundle.
struct Own {
    root_sha256: Sha256,
    signature: Option<Vec<u8>>,
}

impl Own {
    fn of(bundle: &Bundle) -> Result<Self> {
        Ok(Self { root_sha256: bundle.root_sha256(), signature: bundle.signature()? })
    }
}

/// Gives what was staged its name. Returns whether the same bundle stood there already.
fn settle(staging: &mut Staging, out_dir: &Path, path: &Path, own: &Own, monitor: &dyn Monitor) -> Result<bool> {
    let adopted = match staging.disk.rename(&staging.path, path) {
        Ok(()) => {
            staging.keep = true;
            false
        }
        Err(_) if staging.disk.look(path)?.is_some() => {
            let twin = check_twin(staging.disk.as_ref(), path, own.root_sha256, &Uncounted(monitor))?;
            sign_twin(&twin, own, staging)?;
            true
        }
        Err(error) => return Err(error),
    };
    staging.disk.sync_dir(out_dir)?;
    Ok(adopted)
}

/// A twin keeps its signature; one without gets that of what was staged. The file is whole and
/// synced when it is renamed into the folder.
fn sign_twin(twin: &Bundle, own: &Own, staging: &Staging) -> Result<()> {
    let Some(signature) = &own.signature else { return Ok(()) };
    let refused = |what: &str, hint: &str| Err(Error::usage(what).file(twin.path()).hint(hint));
    match twin.signature()? {
        Some(other) if other == *signature => Ok(()),
        Some(_) => refused(
            "the same bundle stands there already, with another signature; nothing was changed",
            "keep it as it is, or choose another folder",
        ),
        None if twin.is_folder() && staging.is_folder => {
            staging.disk.rename(&staging.path.join(SIGNATURE), &twin.path().join(SIGNATURE))?;
            staging.disk.sync_dir(twin.path())
        }
        None => refused(
            "the same archive stands there already, without a signature, and none can be added to an archive",
            "move it away and repeat this, or choose another folder",
        ),
    }
}

/// A bundle in the output folder for which nobody has to vouch: one of our own. No link to one.
fn own_at(disk: &dyn Disk, path: &Path) -> Result<Bundle> {
    Bundle::open_in(Container::open_beneath(disk, path, &Access::own())?)
}

fn check_twin(disk: &dyn Disk, path: &Path, root_sha256: Sha256, monitor: &dyn Monitor) -> Result<Bundle> {
    let foreign = |error: Error| {
        Error::usage("something foreign stands under the bundle's name; nothing was overwritten")
            .file(path)
            .caused_by(error)
            .hint("move it out of the output folder, or choose another one, then pack again")
    };
    let twin = own_at(disk, path).map_err(foreign)?;
    if twin.root_sha256() != root_sha256 {
        let what = format!("its root digest is {}, and not {root_sha256}", twin.root_sha256());
        return Err(foreign(Error::verification(what)));
    }
    twin.check_whole(monitor).map_err(foreign)?;
    Ok(twin)
}
