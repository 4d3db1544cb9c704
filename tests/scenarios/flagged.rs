//! `DeletedWhen`: what the metadata flags is deleted, and is a row again without the flag; rules 3 to 7, 15, 17 and 21.

use crate::scenarios::deletions::{found, number, reconciled};
use crate::scenarios::destinations::stopped;
use crate::scenarios::instance::Instance;
use crate::scenarios::left_folders::{bare, received};
use crate::scenarios::metadata::{alter, save, set};
use crate::scenarios::world::{A, B, World, key, minute, unit};
use blobdelta::backend::KeyRequest;
use blobdelta::engine::{self, RunReport};
use blobdelta::error::Kind;
use blobdelta::model::run::{Scope, Status, Step, TableCounts};
use blobdelta::model::slice::DeletionReason;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions, TableDifferences};
use blobdelta::verify::{VerifyLevel, verify};

const ALL: Option<u8> = None;

/// A table of which rows with `deleted = 1` or 3 count as deleted.
fn flagged_world(on: &Instance) -> World {
    let mut world = World::new(on);
    alter(&mut world, "ADD deleted int NULL");
    world.table.deleted_when = Some("Deleted=1,3".into());
    save(&mut world).unwrap();
    world
}

/// Stamps a row and flags it.
fn flag(world: &mut World, number: u32, modified: i64, letter: u8) {
    world.stamp(number, modified, letter);
    set(world, number, "deleted = 3");
}

fn run(world: &mut World, at: i64, letter: Option<u8>) -> RunReport {
    let mut options = world.options();
    options.request.scope = Scope::from(letter.map(unit));
    world.at(at);
    let report = world.run_with(&options).unwrap();
    for bundle in &report.bundles {
        assert!(verify(bundle, VerifyLevel::Deep, &Silent).unwrap().is_good(), "{bundle:?}");
    }
    report
}

fn counts(report: &RunReport) -> TableCounts {
    assert_eq!(report.tables[0].status, Status::Completed, "{:?}", report.tables[0].error);
    report.tables[0].counts.clone().unwrap()
}

/// The deletions that the slice that stands tells, and when each was; of leavings the numbers.
fn told(world: &mut World) -> (Vec<(u32, i64)>, Vec<u32>) {
    let last = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(last.id, &world.table.name.clone(), 60).unwrap();
    let all = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    let (deleted, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.reason == DeletionReason::Deleted);
    let minutes = |at: blobdelta::model::time::Timestamp| {
        (at.ticks() - minute(0).ticks()) / blobdelta::model::time::TICKS_PER_MINUTE
    };
    let deleted = deleted.into_iter().map(|one| (number(one.key), minutes(one.deleted_on))).collect();
    (deleted, left.into_iter().map(|one| number(one.key)).collect())
}

fn deleted(world: &mut World) -> Vec<(u32, i64)> {
    let (deleted, left) = told(world);
    assert!(left.is_empty(), "{left:?}");
    deleted
}

fn look(world: &mut World, pend: bool, letter: Option<u8>) -> TableDifferences {
    reconciled(world, &ReconcileOptions { pend, unit: letter.map(unit), ..ReconcileOptions::default() })
}

