//! Rule 1: runs of a server whose clock stood ahead. Once it is set right they have every other run refused, and can be
//! taken back: what comes then is what would have come if they had never been.

use crate::scenarios::destinations::reported;
use crate::scenarios::instance::Instance;
use crate::scenarios::reconcile::tombstones;
use crate::scenarios::world::{A, B, World, key, minute};
use blobdelta::backend::Severity;
use blobdelta::bundle::Bundle;
use blobdelta::engine::{self, RunReport};
use blobdelta::error::Kind;
use blobdelta::model::id::Guid;
use blobdelta::model::slice::DeletionReason;

const YEAR: i64 = 365 * 24 * 60;

/// A first run, and all that can happen after it.
fn world_of_changes(on: &Instance, letter: Option<u8>) -> (World, RunReport) {
    let mut world = World::new(on);
    for number in [1, 2, 6, 7] {
        world.put(number, None, b"first", 10, A);
    }
    world.stamp(3, 10, A);
    world.at(1000);
    let first = world.run_with(&reported(&world, "out", letter, None)).unwrap();
    world.put(2, None, b"changed", 1005, A);
    world.blob(3, None, b"late blob");
    world.remove(7);
    world.log_deletion(7, 1006);
    world.stamp(6, 1007, B);
    (world, first)
}

fn run(world: &mut World, at: i64, letter: Option<u8>) -> blobdelta::error::Result<RunReport> {
    world.at(at);
    let options = reported(world, "out", letter, None);
    world.run_with(&options)
}

/// Refused, and by which command that run is taken back.
fn refused(world: &mut World, at: i64, letter: Option<u8>, ahead: Guid) {
    let error = run(world, at, letter).unwrap_err();
    let reported = format!("{error} {:?}", error.what_to_do());
    assert!(reported.contains("the server's clock says"), "{reported}");
    assert!(reported.contains(&format!("`blobdelta pack --run {ahead} --give-up`")), "{reported}");
}

pub fn rule_1_a_run_of_a_clock_that_stood_ahead_is_taken_back_and_nothing_is_lost(on: &Instance) {
    for letter in [None, Some(A)] {
        let (mut world, first) = world_of_changes(on, letter);
        let ahead = run(&mut world, 1010 + YEAR, letter).unwrap();
        world.put(4, None, b"by the right clock", 1020, A);
        refused(&mut world, 1500, letter, ahead.run.id);
        let given_up = engine::give_up(&mut *world.backend, ahead.run.id, None, 600).unwrap();
        let bundle = ahead.bundles[0].file_name().unwrap().to_str().unwrap();
        assert_eq!(given_up[0].withdrawn.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [bundle]);
        // Its bundle still stands there: nobody goes on behind it, nor takes it for a fork.
        let next = run(&mut world, 1500, letter).unwrap();
        assert_eq!(&world.numbers()[..3], [2, 3, 4], "{letter:?}: {:?}", world.numbers());
        let root = Bundle::open(&first.bundles[0]).unwrap().root_sha256();
        let followed = Bundle::open(&next.bundles[0]).unwrap().manifest().tables[0].previous.unwrap();
        assert_eq!(followed.root_sha256, root, "{letter:?}");
        let mut all = tombstones(&next);
        all.sort_by_key(|(number, _)| *number);
        let gone = (7, DeletionReason::Deleted);
        let left = letter.map(|_| (6, DeletionReason::LeftScope));
        assert_eq!(all, left.into_iter().chain([gone]).collect::<Vec<_>>(), "{letter:?}");
        assert_eq!(run(&mut world, 2000, letter).unwrap().tables[0].window.unwrap().start, minute(1500 - 480));
    }
}

pub fn rule_1_of_several_runs_of_a_clock_that_stood_ahead_the_last_is_taken_back_first(on: &Instance) {
    let (mut world, _) = world_of_changes(on, Some(A));
    let one = run(&mut world, 1010 + YEAR, Some(A)).unwrap().run.id;
    let two = run(&mut world, 1020 + YEAR, Some(A)).unwrap().run.id;
    refused(&mut world, 1500, Some(A), two);
    let error = engine::give_up(&mut *world.backend, one, None, 600).unwrap_err();
    let reported = format!("{error} {:?}", error.what_to_do());
    assert_eq!(error.kind(), Kind::Usage, "{reported}");
    assert!(reported.contains(&format!("`blobdelta pack --run {two} --give-up`")), "{reported}");
    engine::give_up(&mut *world.backend, two, None, 600).unwrap();
    refused(&mut world, 1500, Some(A), one);
    let given_up = engine::give_up(&mut *world.backend, one, None, 600).unwrap();
    assert!(given_up[0].was_emptied, "keys of its queue are known no more: {given_up:?}");
    let next = run(&mut world, 1500, Some(A)).unwrap();
    assert!(world.slice().contains_key(&key(2)), "{:?}", world.numbers());
    let mut all = tombstones(&next);
    all.sort_by_key(|(number, _)| *number);
    assert_eq!(all, [(6, DeletionReason::LeftScope), (7, DeletionReason::Deleted)]);
}

/// It moved nothing, so it is in nobody's way; but it is not gone on with.
pub fn rule_1_a_run_that_was_yet_to_come_and_completed_nothing_refuses_no_other(on: &Instance) {
    let (mut world, _) = world_of_changes(on, None);
    world.at(1010 + YEAR);
    let begun = world.start_run().id;
    world.at(1500);
    let mut options = world.options();
    options.resume = Some(begun);
    let error = world.run_with(&options).unwrap_err();
    let reported = format!("{error} {:?}", error.what_to_do());
    assert!(reported.contains("the server's clock says") && reported.contains("start a new run"), "{reported}");
    run(&mut world, 1500, None).unwrap();
    assert_eq!(world.numbers(), [2, 3, 6]);
    let advice = world.backend.doctor().unwrap();
    let clock = advice.iter().find(|advice| advice.subject == "clock").unwrap();
    assert_eq!(clock.severity, Severity::Ok, "{clock:?}");
}
