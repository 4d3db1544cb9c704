//! `run`: pack what is unpacked, extract every table, pack.

use super::admission::{check_table, check_times, chosen_tables, refuse_without_bundle, requested_tables};
use super::leases::Leases;
use super::options::{RunOptions, RunReport, TableRunOutcome};
use super::pack::{Packed, release_all, sweep, take_all};
use super::packer::Packer;
use super::place::{check_destination, check_out};
use super::roots::find_fork_of;
use super::route;
use crate::backend::{Backend, PackState};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result, Unfinished};
use crate::model::destination::{Destination, pack_command};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Fence, Run, Selection, Status, Step, TableCounts, TableRun};
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Passes of MissingParents; each brings every ancestor that the source had when it began, so
/// more than a few mean that somebody moves folders all the time.
const MAX_PARENT_PASSES: u32 = 64;

/// Runs. Tables that fail are in the report; an error says that nothing more could be done.
///
/// # Errors
/// Usage or Config, before anything is written; Cancelled; Io, if a bundle could not be
/// published (its slices stay complete, and are packed by the next run).
pub fn run(
    backend: &mut dyn Backend,
    options: &RunOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
) -> Result<RunReport> {
    backend.check_deployed()?;
    backend.check_server()?;
    backend.limit_memory(options.pack.memory.databases_alone())?;
    let resumed = options.resume.map(|id| backend.run(id)).transpose()?;
    if let Some(dead) = options.take_over {
        backend.take_over(dead)?;
        monitor.event(Event::Note(&format!(
            "run {dead} is taken for dead, as was said: leases that it holds are taken over"
        )));
    }
    let selection = resumed.as_ref().map_or_else(|| options.request.selection(), Run::selection);
    let (tables, left_out) = match &resumed {
        Some(_) => chosen_tables(backend, selection.table.as_ref(), selection.scope)?,
        None => requested_tables(backend, &options.request)?,
    };
    if let Some(place) = &options.backup_slice {
        let databases: std::collections::BTreeSet<String> =
            tables.iter().map(|table| table.target.db.clone()).collect();
        backend.check_backup(&databases.into_iter().collect::<Vec<_>>(), place)?;
    }
    if options.resume.is_none() {
        check_times(backend, &options.request, &tables)?;
    }
    let mut recorded = None;
    match &options.out {
        Some(out) => {
            check_out(out)?;
            let destination = match &resumed {
                Some(run) => options.pack.destination_of(run, out)?,
                None => options.pack.destination(out)?,
            };
            check_destination(backend, selection.scope, out, &destination, options.pack.waive.place, monitor)?;
            recorded = Some(destination);
            find_fork_of(backend, &selection, out, monitor)?.map_or(Ok(()), Err)?;
            sweep(backend, out, disk, monitor)?;
        }
        None => refuse_without_bundle(&tables)?,
    }
    let leases = Leases::start(backend.lease_keeper()?, options.lease_seconds)?;
    let mut running = Running { backend, leases: &leases, options, disk, monitor, bundles: Vec::new() };
    let kept_back = match &options.out {
        Some(out) => running.pack_leftovers(&tables, &selection, out)?,
        None => BTreeMap::new(),
    };
    let run = running.begin(recorded)?;
    let id = run.id;
    let report = running.extract_all(run, kept_back).map_err(|error| unfinished(error, id))?;
    Ok(RunReport { left_out: left_out.into_iter().map(|table| table.name).collect(), ..report })
}

/// From here on every error says which run it ended, and that it can be gone on with, unless somebody else does that.
fn unfinished(error: Error, run: Guid) -> Error {
    let error = error.run(run);
    if error.kind() == Kind::Superseded { error } else { error.unfinished(Unfinished::Run(run.to_string())) }
}

struct Running<'a> {
    backend: &'a mut dyn Backend,
    leases: &'a Leases,
    options: &'a RunOptions,
    disk: &'a dyn Disk,
    monitor: &'a dyn Monitor,
    bundles: Vec<PathBuf>,
}

