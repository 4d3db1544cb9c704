//! Rule 21: a configuration that names the wrong column is no empty week; and what is told of a source that
//! went back, of deletions, and of stamps that no window catches.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, X, key, minute, unit};
use blobdelta::bundle::Bundle;
use blobdelta::engine::{RunOptions, RunReport};
use blobdelta::error::Kind;
use blobdelta::model::run::{RunRequest, Scope, Status, TableCounts};
use blobdelta::model::slice::{Deletion, DeletionReason};

fn suspicion(report: &RunReport) -> String {
    assert_eq!((report.tables[0].status, report.bundles.len()), (Status::Failed, 0));
    let error = report.tables[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::Config);
    let text = format!("{error} {}", error.what_to_do().unwrap_or_default());
    assert!(text.contains("suspect: "), "{text}");
    text
}

fn counts(report: &RunReport) -> TableCounts {
    assert_eq!(report.tables[0].status, Status::Completed, "{:?}", report.tables[0].error);
    report.tables[0].counts.clone().unwrap()
}

/// The rows of the metadata have an identity of their own, a uniqueidentifier too.
fn name_the_wrong_id_column(world: &mut World) {
    world.table.metadata_id_column = "RowId".into();
    world.backend.save_table(&world.table.clone()).unwrap();
}

fn put_many(world: &mut World, rows: std::ops::Range<u32>, modified: i64) {
    for number in rows {
        world.blob(number, None, b"x");
        world.stamp_as(5000 + number, number, Some(minute(modified)), Some(A));
    }
}

pub fn rule_21_a_window_whose_keys_have_no_rows_is_suspect_and_moves_nothing(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..23, 10);
    name_the_wrong_id_column(&mut world);
    world.at(1000);
    let request = world.options().request;
    let plan = blobdelta::engine::plan(&mut *world.backend, &request).unwrap();
    assert!(plan[0].refused.as_ref().unwrap().contains("22 of 22 keys"), "{plan:?}");
    let text = suspicion(&world.run(1000));
    assert!(text.contains("22 of 22 keys of the metadata") && text.contains("AcceptedAbsentPercent=100"), "{text}");
    assert!(text.contains("blobdelta table set Src.dbo.Docs "), "{text}");
    assert_eq!((world.mark().last_high_water, world.mark().is_running), (None, false));
    world.table.metadata_id_column = "Id".into();
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(counts(&world.run(1001)).roots, 22);
}

pub fn rule_21_of_few_keys_a_sample_of_the_whole_table_decides(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..31, 10);
    world.run(1000);
    put_many(&mut world, 1..6, 1500);
    name_the_wrong_id_column(&mut world);
    let text = suspicion(&world.run(2000));
    assert!(text.contains("5 of 5 keys") && text.contains("30 of 30 in a sample of the whole table"), "{text}");
    assert_eq!(world.mark().last_high_water, Some(minute(760)));
}

/// Few keys without rows, in a table whose others have theirs: they wait, as ever.
pub fn rule_21_a_few_keys_without_rows_are_pending_where_the_table_is_well(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..31, 10);
    world.run(1000);
    for number in 100..105 {
        world.stamp(number, 1500, A);
    }
    let counts = counts(&world.run(2000));
    assert_eq!((counts.pending, counts.roots), (5, 0));
}

/// Many rows of a metadata table never get a blob: accepted once, by name, and the line is drawn above it.
pub fn rule_21_what_is_usual_here_is_accepted_by_name(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..11, 10);
    for number in 100..120 {
        world.stamp(number, 10, A);
    }
    let text = suspicion(&world.run(1000));
    assert!(text.contains("20 of 30") && text.contains("AcceptedAbsentPercent=72"), "{text}");
    world.table.accepted_absent_percent = 72;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(world.backend.table(&world.table.name.clone()).unwrap(), world.table);
    let counts = counts(&world.run(1001));
    assert_eq!((counts.roots, counts.pending), (10, 20));
}

