//! `pack`: slices of a finished run into a bundle; published, then recorded.

use super::export::write_bundle;
use super::leases::Leases;
use super::options::{PackOptions, PackReport};
use super::packer::Packer;
use super::place::{check_destination, check_out};
use super::roots::find_fork;
use super::route::{Route, held_by_itself, not_packed};
use crate::backend::{Backend, BundleRecord, PackState};
use crate::bundle::{BundleName, Published, set_unrecorded_aside, sweep_staging};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::destination::resume_command;
use crate::model::drift;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Fence, Run, Status};
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many of the latest runs are looked at for staging folders that they may have left.
const SWEPT_RUNS: u32 = 1000;

/// Which run is packed, where to and how.
#[derive(Clone, Copy, Debug)]
pub struct PackRequest<'a> {
    /// The run.
    pub run_id: Guid,
    /// Where its bundles are published.
    pub out: &'a Path,
    /// How they are written.
    pub options: &'a PackOptions,
    /// How long a lease lives without being renewed.
    pub lease_seconds: u32,
}

/// Packs the tables of a finished run that are in no bundle yet. If all are, and their slices
/// still stand, writes the same bundles again, byte for byte. Tables that cannot be packed are in the
/// report.
///
/// # Errors
/// Usage: there is nothing to pack, or the run was to be sealed by more than these options name;
/// Io; Cancelled; Database.
pub fn pack(
    backend: &mut dyn Backend,
    request: &PackRequest<'_>,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<PackReport> {
    let PackRequest { run_id, out, options, lease_seconds } = *request;
    check_out(out)?;
    backend.check_deployed()?;
    backend.check_server()?;
    let run = backend.run(run_id)?;
    let recorded = options.destination_of(&run, out)?;
    check_destination(backend, run.scope, out, &recorded, options.waive.place, monitor)?;
    sweep(backend, out, disk, monitor)?;
    let leases = Leases::start(backend.lease_keeper()?, lease_seconds)?;
    let mut packer = Packer { backend, leases: &leases, options, disk, monitor, keeps_leases: false };
    let states = packer.backend.run_tables(run_id)?;
    let unpacked: Vec<TableName> =
        states.iter().filter(|(_, state)| *state == PackState::Unpacked).map(|(table, _)| table.clone()).collect();
    let route = options.route(out, &recorded);
    if unpacked.is_empty() {
        return packer.repack(&run, &states, &route);
    }
    packer.backend.record_destination(run_id, &recorded)?;
    let run = Run { destination: Some(recorded), ..run };
    let packed = packer.pack_left(&run, &unpacked, &route)?;
    if packed.bundle.is_none() && packed.failed.is_empty() {
        // Somebody else packed it all in the meantime.
        let states = packer.backend.run_tables(run_id)?;
        return packer.repack(&run, &states, &route);
    }
    Ok(PackReport { bundles: packed.bundle.into_iter().collect(), failed: packed.failed })
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
        let of_run =
            |run: &Run| name.pack_number().is_some_and(|n| BundleName::new(run.started_at.utc, run.id, n) == *name);
        dead.iter().any(of_run)
    };
    for swept in sweep_staging(disk, out, &is_dead)? {
        monitor.event(Event::Note(&swept.to_string()));
    }
    Ok(())
}

/// What became of slices that were to be packed.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Where the bundle stands; `None` if no table could be packed.
    pub(super) bundle: Option<PathBuf>,
    /// The fences of its tables.
    pub(super) fences: Vec<Fence>,
    /// The other tables, and why; their slices stay complete, their leases are released.
    pub(super) failed: Vec<(TableName, Error)>,
}

