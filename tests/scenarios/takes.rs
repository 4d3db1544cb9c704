//! What a window takes: rules 1 to 6.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, BUFFER, World, X, key, minute};
use blobdelta::backend::KeyRequest;
use blobdelta::model::run::{Status, Step};
use blobdelta::model::time::Timestamp;

pub fn rule_1_the_window_is_half_open_and_exact_to_a_tick(on: &Instance) {
    let mut world = World::new(on);
    let end = minute(1000 - BUFFER);
    world.blob(1, None, b"before");
    world.stamp_as(1, 1, Some(end.plus_ticks(-world.finest_ticks())), Some(A));
    world.blob(2, None, b"at the end");
    world.stamp_as(2, 2, Some(end), Some(A));
    let report = world.run(1000);
    assert_eq!(report.tables[0].window.unwrap().end, end);
    assert_eq!(report.tables[0].window.unwrap().start, Timestamp::MIN);
    assert_eq!(world.numbers(), [1]);
    let report = world.run(2000);
    assert_eq!(report.tables[0].window.unwrap().start, end.minus_minutes(BUFFER as u32));
    assert_eq!(world.numbers(), [1, 2], "windows overlap by the buffer");
}

pub fn rule_1_a_clock_before_the_last_run_is_refused(on: &Instance) {
    let mut world = World::new(on);
    world.run(10_000);
    world.at(10_000 - BUFFER - 1);
    let error = world.run_with(&world.options()).unwrap_err();
    assert!(error.to_string().contains("the server's clock says"), "{error}");
    world.at(10_000 - BUFFER);
    world.run_with(&world.options()).unwrap();
}

/// A clock that ran a day ahead during a run, and was set right: that run's window ends in a time that
/// is still to come. Runs are refused until it is taken back. Who waits until the clock is past it instead has to set the
/// next one back, because what was stamped meanwhile lies in no window.
pub fn rule_1_a_clock_that_ran_a_day_ahead_is_reported_and_from_loses_nothing(on: &Instance) {
    const DAY: i64 = 24 * 60;
    let mut world = World::new(on);
    world.put(1, None, b"before", 10, A);
    world.run(1000 + DAY);
    world.at(1010);
    let error = world.run_with(&world.options()).unwrap_err();
    let reported = format!("{error} {:?}", error.what_to_do());
    assert!(reported.contains("the server's clock says") && reported.contains("--give-up"), "{reported}");
    world.put(2, None, b"stamped by the right clock", 1020, A);
    world.at(1000 + 2 * DAY);
    let mut options = world.options();
    options.request.from = Some(minute(1000 - BUFFER));
    world.run_with(&options).unwrap();
    assert_eq!(world.numbers(), [2]);
    world.at(1001 + 2 * DAY);
    world.run_with(&world.options()).unwrap();
}

/// The hour that comes twice, and the one that does not come: a table in local time.
pub fn rule_1_both_changes_of_summer_time_lose_nothing(on: &Instance) {
    for (before, after) in [(60, 0), (0, 60)] {
        let mut world = World::new(on);
        world.table.clock = blobdelta::model::clock::ClockKind::Local;
        world.backend.save_table(&world.table.clone()).unwrap();
        world.local_time_is_ahead_by(before);
        let mut taken = std::collections::BTreeSet::new();
        // A row every forty minutes, a run for ten of them; the offset changes in the middle.
        for (number, at) in (1_u32..).zip((10_000..12_000).step_by(40)) {
            let offset = if at < 11_000 { before } else { after };
            world.local_time_is_ahead_by(offset);
            world.put(number, None, b"x", at + offset, A);
            if number.is_multiple_of(10) {
                world.run(at + 1);
                taken.extend(world.numbers());
            }
        }
        world.run(12_500);
        taken.extend(world.numbers());
        assert_eq!(taken.len(), 50, "from {before} to {after}: {taken:?}");
    }
}

pub fn rule_1_local_time_is_read_in_the_tables_clock(on: &Instance) {
    let mut world = World::new(on);
    world.local_time_is_ahead_by(60);
    world.table.clock = blobdelta::model::clock::ClockKind::Local;
    world.backend.save_table(&world.table.clone()).unwrap();
    world.put(1, None, b"x", 1000 + 60 - BUFFER - 1, A);
    let report = world.run(1000);
    assert_eq!(report.tables[0].window.unwrap().end, minute(1060 - BUFFER));
    assert_eq!(world.numbers(), [1]);
}

