//! Random histories against a plain map: inserts, updates, logged deletions, moves, runs over
//! all units and over one, crashes at the n-th durable operation, resumptions, replays of any
//! bundles in any order, also twice, prunings, and clocks: the server's goes forward and back by an
//! hour, and that of the table, which may be local time, by its hour of summer too. What must hold
//! after all bundles are replayed:
//!
//! - a key in scope whose ModifiedOn lies before its scope's last WindowEnd is in the target as
//!   it is in the source;
//! - no key whose deletion was logged and shipped stands there, unless it came back later;
//! - every published bundle passes `verify --deep`.

use crate::faults::tally;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, X, key, minute, unit};
use blobdelta::backend::{PackState, Retention};
use blobdelta::durable::{Faulty, When};
use blobdelta::error::{Error, Kind};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Status};
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use blobdelta::verify::{Level, verify};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const KEYS: u32 = 8;

#[derive(Clone, Debug)]
enum Op {
    /// Inserts the key, or changes its bytes; under this parent, if it is there.
    Put {
        key: u32,
        parent: u32,
        bytes: u8,
        unit: u8,
    },
    /// Moves it, stamped; what lies below it gets new paths and no stamp.
    Move {
        key: u32,
        parent: u32,
    },
    Delete {
        key: u32,
    },
    Run,
    RunUnit {
        unit: u8,
    },
    /// A run that dies at its n-th durable operation; then time passes, and it is resumed or not.
    Crash {
        at: u64,
        of_unit: bool,
        resume: bool,
    },
    /// Some of the bundles, in some order, some of them twice.
    Replay {
        picks: Vec<u8>,
    },
    Wait {
        minutes: i64,
    },
    /// The server's clock is wrong by this from now on.
    Skew {
        minutes: i64,
    },
    /// Local time is ahead of UTC by this from now on.
    Offset {
        minutes: i64,
    },
    /// All but the newest runs, and those that something needs.
    Prune {
        keep_runs: u32,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let unit = prop_oneof![4 => Just(A), 3 => Just(B), 1 => Just(X)];
    let put = (1..=KEYS, 0..=KEYS, any::<u8>(), unit);
    prop_oneof![
        8 => put.prop_map(|(key, parent, bytes, unit)| Op::Put { key, parent, bytes, unit }),
        2 => (1..=KEYS, 0..=KEYS).prop_map(|(key, parent)| Op::Move { key, parent }),
        2 => (1..=KEYS).prop_map(|key| Op::Delete { key }),
        3 => Just(Op::Run),
        2 => prop_oneof![Just(A), Just(B)].prop_map(|unit| Op::RunUnit { unit }),
        2 => (1_u64..90, any::<bool>(), any::<bool>()).prop_map(|(at, of_unit, resume)| Op::Crash { at, of_unit, resume }),
        1 => proptest::collection::vec(any::<u8>(), 1..5).prop_map(|picks| Op::Replay { picks }),
        3 => (1_i64..600).prop_map(|minutes| Op::Wait { minutes }),
        2 => prop_oneof![Just(-60), Just(0), Just(60)].prop_map(|minutes| Op::Skew { minutes }),
        1 => prop_oneof![Just(0), Just(60)].prop_map(|minutes| Op::Offset { minutes }),
        1 => (1_u32..4).prop_map(|keep_runs| Op::Prune { keep_runs }),
    ]
}

#[derive(Clone, Debug)]
struct Row {
    parent: Option<u32>,
    bytes: Vec<u8>,
    modified: i64,
    /// Whether its key never had a greater stamp.
    is_latest: bool,
    unit: u8,
}

struct History {
    world: World,
    /// The true time, which no clock has to show.
    now: i64,
    skew: i64,
    offset: i64,
    rows: BTreeMap<u32, Row>,
    /// When a deletion was logged, in true time, and whether it is the latest stamp of its key.
    deleted: BTreeMap<u32, (i64, bool)>,
    /// The greatest stamp of each key. A change under a clock that was set back may have a lesser one,
    /// and loses against what was shipped before it: latest is what `ModifiedOn` says (rule 14).
    stamps: BTreeMap<u32, i64>,
    /// When each run started, in true time.
    started: BTreeMap<Guid, i64>,
}

impl History {
    fn new(on: &Instance, clock: ClockKind) -> Self {
        let mut world = World::new(on);
        world.table.clock = clock;
        world.backend.save_table(&world.table.clone()).unwrap();
        let (rows, deleted) = (BTreeMap::new(), BTreeMap::new());
        let (stamps, started) = (BTreeMap::new(), BTreeMap::new());
        Self { world, now: 10_000, skew: 0, offset: 0, rows, deleted, stamps, started }
    }

