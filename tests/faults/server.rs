//! A server whose connections are reset or go mute: a relay stands between it and the program. What is
//! tried again by itself and what is told is both right; that a row is lost, or one too many, is not.

use crate::ALONE_ON_SERVER;
use crate::SERVER;
use crate::faults::rows::rows;
use crate::faults::{moments, tally};
use crate::replay::cut::{Cut, Relay, through};
use crate::scenarios::in_turn;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, into_copy, name};
use blobdelta::backend::{Backend, Connection, Credentials, OpenOptions};
use blobdelta::durable::Local;
use blobdelta::engine::{self, PackOptions, PackRequest, RunReport};
use blobdelta::error::{Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::replay::replay;
use blobdelta::verify::{VerifyLevel, verify};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

pub const CASES: [(&str, fn()); 3] = [
    ("a_server_s_connection_cut_or_mute_in_a_run", || campaign(Work::Run)),
    ("a_server_s_connection_cut_or_mute_in_a_pack", || campaign(Work::Pack)),
    ("a_server_s_connection_cut_or_mute_in_a_replay", || campaign(Work::Replay)),
];

/// So long a connection may say nothing here: longer than a session of the server takes to know the
/// procedures.
const READ_TIMEOUT: &str = ";Command Timeout=60";
/// The time between two trials.
const MINUTES: i64 = 1000;
/// One place of so many goes mute, which takes that long each.
const MUTE_EVERY: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Run,
    Pack,
    Replay,
}

/// Runs on the server when nothing else does.
pub fn alone(case: fn()) {
    let _alone = ALONE_ON_SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    in_turn(case);
}

fn server() -> String {
    std::env::var(SERVER).unwrap()
}

fn connection(string: &str) -> Connection {
    let credentials = Credentials { password: std::env::var("BLOBDELTA_PASSWORD").ok(), access_token: None };
    Connection::parse(string, &credentials).unwrap()
}

/// A session through a relay that does this.
fn relayed(cut: Cut, main_database: &str) -> (Result<Box<dyn Backend>>, Relay) {
    let (address, _) = through(&server(), 0);
    let relay = Relay::start(&address, cut);
    let (_, string) = through(&server(), relay.port);
    let options = OpenOptions { main_database: main_database.to_owned(), ..OpenOptions::default() };
    (connection(&format!("{string}{READ_TIMEOUT}")).open(&options), relay)
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Pack => "a pack",
            Self::Replay => "a replay",
        }
    }

    /// What changes before each, and what is done of it without a fault.
    fn prepare(self, world: &mut World, round: i64) {
        for nth in 1..=7 {
            let bytes = [nth as u8, round as u8].repeat(450);
            world.put(nth, (nth > 4).then(|| nth - 4), &bytes, round * MINUTES - 300, A);
        }
        world.at(round * MINUTES);
        let mut options = world.options();
        match self {
            Self::Run => return,
            Self::Pack => {
                world.script("", "UPDATE dbo.BlobDeltaTableConfig SET RequireBundle = 0");
                options.out = None;
            }
            Self::Replay => {}
        }
        let report = world.run_with(&options).unwrap();
        assert!(report.tables.iter().all(|table| table.error.is_none()), "{:?}", report.tables);
        if self == Self::Pack {
            world.script("", "UPDATE dbo.BlobDeltaTableConfig SET RequireBundle = 1");
        }
    }

    /// Does it, through a relay.
    fn act(self, world: &mut World, cut: Cut) -> (Result<()>, Relay) {
        let (backend, relay) = relayed(cut, if self == Self::Replay { "Copy" } else { "BlobDeltaJobs" });
        let done = backend.and_then(|mut backend| match self {
            Self::Run => {
                let report = engine::run(&mut *backend, &world.options(), &Local, &Silent)?;
                report.tables.into_iter().find_map(|table| table.error).map_or(Ok(()), Err)
            }
            Self::Pack => {
                let run = backend.recent_runs(1)?[0].id;
                let packing = PackOptions::default();
                engine::pack(
                    &mut *backend,
                    &PackRequest { run_id: run, out: &world.out(), options: &packing, lease_seconds: 600 },
                    &Local,
                    &Silent,
                )
                .map(drop)
            }
            Self::Replay => apply(&mut *backend, world),
        });
        (done, relay)
    }
}

fn bundles(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "bundle")).collect();
    paths.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    paths.sort();
    paths
}

fn apply(backend: &mut dyn Backend, world: &World) -> Result<()> {
    let options = into_copy();
    replay(&bundles(world), backend, &options, &Silent).map(drop)
}

/// The next run comes when leases have expired; what it ships, replayed, is the source.
fn settle(work: Work, world: &mut World, round: i64, context: &str) -> (u64, u64) {
    world.restart();
    if work != Work::Replay {
        let mut report = world.run(round * MINUTES + 11);
        // A statement that was left may go on at the server, and take the lease once more.
        let is_held = |report: &RunReport| {
            report.tables.iter().filter_map(|table| table.error.as_ref()).any(|error| error.kind() == Kind::LeaseHeld)
        };
        for later in 2..=4 {
            if is_held(&report) {
                report = world.run(round * MINUTES + later * 11);
            }
        }
        assert!(report.tables.iter().all(|table| table.error.is_none()), "{context}: {:?}", report.tables);
        assert!(!world.mark().is_running, "{context}: the lease is kept");
    }
    for path in bundles(world) {
        let found = verify(&path, VerifyLevel::Quick, &Silent).unwrap().findings;
        assert!(found.is_empty(), "{context}: {}: {found:?}", path.display());
    }
    let mut target = world.target();
    apply(&mut *target, world).unwrap_or_else(|error| panic!("{context}: {error}"));
    let (due, found) = (rows(&mut *target, &name("Src.dbo.Docs")), rows(&mut *target, &name("Copy.dbo.Docs")));
    let lost = due.iter().filter(|(key, bytes)| found.get(key) != Some(bytes)).count();
    (lost as u64, found.keys().filter(|key| !due.contains_key(key)).count() as u64)
}

fn campaign(work: Work) {
    let mut world = World::new(&Instance::Server(Arc::new(connection(&server()))));
    work.prepare(&mut world, 1);
    let (done, relay) = work.act(&mut world, Cut::Never);
    done.unwrap();
    assert_eq!(settle(work, &mut world, 1, "without a fault"), (0, 0));
    let all = relay.messages.load(Ordering::SeqCst);
    for (nth, at) in places(all).into_iter().enumerate() {
        let (what, cut) = match nth % MUTE_EVERY {
            1 => ("mute", Cut::Mute(at)),
            2 | 4 => ("reset before an answer", Cut::After(at)),
            _ => ("reset before a request", Cut::Before(at)),
        };
        let round = 2 + nth as i64;
        work.prepare(&mut world, round);
        let (done, _relay) = work.act(&mut world, cut);
        let context = format!("{}: {what} at message {at} of {all}", work.name());
        let ending = match done {
            Ok(()) => "gone on with by itself",
            Err(error) => {
                assert!(error.what_to_do().is_some(), "{context}: {error:?}");
                "told"
            }
        };
        let found = settle(work, &mut world, round, &context);
        assert_eq!(found, (0, 0), "{context}");
        tally(&format!("connection {what}, {ending}: {}", work.name()), found);
    }
}

/// A hundred in a full campaign.
fn places(all: usize) -> Vec<usize> {
    let most = (moments(2, 100) as usize).min(all);
    (0..most).map(|nth| (2 * nth + 1) * all / (2 * most) + 1).collect()
}
