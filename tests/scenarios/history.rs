//! The promises, played: random histories against a plain map.
//!
//! Two tables are changed at random ([`rows`]): inserts, updates, logged deletions, moves in the tree, blobs that come
//! late and metadata that comes late, rows that change their business unit with a stamp or without one, folders that go for a
//! while, deletions that are logged of what stands, keys that are excluded and included again. Operators
//! ([`calls`]) run all units and each of two, both tables or one, each scope with a folder and a destination of its
//! own, now and then sealed otherwise; runs end before they pack, die at the n-th durable operation, or find the
//! disk full there; a call that names another scope's place is refused; what they leave is packed by the next run of any scope, by hand, gone on with, or given up;
//! destinations cannot be reached for a while. Receivers take any bundles in any order, also twice. Clocks are
//! wrong: the server's goes forward and back by an hour, and that of a table, which may be local time, by its hour
//! of summer too. Bundles of half of the histories leave out known content.
//!
//! What must hold of the bundles, and of those who receive them, is said in [`receivers`].

mod calls;
mod receivers;
mod rows;
mod seals;

use crate::faults::tally;
use crate::scenarios::instance::Instance;
use crate::scenarios::stamped::Stamped;
use crate::scenarios::world::Keys;
use crate::scenarios::world::{A, B, World, X, key, unit};
use blobdelta::backend::{KeyRequest, Retention};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::id::Guid;
use blobdelta::model::run::Scope;
use calls::RecordedRun;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use rows::{Change, Moment, Rows, change};
use seals::Seal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const KEYS: u32 = 6;
const TABLES: [&str; 2] = ["Docs", "Other"];
const SCOPES: usize = 3;

/// Whose runs there are; each has a folder, a destination and a seal.
fn scopes() -> [Scope; SCOPES] {
    [Scope::All, Scope::BusinessUnit(unit(A)), Scope::BusinessUnit(unit(B))]
}

#[derive(Clone, Debug)]
enum Op {
    Change {
        table: usize,
        key: u32,
        change: Change,
    },
    /// Metadata, two runs that wait for its blob, and the blob, when its stamp lies in no window any more.
    Late {
        table: usize,
        key: u32,
        bytes: u8,
        unit: u8,
        of: (usize, usize),
    },
    /// The table gets a column, a wider one in its place, or loses it again.
    Alter {
        table: usize,
    },
    /// Asks for a key, of one scope or of everybody.
    Ask {
        table: usize,
        key: u32,
        of: usize,
    },
    Run(Call, Fate),
    /// Goes on with a run that did not complete all of its tables.
    Resume(usize),
    /// Packs what a run left, as it was told.
    Pack(usize, Fate),
    /// Gives up what a run left.
    GiveUp(usize),
    /// Names a place that is another scope's: a folder or a destination of a run, or a folder for what a run left.
    Astray {
        of: usize,
        to: usize,
        by: Slip,
    },
    /// The destination of a scope cannot be reached, or can be again.
    Outage {
        of: usize,
        is_down: bool,
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

/// A call of `run`.
#[derive(Clone, Copy, Debug)]
struct Call {
    of: usize,
    /// One of the two, or both.
    table: Option<usize>,
    seal: Seal,
    /// `--from`, so long ago.
    from: Option<i64>,
}

impl Call {
    /// As the weekly job of a scope makes it.
    fn usual(of: usize) -> Self {
        Self { of, table: None, seal: [Seal::Signed, Seal::Encrypted, Seal::Plain][of], from: None }
    }
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Ends,
    /// The operator stops it when it begins to pack.
    Stopped,
    /// At its n-th durable operation there is no space, once.
    DiskFull(u64),
    /// It dies at its n-th durable operation.
    Dies(u64),
}

/// Which option names the wrong place.
#[derive(Clone, Copy, Debug)]
enum Slip {
    RunOut,
    RunShip,
    PackOut,
}

fn letter() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(A), 3 => Just(B), 1 => Just(X)]
}

