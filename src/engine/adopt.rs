//! [`adopt`]: a job database that was restored from a backup goes on behind what it had published.
//!
//! The bundles of its source at a place that it does not know are verified deeply, every row of them, and
//! recorded, so that the next bundle follows the last of them. The watermark is never moved forward: what the
//! lost job database knew beside it (keys that waited for their blobs, keys held back, what a unit was handed)
//! is in no bundle, so the next run takes the same windows once more, which receivers see as an overlap.

use super::roots::{ends_with_ours, leads_to, oldest};
use crate::backend::{AdoptedBundle, Backend, Handed};
use crate::bundle::manifest::{BundleKind, Manifest};
use crate::bundle::{Access, Bundle, BundleName, Container, FileRole, TableInfo, open_or_skip, places};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::column::{DELTA_BUSINESS_UNIT, DELTA_STEP};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Scope, Step};
use crate::model::slice::DeletionReason;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use crate::monitor::Monitor;
use crate::rows::{PartKeys, TableRows, Wanted};
use crate::store::Location;
use crate::verify::require_good;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What was taken over of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The table.
    pub table: TableName,
    /// Whose rows.
    pub scope: Scope,
    /// The bundles that are recorded now, oldest first: where they stand, and their root digests.
    pub bundles: Vec<(PathBuf, Sha256)>,
}

/// A bundle of this source at the place.
struct FoundBundle {
    path: PathBuf,
    root_sha256: Sha256,
    manifest: Manifest,
}

impl FoundBundle {
    fn order(&self) -> (Timestamp, Guid, u32) {
        let run = &self.manifest.run;
        (run.started_at.0, run.run_id, run.pack_number)
    }
}

/// Records what stands at a place, a folder or a URL, and is unknown, chain by chain.
///
/// # Errors
/// ChainGap, where the bundles there do not join on to what the job database knows; Verification, for one
/// that is not whole; Usage, Config or Io, if the place cannot be listed; Database; Cancelled. What was
/// recorded before stays, and the call can be repeated.
pub fn adopt(backend: &mut dyn Backend, place: &Path, access: &Access, monitor: &dyn Monitor) -> Result<Vec<Adoption>> {
    // A clock of ours may have gone ahead when they were made.
    let access = &Access { allows_future: true, ..access.clone() };
    backend.check_deployed()?;
    backend.check_server()?;
    let found = look(backend.source_id()?, place, access, monitor)?;
    let configured: BTreeSet<TableName> = backend.tables()?.into_iter().map(|table| table.name).collect();
    let mut chains: BTreeMap<(TableName, Scope), Vec<&FoundBundle>> = BTreeMap::new();
    for one in &found {
        for part in one.manifest.tables.iter().filter(|part| configured.contains(&part.name)) {
            chains.entry((part.name.clone(), part.scope.0)).or_default().push(one);
        }
    }
    let (mut adoptions, mut verified) = (Vec::new(), BTreeSet::new());
    for ((table, scope), found) in chains {
        let Unknown { added, links: unknown } =
            unknown(backend, &table, scope, &found).map_err(|error| error.table(&table))?;
        for one in &added {
            if verified.insert(one.root_sha256) {
                require_good(&again(one, access)?, monitor)?;
            }
        }
        if unknown.is_empty() {
            continue;
        }
        // Before they are recorded: who dies between the two finds them unknown still.
        for one in &added {
            keep_keys(backend, one, (&table, scope), access, monitor).map_err(|error| error.table(&table))?;
        }
        let adopted = unknown.iter().filter_map(|one| adopted(one, &table, scope, place).transpose());
        let bundles = adopted.collect::<Result<Vec<_>>>()?;
        backend.adopt_bundles(&table, scope, &bundles).map_err(|error| error.table(&table))?;
        let bundles = unknown.iter().map(|one| (one.path.clone(), one.root_sha256)).collect();
        adoptions.push(Adoption { table, scope, bundles });
    }
    Ok(adoptions)
}

