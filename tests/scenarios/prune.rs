//! Pruning: what goes goes whole, and what anything still needs stays, whatever the retention says.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, BUFFER, World, X, key, minute, unit};
use blobdelta::backend::{PackState, PrunedTable, Retention};
use blobdelta::engine::{self, PackOptions, PackRequest};
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Status, Step};
use blobdelta::monitor::Silent;

const DAY: i64 = 24 * 60;

/// As little as can be kept.
const NEWEST: Retention = Retention { keep_runs: Some(1), keep_days: None };

fn of<'a>(pruned: &'a [PrunedTable], table: &str) -> &'a PrunedTable {
    pruned.iter().find(|pruned| pruned.table == table).unwrap()
}

fn runs(world: &mut World) -> Vec<Guid> {
    world.backend.recent_runs(1000).unwrap().into_iter().map(|run| run.id).collect()
}

fn prune(world: &mut World) -> Vec<PrunedTable> {
    world.backend.prune(&NEWEST, false).unwrap()
}

/// Runs without changes, each of them a day after the last one.
fn idle_runs(world: &mut World, from_day: i64, count: i64) {
    (from_day..from_day + count).for_each(|day| drop(world.run(day * DAY)));
}

pub fn a_pruned_run_goes_whole_and_a_plan_of_it_changes_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder", 10, X);
    world.put(2, Some(1), b"file", 10, A);
    let first = world.run(DAY).run.id;
    idle_runs(&mut world, 2, 3);
    let planned = world.backend.prune(&NEWEST, true).unwrap();
    assert_eq!(runs(&mut world).len(), 4);
    assert_eq!(world.backend.missing_parents(first).unwrap().len(), 1);
    assert_eq!(prune(&mut world), planned, "a plan says what is done");
    for table in ["BlobDeltaRun", "BlobDeltaRunTable", "BlobDeltaBundle"] {
        assert_eq!((of(&planned, table).rows, of(&planned, table).removed), (4, 3), "{table}");
    }
    assert_eq!(of(&planned, "BlobDeltaMissingParentsQueue").removed, 1);
    assert!(of(&planned, "BlobDeltaRunStep").removed > 0);
    assert_eq!(runs(&mut world).len(), 1);
    assert!(world.backend.run(first).is_err());
    assert!(world.backend.run_steps(first).unwrap().is_empty());
    assert!(world.backend.bundles(first).unwrap().is_empty());
    assert!(prune(&mut world).iter().all(|pruned| pruned.removed == 0), "nothing is left to do");
    world.put(2, Some(1), b"changed", 4 * DAY, A);
    world.run(5 * DAY);
    assert_eq!(world.numbers(), [1, 2]);
}

pub fn pruning_keeps_the_newest_runs_and_those_of_the_last_days(on: &Instance) {
    let mut world = World::new(on);
    idle_runs(&mut world, 1, 6);
    let all = runs(&mut world);
    let keep = |world: &mut World, keep_runs, keep_days| {
        let pruned = world.backend.prune(&Retention { keep_runs, keep_days }, true).unwrap();
        of(&pruned, "BlobDeltaRun").rows - of(&pruned, "BlobDeltaRun").removed
    };
    assert_eq!(keep(&mut world, Some(4), None), 4);
    assert_eq!(keep(&mut world, None, Some(2)), 3, "its start is a day of its own");
    assert_eq!(keep(&mut world, Some(4), Some(2)), 4);
    assert_eq!(keep(&mut world, Some(2), Some(4)), 5);
    for nothing in [(None, None), (Some(0), None), (None, Some(0)), (None, Some(Retention::MOST_DAYS + 1))] {
        let retention = Retention { keep_runs: nothing.0, keep_days: nothing.1 };
        assert!(world.backend.prune(&retention, false).is_err(), "{nothing:?}");
    }
    world.backend.prune(&Retention { keep_runs: Some(2), keep_days: None }, false).unwrap();
    assert_eq!(runs(&mut world), all[..2]);
}

pub fn rule_4_pruning_keeps_held_back_keys_of_the_previous_run(on: &Instance) {
    let mut world = World::new(on);
    world.run(DAY);
    world.put(1, None, b"hot", 2 * DAY - 10, A);
    let previous = world.run(2 * DAY).run.id;
    // Newer runs of the table, but not of all its units.
    world.run_unit(2 * DAY + 1, B);
    world.run_unit(2 * DAY + 2, B);
    prune(&mut world);
    assert!(runs(&mut world).contains(&previous));
    world.put(1, None, b"hotter", 3 * DAY - 10, A);
    let report = world.run(3 * DAY);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().early, 1, "it was held back before, so it comes now");
    assert!(world.slice()[&key(1)].early);
}

pub fn rule_9_pruning_keeps_a_run_that_can_be_resumed(on: &Instance) {
    let mut world = World::new(on);
    (1..=4).for_each(|number| world.put(number, None, b"x", 10, A));
    world.at(DAY);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    world.backend.run_batch(&table_run, Step::Roots, 2).unwrap();
    world.backend.release_leases(&[table_run.fence]).unwrap();
    world.backend.finish_run(&run, Status::Failed, None).unwrap();
    // Newer ones fail before they come to the slice.
    for day in 2..5 {
        world.at(day * DAY);
        let newer = world.start_run();
        world.backend.finish_run(&newer, Status::Failed, None).unwrap();
    }
    prune(&mut world);
    assert_eq!(runs(&mut world).len(), 2, "that one, and the newest");
    let mut options = world.options();
    options.resume = Some(run.id);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.run.status, Status::Completed);
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
}

