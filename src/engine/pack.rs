//! `pack`: slices of a finished run into a bundle; published, then recorded.

use super::export::write_bundle;
use super::leases::Leases;
use super::options::PackOptions;
use crate::backend::{Backend, BundleRecord, PackState};
use crate::bundle::{BundleName, Published, sweep_staging};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Fence, Run};
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many of the latest runs are looked at for staging folders that they may have left.
const SWEPT_RUNS: u32 = 1000;

/// Packs the tables of a finished run that are in no bundle yet. If all are, and their slices
/// still stand, writes the same bundles again, byte for byte.
///
/// # Errors
/// Usage, if there is nothing to pack; LeaseHeld; Superseded; Io.
pub fn pack(
    backend: &mut dyn Backend,
    run_id: Guid,
    out: &Path,
    options: &PackOptions,
    lease_seconds: u32,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>> {
    check_out(out)?;
    backend.check_deployed()?;
    sweep(backend, out, disk, monitor)?;
    let leases = Leases::start(backend.lease_keeper()?, lease_seconds)?;
    pack_with(backend, &leases, run_id, out, options, disk, monitor)
}

/// The folder for bundles is there.
pub(super) fn check_out(out: &Path) -> Result<()> {
    if out.is_dir() {
        return Ok(());
    }
    Err(Error::usage("the folder for bundles is not there").file(out).hint("make it first, or correct --out"))
}

/// Removes the staging folders of runs of this source that nobody works on any more. Others may
/// publish into the same folder: what is not known to be ours and dead is left alone.
pub(super) fn sweep(backend: &mut dyn Backend, out: &Path, disk: &dyn Disk, monitor: &dyn Monitor) -> Result<()> {
    let now = backend.now()?.utc;
    let alive: Vec<Guid> = backend
        .watermarks()?
        .into_iter()
        .filter(|mark| mark.is_running && mark.lease_expires_at.is_some_and(|expires| expires > now))
        .filter_map(|mark| mark.lease_run_id)
        .collect();
    let dead: Vec<Run> = backend.recent_runs(SWEPT_RUNS)?.into_iter().filter(|run| !alive.contains(&run.id)).collect();
    let is_dead = |name: &BundleName, _: &Path| {
        let number = name.as_str().trim_end_matches(".bundle").rsplit_once('-').and_then(|(_, n)| n.parse().ok());
        let of_run = |run: &Run| number.is_some_and(|n| BundleName::new(run.started_at.utc, run.id, n) == *name);
        dead.iter().any(of_run)
    };
    for swept in sweep_staging(disk, out, &is_dead)? {
        monitor.event(Event::Note(&swept.to_string()));
    }
    Ok(())
}

pub(super) fn pack_with(
    backend: &mut dyn Backend,
    leases: &Leases,
    run_id: Guid,
    out: &Path,
    options: &PackOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>> {
    let run = backend.run(run_id)?;
    let states = backend.run_tables(run_id)?;
    let unpacked: Vec<&TableName> =
        states.iter().filter(|(_, state)| *state == PackState::Unpacked).map(|(table, _)| table).collect();
    if unpacked.is_empty() {
        return repack(backend, leases, &run, &states, out, options, disk, monitor);
    }
    let fences = take_all(backend, leases, run_id, &unpacked)?;
    let packed = pack_tables(backend, leases, &run, &fences, out, options, disk, monitor);
    release_all(backend, leases, &fences)?;
    Ok(vec![packed?])
}

/// Packs slices whose leases are held, and records the bundle.
#[expect(clippy::too_many_arguments, reason = "one call from each of the two ways into packing")]
pub(super) fn pack_tables(
    backend: &mut dyn Backend,
    leases: &Leases,
    run: &Run,
    fences: &[Fence],
    out: &Path,
    options: &PackOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<PathBuf> {
    let number = backend.bundles(run.id)?.iter().map(|record| record.pack_number).max().unwrap_or(0) + 1;
    let published = publish(backend, leases, run, fences, number, out, options, disk, monitor)?;
    let records = records(backend, run, fences, number, &published, options.ship_to.as_deref())?;
    backend.record_bundle(&records)?;
    monitor.event(Event::Published { path: published.path() });
    Ok(published.path().to_owned())
}

/// Writes a bundle. Whoever takes over an expired lease sweeps what its holder had staged, and that
/// is what the holder is to hear, not that a folder is gone.
#[expect(clippy::too_many_arguments, reason = "as write_bundle, which it calls")]
fn publish(
    backend: &mut dyn Backend,
    leases: &Leases,
    run: &Run,
    fences: &[Fence],
    number: u32,
    out: &Path,
    options: &PackOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Published> {
    write_bundle(backend, leases, run, fences, number, out, options, disk, monitor).map_err(|error| {
        if error.kind() != Kind::Io {
            return error;
        }
        let lost = |fence: &Fence| backend.read_deletions(fence, None, 1).err();
        fences.iter().find_map(lost).filter(|lost| lost.kind() == Kind::Superseded).unwrap_or(error)
    })
}

fn records(
    backend: &mut dyn Backend,
    run: &Run,
    fences: &[Fence],
    pack_number: u32,
    published: &Published,
    ship_to: Option<&str>,
) -> Result<Vec<(Fence, BundleRecord)>> {
    let published_at = backend.now()?.utc;
    let path = published.path();
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut records = Vec::new();
    for fence in fences {
        let record = BundleRecord {
            run_id: run.id,
            table: fence.table.clone(),
            pack_number,
            scope: run.scope,
            root_sha256: published.root_sha256(),
            previous_root_sha256: backend.previous_root(&fence.table, run.scope, run.id)?,
            name: text(path.file_name()),
            folder: text(folder.parent().map(Path::as_os_str)),
            published_at,
            ship_to: ship_to.map(str::to_owned),
            shipped_at: None,
        };
        records.push((fence.clone(), record));
    }
    Ok(records)
}

/// Writes bundles again that are recorded already, for another folder.
#[expect(clippy::too_many_arguments, reason = "as pack_with, which it ends")]
fn repack(
    backend: &mut dyn Backend,
    leases: &Leases,
    run: &Run,
    states: &[(TableName, PackState)],
    out: &Path,
    options: &PackOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>> {
    let mut packs: BTreeMap<u32, Vec<BundleRecord>> = BTreeMap::new();
    for record in backend.bundles(run.id)? {
        packs.entry(record.pack_number).or_default().push(record);
    }
    let stands =
        |record: &BundleRecord| states.contains(&(record.table.clone(), PackState::Packed(record.pack_number)));
    packs.retain(|_, records| records.iter().all(stands));
    if packs.is_empty() {
        return Err(nothing_to_pack(run, states));
    }
    let mut written = Vec::new();
    for (number, records) in packs {
        let tables: Vec<&TableName> = records.iter().map(|record| &record.table).collect();
        let fences = take_all(backend, leases, run.id, &tables)?;
        let published = publish(backend, leases, run, &fences, number, out, options, disk, monitor);
        release_all(backend, leases, &fences)?;
        let published = published?;
        if records.iter().any(|record| record.root_sha256 != published.root_sha256()) {
            return Err(Error::new(Kind::Verification, "this bundle is not the one that was recorded for the run")
                .run(run.id)
                .file(published.path())
                .hint("was it packed with other options, or by another version? Keep the bundle that was recorded"));
        }
        monitor.event(Event::Published { path: published.path() });
        written.push(published.path().to_owned());
    }
    Ok(written)
}

fn nothing_to_pack(run: &Run, states: &[(TableName, PackState)]) -> Error {
    let gone = states.iter().any(|(_, state)| *state == PackState::SliceGone);
    let hint = if gone {
        "a later run emptied its slices; a fresh run with --from covers the same time again"
    } else {
        "none of its tables is complete: go on with `run --resume`"
    };
    Error::usage("this run has nothing that could be packed").run(run.id).hint(hint)
}

/// Takes the leases of these tables; all of them, or none.
pub(super) fn take_all(
    backend: &mut dyn Backend,
    leases: &Leases,
    run_id: Guid,
    tables: &[&TableName],
) -> Result<Vec<Fence>> {
    let mut fences = Vec::new();
    for table in tables {
        match backend.take_lease(run_id, table, leases.seconds) {
            Ok(fence) => {
                leases.hold(&fence);
                fences.push(fence);
            }
            Err(error) => {
                release_all(backend, leases, &fences)?;
                return Err(error);
            }
        }
    }
    Ok(fences)
}

/// Releases leases, and renews them no more.
pub(super) fn release_all(backend: &mut dyn Backend, leases: &Leases, fences: &[Fence]) -> Result<()> {
    if fences.is_empty() {
        return Ok(());
    }
    fences.iter().for_each(|fence| leases.let_go(fence));
    backend.release_leases(fences)
}
