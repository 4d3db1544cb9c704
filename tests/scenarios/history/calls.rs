//! What operators do, and what each call may end as: runs, whole or ended half-way, what they left packed, given up
//! or gone on with, and shipping.

use super::{Call, Fate, History, SCOPES, Seal, Slip, scopes};
use crate::scenarios::destinations::StopsPacking;
use crate::scenarios::world::minute;
use blobdelta::backend::PackState;
use blobdelta::durable::{Faulty, InjectedFault, Local, When};
use blobdelta::engine::{self, PackRequest, RunOptions, RunReport};
use blobdelta::error::{Error, Kind, Result};
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Selection, Status};
use blobdelta::model::slice::SliceState;
use blobdelta::monitor::Silent;
use blobdelta::ship::{ShipOptions, ship};
use blobdelta::shipping;
use blobdelta::store::Location;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a run was told, and when it started in true time.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordedRun {
    pub(super) of: usize,
    pub(super) seal: Seal,
    pub(super) started: i64,
}

impl History {
    /// Where the bundles of a scope are published.
    pub(super) fn folder(&self, of: usize) -> PathBuf {
        self.world.dir.path().join(["all", "a", "b"][of])
    }

    /// Where the receivers of a scope take its bundles: where they are shipped, or where they are published.
    pub(super) fn place(&self, of: usize) -> PathBuf {
        let folder = self.folder(of);
        if self.ships {
            Location::of_folder(&folder.with_extension("shipped")).unwrap().to_string().into()
        } else {
            folder
        }
    }

    fn options(&self, of: usize, seal: Seal) -> RunOptions {
        let mut options = self.world.options();
        options.request.scope = scopes()[of];
        options.out = Some(self.folder(of));
        options.pack = seal.options();
        options.pack.ship_to = self.ships.then(|| self.place(of).to_str().unwrap().to_owned());
        options
    }

    /// Complete slices that are in no bundle: whose, and of which table.
    fn leftovers(&mut self) -> Vec<(Guid, TableName)> {
        let mut left = Vec::new();
        for rows in &self.tables {
            let marker = self.world.backend.slice_marker(&rows.config);
            let marker = marker.ok().filter(|marker| marker.state == SliceState::Complete);
            left.extend(marker.and_then(|marker| marker.run_id).map(|run| (run, rows.config.name.clone())));
        }
        left
    }

    /// A run with its bundle and its shipment.
    pub(super) fn run(&mut self, call: &Call, fate: Fate) {
        let mut options = self.options(call.of, call.seal);
        options.request.table = call.table.map(|table| self.tables[table].config.name.clone());
        options.request.from = call.from.map(|minutes| minute(self.now + self.skew - minutes));
        // Rule 18: a slice that was to be sealed otherwise stays, and its table is not taken.
        let left = self.leftovers();
        let kept = left.into_iter().filter(|(run, _)| !self.recorded[run].seal.is_like(call.seal));
        let kept: BTreeSet<TableName> = kept.map(|(_, table)| table).collect();
        let Some(report) = self.call(&options, call, fate) else { return };
        for outcome in &report.tables {
            let is_kept = outcome.error.as_ref().is_some_and(|error| error.kind() == Kind::NotPacked);
            assert_eq!(is_kept, kept.contains(&outcome.table), "{report:?}");
            assert!(is_kept || outcome.status == Status::Completed, "{report:?}");
        }
        self.ship(&report.run.selection());
    }

    /// Goes on with one of the runs that have something to go on with, as it was told.
    pub(super) fn resume(&mut self, nth: usize) {
        let mut open = Vec::new();
        for run in self.recorded.keys() {
            let is_open = |(_, state): &(_, PackState)| *state == PackState::NotCompleted;
            let is_done = self.world.backend.run(*run).is_ok_and(|run| run.status != Status::Completed);
            if is_done && self.world.backend.run_tables(*run).unwrap().iter().any(is_open) {
                open.push(*run);
            }
        }
        let Some(run) = open.get(nth % open.len().max(1)).copied() else { return };
        let recorded = self.recorded[&run];
        let options = RunOptions { resume: Some(run), ..self.options(recorded.of, recorded.seal) };
        let call = Call { of: recorded.of, table: None, seal: recorded.seal, from: None };
        let Some(report) = self.call(&options, &call, Fate::Ends) else { return };
        for outcome in &report.tables {
            let is_kept = outcome.error.as_ref().is_some_and(|error| error.kind() == Kind::NotPacked);
            let is_done = matches!(outcome.status, Status::Completed | Status::Superseded);
            // Rule 24: it began with other columns.
            let is_altered =
                outcome.error.as_ref().is_some_and(|error| error.to_string().contains("while this run copied"));
            assert!(is_kept || is_done || is_altered, "{report:?}");
        }
        self.ship(&report.run.selection());
    }