    fn set_clock(&mut self) {
        self.world.at(self.now + self.skew);
        self.world.local_time_is_ahead_by(self.offset);
    }

    /// What the clock of the table says.
    fn stamp(&self) -> i64 {
        let offset = if self.world.table.clock == ClockKind::Local { self.offset } else { 0 };
        self.now + self.skew + offset
    }

    /// Notes a stamp of a key; whether it is greater than all before.
    fn note_stamp(&mut self, key: u32) -> bool {
        let stamp = self.stamp();
        let highest = self.stamps.entry(key).or_insert(i64::MIN);
        let is_latest = stamp > *highest;
        *highest = stamp.max(*highest);
        is_latest
    }

    fn play(&mut self, op: &Op) {
        self.now += 1;
        self.set_clock();
        match op {
            Op::Put { key, parent, bytes, unit } => {
                let standing = self.rows.get(key).map(|row| row.parent);
                let parent = standing.unwrap_or_else(|| Some(*parent).filter(|parent| self.rows.contains_key(parent)));
                let (modified, is_latest) = (self.stamp(), self.note_stamp(*key));
                let row = Row { parent, bytes: vec![*bytes; 5], modified, is_latest, unit: *unit };
                self.world.put(*key, parent, &row.bytes, modified, *unit);
                self.rows.insert(*key, row);
            }
            Op::Move { key, parent } => {
                self.move_to(*key, Some(*parent).filter(|parent| self.rows.contains_key(parent)))
            }
            Op::Delete { key } => {
                let has_child = self.rows.values().any(|row| row.parent == Some(*key));
                if !has_child && self.rows.remove(key).is_some() {
                    self.world.remove(*key);
                    self.world.log_deletion(*key, self.stamp());
                    let is_latest = self.note_stamp(*key);
                    self.deleted.insert(*key, (self.now, is_latest));
                }
            }
            Op::Run => self.run(Scope::All),
            Op::RunUnit { unit: letter } => self.run(Scope::BusinessUnit(unit(*letter))),
            Op::Crash { at, of_unit, resume } => {
                let scope = if *of_unit { Scope::BusinessUnit(unit(A)) } else { Scope::All };
                self.crash(*at, scope, *resume);
            }
            Op::Replay { picks } => {
                let bundles = self.bundles();
                if !bundles.is_empty() {
                    let chosen = picks.iter().map(|pick| bundles[usize::from(*pick) % bundles.len()].clone()).collect();
                    self.replay(chosen);
                }
            }
            Op::Wait { minutes } => self.now += minutes,
            Op::Skew { minutes } => self.skew = *minutes,
            Op::Offset { minutes } => self.offset = *minutes,
            Op::Prune { keep_runs } => {
                let retention = Retention { keep_runs: Some(*keep_runs), keep_days: None };
                self.world.backend.prune(&retention, false).unwrap();
            }
        }
    }

    fn move_to(&mut self, moved: u32, parent: Option<u32>) {
        let mut above = parent;
        while let Some(next) = above {
            if next == moved {
                return;
            }
            above = self.rows.get(&next).and_then(|row| row.parent);
        }
        if !self.rows.contains_key(&moved) {
            return;
        }
        let (stamp, is_latest) = (self.stamp(), self.note_stamp(moved));
        let Some(row) = self.rows.get_mut(&moved) else { return };
        (row.parent, row.modified, row.is_latest) = (parent, stamp, is_latest);
        let row = row.clone();
        self.world.put(moved, parent, &row.bytes, stamp, row.unit);
        let mut below = vec![moved];
        while let Some(folder) = below.pop() {
            for (child, row) in self.rows.iter().filter(|(_, row)| row.parent == Some(folder)) {
                self.world.blob(*child, Some(folder), &row.bytes);
                below.push(*child);
            }
        }
    }