impl Packer<'_> {
    /// Packs tables of a run that has ended, under leases that are taken for it. What somebody else packed
    /// before they could be taken is no failure, and in none of the lists.
    pub(super) fn pack_left(&mut self, run: &Run, tables: &[TableName], route: &Route) -> Result<Packed> {
        let (mut fences, mut failed) = (Vec::new(), Vec::new());
        for table in tables {
            match self.backend.take_lease(run.id, table, self.leases.seconds) {
                Ok(fence) => {
                    self.leases.hold(&fence);
                    fences.push(fence);
                }
                Err(error) => {
                    let error = self.of_holder(run, table, error)?;
                    failed.push((table.clone(), error.run(run.id).table(table)));
                }
            }
        }
        let packed = self.still_unpacked(run, &mut fences).and_then(|()| self.pack(run, fences.clone(), route));
        let released = self.release_rest(&fences, packed.as_ref().ok());
        let mut packed = packed?;
        released?;
        packed.failed.extend(failed);
        Ok(packed)
    }

    /// Releases what the record of a bundle has not: it releases the leases of its tables, unless they are kept.
    pub(super) fn release_rest(&mut self, fences: &[Fence], packed: Option<&Packed>) -> Result<()> {
        let recorded = packed.filter(|_| !self.keeps_leases).map_or(&[][..], |packed| &packed.fences);
        let rest: Vec<Fence> = fences.iter().filter(|fence| !recorded.contains(fence)).cloned().collect();
        release_all(self.backend, self.leases, &rest)
    }

    /// A lease that could not be taken, with the command that works where the run itself holds it.
    fn of_holder(&mut self, run: &Run, table: &TableName, error: Error) -> Result<Error> {
        let is_own = error.kind() == Kind::LeaseHeld
            && self.backend.watermarks()?.iter().any(|mark| mark.table == *table && mark.lease_run_id == Some(run.id));
        Ok(if is_own { held_by_itself(run, error) } else { error })
    }

    /// Lets go of what is in a bundle by now. What is to be packed was read before its lease was taken, and
    /// another process may have packed it in between.
    pub(super) fn still_unpacked(&mut self, run: &Run, fences: &mut Vec<Fence>) -> Result<()> {
        let states = self.backend.run_tables(run.id)?;
        let is_done = |fence: &mut Fence| !states.contains(&(fence.table.clone(), PackState::Unpacked));
        let done: Vec<Fence> = fences.extract_if(.., is_done).collect();
        release_all(self.backend, self.leases, &done)
    }

    /// Packs slices whose leases are held, and records the bundle. A table that cannot be packed costs
    /// itself alone: the bundle is made of the others.
    pub(super) fn pack(&mut self, run: &Run, mut fences: Vec<Fence>, route: &Route) -> Result<Packed> {
        let mut failed = Vec::new();
        let number = self.backend.bundles(run.id)?.iter().map(|record| record.pack_number).max().unwrap_or(0) + 1;
        while !fences.is_empty() {
            match self.publish(run, &fences, number, route) {
                Ok(published) => {
                    self.record(run, &fences, number, &published, route.ship_to.as_deref())?;
                    let bundle = Some(published.path().to_owned());
                    return Ok(Packed { bundle, fences, failed });
                }
                Err(error) if error.kind() == Kind::Usage && self.make_room(run, number, route)? => {}
                Err(error) => match fences.iter().position(|fence| is_of_table_alone(&error, fence)) {
                    None => return Err(error),
                    Some(at) => failed.push(self.leave(run, fences.remove(at), error)?),
                },
            }
        }
        Ok(Packed { failed, ..Packed::default() })
    }

    /// What this run published and nobody recorded makes room for what could not be published beside it. Says whether
    /// there was such a thing.
    fn make_room(&self, run: &Run, number: u32, route: &Route) -> Result<bool> {
        let name = BundleName::new(run.started_at.utc, run.id, number);
        let kept = set_unrecorded_aside(self.disk, &route.out, (&name, run.id), &route.form)?;
        if let Some(kept) = &kept {
            self.monitor.event(Event::Warning(&format!(
                "another bundle stood under the name {name}, and nobody had recorded it: whoever published it died first. It \
                 is kept as {}; the bundle is made again",
                kept.display()
            )));
        }
        Ok(kept.is_some())
    }

    /// Logs that a table was not packed, before any bundle says so, and lets its lease go.
    fn leave(&mut self, run: &Run, fence: Fence, error: Error) -> Result<(TableName, Error)> {
        let error = not_packed(run, &fence.table, error);
        self.leases.let_go(&fence);
        self.backend.fail_table(run, &fence.table, Some(&fence), Status::Failed, &error.to_string())?;
        self.monitor.event(Event::TableFailed { table: &fence.table, error: &error });
        Ok((fence.table, error))
    }

    /// Writes a bundle. Whoever takes over an expired lease sweeps what its holder had staged, and that
    /// is what the holder is to hear, not that a folder is gone.
    fn publish(&mut self, run: &Run, fences: &[Fence], number: u32, route: &Route) -> Result<Published> {
        let tables: Vec<TableName> = fences.iter().map(|fence| fence.table.clone()).collect();
        find_fork(self.backend, &tables, run.scope, &route.out, self.monitor)?.map_or(Ok(()), Err)?;
        write_bundle(self, run, fences, number, route).map_err(|error| {
            if error.kind() != Kind::Io {
                return error;
            }
            let lost = |fence: &Fence| self.backend.read_deletions(fence, None, 1).err();
            fences.iter().find_map(lost).filter(|lost| lost.kind() == Kind::Superseded).unwrap_or(error)
        })
    }

    fn record(
        &mut self,
        run: &Run,
        fences: &[Fence],
        pack_number: u32,
        published: &Published,
        ship_to: Option<&str>,
    ) -> Result<()> {
        let published_at = self.backend.now()?.utc;
        let path = published.path();
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut records = Vec::new();
        for fence in fences {
            let previous = self.backend.previous_bundle(&fence.table, run.scope, run.id)?;
            let config = self.backend.table(&fence.table)?;
            let columns = self.backend.slice_columns(&config)?;
            let before = previous.as_ref().and_then(|previous| previous.columns.as_deref());
            // Receivers lose what a column held that goes, and may come back.
            let is_alike = before.is_none_or(|before| drift::changes(before, &columns).is_empty());
            let record = BundleRecord {
                run_id: run.id,
                table: fence.table.clone(),
                pack_number,
                scope: run.scope,
                root_sha256: published.root_sha256(),
                previous_root_sha256: previous.map(|previous| previous.root_sha256),
                name: text(path.file_name()),
                folder: text(folder.parent().map(Path::as_os_str)),
                published_at,
                ship_to: ship_to.map(str::to_owned),
                shipped_at: None,
                columns,
                remembers_content: is_alike && self.options.content.remembers(&config),
            };
            records.push((fence.clone(), record));
        }
        if !self.keeps_leases {
            fences.iter().for_each(|fence| self.leases.let_go(fence));
        }
        for table in self.backend.record_bundle(&records, self.keeps_leases)? {
            let note = format!(
                "RequireBundle of {table} is 1 from now on: a slice of it is emptied only when it is in a bundle \
                 (to go on without: `blobdelta table set {table} RequireBundle=0`)"
            );
            self.monitor.event(Event::Note(&note));
        }
        self.monitor.event(Event::Published { path });
        Ok(())
    }

    /// Writes bundles again that are recorded already, for another folder.
    fn repack(&mut self, run: &Run, states: &[(TableName, PackState)], route: &Route) -> Result<PackReport> {
        let mut packs: BTreeMap<u32, Vec<BundleRecord>> = BTreeMap::new();
        for record in self.backend.bundles(run.id)? {
            packs.entry(record.pack_number).or_default().push(record);
        }
        let stands =
            |record: &BundleRecord| states.contains(&(record.table.clone(), PackState::Packed(record.pack_number)));
        let recorded = packs.values().flatten().next().cloned();
        packs.retain(|_, records| records.iter().all(stands));
        if packs.is_empty() {
            return Err(recorded.map_or_else(|| nothing_to_pack(run, states), |record| in_a_bundle(run, &record)));
        }
        let mut report = PackReport::default();
        for (number, records) in packs {
            let tables: Vec<&TableName> = records.iter().map(|record| &record.table).collect();
            let fences = take_all(self.backend, self.leases, run.id, &tables)?;
            let published = self.publish(run, &fences, number, route);
            release_all(self.backend, self.leases, &fences)?;
            let published = published?;
            if records.iter().any(|record| record.root_sha256 != published.root_sha256()) {
                return Err(Error::new(Kind::Verification, "this bundle is not the one that was recorded for the run")
                    .run(run.id)
                    .file(published.path())
                    .hint(
                        "was it packed with other options, or by another version? Keep the bundle that was recorded",
                    ));
            }
            self.monitor.event(Event::Published { path: published.path() });
            report.bundles.push(published.path().to_owned());
        }
        Ok(report)
    }
}