    /// A call of `run`; gives its report, where nothing but the rules decided how it ends.
    fn call(&mut self, options: &RunOptions, call: &Call, fate: Fate) -> Option<RunReport> {
        let Some(disk) = fate.disk() else {
            let stops = StopsPacking::default();
            let done = self.until_free(call, |history| match fate {
                Fate::Stopped => engine::run(&mut *history.world.backend, options, &Local, &stops),
                _ => engine::run(&mut *history.world.backend, options, &Local, &Silent),
            });
            if let (Fate::Stopped, Err(error)) = (fate, &done) {
                assert_eq!(error.kind(), Kind::Cancelled, "{error:?}");
                return None;
            }
            return Some(done.unwrap());
        };
        self.world.fail_with(&disk);
        let done = self.world.run_with(options);
        assert!(disk.has_failed() || done.is_ok(), "{done:?}");
        self.world.restart();
        self.note_runs(call);
        None
    }

    /// A clock that was set back lets the lease of one that died live longer: it is waited for.
    fn until_free(&mut self, call: &Call, attempt: impl Fn(&mut Self) -> Result<RunReport>) -> Result<RunReport> {
        let done = attempt(self);
        self.note_runs(call);
        let errors = |report: &RunReport| report.tables.iter().any(|table| table.error.as_ref().is_some_and(is_held));
        if !done.as_ref().map_or_else(is_held, errors) {
            return done;
        }
        self.wait_for_leases();
        let done = attempt(self);
        self.note_runs(call);
        done
    }

    fn wait_for_leases(&mut self) {
        self.now += 130;
        self.set_clock();
    }

    /// Runs that nobody knew before are of this call.
    fn note_runs(&mut self, call: &Call) {
        let recorded = RecordedRun { of: call.of, seal: call.seal, started: self.now };
        for run in self.world.backend.recent_runs(1000).unwrap() {
            self.recorded.entry(run.id).or_insert(recorded);
        }
    }

    /// Packs what a run left, by hand, as the run was told.
    pub(super) fn pack(&mut self, nth: usize, fate: Fate) {
        let left = self.leftovers();
        let Some((run, _)) = left.get(nth % left.len().max(1)).cloned() else { return };
        let recorded = self.recorded[&run];
        let (out, mut options) = (self.folder(recorded.of), self.options(recorded.of, recorded.seal).pack);
        // What it was told is known where nothing else is said.
        options.ship_to = None;
        if let Some(disk) = fate.disk() {
            self.world.fail_with(&disk);
            let packed = engine::pack(
                &mut *self.world.backend,
                &PackRequest { run_id: run, out: &out, options: &options, lease_seconds: 600 },
                &disk,
                &Silent,
            );
            assert!(disk.has_failed() || packed.is_ok(), "{packed:?}");
            self.world.restart();
            return;
        }
        let pack = |history: &mut Self| {
            let packed = engine::pack(
                &mut *history.world.backend,
                &PackRequest { run_id: run, out: &out, options: &options, lease_seconds: 600 },
                &Local,
                &Silent,
            )?;
            packed.failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
        };
        let packed = match pack(self) {
            Err(error) if is_held(&error) => {
                self.wait_for_leases();
                pack(self)
            }
            packed => packed,
        };
        packed.unwrap();
        let selection = self.world.backend.run(run).unwrap().selection();
        self.ship(&selection);
    }