    fn run(&mut self, scope: Scope) {
        let mut options = self.world.options();
        options.request.scope = scope;
        let mut report = self.world.run_with(&options).unwrap();
        let is_held = |error: &Error| error.kind() == Kind::LeaseHeld;
        if report.tables.iter().any(|table| table.error.as_ref().is_some_and(is_held)) {
            // A clock that was set back lets the lease of one that died live longer.
            self.started.insert(report.run.id, self.now);
            self.now += 130;
            self.set_clock();
            report = self.world.run_with(&options).unwrap();
        }
        assert!(report.tables.iter().all(|table| table.status == Status::Completed), "{report:?}");
        self.started.insert(report.run.id, self.now);
    }

    fn crash(&mut self, at: u64, scope: Scope, resume: bool) {
        let disk = Faulty::new(When::CrashAt(at));
        self.world.fail_with(&disk);
        let mut options = self.world.options();
        options.request.scope = scope;
        let report = self.world.run_with(&options);
        let died = disk.has_failed();
        assert!(died || report.is_ok(), "{report:?}");
        self.world.restart();
        // By its clock the one that died may not be the last that started.
        let known = self.started.clone();
        let runs = self.world.backend.recent_runs(1000).unwrap();
        let last = runs.into_iter().find(|run| !known.contains_key(&run.id));
        self.started.extend(last.iter().map(|run| (run.id, self.now)));
        self.now += 11;
        self.set_clock();
        if let (true, true, Some(run)) = (died, resume, last) {
            let packed = self.world.backend.run_tables(run.id).unwrap();
            if run.status != Status::Completed && packed.iter().any(|(_, state)| *state == PackState::NotCompleted) {
                options.resume = Some(run.id);
                let report = self.world.run_with(&options).unwrap();
                assert!(
                    report.tables.iter().all(|table| matches!(table.status, Status::Completed | Status::Superseded)),
                    "{report:?}"
                );
            }
        }
    }

    fn bundles(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.world.out()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        paths.sort();
        paths
    }

    fn replay(&self, bundles: Vec<PathBuf>) {
        let options = ReplayOptions {
            database: Some("Copy".into()),
            create: true,
            allow_gap: true,
            into_source: true,
            ..ReplayOptions::default()
        };
        replay(&bundles, &mut *self.world.target(), &options, &Silent).unwrap();
    }

    /// Everything that is published is replayed, and held against the map.
    fn check(&mut self) {
        let bundles = self.bundles();
        for bundle in &bundles {
            let report = verify(bundle, Level::Deep, &Silent).unwrap();
            assert!(report.findings.is_empty(), "{}: {:?}", bundle.display(), report.findings);
        }
        if bundles.is_empty() {
            return;
        }
        self.replay(bundles);
        let ends = self.window_ends();
        let target = self.read_target();
        for (number, row) in &self.rows {
            let scopes = [Scope::All, Scope::BusinessUnit(unit(row.unit))];
            let end = scopes.iter().filter_map(|scope| ends.get(scope)).map(|ends| ends.0).max();
            if row.unit == X || end.is_none_or(|end| minute(row.modified) >= end) {
                continue;
            }
            let found = target.get(&key(*number));
            if !row.is_latest && (found.is_some() || self.deleted.contains_key(number)) {
                continue;
            }
            let found = found.unwrap_or_else(|| panic!("key {number} was missed"));
            assert_eq!(found.0.as_deref(), Some(&row.bytes[..]), "bytes of key {number}");
            assert_eq!(found.1, Some(minute(row.modified)), "ModifiedOn of key {number}");
            if let Some(parent) = row.parent.filter(|parent| self.rows.contains_key(parent)) {
                assert_eq!(found.2, Some(key(parent)), "parent of key {number}");
            }
        }
        let shipped = ends.values().map(|ends| ends.1).max();
        for (number, (at, is_latest)) in self.deleted.iter().filter(|(number, _)| !self.rows.contains_key(number)) {
            if *is_latest && shipped.is_some_and(|shipped| *at < shipped) {
                assert!(!target.contains_key(&key(*number)), "key {number} was deleted, and stands");
            }
        }
    }