pub fn rule_21_children_without_parents_are_suspect_before_the_slice_completes(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..25 {
        world.put(number, Some(999), b"x", 10, A);
    }
    let report = world.run(1000);
    let text = suspicion(&report);
    assert!(text.contains("24 of 24 children") && text.contains("AcceptedOrphanPercent=100"), "{text}");
    assert_eq!(world.mark().last_high_water, None);
    world.table.accepted_orphan_percent = 100;
    world.backend.save_table(&world.table.clone()).unwrap();
    let mut options = world.options();
    options.resume = Some(report.run.id);
    let resumed = world.run_with(&options).unwrap();
    assert_eq!(counts(&resumed).children, 24);
    assert_eq!(findings(&resumed.bundles[0]), [] as [String; 0]);
}

/// The business unit of rows of the metadata, whose stamps stay.
fn move_to(world: &mut World, rows: std::ops::Range<u32>, modified: i64, letter: u8) {
    for number in rows {
        world.stamp_as(5000 + number, number, Some(minute(modified)), Some(letter));
    }
}

pub fn rule_21_most_rows_of_a_unit_do_not_leave_it_at_once(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..23, 10);
    let _ = world.run_unit(1000, A);
    world.table.metadata_filter = Some(format!("BusinessUnit={}", unit(B)));
    world.backend.save_table(&world.table.clone()).unwrap();
    world.at(2000);
    let request = RunRequest { scope: Scope::BusinessUnit(unit(A)), ..world.options().request };
    let plan = blobdelta::engine::plan(&mut *world.backend, &request).unwrap();
    assert!(plan[0].refused.as_ref().unwrap().contains("22 of 22 rows that this scope"), "{plan:?}");
    let text = suspicion(&world.run_unit(2000, A));
    assert!(text.contains("22 of 22 rows that this scope was handed are out of it now"), "{text}");
    assert!(text.contains("AcceptedLeftPercent=100") && text.contains("MetadataFilter"), "{text}");
    let watermarks = world.backend.unit_watermarks().unwrap();
    assert_eq!(watermarks[0].last_high_water, minute(760), "it moved nothing");
    world.table.metadata_filter = None;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(counts(&world.run_unit(2001, A)).tombstones, 0, "nobody was told anything");
    move_to(&mut world, 1..12, 10, B);
    assert_eq!(counts(&world.run_unit(3000, A)).tombstones, 11, "half of them may");
}

pub fn rule_21_what_leaves_is_accepted_by_name(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..23, 10);
    let _ = world.run_unit(1000, A);
    move_to(&mut world, 1..13, 10, B);
    let text = suspicion(&world.run_unit(2000, A));
    assert!(text.contains("12 of 22") && text.contains("AcceptedLeftPercent=60"), "{text}");
    world.table.accepted_left_percent = 60;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(world.backend.table(&world.table.name.clone()).unwrap(), world.table);
    assert_eq!(counts(&world.run_unit(2001, A)).tombstones, 12);
    move_to(&mut world, 13..23, 10, B);
    assert_eq!(counts(&world.run_unit(3000, A)).tombstones, 10, "of so few nothing can be said");
}

/// 40 rows of A that a scope was handed, and a filter by which they are out of it: it is still to be saved.
fn misfiltered(on: &Instance, letter: Option<u8>) -> (World, RunOptions) {
    let mut world = World::new(on);
    put_many(&mut world, 1..41, 10);
    let mut options = world.options();
    options.request.scope = Scope::from(letter.map(unit));
    world.at(1000);
    world.run_with(&options).unwrap();
    world.table.metadata_filter = Some(format!("BusinessUnit={}", unit(B)));
    (world, options)
}