    /// A place of a unit takes that unit's bundles alone: a call that names it for others is refused, and begins nothing.
    pub(super) fn go_astray(&mut self, of: usize, to: usize, by: Slip) {
        let of_unit: Vec<Guid> =
            self.recorded.iter().filter(|(_, recorded)| recorded.of == to).map(|(run, _)| *run).collect();
        let is_known = of_unit.iter().any(|run| self.world.backend.run(*run).is_ok());
        if of == to || to == 0 || !is_known || (matches!(by, Slip::RunShip) && !self.ships) {
            return;
        }
        let runs = self.world.backend.recent_runs(1000).unwrap().len();
        let (folder, place) = (self.folder(to), self.place(to).to_str().unwrap().to_owned());
        let mut options = self.options(of, Call::usual(of).seal);
        let error = match by {
            Slip::PackOut => {
                let left = self.leftovers();
                let mut recorded = left.iter().map(|(run, _)| (*run, self.recorded[run]));
                let Some((run, recorded)) = recorded.find(|(_, recorded)| recorded.of != to) else { return };
                let pack = self.options(recorded.of, recorded.seal).pack;
                engine::pack(
                    &mut *self.world.backend,
                    &PackRequest { run_id: run, out: &folder, options: &pack, lease_seconds: 600 },
                    &Local,
                    &Silent,
                )
                .unwrap_err()
            }
            Slip::RunOut | Slip::RunShip => {
                match by {
                    Slip::RunOut => options.out = Some(folder),
                    _ => options.pack.ship_to = Some(place),
                }
                engine::run(&mut *self.world.backend, &options, &Local, &Silent).unwrap_err()
            }
        };
        assert_eq!(error.kind(), Kind::Usage, "{by:?}: {error}");
        assert_eq!(self.world.backend.recent_runs(1000).unwrap().len(), runs, "{by:?}");
    }

    /// Gives up what a run left.
    pub(super) fn give_up(&mut self, nth: usize) {
        let left = self.leftovers();
        let Some((run, _)) = left.get(nth % left.len().max(1)).cloned() else { return };
        let given_up = match engine::give_up(&mut *self.world.backend, run, None, 600) {
            Err(error) if is_held(&error) => {
                self.wait_for_leases();
                engine::give_up(&mut *self.world.backend, run, None, 600)
            }
            given_up => given_up,
        };
        assert!(!given_up.unwrap().is_empty());
    }

    /// Ships what runs of this selection have still to ship, to destinations that can be reached.
    fn ship(&mut self, selection: &Selection) {
        let unshipped = shipping::unshipped(&mut *self.world.backend, selection).unwrap().own;
        let mut another = self.world.another();
        let down: Vec<String> =
            (0..SCOPES).filter(|of| self.down[*of]).map(|of| self.place(of).to_str().unwrap().to_owned()).collect();
        let mut deliver = |bundle: &blobdelta::backend::PendingShipment| {
            if down.contains(&bundle.ship_to) {
                return Err(Error::new(Kind::Io, "nobody answers"));
            }
            let records = another.bundles(bundle.run_id).unwrap();
            let records: Vec<_> = records.iter().filter(|record| record.pack_number == bundle.pack_number).collect();
            let tables: Vec<TableName> = records.iter().map(|record| record.table.clone()).collect();
            let fork = engine::find_fork(&mut *another, &tables, records[0].scope, Path::new(&bundle.ship_to), &Silent);
            assert!(fork.as_ref().unwrap().is_none(), "{fork:?}");
            let location = Location::parse(&bundle.ship_to)?;
            ship(&bundle.path(), &location, &ShipOptions::default(), &Local, &Silent).map(drop)
        };
        for shipment in shipping::ship_each(&mut *self.world.backend, unshipped, &mut deliver, &Silent) {
            let is_down = down.contains(&shipment.bundle.ship_to);
            assert_eq!(shipment.error.is_some(), is_down, "{shipment:?}");
        }
    }

    /// Everything that was published is shipped.
    pub(super) fn ship_all(&mut self) {
        self.down = [false; SCOPES];
        let names: Vec<TableName> = self.tables.iter().map(|rows| rows.config.name.clone()).collect();
        for scope in scopes() {
            for table in names.iter().map(Some).chain([None]) {
                self.ship(&Selection { table: table.cloned(), scope });
            }
        }
        assert_eq!(self.world.backend.unshipped().unwrap(), []);
    }

    /// Everything that was left is packed, then every scope has a run, and everything is shipped.
    pub(super) fn settle(&mut self) {
        self.now += 1000;
        self.set_clock();
        for _ in 0..self.tables.len() {
            self.pack(0, Fate::Ends);
        }
        assert_eq!(self.leftovers(), []);
        for of in 0..SCOPES {
            self.now += 1;
            self.set_clock();
            self.run(&Call::usual(of), Fate::Ends);
        }
        self.ship_all();
    }
}

fn is_held(error: &Error) -> bool {
    error.kind() == Kind::LeaseHeld
}

impl Fate {
    fn disk(self) -> Option<Faulty> {
        match self {
            Self::Ends | Self::Stopped => None,
            Self::DiskFull(at) => Some(Faulty::new(When::FailOnceAt(at, InjectedFault::NoSpace))),
            Self::Dies(at) => Some(Faulty::new(When::CrashAt(at))),
        }
    }
}