/// Whether an error of packing is this table's own: another one may be packed all the same.
fn is_of_table_alone(error: &Error, fence: &Fence) -> bool {
    let of_table = match error.kind() {
        Kind::Config | Kind::Verification | Kind::Internal | Kind::Superseded | Kind::LeaseHeld => true,
        // One slice may be unreadable; where the server is gone, the others fail of it too.
        Kind::Database => true,
        Kind::Usage | Kind::Io | Kind::ChainGap | Kind::NotPacked | Kind::Blocked => false,
        Kind::PartlyFailed | Kind::Cancelled => false,
    };
    of_table && error.place().table.as_deref() == Some(fence.table.to_string().as_str())
}

/// Its slices hold something else by now, and what they held is published.
fn in_a_bundle(run: &Run, record: &BundleRecord) -> Error {
    let bundle = Path::new(&record.folder).join(&record.name);
    Error::usage("this run is in a bundle already, and a later run emptied its slices")
        .run(run.id)
        .file(&bundle)
        .hint("nothing is missing: copy that bundle, or ship it with `blobdelta ship`. A run with --from covers the same time once more")
}

fn nothing_to_pack(run: &Run, states: &[(TableName, PackState)]) -> Error {
    let has = |wanted: PackState| states.iter().any(|(_, state)| *state == wanted);
    let hint = if has(PackState::SliceGone) {
        "a later run emptied its slices; a fresh run with --from covers the same time again".to_owned()
    } else if has(PackState::GivenUp) {
        "its slices were given up; a fresh run takes what they held".to_owned()
    } else {
        format!("none of its tables is complete: go on with `{}`", resume_command(run.id, run.destination.as_ref()))
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
