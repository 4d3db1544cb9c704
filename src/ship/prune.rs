//! [`prune`]: old bundles at a destination go, where a compacted one stands for them.
//!
//! A bundle is removed only if another one there lists its root digest (a compacted one: all those
//! that it lists itself), spans its windows in the same chains, and holds each of its keys, in a version at least
//! as late, both of them read in this call ([`super::cover`]); so no tombstone is lost and no link breaks of what stays.
//! What nobody stands for is kept, however old.
//!
//! How a bundle goes, and what never goes with it: [`super::gone`].

use super::cover;
use super::gone::{self, RemovalOutcome};
use crate::bundle::layout::{BUNDLE_SUFFIX, is_encrypted};
use crate::bundle::manifest::BundleKind;
use crate::bundle::{Access, Bundle, BundlePlace, Container, FileInfo, Manifest, places};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use crate::monitor::{Event, Monitor};
use crate::store::{self, Location};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const MINUTES_A_WEEK: u32 = 7 * 24 * 60;

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
pub struct PrunedDestination {
    /// Bundles that went.
    pub removed: Vec<Removed>,
    /// Bundles that are old and stay, and why.
    pub kept: Vec<(PathBuf, String)>,
    /// Bundles that are young enough.
    pub young: u64,
    /// Encrypted ones, into which nobody can look; they stay.
    pub sealed: Vec<PathBuf>,
    /// Those that say that their run is still to come (rule 27); they are as if they were not there, and stay.
    pub future: Vec<PathBuf>,
    /// Names at which an earlier prune had died; they are finished.
    pub finished: Vec<String>,
    /// What came among the files of a bundle while it went, and is none of its own; it stays.
    pub left: Vec<PathBuf>,
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
struct ShippedBundle {
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
pub fn prune(
    destination: &Location,
    options: &PruneOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<PrunedDestination> {
    let destination = destination.as_url()?;
    let store = store::open(&destination, disk)?;
    let mut pruned = PrunedDestination::default();
    if !options.is_plan {
        let finished = gone::finish(store.as_ref(), &destination)?;
        pruned.finished = finished.names;
        pruned.left = finished.left;
    }
    let found = look(&destination, &options.access, &mut pruned, monitor)?;
    let Some(newest) = found.iter().map(|one| one.started_at).max() else { return Ok(pruned) };
    let oldest = newest.minus_minutes(options.keep_weeks.saturating_mul(MINUTES_A_WEEK));
    let (young, old): (Vec<&ShippedBundle>, Vec<&ShippedBundle>) =
        found.iter().partition(|one| one.started_at >= oldest);
    pruned.young = young.len() as u64;
    for (one, cover) in covered(&old, &found, options, &mut pruned, monitor)? {
        if !options.is_plan {
            monitor.check()?;
            let files = open_again(one, &options.access)?.outgoing()?.into_iter().map(|file| file.path);
            let files = if one.is_archive() { vec![String::new()] } else { files.collect() };
            match gone::remove(store.as_ref(), &destination, (&one.name, one.root_sha256), &files)? {
                RemovalOutcome::Kept(why) => {
                    pruned.kept.push((one.path.clone(), why.to_owned()));
                    continue;
                }
                RemovalOutcome::Removed(left) => pruned.left.extend(left),
            }
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
fn look(
    destination: &Location,
    access: &Access,
    pruned: &mut PrunedDestination,
    monitor: &dyn Monitor,
) -> Result<Vec<ShippedBundle>> {
    let mut found = Vec::new();
    for BundlePlace { path, .. } in places(&[destination.to_string().into()])? {
        monitor.check()?;
        if is_encrypted(&path.to_string_lossy()) {
            pruned.sealed.push(path);
            continue;
        }
        let access = Access { allows_future: true, ..access.clone() };
        let bundle = open(&path, &access).map_err(|error| {
            error.hint("a bundle there cannot be opened, so nothing was removed: repair or remove it first")
        })?;
        // It makes no other one old, and stands for none.
        if bundle.manifest().is_to_come(SystemClock.now().utc) {
            pruned.future.push(path);
            continue;
        }
        found.push(ShippedBundle::of(path, &bundle));
    }
    Ok(found)
}

fn open(path: &std::path::Path, access: &Access) -> Result<Bundle> {
    Bundle::open_in(Container::open(path, access)?)
}

impl ShippedBundle {
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

    fn is_archive(&self) -> bool {
        !self.name.ends_with(BUNDLE_SUFFIX)
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

/// The old ones for which another one stands that was read and holds all that they hold, in their order; why the
/// others are kept is noted. The largest is taken, which no other stands for.
fn covered<'a>(
    old: &[&'a ShippedBundle],
    all: &'a [ShippedBundle],
    options: &PruneOptions,
    pruned: &mut PrunedDestination,
    monitor: &dyn Monitor,
) -> Result<Vec<(&'a ShippedBundle, &'a ShippedBundle)>> {
    let mut refused: BTreeMap<Sha256, String> = BTreeMap::new();
    loop {
        let mut due: Vec<(&ShippedBundle, &ShippedBundle)> = Vec::new();
        let mut kept = Vec::new();
        for one in old {
            let mut covers: Vec<&ShippedBundle> = all.iter().filter(|other| other.stands_for(one)).collect();
            covers.sort_by_key(|cover| std::cmp::Reverse((cover.inputs.len(), cover.root_sha256)));
            match covers.iter().find(|cover| !refused.contains_key(&cover.root_sha256)) {
                Some(cover) => due.push((one, cover)),
                None => {
                    let why = covers.first().and_then(|cover| Some((cover, refused.get(&cover.root_sha256)?)));
                    let none = "no compacted bundle there lists its root digest".to_owned();
                    let why = why.map_or(none, |(cover, why)| format!("{} does not stand for it: {why}", cover.name));
                    kept.push((one.path.clone(), why));
                }
            }
        }
        let before = refused.len();
        if !options.is_plan {
            refuse(&due, &options.access, &mut refused, monitor)?;
        }
        if refused.len() == before {
            pruned.kept.extend(kept);
            return Ok(due);
        }
    }
}

/// Reads what stands for others, and them, and notes of which it is not true.
fn refuse(
    due: &[(&ShippedBundle, &ShippedBundle)],
    access: &Access,
    refused: &mut BTreeMap<Sha256, String>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut by_cover: BTreeMap<Sha256, (&ShippedBundle, Vec<&ShippedBundle>)> = BTreeMap::new();
    for (one, cover) in due {
        by_cover.entry(cover.root_sha256).or_insert((cover, Vec::new())).1.push(one);
    }
    for (root, (found, others)) in by_cover {
        let bytes = others.iter().map(|one| one.bytes).sum::<u64>() + found.bytes;
        monitor.event(Event::WorkStarted { what: "verify", name: &found.name, rows: None, bytes: Some(bytes) });
        let checked = open_again(found, access).and_then(|bundle| {
            let others = others.iter().map(|one| open_again(one, access)).collect::<Result<Vec<_>>>()?;
            cover::check(&bundle, &others, monitor)
        });
        monitor.event(Event::WorkFinished);
        match checked {
            Err(error) if error.kind() == Kind::Verification => _ = refused.insert(root, error.to_string()),
            checked => checked?,
        }
    }
    Ok(())
}

/// The bundle that was found, and no other that has come in its place.
fn open_again(one: &ShippedBundle, access: &Access) -> Result<Bundle> {
    let bundle = open(&one.path, access)?;
    if bundle.root_sha256() == one.root_sha256 {
        return Ok(bundle);
    }
    Err(Error::verification("another bundle has come in its place").file(&one.path))
}
