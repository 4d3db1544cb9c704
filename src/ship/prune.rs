//! [`prune`]: old bundles at a destination go, where a compacted one stands for them.
//!
//! A bundle is removed only if another one there lists its root digest (a compacted one: all those
//! that it lists itself), spans its windows in the same chains, and is whole, every file of it hashed
//! in this call; so no tombstone is lost and no link breaks of what stays. What nobody stands for is
//! kept, however old.
//!
//! `<name>.pruning` is put, the marker goes, then the objects, then `<name>.pruning`: after a crash
//! the bundle is there or not there, and the next prune removes the rest.

use crate::bundle::manifest::BundleKind;
use crate::bundle::{Access, Bundle, BundleName, Container, FileInfo, Manifest, Place, marker_of, places, read_marker};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const MINUTES_A_WEEK: u32 = 7 * 24 * 60;
/// After the name of a bundle that is being removed.
const PRUNING_SUFFIX: &str = ".pruning";

/// What is pruned.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Bundles whose run started within so many weeks before that of the newest one there are kept.
    pub keep_weeks: u32,
    /// Nothing is removed, and nothing is hashed: what would be removed if what stands for it is whole.
    pub is_plan: bool,
    /// Who has to vouch for what is there, and for what stands for what goes.
    pub access: Access,
}

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Bundles that went.
    pub removed: Vec<Removed>,
    /// Bundles that are old and stay, and why.
    pub kept: Vec<(PathBuf, String)>,
    /// Bundles that are young enough.
    pub young: u64,
    /// Encrypted ones, into which nobody can look; they stay.
    pub sealed: Vec<PathBuf>,
    /// Names at which an earlier prune had died; they are finished.
    pub finished: Vec<String>,
}

/// A bundle that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its URL.
    pub path: PathBuf,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// Bytes of its payload.
    pub bytes: u64,
    /// The one that stands for it.
    pub covered_by: PathBuf,
}

/// A bundle at the destination.
struct Found {
    path: PathBuf,
    name: String,
    root_sha256: Sha256,
    started_at: Timestamp,
    source_id: Guid,
    is_compacted: bool,
    inputs: BTreeSet<Sha256>,
    /// Of each table, its chain and window.
    parts: Vec<(TableName, Scope, Window)>,
    bytes: u64,
}

/// Prunes a destination.
///
/// # Errors
/// Config, for a place that cannot be reached so; Verification, for a bundle there that cannot be
/// opened: nothing is removed beside it; Io; Cancelled.
pub fn prune(destination: &Location, options: &PruneOptions, disk: &dyn Disk, monitor: &dyn Monitor) -> Result<Pruned> {
    let destination = destination.as_url()?;
    let store = store::open(&destination, disk)?;
    let mut pruned = Pruned::default();
    if !options.is_plan {
        pruned.finished = finish(store.as_ref(), &destination)?;
    }
    let found = look(&destination, &options.access, &mut pruned, monitor)?;
    let Some(newest) = found.iter().map(|one| one.started_at).max() else { return Ok(pruned) };
    let oldest = newest.minus_minutes(options.keep_weeks.saturating_mul(MINUTES_A_WEEK));
    let mut whole = BTreeMap::new();
    let mut due = Vec::new();
    for one in &found {
        if one.started_at >= oldest {
            pruned.young += 1;
            continue;
        }
        match cover(one, &found, &mut whole, options, monitor)? {
            Ok(cover) => due.push((one, cover)),
            Err(why) => pruned.kept.push((one.path.clone(), why)),
        }
    }
    for (one, cover) in due {
        if !options.is_plan {
            monitor.check()?;
            remove(store.as_ref(), one)?;
        }
        pruned.removed.push(Removed {
            path: one.path.clone(),
            root_sha256: one.root_sha256,
            bytes: one.bytes,
            covered_by: cover.path.clone(),
        });
    }
    Ok(pruned)
}

/// Opens all that are there; tag files are hashed, parts are not read.
fn look(destination: &Location, access: &Access, pruned: &mut Pruned, monitor: &dyn Monitor) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for Place { path, .. } in places(&[destination.to_string().into()])? {
        monitor.check()?;
        if path.to_string_lossy().ends_with(".age") {
            pruned.sealed.push(path);
            continue;
        }
        let bundle = open(&path, access).map_err(|error| {
            error.hint("a bundle there cannot be opened, so nothing was removed: mend or remove it first")
        })?;
        found.push(Found::of(path, &bundle));
    }
    Ok(found)
}

