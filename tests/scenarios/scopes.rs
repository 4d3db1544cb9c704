//! Rule 17: what a run settles, it settles for its own scope.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, BUFFER, World, X, key, minute, unit};
use blobdelta::backend::{KeyRequest, PendingRecord};
use blobdelta::engine::RunReport;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Step, TableCounts};
use blobdelta::model::slice::{Deletion, DeletionReason};
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;

const ALL: Scope = Scope::All;

fn of(letter: u8) -> Scope {
    Scope::BusinessUnit(unit(letter))
}

fn run(world: &mut World, at: i64, scope: Scope) -> RunReport {
    world.at(at);
    let mut options = world.options();
    options.request.scope = scope;
    world.run_with(&options).unwrap()
}

fn counts(report: &RunReport) -> TableCounts {
    report.tables[0].counts.clone().unwrap_or_else(|| panic!("{report:?}"))
}

/// What waits: whose run it waits for, how many keys.
fn waiting(world: &mut World) -> Vec<(Option<Scope>, u64)> {
    let found: Vec<PendingRecord> = world.backend.pending().unwrap();
    found.into_iter().map(|record| (record.scope, record.keys)).collect()
}

fn ask(world: &mut World, number: u32, scope: Option<Scope>) {
    world.backend.pend_key(&world.table.name.clone(), key(number), &KeyRequest::of(scope, "a scenario")).unwrap();
}

pub fn rule_17_a_late_blob_comes_to_every_scope_that_waits_for_it(on: &Instance) {
    for order in [[ALL, of(A)], [of(A), ALL]] {
        let mut world = World::new(on);
        world.stamp(1, 10, A);
        for (nth, scope) in order.into_iter().enumerate() {
            let reported = counts(&run(&mut world, 1000 + 10 * nth as i64, scope));
            assert_eq!((reported.pending, reported.rows()), (1, 0), "{scope}");
            assert_eq!(reported.pending_since, Some(minute(1000 + 10 * nth as i64)), "{scope}");
        }
        let reported = counts(&run(&mut world, 1020, of(B)));
        assert_eq!((reported.pending, reported.pending_since), (0, None), "it is no key of B");
        world.blob(1, None, b"late");
        for (nth, scope) in order.into_iter().enumerate() {
            let reported = counts(&run(&mut world, 9000 + 10 * nth as i64, scope));
            assert_eq!(world.numbers(), [1], "{scope}");
            assert_eq!((reported.late, reported.pending), (1, 0), "{scope}");
        }
        assert_eq!(waiting(&mut world), []);
        for scope in order {
            let _ = run(&mut world, 20_000, scope);
            assert_eq!(world.numbers(), [] as [u32; 0], "once");
        }
    }
}

pub fn rule_17_what_everybody_asks_for_comes_once_to_every_scope(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    for scope in [ALL, of(A), of(B)] {
        let _ = run(&mut world, 1000, scope);
    }
    ask(&mut world, 1, None);
    assert_eq!(waiting(&mut world), [(None, 1)]);
    let _ = run(&mut world, 9000, of(A));
    assert_eq!(world.numbers(), [1]);
    assert_eq!(waiting(&mut world), [(Some(of(B)), 1), (Some(ALL), 1)]);
    let reported = counts(&run(&mut world, 9010, of(B)));
    assert_eq!((world.numbers(), reported.pending), (vec![], 0), "it is no key of B");
    let _ = run(&mut world, 9020, ALL);
    assert_eq!(world.numbers(), [1]);
    assert_eq!(waiting(&mut world), []);
}

pub fn rule_17_what_is_asked_for_before_any_watermark_is_kept(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"without metadata");
    let asked = KeyRequest { without_metadata: true, ..KeyRequest::of(None, "a scenario") };
    world.backend.pend_key(&world.table.name.clone(), key(1), &asked).unwrap();
    let _ = run(&mut world, 1000, of(A));
    assert_eq!(world.numbers(), [] as [u32; 0]);
    assert_eq!(waiting(&mut world), [(None, 1), (Some(of(A)), 1)]);
    let _ = run(&mut world, 2000, ALL);
    assert_eq!(world.numbers(), [1], "a run over all units takes what has no metadata");
    assert_eq!(waiting(&mut world), [(Some(of(A)), 1)], "it waits for its metadata");
    world.stamp(1, 5, A);
    let _ = run(&mut world, 9000, of(A));
    assert_eq!(world.numbers(), [1]);
    assert_eq!(waiting(&mut world), []);
}