pub fn rule_15_a_flag_is_a_deletion_and_its_row_a_row_again_without_it(on: &Instance) {
    let mut world = flagged_world(on);
    for number in 1..5 {
        world.put(number, None, b"x", 100, A);
    }
    // Flagged before anybody had it: nobody can lose it, and yet it is told.
    flag(&mut world, 4, 200, A);
    // Of a value that does not count.
    set(&mut world, 3, "deleted = 2");
    assert_eq!(counts(&run(&mut world, 1000, ALL)).tombstones, 1);
    assert_eq!((world.numbers(), deleted(&mut world)), (vec![1, 2, 3], vec![(4, 200)]));
    flag(&mut world, 2, 1100, A);
    let counted = counts(&run(&mut world, 2000, ALL));
    assert_eq!((world.numbers(), deleted(&mut world)), (vec![], vec![(2, 1100)]));
    assert_eq!((counted.logged_deletions, counted.out_of_scope, counted.gone, counted.filtered), (0, 0, 0, 0));
    assert_eq!(received(&world), [(1, true), (3, true)]);
    let clear = look(&mut world, false, ALL);
    assert!(clear.counts.is_empty() && clear.logged == 0, "{clear:?}");
    // Flagged in the buffer: neither a row nor a deletion yet.
    flag(&mut world, 3, 2900, A);
    world.stamp(2, 2100, A);
    assert_eq!(counts(&run(&mut world, 3000, ALL)).tombstones, 0);
    assert_eq!(world.numbers(), [2]);
    let waits = look(&mut world, false, ALL);
    assert!(waits.counts.is_empty() && waits.not_due == 1, "{waits:?}");
    run(&mut world, 4000, ALL);
    assert_eq!(deleted(&mut world), [(3, 2900)]);
    assert_eq!(received(&world), [(1, true), (2, true)]);
}

pub fn rule_17_a_flag_is_a_deletion_of_its_unit_and_of_all_units_and_of_no_other(on: &Instance) {
    let mut world = flagged_world(on);
    for (number, letter) in [(1, A), (2, B), (3, A), (4, A), (5, A)] {
        world.put(number, None, b"x", 100, letter);
    }
    // Another unit has the row 3 too.
    world.stamp_as(13, 3, Some(minute(110)), Some(B));
    for (at, letter) in [(1000, ALL), (1001, Some(A)), (1002, Some(B))] {
        run(&mut world, at, letter);
    }
    flag(&mut world, 1, 1100, A);
    flag(&mut world, 3, 1200, A);
    // Of two rows with one stamp the one that is flagged counts, as a tombstone wins a tie.
    world.stamp_as(14, 4, Some(minute(1300)), Some(A));
    flag(&mut world, 4, 1300, A);
    // Of two stamps the later one counts.
    flag(&mut world, 5, 1300, A);
    world.stamp_as(15, 5, Some(minute(1400)), Some(A));
    run(&mut world, 2000, ALL);
    assert_eq!(deleted(&mut world), [(1, 1100), (3, 1200), (4, 1300)]);
    assert_eq!(world.numbers(), [5]);
    run(&mut world, 2001, Some(A));
    assert_eq!(deleted(&mut world), [(1, 1100), (3, 1200), (4, 1300)]);
    assert_eq!(world.numbers(), [5]);
    run(&mut world, 2002, Some(B));
    assert_eq!((world.numbers(), deleted(&mut world)), (vec![], vec![]), "nothing of B's was flagged");
    for letter in [ALL, Some(A), Some(B)] {
        let clear = look(&mut world, false, letter);
        assert!(clear.counts.is_empty(), "{letter:?} {clear:?}");
    }
    // What was told to be deleted has not left, whatever becomes of it later.
    for (at, letter) in [(3000, ALL), (3001, Some(A)), (3002, Some(B))] {
        run(&mut world, at, letter);
        assert_eq!(deleted(&mut world), [], "{letter:?}");
    }
}

