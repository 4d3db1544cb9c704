//! [`receive`]: bundles from a destination into a folder.
//!
//! Each comes into a staging folder, every file is hashed on its way and held against the bundle's
//! lists, the list of tag files against the marker; then it gets its name by one rename. What a
//! crash leaves is swept by the next one, which fetches that bundle from its start.

use super::cover;
use super::memory::{PlaceContents, ReceiverNotes};
use crate::bundle::layout::{BUNDLE_SUFFIX, is_encrypted};
use crate::bundle::{
    self, Access, Bundle, BundlePlace, Container, FileInfo, Manifest, Scopes, existing, fetch_sealed, not_theirs_by,
    places, read_marker, scopes_of, sweep_staging, warn_of_failed,
};
use crate::durable::{Disk, Sharing, is_abandoned};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A bundle that is in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What its marker says.
    pub root_sha256: Sha256,
    /// Whether it was there before.
    pub stood: bool,
    /// Bytes under its `data/`; of an encrypted archive, of the file.
    pub bytes: u64,
}

/// What is asked of a place and its bundles.
#[derive(Clone, Debug, Default)]
pub struct ReceiveOptions {
    /// What opens a bundle, and who has to vouch for it.
    pub access: Access,
    /// Whether every file is hashed of what stands in the folder already; else that of a bundle that was named.
    pub check_all: bool,
    /// Whether rows of other scopes than those that the folder holds may come into it (rule 18).
    pub shared_place: bool,
    /// When the run of the newest bundle of each chain there may have started at the earliest, UTC.
    pub not_before: Option<Timestamp>,
}

/// Bundles at a place that stay open from one look at them to the next, at most; each holds its lists in memory.
const MOST_KEPT: usize = 32;

/// Bundles at a place that were opened already.
type Kept = BTreeMap<PathBuf, Bundle>;

/// Takes the bundle that `source` names, or all that are there, in the order of their names; ends at
/// the first that fails, because those after it build on it. Of a place, it then looks whether what was received from
/// there before is still there.
///
/// # Errors
/// Usage: no such folder, another bundle stands in it under the name of one; Verification: one is
/// not what its lists or its marker say, or not signed as asked, or the place withholds what it showed before, or is
/// too old; Config, for a place that cannot be reached so; Io; Cancelled.
pub fn receive(
    source: &Location,
    out_dir: &Path,
    options: &ReceiveOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Vec<Received>> {
    sweep_staging(disk, out_dir, &|_, path| is_abandoned(disk, path))?;
    let source = source.as_url()?.to_string();
    let found = places(&[source.clone().into()])?;
    let is_named = found.iter().any(|place| place.is_named);
    let mut kept = match options.shared_place {
        true => Kept::new(),
        false => check_folder(&found, out_dir, &options.access, monitor)?,
    };
    let (mut memory, mut shown) = (ReceiverNotes::read(disk, out_dir)?, PlaceContents::default());
    let beneath = disk.beneath(out_dir, Sharing::Ours)?;
    let into = Into { disk, beneath: beneath.as_ref(), out_dir };
    let mut received = Vec::new();
    for place in found {
        monitor.check()?;
        let url = Location::parse(&place.path.to_string_lossy())?;
        let is_whole = is_named || options.check_all;
        let opened = kept.remove(&place.path);
        let one = one(&url, opened, into, (&options.access, is_whole), monitor);
        let (one, manifest) = one.map_err(|error| error.file(&place.path))?;
        shown.add((&one.path, one.root_sha256), manifest.as_ref(), !options.access.policy.asks_nothing());
        manifest.iter().for_each(|manifest| warn_of_failed(&one.path, manifest, monitor));
        if !is_named {
            memory.note(&source, (&one.name, one.root_sha256), manifest.as_ref());
        }
        received.push(one);
    }
    if !is_named {
        // What was seen newer stays remembered where the place rolled back.
        memory
            .settle(&source, &shown, &|claim, name, root| into.holds(claim, (name, root), &options.access, monitor))?;
    }
    options.not_before.map_or(Ok(()), |not_before| shown.check_fresh(not_before))?;
    Ok(received)
}

/// Rule 18: into a folder that holds one business unit's bundles of a source no others of it come. What is encrypted
/// cannot be looked into. Some of the bundles that were opened for that are kept.
fn check_folder(found: &[BundlePlace], out_dir: &Path, access: &Access, monitor: &dyn Monitor) -> Result<Kept> {
    let mut kept = Kept::new();
    let mut coming: BTreeMap<Guid, Scopes> = BTreeMap::new();
    for place in found {
        let name = place.path.to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
        if is_encrypted(&name) || out_dir.join(&name).symlink_metadata().is_ok() {
            continue;
        }
        monitor.check()?;
        let bundle = Bundle::open_in(Container::open(&place.path, access)?).map_err(|error| error.file(&place.path))?;
        coming.entry(bundle.manifest().run.source_id).or_default().extend(scopes_of(bundle.manifest()));
        if kept.len() < MOST_KEPT {
            kept.insert(place.path.clone(), bundle);
        }
    }
    for (source, scopes) in &coming {
        let held = existing(*source, scopes, out_dir, monitor)?;
        let refused = if held.is_empty() { None } else { not_theirs_by(scopes, &held, out_dir) };
        refused.map_or(Ok(()), Err)?;
    }
    Ok(kept)
}

/// The folder that is received into.
#[derive(Clone, Copy)]
struct Into<'a> {
    disk: &'a dyn Disk,
    /// The same, held at the folder.
    beneath: &'a dyn Disk,
    out_dir: &'a Path,
}