pub fn rule_17_a_key_asked_for_of_one_scope_is_of_no_other(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    for scope in [ALL, of(A)] {
        let _ = run(&mut world, 1000, scope);
    }
    ask(&mut world, 1, Some(of(A)));
    let reported = counts(&run(&mut world, 9000, ALL));
    assert_eq!((world.numbers(), reported.pending), (vec![], 0));
    let _ = run(&mut world, 9010, of(A));
    assert_eq!(world.numbers(), [1]);
    assert_eq!(waiting(&mut world), []);
}

pub fn rule_17_a_run_that_dies_settles_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.stamp(1, 10, A);
    let _ = run(&mut world, 1000, ALL);
    world.blob(1, None, b"late");
    world.at(9000);
    let died = world.start_run();
    let table_run = world.backend.start_table(&died, &world.table.clone(), 60).unwrap();
    assert_eq!(world.backend.run_batch(&table_run, Step::Roots, 10).unwrap().rows, 1);
    // Another run, not a resumption: the slice that had the row is emptied.
    let reported = counts(&run(&mut world, 9010, ALL));
    assert_eq!((world.numbers(), reported.pending), (vec![1], 0));
}

pub fn rule_17_a_late_blob_of_a_row_that_moved_goes_where_the_row_is(on: &Instance) {
    let mut world = World::new(on);
    for number in [1, 2] {
        world.stamp(number, 10, A);
    }
    for scope in [ALL, of(A), of(B)] {
        let _ = run(&mut world, 1000, scope);
    }
    world.stamp(1, 1100, B);
    world.stamp(2, 1100, X);
    for number in [1, 2] {
        world.blob(number, None, b"late");
    }
    let _ = run(&mut world, 9000, of(A));
    assert_eq!(world.numbers(), [] as [u32; 0], "both have left A");
    let _ = run(&mut world, 9010, ALL);
    assert_eq!(world.numbers(), [1], "what is out of scope goes to nobody");
    let _ = run(&mut world, 9020, of(B));
    assert_eq!(world.numbers(), [1]);
    assert_eq!(waiting(&mut world), [(Some(ALL), 1)], "until its unit is in scope");
    world.unit_in_scope(X);
    let _ = run(&mut world, 20_000, ALL);
    assert_eq!(world.numbers(), [2]);
}