fn call() -> impl Strategy<Value = Call> {
    let table = prop_oneof![4 => Just(None), 1 => (0..TABLES.len()).prop_map(Some)];
    let other = prop_oneof![Just(Seal::Plain), Just(Seal::Signed), Just(Seal::SignedByAnother), Just(Seal::Encrypted)];
    let seal = prop_oneof![6 => Just(None), 1 => other.prop_map(Some)];
    let from = prop_oneof![8 => Just(None), 1 => (1_i64..2000).prop_map(Some)];
    (0..SCOPES, table, seal, from).prop_map(|(of, table, seal, from)| {
        let usual = Call::usual(of);
        Call { table, seal: seal.unwrap_or(usual.seal), from, ..usual }
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Ends),
        2 => Just(Fate::Stopped),
        2 => (1_u64..150).prop_map(Fate::DiskFull),
        2 => (1_u64..150).prop_map(Fate::Dies),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let (table, key) = (|| 0..TABLES.len(), || 1..=KEYS);
    let slip = prop_oneof![Just(Slip::RunOut), Just(Slip::RunShip), Just(Slip::PackOut)];
    let late = (table(), key(), any::<u8>(), letter(), (0..SCOPES, 0..SCOPES));
    prop_oneof![
        21 => (table(), key(), change(KEYS)).prop_map(|(table, key, change)| Op::Change { table, key, change }),
        2 => late.prop_map(|(table, key, bytes, unit, of)| Op::Late { table, key, bytes, unit, of }),
        1 => table().prop_map(|table| Op::Alter { table }),
        1 => (table(), key(), 0..=SCOPES).prop_map(|(table, key, of)| Op::Ask { table, key, of }),
        10 => (call(), fate()).prop_map(|(call, fate)| Op::Run(call, fate)),
        1 => any::<usize>().prop_map(Op::Resume),
        1 => (any::<usize>(), fate()).prop_map(|(nth, fate)| Op::Pack(nth, fate)),
        1 => any::<usize>().prop_map(Op::GiveUp),
        2 => (0..SCOPES, 0..SCOPES, slip).prop_map(|(of, to, by)| Op::Astray { of, to, by }),
        1 => (0..SCOPES, any::<bool>()).prop_map(|(of, is_down)| Op::Outage { of, is_down }),
        1 => proptest::collection::vec(any::<u8>(), 1..5).prop_map(|picks| Op::Replay { picks }),
        3 => (1_i64..600).prop_map(|minutes| Op::Wait { minutes }),
        2 => prop_oneof![Just(-60), Just(0), Just(60)].prop_map(|minutes| Op::Skew { minutes }),
        1 => prop_oneof![Just(0), Just(60)].prop_map(|minutes| Op::Offset { minutes }),
        1 => (1_u32..4).prop_map(|keep_runs| Op::Prune { keep_runs }),
    ]
}

struct History {
    world: World,
    /// The true time, which no clock has to show.
    now: i64,
    skew: i64,
    offset: i64,
    tables: Vec<Rows>,
    /// Whether bundles are shipped, and received from there; else receivers take them where they are published.
    ships: bool,
    /// Whether bundles leave out known content.
    omits: bool,
    /// Which destinations cannot be reached.
    down: [bool; SCOPES],
    /// Every run that ever began.
    recorded: BTreeMap<Guid, RecordedRun>,
    /// Bundles that were looked at.
    verified: BTreeSet<PathBuf>,
}

impl History {
    fn new(on: &Instance, keys: Keys, clocks: [ClockKind; 2], [ships, omits]: [bool; 2]) -> Self {
        let mut world = World::of(on, keys);
        world.add_table(TABLES[1]);
        let rows = TABLES.iter().zip(clocks).map(|(table, clock)| Rows::new(&mut world, table, clock, omits));
        let history = Self {
            tables: rows.collect(),
            world,
            now: 10_000,
            skew: 0,
            offset: 0,
            ships,
            omits,
            down: [false; SCOPES],
            recorded: BTreeMap::new(),
            verified: BTreeSet::new(),
        };
        for of in 0..SCOPES {
            std::fs::create_dir_all(history.folder(of)).unwrap();
            std::fs::create_dir_all(history.folder(of).with_extension("shipped")).unwrap();
        }
        history
    }

    fn set_clock(&mut self) {
        self.world.at(self.now + self.skew);
        self.world.local_time_is_ahead_by(self.offset);
    }

    fn change(&mut self, table: usize, key: u32, change: &Change) {
        let rows = &mut self.tables[table];
        let offset = if rows.config.clock == ClockKind::Local { self.offset } else { 0 };
        let at = Moment { now: self.now, stamp: self.now + self.skew + offset };
        rows.change(&mut self.world, at, key, change);
    }

    fn run_op(&mut self, op: &Op) {
        self.now += 1;
        self.set_clock();
        match op {
            Op::Change { table, key, change } => self.change(*table, *key, change),
            Op::Late { table, key, bytes, unit, of } => {
                self.change(*table, *key, &Change::Delete { logged: None });
                if !self.tables[*table].rows.contains_key(key) {
                    self.come_late(*table, *key, *bytes, *unit, [of.0, of.1]);
                }
            }
            Op::Alter { table } => self.tables[*table].alter(&mut self.world),
            Op::Ask { table, key: number, of } => {
                let table = self.tables[*table].config.name.clone();
                self.world
                    .backend
                    .pend_key(&table, key(*number), &KeyRequest::of(scopes().get(*of).copied(), "a history"))
                    .unwrap();
            }
            Op::Run(call, fate) => self.run(call, *fate),
            Op::Resume(nth) => self.resume(*nth),
            Op::Pack(nth, fate) => self.pack(*nth, *fate),
            Op::GiveUp(nth) => self.give_up(*nth),
            Op::Astray { of, to, by } => self.go_astray(*of, *to, *by),
            Op::Outage { of, is_down } => self.down[*of] = *is_down,
            Op::Replay { picks } => self.replay_some(picks),
            Op::Wait { minutes } => self.now += minutes,
            Op::Skew { minutes } => self.skew = *minutes,
            Op::Offset { minutes } => self.offset = *minutes,
            Op::Prune { keep_runs } => {
                let retention = Retention { keep_runs: Some(*keep_runs), keep_days: None };
                self.world.backend.prune(&retention, false).unwrap();
            }
        }
    }

    fn come_late(&mut self, table: usize, key: u32, bytes: u8, unit: u8, of: [usize; 2]) {
        self.change(table, key, &Change::Stamp { unit });
        self.now += 600;
        for of in of {
            self.now += 1;
            self.set_clock();
            self.run(&Call::usual(of), Fate::Ends);
        }
        self.now += 600;
        self.set_clock();
        self.change(table, key, &Change::Blob { parent: 0, bytes });
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
        // A history that fails on a server is run again on an embedded instance, where it is cut
        // down in seconds.
        max_shrink_iters: if matches!(on, Instance::Embedded) { u32::MAX } else { 0 },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/scenarios/history.seeds"))),
        ..ProptestConfig::default()
    };
    let clock = || prop_oneof![2 => Just(ClockKind::Utc), 1 => Just(ClockKind::Local)];
    let keys = prop_oneof![Just(Keys::Guids), Just(Keys::Integers), Just(Keys::Parents), Just(Keys::Binaries)];
    let stamped = prop_oneof![Just(Stamped::Times), Just(Stamped::Instants), Just(Stamped::Created)];
    let histories = (keys, [clock(), clock()], any::<[bool; 2]>(), proptest::collection::vec(op(), 1..40), stamped);
    let survived = TestRunner::new(config).run(&histories, |(keys, clocks, how, ops, stamped)| {
        // No instant is a local time.
        let stamped = if clocks.contains(&ClockKind::Local) { Stamped::Times } else { stamped };
        let mut made = None;
        stamped.during(|| made = Some(History::new(on, keys, clocks, how)));
        let mut history = made.unwrap();
        for op in &ops {
            history.run_op(op);
        }
        history.ship_all();
        history.check();
        // And once more after everything has been handed out to everybody.
        history.settle();
        history.check();
        tally("a random history, clocks going wrong", (0, 0));
        Ok(())
    });
    survived.unwrap_or_else(|failed| panic!("{failed}"));
}