pub fn rule_7_a_flagged_folder_stays_without_its_content_while_something_lies_in_it(on: &Instance) {
    for letter in [ALL, Some(A)] {
        let mut world = flagged_world(on);
        world.put(1, None, b"folder", 100, A);
        world.put(2, Some(1), b"two", 100, A);
        world.put(3, Some(1), b"three", 100, A);
        run(&mut world, 1000, letter);
        flag(&mut world, 1, 1100, A);
        run(&mut world, 2000, letter);
        assert_eq!(deleted(&mut world), [(1, 1100)]);
        let passes = minute(1100).plus_ticks(10);
        assert_eq!(bare(&mut world), [(1, Some(passes))], "{letter:?}");
        assert_eq!(received(&world), [(1, false), (2, true), (3, true)], "{letter:?}");
        let clear = look(&mut world, false, letter);
        assert!(clear.counts.is_empty(), "{letter:?} {clear:?}");
        // One goes, the other one stays; and a row that changes has its folder with it.
        flag(&mut world, 2, 2100, A);
        world.stamp(3, 2200, A);
        run(&mut world, 3000, letter);
        assert_eq!(told(&mut world), (vec![(2, 2100)], vec![]), "{letter:?}");
        assert_eq!(received(&world), [(1, false), (3, true)], "{letter:?}");
        flag(&mut world, 3, 3100, A);
        run(&mut world, 4000, letter);
        assert_eq!(told(&mut world), (vec![(3, 3100)], vec![1]), "{letter:?}: nothing lies in the folder any more");
        assert_eq!(received(&world), [], "{letter:?}");
        let clear = look(&mut world, false, letter);
        assert!(clear.counts.is_empty(), "{letter:?} {clear:?}");
        // Everything is a row again.
        for number in 1..4 {
            world.stamp(number, 4100, A);
        }
        run(&mut world, 5000, letter);
        assert_eq!((world.numbers(), bare(&mut world)), (vec![1, 2, 3], vec![]), "{letter:?}");
        assert_eq!(received(&world), [(1, true), (2, true), (3, true)], "{letter:?}");
    }
}

pub fn rule_7_a_folder_that_is_flagged_with_all_that_lies_in_it_goes_at_once(on: &Instance) {
    for letter in [ALL, Some(A)] {
        let mut world = flagged_world(on);
        world.put(1, None, b"folder", 100, A);
        world.put(2, Some(1), b"folder", 100, A);
        world.put(3, Some(2), b"three", 100, A);
        run(&mut world, 1000, letter);
        for number in 1..4 {
            flag(&mut world, number, 1100, A);
        }
        run(&mut world, 2000, letter);
        assert_eq!(deleted(&mut world), [(1, 1100), (2, 1100), (3, 1100)], "{letter:?}");
        assert_eq!((world.numbers(), received(&world)), (vec![], vec![]), "{letter:?}");
        run(&mut world, 3000, letter);
        assert_eq!((world.numbers(), deleted(&mut world)), (vec![], vec![]), "{letter:?}");
    }
}

pub fn rule_4_a_flag_that_is_stamped_before_every_run_does_not_starve(on: &Instance) {
    let mut world = flagged_world(on);
    world.put(1, None, b"x", 100, A);
    run(&mut world, 1000, ALL);
    flag(&mut world, 1, 1990, A);
    assert_eq!(counts(&run(&mut world, 2000, ALL)).held_back, 1);
    assert_eq!(deleted(&mut world), []);
    flag(&mut world, 1, 2990, A);
    run(&mut world, 3000, ALL);
    assert_eq!(deleted(&mut world), [(1, 2990)]);
    assert_eq!(received(&world), []);
}

pub fn rule_3_a_row_that_is_flagged_since_it_was_queued_is_no_row_and_told_by_the_next_run(on: &Instance) {
    let mut world = flagged_world(on);
    world.put(1, None, b"x", 700, A);
    world.put(2, None, b"x", 700, A);
    world.at(1000);
    let run_now = world.start_run();
    let table_run = world.backend.start_table(&run_now, &world.table.clone(), 600).unwrap();
    // With the stamp that it has.
    set(&mut world, 1, "deleted = 1");
    while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
    let counted = world.backend.finish_table(&table_run, false).unwrap();
    assert_eq!((world.numbers(), counted.held_back), (vec![2], 1));
    let _ = run(&mut world, 5000, ALL);
    assert_eq!(deleted(&mut world), [(1, 700)]);
}

