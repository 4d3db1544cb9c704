//! Random histories against a plain map: inserts, updates, logged deletions, moves in the tree, blobs that come
//! late and metadata that comes late, rows that change their business unit with a stamp or without one, runs over
//! all units and over each, keys that are asked for, crashes at the n-th durable operation, resumptions, replays
//! of any bundles in any order, also twice, prunings, and clocks: the server's goes forward and back by an
//! hour, and that of the table, which may be local time, by its hour of summer too. What must hold of the
//! receivers, one a scope, is said in [`receivers`].

mod receivers;

use crate::faults::tally;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, X, key, unit};
use blobdelta::backend::{PackState, Retention};
use blobdelta::durable::{Faulty, When};
use blobdelta::error::{Error, Kind};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Status};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Metadata alone: that of a blob that is still to come or came before it, or another unit, stamped.
    Stamp {
        key: u32,
        unit: u8,
    },
    /// A blob alone, where there is none.
    Blob {
        key: u32,
        parent: u32,
        bytes: u8,
    },
    /// Metadata, two runs that wait for its blob, and the blob, when its stamp lies in no window any more.
    Late {
        key: u32,
        bytes: u8,
        unit: u8,
        of: (usize, usize),
    },
    /// Another unit, without a stamp.
    Reassign {
        key: u32,
        unit: u8,
    },
    /// Asks for a key, of one scope or of everybody.
    Ask {
        key: u32,
        of: usize,
    },
    /// Moves it, stamped; what lies below it gets new paths and no stamp.
    Move {
        key: u32,
        parent: u32,
    },
    Delete {
        key: u32,
    },
    Run {
        of: usize,
    },
    /// A run that dies at its n-th durable operation; then time passes, and it is resumed or not.
    Crash {
        at: u64,
        of: usize,
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

/// Whose runs there are, and who receives what each hands out.
fn scopes() -> [Scope; 3] {
    [Scope::All, Scope::BusinessUnit(unit(A)), Scope::BusinessUnit(unit(B))]
}

fn op() -> impl Strategy<Value = Op> {
    let unit = || prop_oneof![4 => Just(A), 3 => Just(B), 1 => Just(X)];
    let put = (1..=KEYS, 0..=KEYS, any::<u8>(), unit());
    let blob = (1..=KEYS, 0..=KEYS, any::<u8>());
    let late = (1..=KEYS, any::<u8>(), unit(), (0_usize..3, 0_usize..3));
    prop_oneof![
        8 => put.prop_map(|(key, parent, bytes, unit)| Op::Put { key, parent, bytes, unit }),
        4 => (1..=KEYS, unit()).prop_map(|(key, unit)| Op::Stamp { key, unit }),
        3 => blob.prop_map(|(key, parent, bytes)| Op::Blob { key, parent, bytes }),
        2 => late.prop_map(|(key, bytes, unit, of)| Op::Late { key, bytes, unit, of }),
        2 => (1..=KEYS, unit()).prop_map(|(key, unit)| Op::Reassign { key, unit }),
        1 => (1..=KEYS, 0_usize..4).prop_map(|(key, of)| Op::Ask { key, of }),
        2 => (1..=KEYS, 0..=KEYS).prop_map(|(key, parent)| Op::Move { key, parent }),
        2 => (1..=KEYS).prop_map(|key| Op::Delete { key }),
        6 => (0_usize..3).prop_map(|of| Op::Run { of }),
        2 => (1_u64..90, 0_usize..3, any::<bool>()).prop_map(|(at, of, resume)| Op::Crash { at, of, resume }),
        1 => proptest::collection::vec(any::<u8>(), 1..5).prop_map(|picks| Op::Replay { picks }),
        3 => (1_i64..600).prop_map(|minutes| Op::Wait { minutes }),
        2 => prop_oneof![Just(-60), Just(0), Just(60)].prop_map(|minutes| Op::Skew { minutes }),
        1 => prop_oneof![Just(0), Just(60)].prop_map(|minutes| Op::Offset { minutes }),
        1 => (1_u32..4).prop_map(|keep_runs| Op::Prune { keep_runs }),
    ]
}

/// A key of the source, of its metadata, or of both.
#[derive(Clone, Debug)]
struct Row {
    parent: Option<u32>,
    /// And when it came, in true time.
    blob: Option<(Vec<u8>, i64)>,
    metadata: Option<Metadata>,
}

#[derive(Clone, Debug)]
struct Metadata {
    modified: i64,
    /// Whether its key never had a greater stamp.
    is_latest: bool,
    unit: u8,
}

impl Row {
    fn is_in(&self, scope: Scope) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| match scope {
            Scope::All => metadata.unit != X,
            Scope::BusinessUnit(one) => unit(metadata.unit) == one,
        })
    }
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
    /// Keys that were ever in a scope; of all units, those also that were ever without metadata, which an
    /// ancestor may be.
    seen: BTreeSet<(Scope, u32)>,
    /// When a key left a scope, in true time.
    left: BTreeMap<(Scope, u32), i64>,
    /// When a folder last lost a child, in true time.
    loosened: BTreeMap<u32, i64>,
    /// Keys that came into a scope without a stamp, which no window can see.
    unseen: BTreeSet<(Scope, u32)>,
}