/// Metadata rows that never get a blob.
fn notes(world: &mut World, numbers: std::ops::Range<u32>) {
    let columns = [
        Column::new("RowId", SqlType::UniqueIdentifier, false),
        Column::new("Id", SqlType::UniqueIdentifier, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
    ];
    let row = |number: u32| {
        vec![
            Cell::Guid(key(number)),
            Cell::Guid(key(number)),
            Cell::DateTime(minute(10)),
            Cell::Guid(unit(if number.is_multiple_of(2) { A } else { B })),
        ]
    };
    let rows: Vec<_> = numbers.map(row).collect();
    world.backend.insert(&world.table.metadata, &columns, &rows).unwrap();
}

pub fn rule_17_keys_that_wait_cost_no_later_run_anything(on: &Instance) {
    let mut world = World::new(on);
    world.table.accepted_absent_percent = 100;
    world.backend.save_table(&world.table.clone()).unwrap();
    notes(&mut world, 10..3010);
    world.put(1, None, b"a file", 10, A);
    let mut options = world.options();
    options.request.batch_size = Some(1000);
    world.at(1000);
    let first = counts(&world.run_with(&options).unwrap());
    assert_eq!((first.rows(), first.gone, first.pending), (1, 3000, 3000));
    let second = run(&mut world, 9000, ALL);
    let reported = counts(&second);
    assert_eq!((reported.gone, reported.pending, reported.pending_since), (0, 3000, Some(minute(1000))));
    assert!(world.backend.run_steps(second.run.id).unwrap().is_empty(), "nothing was queued, so nothing was asked");
    let of_a = run(&mut world, 9010, of(A));
    assert_eq!(counts(&of_a).pending, 1500, "each scope waits for what is its own");
    world.blob(10, None, b"it has come");
    let third = run(&mut world, 20_000, ALL);
    assert_eq!((world.numbers(), counts(&third).pending), (vec![10], 2999));
    assert_eq!(world.backend.run_steps(third.run.id).unwrap().len(), 1, "one batch, of one key");
}

pub fn rule_17_a_run_of_a_unit_moves_no_mark_of_the_table(on: &Instance) {
    let mut world = World::new(on);
    let first = run(&mut world, 1000, ALL).run.id;
    let of_unit = run(&mut world, 2000, of(A)).run.id;
    let mark = world.mark();
    assert_eq!((mark.last_run_id, mark.last_run_completed_at), (Some(first), Some(minute(1000))));
    let units = world.backend.unit_watermarks().unwrap();
    assert_eq!(units.len(), 1, "B has no watermark: {units:?}");
    assert_eq!((units[0].unit, units[0].last_high_water), (unit(A), minute(2000 - BUFFER)));
    assert_eq!((units[0].last_run_id, units[0].last_run_completed_at), (Some(of_unit), Some(minute(2000))));
}

/// A table `Notes` whose metadata says of what kind a row is.
fn with_kinds(world: &mut World) {
    world.add_table("Docs2");
    let mut table = crate::scenarios::world::config("Docs2");
    table.metadata = blobdelta::model::name::TableName::parse("Meta.dbo.Kinds").unwrap();
    let columns = [
        Column::new("Id", SqlType::UniqueIdentifier, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
        Column::new("Kind", SqlType::NVarChar(Some(20)), true),
        Column::new("Pages", SqlType::Int, true),
    ];
    world.backend.create_table(&table.metadata, &columns, "Id", &[]).unwrap();
    let kinds = [(1, Some("file")), (2, Some("it's {KeyColumn},{}{")), (3, Some("note")), (4, None), (5, Some("note"))];
    for (number, kind) in kinds {
        let letter = if number == 5 { X } else { A };
        let row = vec![
            Cell::Guid(key(number)),
            Cell::DateTime(minute(10)),
            Cell::Guid(unit(letter)),
            kind.map_or(Cell::Null, Cell::Text),
            Cell::Int(number.into()),
        ];
        world.backend.insert(&table.metadata, &columns, &[row]).unwrap();
    }
    world.backend.save_table(&table).unwrap();
    world.table = table;
}

pub fn a_filter_says_which_metadata_counts(on: &Instance) {
    let mut world = World::new(on);
    with_kinds(&mut world);
    for number in [1, 2, 3] {
        world.blob(number, None, b"bytes");
    }
    let mut options = world.options();
    options.request.table = Some(world.table.name.clone());
    for (filter, taken, pending, (out_of_scope, filtered), inventory) in [
        // A row without a kind is left out too, and one of no unit in scope is none that the filter alone leaves out.
        (Some("Kind=file,'it''s {KeyColumn},{}{'"), vec![1, 2], 0, (0, 2), vec![1, 2]),
        (Some("pages=3,4"), vec![3], 1, (0, 2), vec![3, 4]),
        (None, vec![1, 2, 3], 1, (1, 0), vec![1, 2, 3, 4]),
    ] {
        world.table.metadata_filter = filter.map(str::to_owned);
        world.backend.save_table(&world.table.clone()).unwrap();
        world.at(10_000);
        options.request.from = Some(minute(0));
        let reported = counts(&world.run_with(&options).unwrap());
        assert_eq!(world.numbers(), taken, "{filter:?}");
        let reported = (reported.pending, reported.out_of_scope, reported.filtered);
        assert_eq!(reported, (pending, out_of_scope, filtered), "{filter:?}");
        let found = world.backend.inventory(&world.table.clone(), None, minute(1000), None, 100).unwrap();
        let keys: Vec<Guid> = found.into_iter().map(|row| row.key).collect();
        assert_eq!(keys, inventory.into_iter().map(key).collect::<Vec<_>>(), "{filter:?}");
    }
}

pub fn a_filter_that_says_nothing_is_refused(on: &Instance) {
    let mut world = World::new(on);
    with_kinds(&mut world);
    let cases = [
        ("Kind", "equals sign"),
        ("Size=1", "Size"),
        ("Pages=many", "many"),
        ("Pages=1 OR 1", "1 OR 1"),
        ("Pages=3000000000", "3000000000"),
        ("Kind='a", "never closed"),
        ("ModifiedOn=2026-01-01", "whole numbers"),
    ];
    for (filter, reported) in cases {
        let mut table = world.table.clone();
        table.metadata_filter = Some(filter.into());
        let error = world.backend.save_table(&table).unwrap_err();
        let text = format!("{error} {}", error.what_to_do().unwrap_or_default());
        assert!(text.contains(reported) && text.contains("MetadataFilter"), "{filter}: {text}");
    }
}

/// The deletions of the slice that stands: number, reason, and when.
fn reported(world: &mut World) -> Vec<(u32, DeletionReason, Timestamp)> {
    let last = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(last.id, &world.table.name.clone(), 60).unwrap();
    let found = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    let number = |key: Guid| u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap());
    found.into_iter().map(|one| (number(one.key), one.reason, one.deleted_on)).collect()
}

pub fn rule_17_a_row_that_left_a_unit_is_reported_to_that_unit_alone(on: &Instance) {
    let mut world = World::new(on);
    world.table.include_deletions = false;
    world.backend.save_table(&world.table.clone()).unwrap();
    for number in [1, 2, 3] {
        world.put(number, None, b"of A", 10, A);
    }
    for scope in [ALL, of(A), of(B)] {
        let _ = run(&mut world, 1000, scope);
    }
    world.stamp(1, 1100, B);
    // Without a stamp.
    world.stamp(2, 10, B);
    let report = run(&mut world, 9000, of(A));
    assert_eq!(counts(&report).tombstones, 2);
    let left = |number| (number, DeletionReason::LeftScope, minute(10));
    assert_eq!(reported(&mut world), [left(1), left(2)], "they outrank what A has, and nothing that comes");
    for (at, scope) in [(9010, ALL), (9020, of(B)), (20_000, of(A))] {
        let _ = run(&mut world, at, scope);
        assert_eq!(reported(&mut world), [], "{scope}: once, and to A alone");
    }
    world.stamp(1, 20_100, A);
    let _ = run(&mut world, 30_000, of(A));
    assert_eq!((world.numbers(), reported(&mut world)), (vec![1], vec![]), "it came back");
}

pub fn rule_17_a_unit_is_told_deletions_of_what_it_has_had(on: &Instance) {
    let mut world = World::new(on);
    for (number, letter) in [(1, A), (2, B), (3, A)] {
        world.put(number, None, b"bytes", 10, letter);
    }
    for scope in [ALL, of(A), of(B)] {
        let _ = run(&mut world, 1000, scope);
    }
    // 3 moves and goes: A has had it, B has not.
    world.stamp(3, 1050, B);
    for number in [1, 2, 3] {
        world.remove(number);
        world.at(1100);
        world.log_deletion(number, 1100);
    }
    let gone = |number| (number, DeletionReason::Deleted, minute(1100));
    for (at, scope, had) in [(9000, ALL, vec![1, 2, 3]), (9010, of(A), vec![1, 3]), (9020, of(B), vec![2])] {
        let _ = run(&mut world, at, scope);
        assert_eq!(reported(&mut world), had.into_iter().map(gone).collect::<Vec<_>>(), "{scope}");
    }
}

pub fn rule_17_a_deletion_of_before_does_not_stand_for_what_left(on: &Instance) {
    let mut world = World::new(on);
    world.log_deletion(1, 1050);
    world.put(1, None, b"made again", 1100, B);
    let _ = run(&mut world, 5000, of(B));
    assert_eq!((world.numbers(), reported(&mut world)), (vec![1], vec![]));
    world.stamp(1, 5100, A);
    let _ = run(&mut world, 9000, of(B));
    assert_eq!(
        reported(&mut world),
        [(1, DeletionReason::LeftScope, minute(1100))],
        "the deletion would outrank nothing"
    );
}

pub fn rule_17_to_have_left_one_unit_is_no_deletion_for_all(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    let _ = run(&mut world, 1000, ALL);
    world.stamp(1, 1050, B);
    world.at(1100);
    let left = Deletion {
        key: key(1),
        deleted_on: minute(1100),
        business_unit: Some(unit(A)),
        reason: DeletionReason::LeftScope,
    };
    world.backend.log_deletion(&world.table.name.clone(), &left).unwrap();
    for (at, scope, had) in [(9000, ALL, 0), (9010, of(B), 0), (9020, of(A), 1)] {
        let _ = run(&mut world, at, scope);
        assert_eq!(reported(&mut world).len(), had, "{scope}");
    }
    // It is there, and in A again, whatever the log says.
    world.stamp(1, 10, A);
    let _ = run(&mut world, 9030, of(A));
    assert_eq!(reported(&mut world), []);
}