pub fn rule_5_a_flag_without_a_stamp_is_found_and_comes_where_it_is_asked_for(on: &Instance) {
    let mut world = flagged_world(on);
    world.put(1, None, b"x", 100, A);
    world.put(2, None, b"x", 100, A);
    for (at, letter) in [(1000, ALL), (1001, Some(A))] {
        run(&mut world, at, letter);
    }
    set(&mut world, 1, "deleted = 1");
    run(&mut world, 2000, ALL);
    assert_eq!(deleted(&mut world), []);
    for letter in [ALL, Some(A)] {
        let report = look(&mut world, false, letter);
        assert_eq!(found(&report, DifferenceKind::Flagged), [1], "{letter:?} {report:?}");
        assert_eq!(report.counts.len(), 1, "{report:?}");
        assert!(report.what_to_do(DifferenceKind::Flagged).contains("--pend"));
    }
    let report = reconciled(&mut world, &ReconcileOptions { log_deletions: true, ..ReconcileOptions::default() });
    assert_eq!((report.deletions, report.pended), (0, 0), "nothing of the deletion log changes");
    assert_eq!(look(&mut world, true, Some(A)).pended, 1);
    let pending = look(&mut world, true, Some(A));
    assert_eq!((pending.pended, pending.pending, pending.counts.len()), (0, 1, 0), "{pending:?}");
    // A slice that is given up has told nothing: it is asked for still.
    let mut options = world.options();
    options.request.scope = Scope::BusinessUnit(unit(A));
    let left = stopped(&mut world, 3000, &options);
    assert_eq!(deleted(&mut world), [(1, 100)]);
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    let counted = counts(&run(&mut world, 3001, Some(A)));
    assert_eq!((deleted(&mut world), counted.pending), (vec![(1, 100)], 0));
    run(&mut world, 4000, Some(A));
    assert_eq!(deleted(&mut world), [], "once");
    assert!(look(&mut world, false, Some(A)).counts.is_empty());
    // For all units it was never asked for; a run that goes back takes it.
    let mut options = world.options();
    options.request.from = Some(minute(50));
    world.at(5000);
    world.run_with(&options).unwrap();
    assert_eq!(deleted(&mut world), [(1, 100)]);
    assert!(look(&mut world, false, ALL).counts.is_empty());
}

pub fn rule_6_what_is_flagged_and_told_to_nobody_is_counted_as_its_row_would_be(on: &Instance) {
    let mut world = flagged_world(on);
    for number in 1..5 {
        world.put(number, None, b"x", 100, A);
    }
    flag(&mut world, 1, 200, A);
    world.backend.exclude_key(&world.table.name.clone(), key(1), "nobody's business").unwrap();
    world.stamp_as(2, 2, None, Some(A));
    flag(&mut world, 3, 99_999, A);
    for number in [2, 3] {
        set(&mut world, number, "deleted = 1");
    }
    let counted = counts(&run(&mut world, 1000, ALL));
    assert_eq!((counted.excluded, counted.without_stamp, counted.future, counted.tombstones), (1, 1, 1, 0));
    // One that was asked for waits for a stamp, and for no unit it is another's.
    world.backend.pend_key(&world.table.name.clone(), key(2), &KeyRequest::of(None, "by hand")).unwrap();
    let counted = counts(&run(&mut world, 2000, Some(A)));
    assert_eq!((counted.pending, counted.tombstones), (1, 0));
}