impl History {
    fn new(on: &Instance, clock: ClockKind) -> Self {
        let mut world = World::new(on);
        world.table.clock = clock;
        // Blobs that come late are no sign of a wrong configuration here.
        (world.table.accepted_absent_percent, world.table.accepted_orphan_percent) = (100, 100);
        world.backend.save_table(&world.table.clone()).unwrap();
        Self {
            world,
            now: 10_000,
            skew: 0,
            offset: 0,
            rows: BTreeMap::new(),
            deleted: BTreeMap::new(),
            stamps: BTreeMap::new(),
            started: BTreeMap::new(),
            seen: BTreeSet::new(),
            left: BTreeMap::new(),
            loosened: BTreeMap::new(),
            unseen: BTreeSet::new(),
        }
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
                self.bring(*key, *parent, *bytes);
                self.stamp_row(*key, *unit);
            }
            Op::Stamp { key, unit } => self.stamp_row(*key, *unit),
            Op::Blob { key, parent, bytes } => {
                if self.rows.get(key).is_none_or(|row| row.blob.is_none()) {
                    self.bring(*key, *parent, *bytes);
                }
            }
            Op::Late { key, bytes, unit, of } => self.come_late(*key, *bytes, *unit, [of.0, of.1]),
            Op::Reassign { key, unit } => self.reassign(*key, *unit),
            Op::Ask { key: number, of } => {
                let table = self.world.table.name.clone();
                self.world.backend.pend_key(&table, key(*number), scopes().get(*of).copied(), "a history").unwrap();
            }
            Op::Move { key, parent } => self.move_to(*key, self.parent_of(*parent)),
            Op::Delete { key } => self.delete(*key),
            Op::Run { of } => self.run(scopes()[*of]),
            Op::Crash { at, of, resume } => self.crash(*at, scopes()[*of], *resume),
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

    /// Whoever has a blob may be a parent.
    fn parent_of(&self, number: u32) -> Option<u32> {
        Some(number).filter(|parent| self.rows.get(parent).is_some_and(|row| row.blob.is_some()))
    }

    /// A blob comes, or has other bytes; one that is there stays where it is.
    fn bring(&mut self, number: u32, parent: u32, bytes: u8) {
        let standing = self.rows.get(&number).filter(|row| row.blob.is_some());
        let came = standing.and_then(|row| row.blob.as_ref()).map_or(self.now, |blob| blob.1);
        let parent =
            standing.map_or_else(|| self.parent_of(parent).filter(|parent| *parent != number), |row| row.parent);
        let bytes = vec![bytes; 5];
        self.world.blob(number, parent, &bytes);
        let row = self.rows.entry(number).or_insert(Row { parent, blob: None, metadata: None });
        (row.parent, row.blob) = (parent, Some((bytes, came)));
        if row.metadata.is_none() {
            self.seen.insert((Scope::All, number));
        }
    }