impl Into<'_> {
    /// Whether a compacted bundle that nobody vouches for holds all of one that was received before and is still here.
    fn holds(self, claim: &Path, (name, root): (&str, Sha256), access: &Access, monitor: &dyn Monitor) -> Result<bool> {
        let path = self.out_dir.join(name);
        if self.beneath.look(&path)?.is_none() {
            return Ok(false);
        }
        let open = |path: &Path| Container::open_beneath(self.beneath, path, access).and_then(Bundle::open_in);
        let held = open(&path).and_then(|one| {
            let is_it = one.root_sha256() == root;
            Ok(is_it && cover::check(&open(claim)?, &[one], monitor).map(|()| true)?)
        });
        match held {
            Err(error) if error.kind() == Kind::Verification => {
                monitor.event(Event::Note(&format!("{}: {error}", claim.display())));
                Ok(false)
            }
            held => held,
        }
    }
}

/// Gives the manifest of what came too; of an encrypted archive there is none.
fn one(
    url: &Location,
    opened: Option<Bundle>,
    Into { disk, beneath, out_dir }: Into<'_>,
    (access, is_whole): (&Access, bool),
    monitor: &dyn Monitor,
) -> Result<(Received, Option<Manifest>)> {
    let (at, name) = url.parent().ok_or_else(|| Error::internal("a bundle without a name"))?;
    let store = store::open(&at, disk)?;
    let root_sha256 = read_marker(store.as_ref(), &at, &name)?
        .ok_or_else(|| Error::usage("there is no such bundle: there is no marker beside this name"))?;
    let path = out_dir.join(&name);
    let work = |bytes| monitor.event(Event::WorkStarted { what: "receive", name: &name, rows: None, bytes });
    if is_encrypted(&name) {
        let bytes = store.head(&name)?.map_or(0, |head| head.bytes);
        work(Some(bytes));
        let fetched = fetch_sealed(url, access, disk, out_dir, monitor);
        monitor.event(Event::WorkFinished);
        let (path, stood) = fetched?;
        return Ok((Received { name, path, root_sha256, stood, bytes }, None));
    }
    if beneath.look(&path)?.is_some() {
        return stands(name, (beneath, path), root_sha256, (access, is_whole), monitor);
    }
    let open = || Bundle::open_in(Container::open(Path::new(&url.to_string()), access)?);
    let bundle = match opened.filter(|bundle| bundle.root_sha256() == root_sha256) {
        Some(bundle) => bundle,
        None => open()?,
    };
    work(Some(bundle.all_bytes()?));
    let published = match name.ends_with(BUNDLE_SUFFIX) {
        true => bundle::extract(&bundle, disk, out_dir, monitor),
        false => bundle::archive(&bundle, disk, out_dir, None, monitor),
    };
    monitor.event(Event::WorkFinished);
    let published = published?;
    let (stood, bytes) = (published.adopted(), published.payload_bytes());
    Ok((Received { name, path, root_sha256, stood, bytes }, Some(bundle.manifest().clone())))
}

/// Something stands under the name: the same bundle, as asked and with its exact files, and their hashes where that
/// is asked too; or an error.
fn stands(
    name: String,
    (beneath, path): (&dyn Disk, PathBuf),
    root_sha256: Sha256,
    (access, is_whole): (&Access, bool),
    monitor: &dyn Monitor,
) -> Result<(Received, Option<Manifest>)> {
    let other = || {
        Error::usage("another bundle with this name is in the folder; nothing was overwritten")
            .hint("move it away, or choose another folder")
    };
    let open = |access: &Access| Container::open_beneath(beneath, &path, access).and_then(Bundle::open_in);
    let bundle = open(&Access::own()).map_err(|error| other().file(&path).caused_by(error))?;
    if bundle.root_sha256() != root_sha256 {
        return Err(other().file(path));
    }
    let bundle = open(access)?;
    let checked = if is_whole { bundle.check_whole(monitor) } else { bundle.check_file_set() };
    checked.map_err(|error| match error.kind() {
        Kind::Verification => error
            .hint(format!("it was damaged since it was received: move {} away, and receive it again", path.display())),
        _ => error,
    })?;
    let bytes = |file: &FileInfo| file.bytes;
    let bytes = bundle.manifest().tables.iter().flat_map(|table| &table.files).map(bytes).sum();
    Ok((Received { name, path, root_sha256, stood: true, bytes }, Some(bundle.manifest().clone())))
}