fn open(path: &std::path::Path, access: &Access) -> Result<Bundle> {
    Bundle::open_in(Container::open(path, access)?)
}

impl Found {
    fn of(path: PathBuf, bundle: &Bundle) -> Self {
        let Manifest { run, inputs, tables, kind, .. } = bundle.manifest();
        let bytes = |file: &FileInfo| file.bytes;
        Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path,
            root_sha256: bundle.root_sha256(),
            started_at: run.started_at.0,
            source_id: run.source_id,
            is_compacted: *kind == BundleKind::Compacted,
            inputs: inputs.iter().copied().collect(),
            bytes: tables.iter().flat_map(|table| &table.files).map(bytes).sum(),
            parts: tables.iter().map(|table| (table.name.clone(), table.scope.0, table.window.window())).collect(),
        }
    }

    /// Whether this one holds all that `other` holds. Of two that hold the same, one does.
    fn stands_for(&self, other: &Self) -> bool {
        let lists_it = match other.is_compacted {
            false => self.inputs.contains(&other.root_sha256),
            true => {
                let is_larger = (self.inputs.len(), self.root_sha256) > (other.inputs.len(), other.root_sha256);
                is_larger && self.inputs.is_superset(&other.inputs)
            }
        };
        let spans = |(table, scope, window): &(TableName, Scope, Window)| {
            self.parts.iter().any(|(own_table, own_scope, own)| {
                (own_table, own_scope) == (table, scope) && own.start <= window.start && own.end >= window.end
            })
        };
        self.is_compacted && lists_it && self.source_id == other.source_id && other.parts.iter().all(spans)
    }
}

/// The one that stands for an old one, whole; or why there is none. The largest is taken, which no
/// other stands for.
fn cover<'a>(
    one: &Found,
    all: &'a [Found],
    whole: &mut BTreeMap<Sha256, bool>,
    options: &PruneOptions,
    monitor: &dyn Monitor,
) -> Result<Result<&'a Found, String>> {
    let mut covers: Vec<&Found> = all.iter().filter(|other| other.stands_for(one)).collect();
    covers.sort_by_key(|cover| std::cmp::Reverse((cover.inputs.len(), cover.root_sha256)));
    let Some(first) = covers.first() else {
        return Ok(Err("no compacted bundle there lists its root digest".into()));
    };
    let why = format!("{} stands for it, and is not whole", first.name);
    for cover in covers {
        let is_whole = match whole.get(&cover.root_sha256) {
            Some(is_whole) => *is_whole,
            None => options.is_plan || is_whole(cover, &options.access, monitor)?,
        };
        whole.insert(cover.root_sha256, is_whole);
        if is_whole {
            return Ok(Ok(cover));
        }
    }
    Ok(Err(why))
}

/// Whether every file of a bundle is there, and of its hash.
fn is_whole(one: &Found, access: &Access, monitor: &dyn Monitor) -> Result<bool> {
    monitor.event(Event::WorkStarted { what: "verify", name: &one.name, rows: None, bytes: Some(one.bytes) });
    let checked = open(&one.path, access).and_then(|bundle| {
        bundle.check_whole(monitor)?;
        Ok(bundle.root_sha256() == one.root_sha256)
    });
    monitor.event(Event::WorkFinished);
    match checked {
        Err(error) if error.kind() == Kind::Verification => {
            monitor.event(Event::Warning(&format!("{}: {error}", one.name)));
            Ok(false)
        }
        other => other,
    }
}

fn remove(store: &dyn Store, one: &Found) -> Result<()> {
    let pruning = format!("{}{PRUNING_SUFFIX}", one.name);
    store.create(&pruning, &super::marker::to_bytes(one.root_sha256))?;
    store.delete(&marker_of(&one.name))?;
    store.remove(&one.name)?;
    store.delete(&pruning)
}

/// Goes on where an earlier prune died.
fn finish(store: &dyn Store, at: &Location) -> Result<Vec<String>> {
    let mut finished = Vec::new();
    for object in store.names()? {
        let Some(name) = object.path.strip_suffix(PRUNING_SUFFIX) else { continue };
        if BundleName::of_file(name).is_none() {
            return Err(Error::verification("this is not the name of a bundle").file(at.join(&object.path)));
        }
        // With its marker it is there, and is looked at like any other. With a claim it is being
        // shipped anew.
        let is_there = read_marker(store, at, name)?.is_some() || store.head(&format!("{name}.shipping"))?.is_some();
        if !is_there {
            store.remove(name)?;
        }
        store.delete(&object.path)?;
        finished.push(name.to_owned());
    }
    Ok(finished)
}