pub fn rule_6_what_is_flagged_and_excluded_is_named_and_nobody_is_told(on: &Instance) {
    for letter in [ALL, Some(A)] {
        let mut world = flagged_world(on);
        let table = world.table.name.clone();
        world.put(1, None, b"folder", 100, A);
        world.put(2, Some(1), b"two", 100, A);
        world.put(3, None, b"three", 100, A);
        run(&mut world, 1000, letter);
        for number in [1, 3] {
            flag(&mut world, number, 1100, A);
            world.backend.exclude_key(&table, key(number), "left as it is").unwrap();
        }
        for at in [2000, 3000] {
            run(&mut world, at, letter);
            let report = look(&mut world, true, letter);
            let mut named = found(&report, DifferenceKind::Excluded);
            named.sort_unstable();
            assert_eq!((named, report.counts.len()), (vec![1, 3], 1), "{letter:?} {report:?}");
            assert_eq!((report.excluded, report.pending, report.pended), (2, 0, 0), "{letter:?} {report:?}");
            assert!(report.is_good() && report.what_to_do(DifferenceKind::Excluded).contains("key include"));
        }
        // What it says to do works.
        for number in [1, 3] {
            assert!(world.backend.include_key(&table, key(number)).unwrap());
        }
        run(&mut world, 4000, letter);
        assert_eq!(deleted(&mut world), [(1, 1100), (3, 1100)], "{letter:?}");
        assert_eq!(received(&world), [(1, false), (2, true)], "{letter:?}");
        let clear = look(&mut world, false, letter);
        assert!(clear.counts.is_empty() && clear.excluded == 0, "{letter:?} {clear:?}");
        // Of a folder that stays without its content the deletion was told.
        world.backend.exclude_key(&table, key(1), "left as it is").unwrap();
        let told = look(&mut world, false, letter);
        assert_eq!((told.counts.len(), told.excluded), (0, 1), "{letter:?} {told:?}");
    }
}

pub fn rule_5_a_flag_that_is_not_later_than_what_was_shipped_is_reported(on: &Instance) {
    for letter in [ALL, Some(A)] {
        let mut world = flagged_world(on);
        for number in 1..4 {
            world.put(number, None, b"x", 500, A);
        }
        run(&mut world, 1000, letter);
        flag(&mut world, 1, 400, A);
        world.stamp(2, 400, A);
        flag(&mut world, 3, 99_999, A);
        let mut options = world.options();
        options.request.scope = Scope::from(letter.map(unit));
        options.request.from = Some(minute(50));
        world.at(2000);
        world.run_with(&options).unwrap();
        assert_eq!(received(&world), [(1, true), (2, true), (3, true)], "the earlier tombstone loses");
        for _ in 0..2 {
            let report = look(&mut world, true, letter);
            let mut back = found(&report, DifferenceKind::StampedBack);
            back.sort_unstable();
            assert_eq!((back, report.counts.len(), report.pended), (vec![1, 2], 2, 0), "{letter:?} {report:?}");
            assert_eq!(found(&report, DifferenceKind::FutureModifiedOn), [3], "{letter:?} {report:?}");
            assert!(report.what_to_do(DifferenceKind::StampedBack).contains("new ModifiedOn"));
        }
        let compared = ReconcileOptions { content: true, unit: letter.map(unit), ..ReconcileOptions::default() };
        let report = reconciled(&mut world, &compared);
        assert_eq!(found(&report, DifferenceKind::WentBack), [1], "{letter:?} {report:?}");
        assert_eq!(found(&report, DifferenceKind::StampedBack), [2], "{letter:?} {report:?}");
        for (number, letter) in [(1, A), (3, A)] {
            flag(&mut world, number, 2100, letter);
        }
        world.stamp(2, 2100, A);
        run(&mut world, 3000, letter);
        assert_eq!((deleted(&mut world), received(&world)), (vec![(1, 2100), (3, 2100)], vec![(2, true)]));
        assert!(look(&mut world, false, letter).counts.is_empty(), "{letter:?}");
    }
}

