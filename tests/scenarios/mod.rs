//! Scenarios of the engine: for every rule of the design a history that ends wrong if the rule
//! is broken. They speak to an instance through the traits alone, and run on each kind of it.
//!
//! With `BLOBDELTA_TEST_SQLSERVER=<connection string>` they run on that server too, which has to be
//! one that nothing else needs; without it they are reported as skipped there, by name and count.

pub mod instance;
mod list;
pub mod read;
pub mod server;
pub mod session;
mod whose;
pub mod world;

mod ahead;
mod ancestors;
mod attacks;
mod batches;
mod binaries;
mod bundles;
mod deletions;
mod destinations;
mod drift;
mod failures;
mod flagged;
mod give_up;
mod hidden;
mod history;
mod keys;
mod known;
mod known_readers;
mod leases;
mod left_folders;
mod metadata;
mod names;
mod not_reported;
mod places;
mod procedures;
mod prune;
mod reconcile;
mod roots;
mod scopes;
mod servers;
mod shipping;
mod slice_tables;
mod slices;
pub mod stamped;
mod stamps;
mod suspect;
mod takes;
mod tree;
mod triggers;
mod types;
mod units;
mod upkeep;
mod values;
mod views;
mod weeks;
mod windows;

use crate::{ALONE_ON_SERVER, List, SERVER};
use blobdelta::backend::{Connection, Credentials};
use instance::Instance;
use list::{EMBEDDED_ALONE, OF_GUIDS, OF_PATHS, OF_TIMES, ON_BOTH, SERVER_ALONE, Scenario};
use stamped::Stamped;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, PoisonError, mpsc};
use world::Keys;

type Job = Box<dyn FnOnce() + Send>;

/// The one thread on which everything runs that runs on the server, and with it the server's
/// sessions, one scenario after the other.
static ON_SERVER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();

/// The list of this folder.
pub fn list() -> List {
    let server = std::env::var(SERVER).ok().filter(|string| !string.is_empty());
    let credentials = Credentials { password: std::env::var("BLOBDELTA_PASSWORD").ok(), access_token: None };
    let server = server.map(|string| Arc::new(Connection::parse(&string, &credentials).unwrap()));
    let mut list = List::new("scenarios");
    for (name, scenario) in ON_BOTH.iter().chain(EMBEDDED_ALONE) {
        list.add(&format!("embedded::{name}"), None, || scenario(&Instance::Embedded));
    }
    for (kind, during, name, scenario) in of_other_kinds() {
        list.add(&format!("embedded::{kind}::{name}"), None, move || during(&|| scenario(&Instance::Embedded)));
    }
    for (name, scenario) in ON_BOTH.iter().chain(SERVER_ALONE) {
        let skipped = server.is_none().then(|| format!("{SERVER} is not set"));
        let instance = server.clone().map_or(Instance::Embedded, Instance::Server);
        list.add(&format!("sqlserver::{name}"), skipped, move || {
            let _alone = ALONE_ON_SERVER.lock().unwrap_or_else(PoisonError::into_inner);
            in_turn(move || scenario(&instance));
        });
    }
    for (kind, during, name, scenario) in of_other_kinds() {
        let skipped = server.is_none().then(|| format!("{SERVER} is not set"));
        let instance = server.clone().map_or(Instance::Embedded, Instance::Server);
        list.add(&format!("sqlserver::{kind}::{name}"), skipped, move || {
            let _alone = ALONE_ON_SERVER.lock().unwrap_or_else(PoisonError::into_inner);
            in_turn(move || during(&|| scenario(&instance)));
        });
    }
    list
}

/// Runs a scenario with worlds of one kind.
type During = fn(&dyn Fn());

/// The scenarios of rules once more, with keys, trees and stamps of other kinds.
fn of_other_kinds() -> impl Iterator<Item = (&'static str, During, &'static str, Scenario)> {
    let kinds: [(&str, During, [&[&str]; 2]); 5] = [
        ("integers", |scenario| Keys::Integers.during(scenario), [OF_GUIDS, &[]]),
        ("parents", |scenario| Keys::Parents.during(scenario), [OF_GUIDS, OF_PATHS]),
        ("binaries", |scenario| Keys::Binaries.during(scenario), [OF_GUIDS, OF_PATHS]),
        ("instants", |scenario| Stamped::Instants.during(scenario), [OF_TIMES, &[]]),
        ("created", |scenario| Stamped::Created.during(scenario), [OF_TIMES, &[]]),
    ];
    let rules = || ON_BOTH.iter().filter(|(name, _)| name.starts_with("rule_"));
    // What is of the window itself; the rest of what a stamp does goes with those of creation, which are instants too.
    let of_windows = ["rule_1_", "rule_3_", "rule_4_", "rule_6_", "rule_14_", "rule_20_", "rule_27_"];
    // Leases, places and servers are the same for all keys and stamps: one list has them again, that of parents.
    let of_no_values = ["rule_8_", "rule_9_", "rule_10_", "rule_16_", "rule_18_", "rule_28_"];
    // Where the keys of rows themselves decide; of the rest, those with other keys say enough.
    let of_keys = ["rule_3_", "rule_5_", "rule_7_", "rule_13_", "rule_15_", "rule_20_"];
    let is_asked = move |kind: &str, name: &str| match kind {
        "instants" => of_windows.iter().any(|rule| name.starts_with(rule)),
        "binaries" => of_keys.iter().any(|rule| name.starts_with(rule)),
        "parents" => true,
        _ => !of_no_values.iter().any(|rule| name.starts_with(rule)),
    };
    kinds.into_iter().flat_map(move |(kind, during, without)| {
        let fits = move |name: &str| is_asked(kind, name) && !without.iter().any(|names| names.contains(&name));
        rules().filter(move |(name, _)| fits(name)).map(move |(name, scenario)| (kind, during, *name, *scenario))
    })
}

/// Runs a scenario on the server's thread, and panics as it does.
pub fn in_turn(run: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let job: Job = Box::new(move || drop(done.send(catch_unwind(AssertUnwindSafe(run)))));
    let thread = ON_SERVER.get_or_init(|| {
        let (send, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        send
    });
    thread.send(job).unwrap();
    wait.recv().unwrap().unwrap_or_else(|panic| resume_unwind(panic));
}
