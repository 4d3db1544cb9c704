//! Scenarios of the engine: for every rule of the design a history that ends wrong if the rule
//! is broken. They speak to an instance through the traits alone, and run on each kind of it.
//!
//! With `BLOBDELTA_TEST_SQLSERVER=<connection string>` they run on that server too, which has to be
//! one that nothing else needs; without it they are reported as skipped there, by name and count.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod instance;
mod list;
mod read;
mod server;
mod session;
mod world;

mod bundles;
mod failures;
mod history;
mod procedures;
mod reconcile;
mod slices;
mod takes;
mod tree;
mod types;
mod units;

use blobdelta::backend::{Connection, Credentials};
use instance::Instance;
use libtest_mimic::{Arguments, Trial};
use list::{EMBEDDED_ALONE, ON_BOTH, SERVER_ALONE, Scenario};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, mpsc};

/// The connection string of a server that the scenarios may empty.
const VARIABLE: &str = "BLOBDELTA_TEST_SQLSERVER";

type Job = Box<dyn FnOnce() + Send>;

/// The one thread on which everything runs that runs on the server, and with it the server's
/// sessions, one scenario after the other.
static ON_SERVER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let server = std::env::var(VARIABLE).ok().filter(|string| !string.is_empty());
    let credentials = Credentials { password: std::env::var("BLOBDELTA_PASSWORD").ok(), access_token: None };
    let server = server.map(|string| Arc::new(Connection::parse(&string, &credentials).unwrap()));
    let embedded = ON_BOTH.iter().chain(EMBEDDED_ALONE).map(on_embedded);
    let on_server = ON_BOTH.iter().chain(SERVER_ALONE).map(|scenario| on_server(scenario, server.as_ref()));
    let done = libtest_mimic::run(&arguments, embedded.chain(on_server).collect());
    if server.is_none() && !arguments.list && done.num_ignored > 0 {
        println!("SKIPPED {} scenarios on SQL Server: {VARIABLE} is not set\n", done.num_ignored);
    }
    done.exit_code()
}

fn on_embedded((name, scenario): &'static (&'static str, Scenario)) -> Trial {
    Trial::test(format!("embedded::{name}"), move || {
        scenario(&Instance::Embedded);
        Ok(())
    })
}

fn on_server((name, scenario): &'static (&'static str, Scenario), server: Option<&Arc<Connection>>) -> Trial {
    let instance = server.cloned().map(Instance::Server);
    let is_skipped = instance.is_none();
    let run = move || {
        let instance = instance.ok_or(format!("{VARIABLE} is not set"))?;
        in_turn(move || scenario(&instance));
        Ok(())
    };
    Trial::test(format!("sqlserver::{name}"), run).with_ignored_flag(is_skipped)
}

/// Runs a scenario on the server's thread, and panics as it does.
fn in_turn(run: impl FnOnce() + Send + 'static) {
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