pub fn rule_21_most_rows_of_a_scope_are_not_flagged_at_once(on: &Instance) {
    let mut world = flagged_world(on);
    for number in 1..41 {
        world.put(number, None, b"x", 100, A);
    }
    for number in 41..46 {
        world.put(number, None, b"x", 100, B);
    }
    run(&mut world, 1000, Some(A));
    for number in 1..31 {
        flag(&mut world, number, 1100, A);
    }
    world.at(2000);
    let mut options = world.options();
    options.request.scope = Scope::BusinessUnit(unit(A));
    let plan = engine::plan(&mut *world.backend, &options.request).unwrap().remove(0);
    assert!(plan.refused.as_ref().unwrap().contains("30 of 40 rows of this scope"), "{plan:?}");
    let report = world.run_with(&options).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    let text = format!("{error} {}", error.what_to_do().unwrap_or_default());
    assert!(
        error.kind() == Kind::Config && text.contains("30 of 40 rows of this scope are deleted by DeletedWhen"),
        "{text}"
    );
    assert!(text.contains("(75 %)") || text.contains("75 percent"), "{text}");
    assert!(text.contains("AcceptedLeftPercent=80"), "{text}");
    world.table.accepted_left_percent = 80;
    save(&mut world).unwrap();
    let plan = engine::plan(&mut *world.backend, &options.request).unwrap().remove(0);
    assert_eq!((plan.keys, plan.counts.tombstones, plan.refused), (0, 30, None));
    assert_eq!(counts(&run(&mut world, 2001, Some(A))).tombstones, 30);
    // What was told is not told anew: by the buffer it is in the next window too.
    world.table.accepted_left_percent = 0;
    save(&mut world).unwrap();
    assert_eq!(run(&mut world, 2002, Some(A)).tables[0].status, Status::Completed);
}

pub fn a_flag_that_says_nothing_is_refused(on: &Instance) {
    let mut world = flagged_world(on);
    let refused = |world: &mut World, change: &dyn Fn(&mut World)| {
        let before = world.table.clone();
        change(world);
        let error = save(world).unwrap_err();
        world.table = before;
        assert_eq!(error.kind(), Kind::Config);
        format!("{error} {}", error.what_to_do().unwrap_or_default())
    };
    for (flag, reported) in [
        ("Nowhere=1", "Nowhere"),
        ("deleted", "no equals sign"),
        ("deleted=x", "x"),
        ("deleted=1 OR 1", "1 OR 1"),
        ("Nowhere IS NOT NULL", "Nowhere"),
    ] {
        let text = refused(&mut world, &|world| world.table.deleted_when = Some(flag.into()));
        assert!(text.contains(reported) && text.contains("DeletedWhen"), "{flag}: {text}");
    }
    let text = refused(&mut world, &|world| world.table.include_deletions = false);
    assert!(text.contains("IncludeDeletions=1") && text.contains("DeletedWhen"), "{text}");
    let text = refused(&mut world, &|world| world.table.metadata_created_on_column = Some("modifiedon".into()));
    assert!(text.contains("MetadataCreatedOnCol"), "{text}");
    // Any value at all.
    alter(&mut world, "ADD gone datetime2 NULL");
    world.table.deleted_when = Some("gone IS NOT NULL".into());
    save(&mut world).unwrap();
    world.put(1, None, b"x", 100, A);
    world.put(2, None, b"x", 100, A);
    set(&mut world, 2, "gone = '2026-01-01T00:00:00.0000000'");
    run(&mut world, 1000, ALL);
    assert_eq!((world.numbers(), deleted(&mut world)), (vec![1], vec![(2, 100)]));
    // Somebody drops it: nothing is taken by half a configuration.
    alter(&mut world, "DROP COLUMN gone");
    world.at(2000);
    let report = world.run_with(&world.options());
    let text = match report {
        Ok(report) => {
            assert_eq!(report.bundles.len(), 0);
            let error = report.tables[0].error.as_ref().unwrap();
            format!("{error} {}", error.what_to_do().unwrap_or_default())
        }
        Err(error) => format!("{error} {}", error.what_to_do().unwrap_or_default()),
    };
    assert!(text.contains("DeletedWhen") && text.contains("gone") && text.contains("table set"), "{text}");
    world.table.deleted_when = None;
    save(&mut world).unwrap();
    run(&mut world, 2001, ALL);
}
