//! [`receive`]: bundles from a destination into a folder.
//!
//! Each comes into a staging folder, every file is hashed on its way and held against the bundle's
//! lists, the list of tag files against the marker; then it gets its name by one rename. What a
//! crash leaves is swept by the next one, which fetches that bundle from its start.

use crate::bundle::layout::{BUNDLE_SUFFIX, SIGNATURE, TAG_LIST};
use crate::bundle::signature::{AllowedSigners, check as check_signature};
use crate::bundle::{
    self, Bundle, Container, FileInfo, Identities, fetch_sealed, is_abandoned, places, read_marker, sweep_staging,
};
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A tag file is no longer.
const MAX_TAG_BYTES: u64 = 64 << 20;

/// What is asked of bundles that are received.
#[derive(Clone, Debug, Default)]
pub struct ReceiveOptions {
    /// They have to be signed by one of these.
    pub signers: Option<AllowedSigners>,
    /// The one bundle has to have this root digest.
    pub root_sha256: Option<Sha256>,
}

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

/// Takes the bundle that `source` names, or all that are there, in the order of their names; ends at
/// the first that fails, because those after it build on it.
///
/// # Errors
/// Usage: no such folder, another bundle stands in it under the name of one; Verification: one is
/// not what its lists or its marker say, or not signed as asked; Config, for a place that cannot be
/// reached so; Io; Cancelled.
pub fn receive(
    source: &Location,
    out_dir: &Path,
    options: &ReceiveOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Vec<Received>> {
    sweep_staging(disk, out_dir, &|_, path| is_abandoned(disk, path))?;
    let found = places(&[source.as_url()?.to_string().into()])?;
    if options.root_sha256.is_some() && found.len() != 1 {
        return Err(Error::usage("a root digest is that of one bundle").hint("name the bundle in the URL"));
    }
    let mut received = Vec::new();
    for place in found {
        monitor.check()?;
        let url = Location::parse(&place.path.to_string_lossy())?;
        received.push(one(&url, out_dir, options, disk, monitor).map_err(|error| error.file(&place.path))?);
    }
    Ok(received)
}

fn one(
    url: &Location,
    out_dir: &Path,
    options: &ReceiveOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Received> {
    let (at, name) = url.parent().ok_or_else(|| Error::internal("a bundle without a name"))?;
    let store = store::open(&at, disk)?;
    let root_sha256 = read_marker(store.as_ref(), &at, &name)?
        .ok_or_else(|| Error::usage("there is no such bundle: no marker stands beside this name"))?;
    let path = out_dir.join(&name);
    let work = |bytes| monitor.event(Event::WorkStarted { what: "receive", name: &name, rows: None, bytes });
    if name.ends_with(".age") {
        if options.signers.is_some() || options.root_sha256.is_some() {
            return Err(Error::usage("an encrypted archive is received unopened, so nobody can vouch for it")
                .hint("receive it without --signer and --root-sha256, then verify it with them and --identity"));
        }
        let bytes = store.head(&name)?.map_or(0, |head| head.bytes);
        work(Some(bytes));
        let fetched = fetch_sealed(url, disk, out_dir, monitor);
        monitor.event(Event::WorkFinished);
        let (path, stood) = fetched?;
        return Ok(Received { name, path, root_sha256, stood, bytes });
    }
    if path.symlink_metadata().is_ok() {
        return stands(name, path, root_sha256);
    }
    let bundle = Bundle::open_in(Container::open(Path::new(&url.to_string()), &Identities::default())?)?;
    vouch(&bundle, options)?;
    let files = bundle.manifest().tables.iter().flat_map(|table| &table.files);
    work(Some(files.map(|file| file.bytes).sum()));
    let published = match name.ends_with(BUNDLE_SUFFIX) {
        true => bundle::extract(&bundle, disk, out_dir, monitor),
        false => bundle::archive(&bundle, disk, out_dir, None, monitor),
    };
    monitor.event(Event::WorkFinished);
    let published = published?;
    Ok(Received { name, path, root_sha256, stood: published.adopted(), bytes: published.payload_bytes() })
}

/// Something stands under the name: the same bundle, or an error.
fn stands(name: String, path: PathBuf, root_sha256: Sha256) -> Result<Received> {
    let other = || {
        Error::usage("another bundle stands in the folder under this name; nothing was overwritten")
            .hint("move it away, or choose another folder")
    };
    let bundle = Bundle::open(&path).map_err(|error| other().file(&path).caused_by(error))?;
    if bundle.root_sha256() != root_sha256 {
        return Err(other().file(path));
    }
    let bytes = |file: &FileInfo| file.bytes;
    let bytes = bundle.manifest().tables.iter().flat_map(|table| &table.files).map(bytes).sum();
    Ok(Received { name, path, root_sha256, stood: true, bytes })
}

/// Whether a bundle is what was asked for, before anything of it is taken.
fn vouch(bundle: &Bundle, options: &ReceiveOptions) -> Result<()> {
    let root = bundle.root_sha256();
    if options.root_sha256.is_some_and(|due| due != root) {
        return Err(Error::verification(format!("its root digest is {root}, and another one was asked for")));
    }
    let Some(signers) = &options.signers else { return Ok(()) };
    let signature =
        bundle.signature()?.ok_or_else(|| Error::verification("a signature was asked for, and there is none"))?;
    let list = bundle.read_tag(TAG_LIST, MAX_TAG_BYTES)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    match check_signature(&signature, &list, signers, now) {
        Ok(_) if Sha256::of(&list) == root => Ok(()),
        Ok(_) => Err(Error::verification("the list of tag files changed while it was read")),
        Err(refusal) => Err(Error::verification(format!("{SIGNATURE}: {refusal}"))),
    }
}
