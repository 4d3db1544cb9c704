//! Faults at every point: the real binary killed, stopped, raced and starved, and after each
//! whatever an operator does next. What must hold: nothing published that does not verify, no row
//! lost, none too many, no lease kept beyond its time, no litter after the next run.
//!
//! `cargo test --test suite -- faults` runs a slice of it. `BLOBDELTA_FAULTS` is the budget: `full` tries
//! all points and 300 random moments of each class, a number so many of each at most. The table at the
//! end says for each class how many points were tried, how many passed, and how many rows were lost or
//! too many.

mod disks;
mod ground;
mod kills;
mod names;
mod neighbour;
mod operations;
mod power;
mod races;
mod rows;
mod secrets;
mod server;
mod signals;
pub mod site;
mod soak;
mod work;

use crate::{List, SERVER};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Copy, Default)]
struct Count {
    tried: u64,
    passed: u64,
    lost: u64,
    extra: u64,
}

static TALLY: Mutex<BTreeMap<String, Count>> = Mutex::new(BTreeMap::new());

/// Notes a point of a class, with the rows that were lost and those that were too many.
pub fn tally(class: &str, (lost, extra): (u64, u64)) {
    let mut tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    let count = tally.entry(class.to_owned()).or_default();
    count.tried += 1;
    count.passed += u64::from(lost + extra == 0);
    count.lost += lost;
    count.extra += extra;
}

/// How much is tried.
#[derive(Clone, Copy)]
enum Budget {
    Slice,
    Points(u32),
    Full,
}

fn budget() -> Budget {
    match std::env::var("BLOBDELTA_FAULTS") {
        Err(_) => Budget::Slice,
        Ok(budget) if budget == "full" => Budget::Full,
        Ok(budget) => Budget::Points(budget.parse().expect("BLOBDELTA_FAULTS is `full` or a number of points a class")),
    }
}

/// Whether every point is tried.
pub fn is_full() -> bool {
    matches!(budget(), Budget::Full)
}

/// Whether it is to be quick.
fn is_slice() -> bool {
    matches!(budget(), Budget::Slice)
}

/// How many random moments are tried.
pub fn moments(slice: u32, full: u32) -> u32 {
    match budget() {
        Budget::Slice => slice,
        Budget::Points(points) => points,
        Budget::Full => full,
    }
}

/// The numbers of the points that are tried, of those from 1 to `all`: evenly spread.
fn points(all: usize, slice: usize) -> Vec<usize> {
    let most = match budget() {
        Budget::Slice => slice,
        Budget::Points(points) => points as usize,
        Budget::Full => all,
    };
    let most = most.min(all);
    (0..most).map(|nth| (2 * nth + 1) * all / (2 * most) + 1).collect()
}

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("faults");
    let mut add = |name, case: fn()| list.add(name, None, case);
    add("killed_before_any_durable_operation_of_a_full_load", kills::full_load);
    add("killed_before_any_durable_operation_of_a_delta", kills::delta);
    add("killed_before_any_durable_operation_of_a_pack", kills::pack);
    add("killed_before_any_durable_operation_of_a_replay", kills::replay);
    add("killed_before_any_durable_operation_of_a_compaction", kills::compact);
    add("killed_at_random_moments", kills::random_moments);
    add("asked_to_stop_once_and_twice", signals::asked_to_stop);
    add("a_pack_a_replay_and_a_compaction_asked_to_stop", signals::work_asked_to_stop);
    add("a_long_statement_asked_to_stop", signals::a_long_statement);
    add("two_operators_at_once", races::operators);
    add("a_run_that_slept_through_its_lease_writes_nothing_more", races::sleeper);
    add("two_replays_into_one_target", races::replays);
    add("hostile_names", names::hostile_names);
    add("a_secret_in_no_output", secrets::canary);
    add("a_secret_in_no_file", secrets::in_no_file);
    add("a_secret_in_no_text", secrets::in_no_text);
    add("a_long_soak", soak::soak);
    add("every_operation_of_a_run_fails_once", operations::run);
    add("every_operation_of_a_pack_fails_once", operations::pack);
    add("every_operation_of_a_replay_fails_once", operations::replay);
    add("every_operation_of_a_compaction_fails_once", operations::compact);
    add("every_operation_of_an_unpacking_fails_once", operations::unpack);
    add("every_operation_of_an_archive_fails_once", operations::archive);
    add("every_operation_of_an_extraction_fails_once", operations::extract);
    add("attack_a_neighbour_between_any_two_steps_of_a_ship", neighbour::of_ship);
    add("attack_a_neighbour_between_any_two_steps_of_a_ship_that_mends", neighbour::of_mend);
    add("attack_a_neighbour_between_any_two_steps_of_a_prune", neighbour::of_prune);
    add("attack_a_neighbour_between_any_two_steps_of_a_receive", neighbour::of_receive);
    add("attack_a_neighbour_between_any_two_steps_of_an_extraction", neighbour::of_extract);
    add("attack_a_neighbour_between_any_two_steps_of_an_archive", neighbour::of_archive);
    add("attack_a_neighbour_between_any_two_steps_of_a_compaction", neighbour::of_compact);
    add("attack_a_neighbour_between_any_two_steps_of_an_unpacking", neighbour::of_unpack);
    list.add_on_demand("a_long_soak_in_this_process", soak::in_this_process);
    let names: (_, fn()) = ("hostile_names_on_a_server", names::hostile_names_on_a_server);
    for (name, case) in server::CASES.into_iter().chain([names]) {
        let skipped = std::env::var(SERVER).map_or(true, |string| string.is_empty());
        list.add(name, skipped.then(|| format!("{SERVER} is not set")), move || server::alone(case));
    }
    let unmounted = (!disks::can_mount()).then(|| "no file system can be mounted here (root can)".to_owned());
    list.add("a_disk_that_is_full", unmounted.clone(), disks::full);
    list.add("a_folder_that_is_read_only", unmounted, disks::read_only);
    list.table = Some(table);
    list
}

fn table() {
    let tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    if tally.is_empty() {
        return;
    }
    println!("| fault | tried | passed | rows lost | rows too many |\n|---|---|---|---|---|");
    for (class, count) in tally.iter() {
        println!("| {class} | {} | {} | {} | {} |", count.tried, count.passed, count.lost, count.extra);
    }
    println!();
}