/// A log that is written under a wrong filter, as `reconcile --log-deletions` or a DBA would, says what the engine is refused
/// to say by itself; a log of what is in scope again says nothing.
pub fn rule_21_what_a_log_says_left_a_scope_is_no_more_believed_than_what_the_metadata_say(on: &Instance) {
    for letter in [None, Some(A)] {
        let (mut world, options) = misfiltered(on, letter);
        world.backend.save_table(&world.table.clone()).unwrap();
        for number in 1..31 {
            let of = Deletion {
                key: key(number),
                deleted_on: minute(1500),
                business_unit: letter.map(unit),
                reason: DeletionReason::LeftScope,
            };
            world.backend.log_deletion(&world.table.name.clone(), &of).unwrap();
        }
        world.at(2000);
        let plan = blobdelta::engine::plan(&mut *world.backend, &options.request).unwrap();
        assert!(plan[0].refused.as_ref().unwrap().contains("rows that this scope was handed"), "{letter:?} {plan:?}");
        let text = suspicion(&world.run_with(&options).unwrap());
        // A unit's runs know what they handed out.
        let handed = if letter.is_some() { "40 of 40 rows" } else { "30 of 30 rows" };
        assert!(text.contains(handed) && text.contains("AcceptedLeftPercent=100"), "{letter:?} {text}");
        world.table.metadata_filter = None;
        world.backend.save_table(&world.table.clone()).unwrap();
        assert_eq!(counts(&world.run_with(&options).unwrap()).tombstones, 0, "{letter:?}: nothing has left");
        world.table.metadata_filter = Some(format!("BusinessUnit={}", unit(B)));
        world.table.accepted_left_percent = 100;
        world.backend.save_table(&world.table.clone()).unwrap();
        world.log_deletion(99, 1500);
        for number in 1..31 {
            let reason = DeletionReason::LeftScope;
            let of = Deletion { key: key(number), deleted_on: minute(1600), business_unit: letter.map(unit), reason };
            world.backend.log_deletion(&world.table.name.clone(), &of).unwrap();
        }
        world.at(3000);
        let reported = counts(&world.run_with(&options).unwrap()).tombstones;
        assert_eq!(reported, if letter.is_some() { 40 } else { 31 }, "{letter:?}: accepted by name");
    }
}

/// What is logged is most of what is logged, and little of what all units have.
pub fn rule_21_less_than_half_of_what_all_units_have_may_leave_by_a_log(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..61, 10);
    world.run(1000);
    move_to(&mut world, 1..26, 10, X);
    for number in 1..26 {
        let reason = DeletionReason::LeftScope;
        let of = Deletion { key: key(number), deleted_on: minute(1500), business_unit: None, reason };
        world.backend.log_deletion(&world.table.name.clone(), &of).unwrap();
    }
    assert_eq!(counts(&world.run(2000)).tombstones, 25);
}

/// Deletions that are logged under a wrong filter are of rows that stand, though they are in no scope by it.
pub fn rule_21_what_stands_out_of_scope_was_not_deleted(on: &Instance) {
    for letter in [None, Some(A)] {
        let (mut world, options) = misfiltered(on, letter);
        world.table.accepted_left_percent = 100;
        world.backend.save_table(&world.table.clone()).unwrap();
        (1..31).for_each(|number| world.log_deletion(number, 1500));
        world.at(2000);
        let text = suspicion(&world.run_with(&options).unwrap());
        assert!(text.contains("30 of 30 logged deletions that are due are of rows that stand"), "{letter:?} {text}");
    }
}

/// The metadata changes while the slice is filled.
pub fn rule_21_what_leaves_while_a_run_copies_is_suspect_before_the_slice_completes(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..23, 10);
    let _ = world.run_unit(1000, A);
    world.at(2000);
    let request = RunRequest { scope: Scope::BusinessUnit(unit(A)), ..world.options().request };
    let run = world.backend.start_run(&request, None).unwrap();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    move_to(&mut world, 1..23, 10, B);
    let error = world.backend.finish_table(&table_run, false).unwrap_err();
    assert!(error.to_string().contains("suspect: 22 of 22 rows that this scope"), "{error}");
    assert_eq!(world.backend.unit_watermarks().unwrap()[0].last_high_water, minute(760));
    move_to(&mut world, 1..23, 10, A);
    let _ = world.backend.finish_table(&table_run, false).unwrap();
}