pub fn rule_1_a_stamp_of_another_form_is_refused_not_missed(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.backend.execute_script("UPDATE Meta.Docs SET ModifiedOn = '2026-01-01 00:10:00'").unwrap();
    let report = world.run(1000);
    assert_eq!(report.tables[0].status, Status::Failed);
    assert!(report.tables[0].error.as_ref().unwrap().to_string().contains("is no time of the form YYYY-MM-DDTHH"));
}

pub fn rule_3_a_key_is_queued_once_with_its_greatest_stamp(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"x");
    world.stamp_as(1, 1, Some(minute(10)), Some(A));
    world.stamp_as(101, 1, Some(minute(20)), Some(B));
    world.stamp_as(102, 1, Some(minute(30)), Some(X));
    world.run(1000);
    let slice = world.slice();
    assert_eq!(slice[&key(1)].modified, Some(minute(20)), "the row out of scope does not count");
}

pub fn rule_3_a_row_stamped_again_into_the_buffer_is_held_back_and_comes_next(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"x");
    world.stamp_as(1, 1, Some(minute(10)), Some(A));
    world.stamp_as(101, 1, Some(minute(900)), Some(A));
    let report = world.run(1000);
    assert_eq!(world.numbers(), [] as [u32; 0], "its greatest stamp is in no window yet");
    assert_eq!(report.tables[0].counts.as_ref().unwrap().held_back, 1);
    world.run(2000);
    assert_eq!(world.slice()[&key(1)].modified, Some(minute(900)));
}

pub fn rule_4_a_row_that_is_stamped_before_every_run_does_not_starve(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"v1", 990, A);
    world.run(1000);
    assert_eq!(world.numbers(), [] as [u32; 0]);
    world.put(1, None, b"v2", 1990, A);
    let report = world.run(2000);
    let row = world.slice()[&key(1)].clone();
    assert!(row.early);
    assert_eq!((row.modified, row.bytes.as_deref()), (Some(minute(1990)), Some(&b"v2"[..])));
    assert_eq!(report.tables[0].counts.as_ref().unwrap().early, 1);
    world.put(1, None, b"v3", 2990, A);
    world.run(3000);
    assert!(world.slice()[&key(1)].early, "still hot, still shipped");
}

pub fn rule_5_a_key_without_its_blob_waits_until_it_is_there(on: &Instance) {
    let mut world = World::new(on);
    world.stamp(1, 10, A);
    let report = world.run(1000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.gone, counts.pending, counts.rows()), (1, 1, 0));
    world.run(9000);
    world.blob(1, None, b"late");
    let report = world.run(20_000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!(world.numbers(), [1]);
    assert_eq!((counts.late, counts.pending), (1, 0));
    world.run(30_000);
    assert_eq!(world.numbers(), [] as [u32; 0], "it waits no more");
}

pub fn rule_5_a_logged_deletion_explains_an_absent_blob_unless_it_was_stamped_since(on: &Instance) {
    let mut world = World::new(on);
    world.stamp(1, 10, A);
    world.stamp(2, 50, A);
    world.log_deletion(1, 20);
    world.log_deletion(2, 20);
    let report = world.run(1000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.gone, counts.pending), (2, 1));
    world.blob(2, None, b"again");
    world.run(2000);
    assert_eq!(world.numbers(), [2]);
}

pub fn rule_5_an_operator_can_ask_for_a_key(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"without metadata");
    world.run(1000);
    assert_eq!(world.numbers(), [] as [u32; 0]);
    let asked = KeyRequest { without_metadata: true, ..KeyRequest::of(None, "asked for") };
    world.backend.pend_key(&world.table.name.clone(), key(1), &asked).unwrap();
    world.run(2000);
    assert_eq!(world.slice()[&key(1)].modified, None);
}

