//! All tests that are lists of their own, in one program: what cannot be tried here is reported as
//! skipped, with its reason and count; waits of one overlap with the work of another; and some end
//! with a table.
//!
//! `cargo test --test suite -- replay` runs those of `tests/replay/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Tests by their names, module by module.
macro_rules! list {
    ($case:ty: $($module:ident { $($name:ident),+ $(,)? })*) => {
        &[$($((stringify!($name), $module::$name as $case),)+)*]
    };
}

mod attacks;
mod damage;
mod faults;
mod mask;
mod programs;
mod replay;
mod scenarios;
mod ship;
mod signatures;
mod tds;

#[path = "bundles/manifests.rs"]
mod manifests;

#[expect(dead_code, reason = "what only the tests of verification need")]
#[path = "bundles/verify/made.rs"]
mod made;

#[path = "cli/world.rs"]
mod world;

use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;

/// The connection string of a server that the tests may empty, and that nothing else needs.
const SERVER: &str = "BLOBDELTA_TEST_SQLSERVER";

/// Held by the one test that runs on the server.
static ALONE_ON_SERVER: Mutex<()> = Mutex::new(());

/// The tests of one folder.
#[derive(Default)]
struct List {
    name: &'static str,
    trials: Vec<Trial>,
    /// Those that cannot be tried here, and why.
    skipped: Vec<(Trial, String)>,
    /// Prints what they counted.
    table: Option<fn()>,
}

impl List {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds a test; it is skipped if there is a reason to.
    fn add(&mut self, name: &str, skipped: Option<String>, case: impl FnOnce() + Send + 'static) {
        let run = || {
            case();
            Ok(())
        };
        let trial = Trial::test(format!("{}::{name}", self.name), run);
        match skipped {
            None => self.trials.push(trial),
            Some(reason) => self.skipped.push((trial.with_ignored_flag(true), reason)),
        }
    }

    /// Adds a test that is only run when it is asked for.
    fn add_on_demand(&mut self, name: &str, case: impl FnOnce() + Send + 'static) {
        self.add(name, None, case);
        let on_demand = self.trials.pop().map(|trial| trial.with_ignored_flag(true));
        self.trials.extend(on_demand);
    }
}

fn is_asked_for(arguments: &Arguments, trial: &Trial) -> bool {
    let says = |filter: &String| match arguments.exact {
        true => trial.name() == filter,
        false => trial.name().contains(filter.as_str()),
    };
    !arguments.list && arguments.filter.as_ref().is_none_or(says) && !arguments.skip.iter().any(says)
}

/// Lines that say how many tests are skipped for each reason.
fn skips(arguments: &Arguments, list: &List) -> Vec<String> {
    let asked = list.skipped.iter().filter(|(trial, _)| is_asked_for(arguments, trial));
    let mut counts = std::collections::BTreeMap::<&String, usize>::new();
    asked.for_each(|(_, reason)| *counts.entry(reason).or_default() += 1);
    counts.iter().map(|(reason, count)| format!("SKIPPED {count} tests of {}: {reason}", list.name)).collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let lists = [
        scenarios::list(),
        replay::list(),
        faults::list(),
        mask::list(),
        damage::list(),
        ship::list(),
        signatures::list(),
        programs::list(),
        tds::list(),
    ];
    let (mut trials, mut skipped, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        skipped.extend(skips(&arguments, &list));
        trials.extend(list.trials.into_iter().chain(list.skipped.into_iter().map(|(trial, _)| trial)));
        tables.extend(list.table);
    }
    let attacks: BTreeSet<String> = trials.iter().filter_map(|trial| attacks::attack(trial.name())).collect();
    trials.push(Trial::test("attacks::the_page_and_the_tests_name_the_same", move || {
        attacks::page_and_tests_agree(&attacks);
        Ok(())
    }));
    let done = libtest_mimic::run(&arguments, trials);
    tables.iter().for_each(|table| table());
    skipped.iter().for_each(|line| println!("{line}"));
    done.exit_code()
}