    /// By scope: the last WindowEnd and the last start (in true time) of a run that is in a bundle.
    fn window_ends(&mut self) -> BTreeMap<Scope, (Timestamp, i64)> {
        let mut ends = BTreeMap::new();
        for run in self.world.backend.recent_runs(1000).unwrap() {
            if self.world.backend.bundles(run.id).unwrap().is_empty() {
                continue;
            }
            let report = self.world.backend.table_report(run.id, &self.world.table.name.clone()).unwrap();
            let end = ends.entry(run.scope).or_insert((Timestamp::MIN, i64::MIN));
            *end = (end.0.max(report.window.end), end.1.max(self.started[&run.id]));
        }
        ends
    }

    fn read_target(&self) -> BTreeMap<Guid, TargetRow> {
        let mut target = self.world.target();
        let table = blobdelta::model::name::TableName::new("Copy", "dbo", "Docs").unwrap();
        let all = target.columns(&table).unwrap();
        let wanted = ["stream_id", "file_stream", "DeltaModifiedOn", "DeltaParentKey"];
        let columns: Vec<_> =
            wanted.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = TargetRows::default();
        target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
        let keys: BTreeSet<_> = rows.done.keys().collect();
        assert_eq!(keys.len(), rows.done.len());
        rows.done
    }
}

type TargetRow = (Option<Vec<u8>>, Option<Timestamp>, Option<Guid>);

#[derive(Default)]
struct TargetRows {
    done: BTreeMap<Guid, TargetRow>,
    key: Option<Guid>,
    row: TargetRow,
}

impl CellSink for TargetRows {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> blobdelta::error::Result<()> {
        match (column, cell) {
            (0, Cell::Guid(key)) => self.key = Some(key),
            (1, Cell::Bytes(bytes)) => self.row.0 = Some(bytes.to_vec()),
            (2, Cell::DateTime(at)) => self.row.1 = Some(at),
            (3, Cell::Guid(parent)) => self.row.2 = Some(parent),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self) -> blobdelta::error::Result<()> {
        self.done.insert(self.key.take().unwrap(), std::mem::take(&mut self.row));
        Ok(())
    }
}

/// How many histories; more by the environment, for a campaign. On a server one takes as long as
/// many on an embedded instance do.
fn cases(on: &Instance) -> u32 {
    let asked = std::env::var("BLOBDELTA_HISTORIES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    match on {
        Instance::Embedded => asked,
        Instance::Server(_) => asked.div_ceil(8),
    }
}

pub fn no_history_loses_a_change(on: &Instance) {
    let config = ProptestConfig {
        cases: cases(on),
        // A history that fails on a server is played again on an embedded instance, where it is cut
        // down in seconds.
        max_shrink_iters: if matches!(on, Instance::Embedded) { u32::MAX } else { 0 },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/scenarios/history.seeds"))),
        ..ProptestConfig::default()
    };
    let clock = prop_oneof![2 => Just(ClockKind::Utc), 1 => Just(ClockKind::Local)];
    let histories = (clock, proptest::collection::vec(op(), 1..40));
    let survived = TestRunner::new(config).run(&histories, |(clock, ops)| {
        let mut history = History::new(on, clock);
        for op in &ops {
            history.play(op);
        }
        history.check();
        // And once more after everything has been shipped.
        history.now += 1000;
        history.set_clock();
        history.run(Scope::All);
        history.check();
        tally("a random history, clocks going wrong", (0, 0));
        Ok(())
    });
    survived.unwrap_or_else(|failed| panic!("{failed}"));
}