/// Nothing but its metadata says whose a row is: one that has none is handed to nobody, however it came to be waited for.
pub fn rule_5_a_row_without_metadata_is_nobody_s_unless_that_was_asked_for(on: &Instance) {
    let mut world = World::new(on);
    let table = world.table.name.clone();
    world.stamp(1, 10, A);
    world.blob(2, None, b"asked for as its metadata has it");
    world.put(3, None, b"excluded", 10, X);
    world.backend.exclude_key(&table, key(3), "a scenario").unwrap();
    world.run(1000);
    world.withdraw(1);
    world.blob(1, None, b"withdrawn before it came");
    world.backend.pend_key(&table, key(2), &KeyRequest::of(None, "a scenario")).unwrap();
    world.withdraw(3);
    assert!(world.backend.include_key(&table, key(3)).unwrap());
    let reported = world.run(9000).tables[0].counts.clone().unwrap();
    assert_eq!((world.numbers(), reported.pending), (vec![], 3));
    // What has metadata again is waited for still.
    world.stamp(1, 10, A);
    world.stamp(2, 10, A);
    world.run(20_000);
    assert_eq!(world.numbers(), [1, 2]);
    let asked = KeyRequest { without_metadata: true, ..KeyRequest::of(None, "a scenario") };
    world.backend.pend_key(&table, key(3), &asked).unwrap();
    world.run(30_000);
    assert_eq!(world.numbers(), [3]);
    assert_eq!(world.run(40_000).tables[0].counts.clone().unwrap().pending, 0);
}

pub fn rule_5_metadata_that_goes_between_queue_and_copy_takes_its_row_along(on: &Instance) {
    let mut world = World::new(on);
    world.stamp(1, 10, A);
    world.run(1000);
    world.blob(1, None, b"late");
    world.at(9000);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    world.withdraw(1);
    while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
    assert_eq!(world.numbers(), [] as [u32; 0]);
}

pub fn rule_6_what_no_window_can_catch_is_reported(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"taken", 10, A);
    world.put(2, None, b"of nobody in scope", 10, X);
    world.blob(3, None, b"without unit");
    world.stamp_as(3, 3, Some(minute(10)), None);
    world.put(4, None, b"poison", 10, A);
    world.put(5, None, b"excluded in the configuration", 10, A);
    world.blob(6, None, b"also stamped in the future");
    world.stamp_as(6, 6, Some(minute(10)), Some(A));
    world.stamp_as(106, 6, Some(minute(99_999)), Some(A));
    world.backend.exclude_key(&world.table.name.clone(), key(4), "cannot be read").unwrap();
    world.table.excluded_stream_id = Some(key(5));
    world.backend.save_table(&world.table.clone()).unwrap();
    let report = world.run(1000);
    assert_eq!(world.numbers(), [1]);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!(counts.out_of_scope, 1);
    assert_eq!(counts.without_business_unit, 1);
    assert_eq!(counts.excluded, 2);
    assert_eq!(counts.future, 1);
}

/// Whatever is wrong with its stamp, an excluded key fails nothing, and is told as excluded alone.
pub fn rule_6_the_stamp_of_an_excluded_key_is_nobodys_concern(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"taken", 10, A);
    world.put(2, None, b"of the future", 99_999, A);
    world.blob(3, None, b"without a stamp");
    world.stamp_as(3, 3, None, Some(A));
    world.put(4, None, b"in the buffer", 990, A);
    world.put(5, None, b"no stamp at all", 20, A);
    if world.is_embedded() {
        world.script("UPDATE Meta.Docs SET ModifiedOn = 'yesterday', BusinessUnit = 'A' WHERE hex(Id) LIKE '%05'", "");
    }
    for number in 2..6 {
        world.backend.exclude_key(&world.table.name.clone(), key(number), "not for anybody").unwrap();
    }
    let report = world.run(1000);
    assert_eq!(report.tables[0].status, Status::Completed, "{:?}", report.tables[0].error);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.roots, counts.future, counts.without_stamp, counts.held_back), (1, 0, 0, 0));
}

pub fn rule_6_nothing_is_reported_of_keys_that_are_taken(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"of two units");
    world.stamp_as(1, 1, Some(minute(10)), Some(A));
    world.stamp_as(101, 1, Some(minute(10)), Some(X));
    let report = world.run(1000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.roots, counts.out_of_scope), (1, 0));
}