/// The bundles of this source, oldest run first.
fn look(source_id: Guid, place: &Path, access: &Access, monitor: &dyn Monitor) -> Result<Vec<FoundBundle>> {
    let mut found = Vec::new();
    for one in places(&[place.to_owned()])? {
        monitor.check()?;
        let name = one.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if BundleName::of_file(&name).is_none() {
            continue;
        }
        let Some(bundle) = open_or_skip(&one.path, access, monitor)? else { continue };
        let (root_sha256, manifest) = (bundle.root_sha256(), bundle.manifest().clone());
        if manifest.run.source_id == source_id {
            found.push(FoundBundle { path: one.path, root_sha256, manifest });
        }
    }
    found.sort_by_key(FoundBundle::order);
    Ok(found)
}

/// What of a chain stands at the place, and is not known.
struct Unknown<'f> {
    /// What the chain has with them, oldest first; also what a compacted bundle has of bundles that are gone.
    added: Vec<&'f FoundBundle>,
    /// Of them, those that are recorded.
    links: Vec<&'f FoundBundle>,
}

/// What follows the newest bundle there that is known, each linked to what is known by then.
fn unknown<'f>(
    backend: &mut dyn Backend,
    table: &TableName,
    scope: Scope,
    found: &[&'f FoundBundle],
) -> Result<Unknown<'f>> {
    let records = backend.chain_records(table, scope)?;
    let mut known: BTreeSet<Sha256> =
        records.iter().flat_map(|record| [Some(record.root_sha256), record.previous_root_sha256]).flatten().collect();
    let last_known = found.iter().rposition(|one| known.contains(&one.root_sha256));
    let after = match (last_known, oldest(&records)) {
        (Some(last), _) => last + 1,
        // What is older than all that we still hold was pruned from our records.
        (None, Some(oldest)) => found.partition_point(|one| one.manifest.run.started_at.0 < oldest),
        (None, None) => 0,
    };
    let (mut added, mut links, mut compacted) = (Vec::new(), Vec::new(), None);
    for one in found.iter().skip(after) {
        if one.manifest.kind == BundleKind::Compacted {
            // It stands for the bundles that it was made from. Where those are gone it is what the next follows.
            let is_new = one.manifest.inputs.iter().any(|root| !known.contains(root))
                && !ends_with_ours(&one.manifest, &records)
                && !leads_to((one.root_sha256, &one.manifest.inputs), &records, links_of(table, scope, found));
            known.extend(&one.manifest.inputs);
            compacted = is_new.then_some(*one);
            added.extend(compacted);
            continue;
        }
        compacted = None;
        let part = one.manifest.tables.iter().find(|part| part.name == *table && part.scope.0 == scope);
        let previous = part.and_then(|part| part.previous).map(|previous| previous.root_sha256);
        let joins = previous.map_or(known.is_empty(), |previous| known.contains(&previous));
        if !joins {
            let what =
                "this bundle follows one that neither stands there nor is known; nothing of this chain was taken over";
            return Err(Error::new(Kind::ChainGap, what)
                .file(&one.path)
                .hint("put the missing bundles back to that place; `blobdelta chain` shows which are missing"));
        }
        known.insert(one.root_sha256);
        added.push(*one);
        links.push(*one);
    }
    links.extend(compacted);
    Ok(Unknown { added, links })
}

/// Which bundle each follows.
fn links_of(table: &TableName, scope: Scope, found: &[&FoundBundle]) -> BTreeMap<Sha256, Sha256> {
    let previous = |one: &&FoundBundle| {
        let part = one.manifest.tables.iter().find(|part| part.name == *table && part.scope.0 == scope)?;
        Some((one.root_sha256, part.previous?.root_sha256))
    };
    found.iter().filter_map(previous).collect()
}

/// The bundle that was found, and no other that stands in its place by now.
fn again(one: &FoundBundle, access: &Access) -> Result<Bundle> {
    let bundle = Bundle::open_in(Container::open(&one.path, access)?)?;
    match bundle.root_sha256() == one.root_sha256 {
        true => Ok(bundle),
        false => Err(Error::verification("another bundle stands here than a moment ago").file(&one.path)),
    }
}