pub fn rule_10_pruning_keeps_an_unpacked_slice(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let mut options = world.options();
    options.out = None;
    world.at(DAY);
    let unpacked = world.run_with(&options).unwrap().run.id;
    for day in 2..40 {
        world.at(day * DAY);
        let newer = world.start_run();
        world.backend.finish_run(&newer, Status::Failed, None).unwrap();
    }
    assert_eq!(of(&prune(&mut world), "BlobDeltaRun").removed, 37);
    assert_eq!(world.backend.run_tables(unpacked).unwrap()[0].1, PackState::Unpacked);
    let (out, disk) = (world.out(), std::sync::Arc::clone(&world.disk));
    let packed = engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: unpacked, out: &out, options: &PackOptions::default(), lease_seconds: 600 },
        &*disk,
        &Silent,
    )
    .unwrap()
    .bundles;
    assert_eq!(packed.len(), 1);
}

pub fn rule_12_pruning_keeps_what_the_watermark_of_a_unit_comes_from(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    let of_unit = world.run_unit(DAY, A).run.id;
    idle_runs(&mut world, 2, 5);
    prune(&mut world);
    assert_eq!(runs(&mut world).len(), 2);
    assert!(runs(&mut world).contains(&of_unit));
    let window = world.run_unit(8 * DAY, A).tables[0].window.unwrap();
    assert_eq!(window.start, minute(DAY - 2 * BUFFER), "the unit's own watermark");
    assert_eq!(world.backend.run(of_unit).unwrap().scope.business_unit(), Some(unit(A)));
}

pub fn rule_15_pruning_keeps_deletions_that_are_not_shipped_yet(on: &Instance) {
    let mut world = World::new(on);
    world.at(10);
    world.log_deletion(7, 5);
    assert_eq!(of(&prune(&mut world), "BlobDeltaDeletionLog").removed, 0, "no run has completed");
    idle_runs(&mut world, 1, 3);
    // Logged within the buffer of the last run: perhaps it had not been committed when that one looked.
    world.at(3 * DAY - BUFFER + 1);
    world.log_deletion(8, 5);
    world.at(3 * DAY + 1);
    world.log_deletion(9, 5);
    let pruned = prune(&mut world);
    let log = of(&pruned, "BlobDeltaDeletionLog");
    assert_eq!((log.rows, log.removed), (3, 1), "the first is in a bundle, and older than every run that stays");
    let report = world.run(4 * DAY);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 2);
    world.put(1, None, b"x", 10, A);
    // A run that goes back to any that is kept ships what was logged since.
    let mut options = world.options();
    options.request.from = Some(minute(2 * DAY));
    world.at(4 * DAY + 1);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 2);
}

pub fn rule_16_pruning_keeps_the_last_bundle_of_a_chain(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let last = world.run(DAY).run.id;
    let root = world.backend.bundles(last).unwrap()[0].root_sha256;
    // What completed since has no bundle: its slice was shipped as it is.
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let mut options = world.options();
    options.out = None;
    for day in 2..5 {
        world.at(day * DAY);
        world.run_with(&options).unwrap();
    }
    prune(&mut world);
    let report = world.run(6 * DAY);
    let linked = world.backend.bundles(report.run.id).unwrap()[0].previous_root_sha256;
    assert!(linked.is_some());
    let all: Vec<_> = runs(&mut world).into_iter().flat_map(|run| world.backend.bundles(run).unwrap()).collect();
    assert!(all.iter().any(|bundle| bundle.previous_root_sha256 == Some(root)), "the chain goes on from it: {all:?}");
}

pub fn pruning_keeps_a_bundle_that_has_yet_to_be_shipped(on: &Instance) {
    let mut world = World::new(on);
    let mut options = world.options();
    options.pack.ship_to = Some("s3://bucket/weekly".into());
    world.at(DAY);
    let owing = world.run_with(&options).unwrap().run.id;
    idle_runs(&mut world, 2, 3);
    prune(&mut world);
    let unshipped = world.backend.unshipped().unwrap();
    assert_eq!(unshipped.len(), 1, "it is still known where it is to go");
    assert!(runs(&mut world).contains(&owing));
    world.backend.record_shipped(&unshipped[0]).unwrap();
    prune(&mut world);
    assert!(!runs(&mut world).contains(&owing));
}

pub fn pruning_keeps_a_lease_and_a_run_at_work(on: &Instance) {
    let mut world = World::new(on);
    world.at(DAY);
    let at_work = world.start_run();
    for day in 2..5 {
        world.at(day * DAY);
        let newer = world.start_run();
        world.backend.finish_run(&newer, Status::Failed, None).unwrap();
    }
    prune(&mut world);
    assert_eq!(world.backend.run_tables(at_work.id).unwrap().len(), 1, "it may be about to take its lease");
    world.backend.finish_run(&at_work, Status::Failed, None).unwrap();
    let fence = world.backend.take_lease(at_work.id, &world.table.name.clone(), 600).unwrap();
    prune(&mut world);
    assert!(runs(&mut world).contains(&at_work.id), "it holds a lease");
    world.backend.release_leases(&[fence]).unwrap();
    prune(&mut world);
    assert!(!runs(&mut world).contains(&at_work.id));
    // One that died says for ever that it runs.
    let died = world.start_run().id;
    world.run(20 * DAY);
    prune(&mut world);
    assert!(runs(&mut world).contains(&died));
    world.run(80 * DAY);
    prune(&mut world);
    assert!(!runs(&mut world).contains(&died));
}

pub fn pruning_under_a_clock_that_runs_ahead_removes_nothing_more(on: &Instance) {
    let mut world = World::new(on);
    idle_runs(&mut world, 1, 5);
    world.at(4000 * DAY);
    let retention = Retention { keep_runs: None, keep_days: Some(30) };
    let pruned = world.backend.prune(&retention, false).unwrap();
    assert!(pruned.iter().all(|pruned| pruned.removed == 0), "{pruned:?}");
}