impl Running<'_> {
    fn packer(&mut self) -> Packer<'_> {
        Packer {
            backend: &mut *self.backend,
            leases: self.leases,
            options: &self.options.pack,
            disk: self.disk,
            monitor: self.monitor,
            keeps_leases: self.options.backup_slice.is_some(),
        }
    }

    /// Starts the run or takes it up again, with what it is told now.
    fn begin(&mut self, recorded: Option<Destination>) -> Result<Run> {
        let Some(id) = self.options.resume else {
            return self.backend.start_run(&self.options.request, recorded.as_ref());
        };
        let mut run = self.backend.resume_run(id)?;
        if let Some(recorded) = recorded {
            self.backend.record_destination(id, &recorded)?;
            run.destination = Some(recorded);
        }
        Ok(run)
    }

    /// Rules 10 and 18: packs complete slices of these tables that are in no bundle, whoever filled them,
    /// each where its own run was told or where a run of the same selection is told now. Returns the
    /// tables that may not be emptied, and why.
    fn pack_leftovers(
        &mut self,
        tables: &[TableConfig],
        own: &Selection,
        out: &Path,
    ) -> Result<BTreeMap<TableName, Error>> {
        let mut left: BTreeMap<Guid, Vec<TableName>> = BTreeMap::new();
        for table in tables {
            if let Ok(marker) = self.backend.slice_marker(table)
                && marker.state == SliceState::Complete
                && let Some(run) = marker.run_id.filter(|run| Some(*run) != self.options.resume)
            {
                left.entry(run).or_default().push(table.name.clone());
            }
        }
        let mut kept_back = BTreeMap::new();
        for (id, tables) in left {
            self.monitor.event(Event::Note(&format!("packing what run {id} left")));
            let run = self.backend.run(id);
            let packed = match &run {
                Ok(run) => self.pack_leftover(run, &tables, own, out),
                Err(error) => Err(Error::new(error.kind(), error.to_string())),
            };
            let run = run.ok();
            let mut keep = |table, error: &Error| {
                let why = route::kept_back(id, run.as_ref(), &table, error);
                kept_back.insert(table, why);
            };
            match packed {
                Ok(packed) => {
                    self.bundles.extend(packed.bundle);
                    packed.failed.into_iter().for_each(|(table, error)| keep(table, &error));
                }
                Err(error) if error.kind() == Kind::Cancelled => {
                    let command = pack_command(id, run.and_then(|run| run.destination).as_ref());
                    return Err(error.run(id).hint(format!(
                        "this run had not started; what run {id} left is packed by the next one, or with: {command}"
                    )));
                }
                Err(error) => tables.into_iter().for_each(|table| keep(table, &error)),
            }
        }
        Ok(kept_back)
    }

    fn pack_leftover(&mut self, run: &Run, tables: &[TableName], own: &Selection, out: &Path) -> Result<Packed> {
        let route = self.options.pack.route_of_leftover(run, own, out)?;
        if route.out != out {
            sweep(self.backend, &route.out, self.disk, self.monitor)?;
        }
        self.packer().pack_left(run, tables, &route)
    }

    fn extract_all(mut self, run: Run, mut kept_back: BTreeMap<TableName, Error>) -> Result<RunReport> {
        let mut waiting = self.backend.run_tables(run.id)?;
        let mut completed = Vec::new();
        if self.options.resume.is_some() {
            completed = waiting.extract_if(.., |(_, state)| *state != PackState::NotCompleted).collect();
        }
        self.monitor.event(Event::RunStarted { run: run.id, tables: waiting.len() });
        let mut fences = self.take_unpacked(&run, &completed)?;
        let mut outcomes: Vec<TableRunOutcome> =
            completed.into_iter().map(|(table, state)| self.done_before(&run, table, state)).collect();
        for (table, _) in waiting {
            let outcome = match kept_back.remove(&table) {
                Some(error) => self.record_failure(&run, table, None, error)?,
                None => self.extract(&run, table, &mut fences)?,
            };
            let cancelled = matches!(&outcome.error, Some(error) if error.kind() == Kind::Cancelled);
            outcomes.push(outcome);
            if cancelled {
                return Err(self.stop(&run, &fences));
            }
        }
        outcomes.sort_by(|a, b| a.table.cmp(&b.table));
        let status = self.finish(&run, &outcomes)?;
        if self.options.out.is_some() {
            let failed = self.pack_own(&run, fences).map_err(|error| match status {
                Status::Completed if error.kind() != Kind::Superseded => {
                    error.unfinished(Unfinished::Pack(run.id.to_string()))
                }
                _ => error,
            })?;
            let is_all = failed.is_empty();
            for (table, error) in failed {
                if let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.table == table) {
                    (outcome.status, outcome.error) = (Status::Failed, Some(error));
                }
            }
            if !is_all {
                self.finish(&run, &outcomes)?;
            }
        }
        let unknown_names = self.backend.unknown_names()?;
        Ok(RunReport {
            run: self.backend.run(run.id)?,
            tables: outcomes,
            left_out: Vec::new(),
            open: Vec::new(),
            bundles: self.bundles,
            unknown_names,
        })
    }

    fn finish(&mut self, run: &Run, outcomes: &[TableRunOutcome]) -> Result<Status> {
        let failed = outcomes.iter().filter(|outcome| outcome.status != Status::Completed).count();
        let message = (failed > 0).then(|| format!("{failed} of {} tables failed", outcomes.len()));
        let status = if failed > 0 { Status::Failed } else { Status::Completed };
        self.backend.finish_run(run, status, message.as_deref())?;
        Ok(status)
    }

    /// Tables that an earlier session of this run completed, and nobody has packed.
    fn take_unpacked(&mut self, run: &Run, completed: &[(TableName, PackState)]) -> Result<Vec<Fence>> {
        if self.options.out.is_none() {
            return Ok(Vec::new());
        }
        let unpacked = completed.iter().filter(|(_, state)| *state == PackState::Unpacked);
        let tables: Vec<&TableName> = unpacked.map(|(table, _)| table).collect();
        let mut fences = take_all(self.backend, self.leases, run.id, &tables)?;
        self.packer().still_unpacked(run, &mut fences)?;
        Ok(fences)
    }

    /// Packs what this run completed, and backs it up if that was asked for; gives the tables that could
    /// not be packed. The leases are held until the backup is done, so that nobody empties what is being read.
    fn pack_own(&mut self, run: &Run, fences: Vec<Fence>) -> Result<Vec<(TableName, Error)>> {
        let (Some(out), Some(recorded)) = (&self.options.out, &run.destination) else { return Ok(Vec::new()) };
        let route = self.options.pack.route(out, recorded);
        let packed = self.packer().pack(run, fences.clone(), &route);
        let done = packed.and_then(|packed| {
            self.back_up(run, &packed)?;
            Ok(packed)
        });
        let done = done.map_err(|error| match error.kind() {
            Kind::Cancelled => error.hint("the slices are complete, and stay so until they are packed"),
            _ => error,
        });
        let released = self.packer().release_rest(&fences, done.as_ref().ok());
        let packed = done?;
        released?;
        self.bundles.extend(packed.bundle);
        Ok(packed.failed)
    }

    fn back_up(&mut self, run: &Run, packed: &Packed) -> Result<()> {
        let (Some(folder), Some(bundle)) = (&self.options.backup_slice, &packed.bundle) else { return Ok(()) };
        let note = self
            .packer()
            .backup_slices(run, &packed.fences, bundle, folder)
            .map_err(|error| error.run(run.id).file(bundle))?;
        self.monitor.event(Event::Note(&format!("backed up, see {}", note.display())));
        Ok(())
    }

    fn stop(&mut self, run: &Run, fences: &[Fence]) -> Error {
        let stopped = Error::new(Kind::Cancelled, "stopped as asked; what was committed stands").run(run.id);
        let ended = self
            .backend
            .finish_run(run, Status::Failed, Some("stopped by the operator"))
            .and_then(|()| release_all(self.backend, self.leases, fences));
        match ended {
            Ok(()) => stopped,
            Err(error) => error,
        }
    }

    fn done_before(&mut self, run: &Run, table: TableName, state: PackState) -> TableRunOutcome {
        if state == PackState::GivenUp {
            let error = Error::new(Kind::NotPacked, "the slice of this run was given up")
                .run(run.id)
                .table(&table)
                .hint("start a new run, which copies its rows again");
            return TableRunOutcome {
                table,
                status: Status::GivenUp,
                window: None,
                cut: None,
                took_over: None,
                counts: None,
                new_business_units: Vec::new(),
                schema_changes: Vec::new(),
                error: Some(error),
            };
        }
        let report = self.backend.table_report(run.id, &table);
        let (window, counts, units) = match report {
            Ok(report) => (Some(report.window), Some(report.counts), report.new_business_units),
            Err(_) => (None, None, Vec::new()),
        };
        TableRunOutcome {
            table,
            status: Status::Completed,
            window,
            cut: None,
            counts,
            new_business_units: units,
            schema_changes: Vec::new(),
            took_over: None,
            error: None,
        }
    }

    fn extract(&mut self, run: &Run, table: TableName, fences: &mut Vec<Fence>) -> Result<TableRunOutcome> {
        let started = self.backend.table(&table).and_then(|config| {
            let changes = check_table(self.backend, run, &config, self.options)?;
            self.backend.start_table(run, &config, self.leases.seconds).map(|started| (config, started, changes))
        });
        let (config, table_run, schema_changes) = match started {
            Ok(started) => started,
            Err(error) => return self.record_failure(run, table, None, error),
        };
        self.leases.hold(&table_run.fence);
        let (window, cut, took_over) = (Some(table_run.window), Some(table_run.cut), table_run.took_over);
        let keep_lease = self.options.out.is_some();
        match self.run_steps(run, &config, &table_run, keep_lease) {
            Ok(counts) => {
                if keep_lease {
                    fences.push(table_run.fence.clone());
                } else {
                    self.leases.let_go(&table_run.fence);
                }
                self.monitor.event(Event::TableFinished { table: &table, counts: &counts });
                let report = self.backend.table_report(run.id, &table)?;
                let units = report.new_business_units;
                Ok(TableRunOutcome {
                    table,
                    status: Status::Completed,
                    window,
                    cut,
                    counts: Some(counts),
                    new_business_units: units,
                    schema_changes,
                    took_over,
                    error: None,
                })
            }
            Err(error) => {
                self.leases.let_go(&table_run.fence);
                self.record_failure(run, table, Some(&table_run.fence), error).map(|outcome| TableRunOutcome {
                    window,
                    cut,
                    took_over,
                    ..outcome
                })
            }
        }
    }

    fn run_steps(
        &mut self,
        run: &Run,
        table: &TableConfig,
        table_run: &TableRun,
        keep_lease: bool,
    ) -> Result<TableCounts> {
        self.monitor.event(Event::TableStarted {
            table: &table.name,
            window: &table_run.window,
            keys: table_run.queued_keys,
            ended: table_run.ended_keys,
        });
        if table_run.complete {
            return Ok(self.backend.table_report(run.id, &table.name)?.counts);
        }
        self.monitor.check()?;
        // Where no key was queued there is nothing to copy but folders that left a scope and stay there (rule 17).
        let is_idle = table_run.queued_keys == 0;
        if !is_idle {
            self.step(table_run, Step::Roots, run.batch_size)?;
        }
        if table.is_tree() {
            self.missing_parents(table_run, run.batch_size)?;
        }
        if table.is_tree() && !is_idle {
            self.step(table_run, Step::Children, run.batch_size)?;
            // Rule 7: what step 3 copied may have parents that nobody has asked for yet.
            self.missing_parents(table_run, run.batch_size)?;
        }
        self.backend.finish_table(table_run, keep_lease)
    }

    fn missing_parents(&mut self, table_run: &TableRun, batch_size: u32) -> Result<()> {
        for _ in 0..MAX_PARENT_PASSES {
            if self.backend.queue_missing_parents(table_run)? == 0 {
                return Ok(());
            }
            self.step(table_run, Step::MissingParents, batch_size)?;
        }
        Err(Error::config("after many passes rows still lack parents that the source has")
            .table(&table_run.fence.table)
            .hint("somebody moves folders all the time; run the table when the source is quieter"))
    }

    fn step(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<()> {
        for number in 1.. {
            self.monitor.check()?;
            self.leases.check(&table_run.fence)?;
            let outcome = self.backend.run_batch(table_run, step, batch_size)?;
            if outcome.keys == 0 {
                break;
            }
            let table = &table_run.fence.table;
            self.monitor.event(Event::Batch { table, step, number, keys: outcome.keys, rows: outcome.rows });
        }
        Ok(())
    }

    fn record_failure(
        &mut self,
        run: &Run,
        table: TableName,
        fence: Option<&Fence>,
        error: Error,
    ) -> Result<TableRunOutcome> {
        let error = error.run(run.id).table(&table);
        let status = match error.kind() {
            Kind::Superseded => Status::Superseded,
            Kind::Blocked => Status::Blocked,
            _ => Status::Failed,
        };
        self.monitor.event(Event::TableFailed { table: &table, error: &error });
        self.backend.fail_table(run, &table, fence, status, &error.to_string())?;
        Ok(TableRunOutcome {
            table,
            status,
            window: None,
            cut: None,
            counts: None,
            new_business_units: Vec::new(),
            schema_changes: Vec::new(),
            took_over: None,
            error: Some(error),
        })
    }
}