    /// The row's metadata is written, as of a unit, with a stamp.
    fn stamp_row(&mut self, number: u32, letter: u8) {
        let (modified, is_latest) = (self.stamp(), self.note_stamp(number));
        self.world.stamp(number, modified, letter);
        let row = self.rows.entry(number).or_insert(Row { parent: None, blob: None, metadata: None });
        let before = row.clone();
        row.metadata = Some(Metadata { modified, is_latest, unit: letter });
        self.note_scopes(number, &before);
        self.unseen.retain(|(_, other)| *other != number);
    }

    fn come_late(&mut self, number: u32, bytes: u8, letter: u8, of: [usize; 2]) {
        self.delete(number);
        if self.rows.contains_key(&number) {
            return;
        }
        self.stamp_row(number, letter);
        self.now += 600;
        for of in of {
            self.now += 1;
            self.set_clock();
            self.run(scopes()[of]);
        }
        self.now += 600;
        self.set_clock();
        self.bring(number, 0, bytes);
    }

    fn reassign(&mut self, number: u32, letter: u8) {
        let Some(row) = self.rows.get_mut(&number) else { return };
        let before = row.clone();
        let Some(metadata) = &mut row.metadata else { return };
        metadata.unit = letter;
        let modified = metadata.modified;
        self.world.stamp(number, modified, letter);
        self.note_scopes(number, &before);
    }

    /// Which scopes a key has come into or left by what was done to its metadata.
    fn note_scopes(&mut self, number: u32, before: &Row) {
        let row = &self.rows[&number];
        for scope in scopes() {
            let place = (scope, number);
            match (before.is_in(scope), row.is_in(scope)) {
                (false, true) => {
                    self.seen.insert(place);
                    self.unseen.insert(place);
                }
                (true, false) => {
                    self.left.insert(place, self.now);
                    self.unseen.remove(&place);
                }
                _ => {}
            }
        }
    }

    fn delete(&mut self, number: u32) {
        let has_child = self.rows.values().any(|row| row.parent == Some(number));
        if has_child {
            return;
        }
        if let Some(row) = self.rows.remove(&number) {
            self.loosened.extend(row.parent.map(|parent| (parent, self.now)));
            self.world.remove(number);
            self.world.log_deletion(number, self.stamp());
            let is_latest = self.note_stamp(number);
            self.deleted.insert(number, (self.now, is_latest));
            self.unseen.retain(|(_, other)| *other != number);
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
        let Some(Row { blob: Some((bytes, _)), metadata: Some(metadata), .. }) = self.rows.get(&moved).cloned() else {
            return;
        };
        self.world.blob(moved, parent, &bytes);
        if let Some(row) = self.rows.get_mut(&moved) {
            self.loosened.extend(row.parent.map(|parent| (parent, self.now)));
            row.parent = parent;
        }
        self.stamp_row(moved, metadata.unit);
        let mut below = vec![moved];
        while let Some(folder) = below.pop() {
            for (child, row) in self.rows.iter().filter(|(_, row)| row.parent == Some(folder)) {
                if let Some((bytes, _)) = &row.blob {
                    self.world.blob(*child, Some(folder), bytes);
                    below.push(*child);
                }
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
        // And once more after everything has been shipped to everybody.
        history.now += 1000;
        for scope in scopes() {
            history.now += 1;
            history.set_clock();
            history.run(scope);
        }
        history.check();
        tally("a random history, clocks going wrong", (0, 0));
        Ok(())
    });
    survived.unwrap_or_else(|failed| panic!("{failed}"));
}