/// A trigger that logs what was written, not what was deleted.
pub fn rule_21_what_a_log_says_was_deleted_does_not_stand_in_the_source(on: &Instance) {
    let mut world = World::new(on);
    put_many(&mut world, 1..31, 10);
    world.run(1000);
    for number in 1..25 {
        world.log_deletion(number, 1500);
    }
    move_to(&mut world, 1..3, 1600, A);
    world.at(2000);
    let request = world.options().request;
    let plan = blobdelta::engine::plan(&mut *world.backend, &request).unwrap();
    assert!(plan[0].refused.as_ref().unwrap().contains("22 of 24 logged deletions"), "{plan:?}");
    let text = suspicion(&world.run(2000));
    assert!(text.contains("22 of 24 logged deletions that are due are of rows that stand"), "{text}");
    assert!(text.contains("AcceptedStandingPercent=97"), "{text}");
    assert_eq!(world.mark().last_high_water, Some(minute(760)));
    for number in 3..13 {
        let _ = world.backend.delete(&world.table.source.clone(), ("stream_id", key(number))).unwrap();
    }
    let reported = counts(&world.run(2001));
    assert_eq!((reported.tombstones, reported.roots), (24, 2), "half of them are gone, and two were stamped since");
    for number in 1..25 {
        world.log_deletion(number, 1700);
    }
    let text = suspicion(&world.run(3000));
    assert!(text.contains("14 of 24") && text.contains("AcceptedStandingPercent=64"), "{text}");
    world.table.accepted_standing_percent = 64;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(world.backend.table(&world.table.name.clone()).unwrap(), world.table);
    assert_eq!(counts(&world.run(3001)).tombstones, 24);
}

pub fn rule_20_stamps_that_no_window_catches_are_counted_over_the_whole_table(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.blob(2, None, b"no stamp");
    world.stamp_as(2, 2, None, Some(A));
    world.put(3, None, b"of the future", 99_999, A);
    let first = counts(&world.run(1000));
    assert_eq!((first.without_stamp, first.future, first.roots), (1, 1, 1));
    let report = world.run(2000);
    let later = counts(&report);
    assert_eq!(
        (later.without_stamp, later.future, later.roots),
        (1, 1, 0),
        "no window has them, and they are told again"
    );
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().tables[0].counts, later);
}

pub fn rule_15_what_is_odd_about_deletions_is_reported(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    assert_eq!(counts(&world.run(1000)).logged_deletions, 0);
    world.put(1, None, b"stands, and is logged as deleted later", 1400, A);
    world.log_deletion(1, 1500);
    world.log_deletion(9, 3000);
    let reported = counts(&world.run(2000));
    assert_eq!(
        (reported.logged_deletions, reported.future_deletions, reported.buried, reported.tombstones),
        (2, 1, 1, 2)
    );
}

pub fn a_source_that_went_back_in_time_is_reported_and_does_not_fail(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"old", 100, A);
    world.put(2, None, b"old", 200, A);
    let first = counts(&world.run(1000));
    assert_eq!((first.older_now, first.went_back_minutes), (0, 0));
    world.put(2, None, b"new", 1500, A);
    let second = counts(&world.run(2000));
    assert_eq!((second.older_now, second.went_back_minutes), (0, 0));
    world.put(2, None, b"old", 200, A);
    let restored = counts(&world.run(3000));
    assert_eq!((restored.older_now, restored.went_back_minutes), (1, 1300));
    let quiet = counts(&world.run(4000));
    assert_eq!((quiet.older_now, quiet.went_back_minutes), (0, 0), "told once, by the run that finds it");
}

/// Its stamps of before are in another unit, and nothing is older.
pub fn a_unit_whose_newest_row_moves_to_another_one_did_not_go_back_in_time(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"old", 100, A);
    world.put(2, None, b"two rows of metadata", 1500, A);
    world.stamp_as(9, 2, Some(minute(100)), Some(A));
    let _ = world.run_unit(2000, A);
    world.stamp(2, 1500, B);
    let moved = counts(&world.run_unit(3000, A));
    assert_eq!((moved.older_now, moved.went_back_minutes), (0, 0));
}