/// Rules 7 and 17: what a bundle handed out to a business unit, and what it told to have left, as its run kept it; of all
/// units, ancestors out of scope. A key that was deleted stays known, as after a run: a row may have outranked the deletion.
fn keep_keys(
    backend: &mut dyn Backend,
    one: &FoundBundle,
    (table, scope): (&TableName, Scope),
    access: &Access,
    monitor: &dyn Monitor,
) -> Result<()> {
    let bundle = again(one, access)?;
    let is_of = |part: &&TableInfo| part.name == *table && part.scope.0 == scope;
    let Some(part) = bundle.manifest().tables.iter().find(is_of) else { return Ok(()) };
    let source = TableRows { bundle: &bundle, table: part };
    let columns = [DELTA_STEP, DELTA_BUSINESS_UNIT];
    for role in [FileRole::Rows, FileRole::Tombstones] {
        let is_rows = role == FileRole::Rows;
        let wanted = if is_rows { Wanted { columns: &columns, ..Wanted::default() } } else { Wanted::default() };
        for file in part.files_of(role) {
            source
                .each_key(file, wanted, monitor, |some| {
                    let mut kept: [(Handed, Vec<(Guid, Version)>); 3] =
                        [Handed::Whole, Handed::WithoutBlob, Handed::Left].map(|handed| (handed, Vec::new()));
                    for (nth, key) in some.keys.iter().enumerate() {
                        let handed = if is_rows { Some(handed(some, nth)?) } else { left(some, nth)? };
                        let of = kept.iter_mut().find(|(of, _)| Some(*of) == handed);
                        of.into_iter().for_each(|(_, keys)| keys.push((*key, some.versions[nth])));
                    }
                    let is_kept = |handed: &Handed| scope != Scope::All || *handed != Handed::Whole;
                    let mut kept = kept.iter().filter(|(handed, keys)| is_kept(handed) && !keys.is_empty());
                    kept.try_for_each(|(handed, keys)| backend.adopt_keys(table, scope, *handed, keys))
                })
                .map_err(|error| error.file(&one.path))?;
        }
    }
    Ok(())
}

fn handed(some: &PartKeys<'_>, nth: usize) -> Result<Handed> {
    let is_ancestor = some.cell(nth, DELTA_STEP)? == Cell::Int(i64::from(Step::MissingParents.number()));
    let is_foreign = some.cell(nth, DELTA_BUSINESS_UNIT)? == Cell::Null;
    Ok(if is_ancestor && is_foreign { Handed::WithoutBlob } else { Handed::Whole })
}

fn left(some: &PartKeys<'_>, nth: usize) -> Result<Option<Handed>> {
    Ok((some.reason(nth)? == DeletionReason::LeftScope).then_some(Handed::Left))
}

fn adopted(one: &FoundBundle, table: &TableName, scope: Scope, place: &Path) -> Result<Option<AdoptedBundle>> {
    let is_it = |part: &&TableInfo| part.name == *table && part.scope.0 == scope;
    let Some(part) = one.manifest.tables.iter().find(is_it) else { return Ok(None) };
    let run = &one.manifest.run;
    Ok(Some(AdoptedBundle {
        run_id: run.run_id,
        run_type: run.run_type.clone(),
        requested_by: run.requested_by.clone(),
        run_started_at: run.started_at.0,
        business_unit: run.business_unit,
        pack_number: run.pack_number,
        root_sha256: one.root_sha256,
        previous_root_sha256: part.previous.map(|previous| previous.root_sha256),
        name: one.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        folder: folder_of(place),
        watermark: part.window.watermark_after,
        columns: part.model_columns()?,
    }))
}

/// From the root on, as a bundle that was published is recorded.
fn folder_of(place: &Path) -> String {
    let is_url = Location::of_path(place).is_ok_and(|url| url.is_some());
    let absolute = if is_url { place.to_owned() } else { std::path::absolute(place).unwrap_or(place.to_owned()) };
    absolute.display().to_string()
}
