//! [`find_fork`]: the newest bundle of a chain at the place where the next one is to go, held against
//! the job database (rule 28).
//!
//! A job database that was restored from a backup knows less than it has published. What it publishes
//! next would follow a bundle that has a successor already, and the chain would have two ends. So the
//! newest bundle of each chain that stands at the place has to be one that the job database knows: by
//! its record, or by its run, where a process died between publishing and recording.
//!
//! The place is listed once, and looked through from the newest name on until each chain was decided: a
//! bundle with a recorded name costs one small read, another one its tag files.

use crate::backend::{Backend, ChainRecord};
use crate::bundle::layout::TAG_LIST;
use crate::bundle::manifest::{BundleKind, Manifest};
use crate::bundle::{Access, Bundle, BundleName, Container, open_or_skip, places};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use crate::model::run::{Scope, Selection};
use crate::model::time::Timestamp;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A list of tag files is no longer.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Why nothing may be added at `place`, a folder or a URL, to the chains of these tables and this scope; `None`
/// where their newest bundles there are ours. What cannot be opened is reported and passed by, and so is
/// what other sources have there.
///
/// # Errors
/// Usage, Config or Io, if the place cannot be listed; Database; Cancelled.
pub fn find_fork(
    backend: &mut dyn Backend,
    tables: &[TableName],
    scope: Scope,
    place: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<Error>> {
    // The list comes first: whatever was published before it has its run in the job database.
    let mut names = Vec::new();
    for found in places(&[place.to_owned()])? {
        let name = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        names.extend(BundleName::of_file(&name).map(|name| (name, found.path)));
    }
    names.sort_by(|(a, _), (b, _)| b.as_str().cmp(a.as_str()));
    let (source_id, now) = (backend.source_id()?, backend.now()?.utc);
    let mut undecided = BTreeMap::new();
    for table in tables {
        undecided.insert(table.clone(), Undecided { records: backend.chain_records(table, scope)?, until: None });
    }
    for (name, path) in &names {
        monitor.check()?;
        // What is older than all that we still hold of a chain was pruned from our records.
        undecided.retain(|_, chain| {
            oldest(&chain.records).is_none_or(|oldest| *name.as_str() >= *oldest.compact_utc())
                && chain.until.as_deref().is_none_or(|second| name.as_str().starts_with(second))
        });
        if undecided.is_empty() {
            break;
        }
        let is_it = |record: &ChainRecord| BundleName::of_file(&record.name).as_ref() == Some(name);
        if let Some(record) = undecided.values().flat_map(|chain| &chain.records).find(|record| is_it(record)) {
            if root_at(path).is_some_and(|root| root != record.root_sha256) {
                return Ok(Some(altered(path)));
            }
            let found = undecided.values_mut().filter(|chain| chain.records.iter().any(is_it));
            found.for_each(|chain| chain.until = Some(second_of(name)));
            continue;
        }
        let Some(bundle) = open_or_skip(path, &Access::own(), monitor)? else { continue };
        let manifest = bundle.manifest();
        if manifest.run.source_id != source_id {
            continue;
        }
        for part in manifest.tables.iter().filter(|part| part.scope.0 == scope) {
            let Some(chain) = undecided.get_mut(&part.name) else { continue };
            // One of ours that is not recorded may have been taken back, and say nothing of what stands before it.
            chain.until = (manifest.run.started_at.0 <= now).then(|| second_of(name));
            let records = chain.records.clone();
            let mut is_followed = || is_followed(&names, (&part.name, scope), &bundle, &records, monitor);
            if let Some(why) = stranger(backend, manifest, &records, &mut is_followed)? {
                return Ok(Some(forked(path, place, why).table(&part.name)));
            }
        }
    }
    Ok(None)
}

/// The same of the tables that a run of this selection takes.
///
/// # Errors
/// As [`find_fork`]; Config, for a table that is not configured.
pub fn find_fork_of(
    backend: &mut dyn Backend,
    selection: &Selection,
    place: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<Error>> {
    let tables = match &selection.table {
        Some(name) => vec![backend.table(name)?.name],
        None => backend.tables()?.into_iter().filter(|table| table.is_active).map(|table| table.name).collect(),
    };
    find_fork(backend, &tables, selection.scope, place, monitor)
}

/// A chain whose newest bundle at the place was not found yet.
struct Undecided {
    records: Vec<ChainRecord>,
    /// The second of the one that was found. Names tell runs of one second apart by their ids alone, so that all of them
    /// are looked at.
    until: Option<String>,
}

/// When the run of a bundle began, as its name says it.
fn second_of(name: &BundleName) -> String {
    name.as_str().chars().take_while(|at| *at != '-').collect()
}

/// Why a bundle of this chain is none that the job database made, if it is none.
fn stranger(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    records: &[ChainRecord],
    is_followed: &mut dyn FnMut() -> Result<bool>,
) -> Result<Option<&'static str>> {
    if manifest.kind == BundleKind::Compacted {
        let is_ours = ends_with_ours(manifest, records) || is_followed()?;
        return Ok((!is_ours).then_some("it was compacted from bundles that the job database does not know"));
    }
    let run = manifest.run.run_id;
    if records.iter().any(|record| record.run_id == run) {
        return Ok(Some("its run is recorded with another bundle"));
    }
    match backend.run(run) {
        // It was published, and whoever did it died before he recorded it.
        Ok(_) => Ok(None),
        // Its run was pruned, where one of ours follows it: names tell runs of one second apart by their ids alone.
        Err(error) if error.kind() == Kind::Usage => {
            Ok((!is_followed()?).then_some("the job database does not know its run"))
        }
        Err(error) => Err(error),
    }
}

/// Whether a bundle that is recorded leads to this one, by links of bundles at the place and the records' own.
fn is_followed(
    names: &[(BundleName, PathBuf)],
    (table, scope): (&TableName, Scope),
    of: &Bundle,
    records: &[ChainRecord],
    monitor: &dyn Monitor,
) -> Result<bool> {
    let mut links = BTreeMap::new();
    for (_, path) in names {
        monitor.check()?;
        let Some(bundle) = open_or_skip(path, &Access::own(), monitor)? else { continue };
        let part = bundle.manifest().tables.iter().find(|part| part.name == *table && part.scope.0 == scope);
        links.extend(part.and_then(|part| Some((bundle.root_sha256(), part.previous.as_ref()?.root_sha256))));
    }
    Ok(leads_to((of.root_sha256(), &of.manifest().inputs), records, links))
}

/// Whether a compacted bundle has our newest as its last. Its run is the last of those that it was made of.
pub(super) fn ends_with_ours(manifest: &Manifest, records: &[ChainRecord]) -> bool {
    let is_last = |record: &ChainRecord| record.run_started_at == manifest.run.started_at.0;
    records.iter().any(|record| is_last(record) && manifest.inputs.contains(&record.root_sha256))
}

/// Whether links lead from a bundle that is recorded to this one, or to one of those that it was made of: these links and
/// the records' own, because what follows it may still be shipped to its place. Neither its name nor its time says that, in the
/// second of the next run, or where a clock was set back.
pub(super) fn leads_to(
    (root, inputs): (Sha256, &[Sha256]),
    records: &[ChainRecord],
    mut links: BTreeMap<Sha256, Sha256>,
) -> bool {
    let inputs: BTreeSet<Sha256> = inputs.iter().copied().collect();
    links.extend(records.iter().filter_map(|record| Some((record.root_sha256, record.previous_root_sha256?))));
    let leads_to_it = |record: &ChainRecord| {
        let mut at = Some(record.root_sha256);
        for _ in 0..=links.len() {
            match at {
                Some(here) if here == root || inputs.contains(&here) => return true,
                Some(here) => at = links.get(&here).copied(),
                None => return false,
            }
        }
        false
    };
    // What it was made of itself says nothing of what else was.
    records.iter().filter(|record| !inputs.contains(&record.root_sha256)).any(leads_to_it)
}

/// When the oldest run began of which a record is still held.
pub(super) fn oldest(records: &[ChainRecord]) -> Option<Timestamp> {
    records.iter().map(|record| record.run_started_at).min()
}

fn forked(path: &Path, place: &Path, why: &str) -> Error {
    let what = format!("the newest bundle of this chain there is none of this job database: {why}; nothing was added");
    Error::config(what).file(path).hint(format!(
        "was the job database restored from a backup? `blobdelta deploy --adopt {}` verifies the bundles there, and \
         goes on behind them; if they are none of this source's business, choose another place",
        quoted(place)
    ))
}

/// A bundle under a name of ours is not the one that was recorded: there is nothing in it to go on behind.
fn altered(path: &Path) -> Error {
    let what = "the newest bundle of this chain there is none of this job database: it has another root digest than the \
                one that was recorded under this name; nothing was added";
    Error::config(what).file(path).hint(format!(
        "it was changed after it was published: move it out of that place, which lets the next run go on, and bring back \
         what was published, if there is a copy of it; its receivers are not to use what stands there. `blobdelta verify {}` \
         says whether it is whole",
        quoted(path)
    ))
}

/// A path as it is typed in a shell.
fn quoted(place: &Path) -> String {
    let text = place.display().to_string();
    let is_plain = |at: char| at.is_ascii_alphanumeric() || "/._-:@%+=,~".contains(at);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The root digest of what stands there; `None` where it cannot be read, or is encrypted.
fn root_at(path: &Path) -> Option<Sha256> {
    let container = Container::open(path, &Access::own()).ok()?;
    container.read(TAG_LIST, MAX_LIST_BYTES).ok().map(|list| Sha256::of(&list))
}
