//! Giving up what a run left: the next run brings what a world brings in which that run never was.

use crate::scenarios::destinations::{pack, reported, stopped};
use crate::scenarios::instance::Instance;
use crate::scenarios::read::SliceRow;
use crate::scenarios::world::{A, B, BUFFER, World, key, minute, unit};
use blobdelta::backend::{KeyRequest, PackState};
use blobdelta::engine;
use blobdelta::error::Kind;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Status, TableCounts};
use blobdelta::model::slice::SliceState;
use blobdelta::model::time::Timestamp;
use std::collections::BTreeMap;

/// What a run brings: rows, counts, watermarks around it.
#[derive(Debug, PartialEq)]
struct Brought {
    rows: BTreeMap<Guid, SliceRow>,
    counts: TableCounts,
    watermarks: (Option<Timestamp>, Timestamp),
    new_units: Vec<Guid>,
}

/// A week of everything that a run settles, a run of `letter` (or all) that is given up in the one world
/// and never was in the other, and what the next one brings.
fn last_run(on: &Instance, letter: Option<u8>, is_given_up: bool) -> Brought {
    let mut world = World::new(on);
    let options = reported(&world, "out", letter, None);
    world.put(1, None, b"first", 10, A);
    world.put(2, None, b"hot", 900, A);
    world.stamp(3, 10, A);
    world.put(6, None, b"leaves", 10, A);
    world.at(1000);
    world.run_with(&options).unwrap();
    // A hot row that is stamped before every run, a blob that comes late, a deletion, new rows, a new unit,
    // a row that goes to another one.
    world.put(2, None, b"hotter", 1900, A);
    world.blob(3, None, b"late blob");
    world.at(1500);
    world.log_deletion(9, 1400);
    world.put(4, None, b"new", 1500, A);
    world.stamp(6, 1500, B);
    world.put(5, Some(4), b"of b", 1500, B);
    world.unit_in_scope(0xC);
    if is_given_up {
        let left = stopped(&mut world, 2000, &options);
        assert!(world.numbers().starts_with(&[2, 3, 4]), "the run had taken them: {:?}", world.numbers());
        engine::give_up(&mut *world.backend, left, None, 600).unwrap();
        assert_eq!(world.backend.run_tables(left).unwrap()[0].1, PackState::GivenUp);
    }
    world.put(2, None, b"hottest", 2000, A);
    world.at(2100);
    let report = world.run_with(&options).unwrap();
    assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 1));
    let outcome = &report.tables[0];
    let reported = world.backend.table_report(report.run.id, &outcome.table).unwrap();
    Brought {
        rows: world.slice(),
        counts: outcome.counts.clone().unwrap(),
        watermarks: (reported.watermark_before, reported.watermark_after),
        new_units: outcome.new_business_units.clone(),
    }
}

pub fn rule_19_after_giving_up_the_next_run_brings_all_that_the_run_had_settled(on: &Instance) {
    for letter in [None, Some(A)] {
        let (never, given_up) = (last_run(on, letter, false), last_run(on, letter, true));
        assert_eq!(never, given_up, "{letter:?}");
        let keys: Vec<bool> = [2, 3, 4].map(|number| given_up.rows.contains_key(&key(number))).into();
        assert_eq!((keys, given_up.counts.early), (vec![true; 3], 1), "hot, late and new rows are there");
        assert_eq!(given_up.counts.tombstones, 1, "the deletion, or what left the unit");
    }
}

pub fn rule_19_giving_up_the_first_load_leaves_a_table_that_was_never_loaded(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let options = world.options();
    let left = stopped(&mut world, 1000, &options);
    assert_eq!(world.mark().last_high_water, Some(minute(1000 - BUFFER)));
    let table = world.table.clone();
    let given_up = engine::give_up(&mut *world.backend, left, Some(&table.name), 600).unwrap();
    assert_eq!(given_up.iter().map(|one| &one.table).collect::<Vec<_>>(), [&table.name]);
    assert!(given_up[0].withdrawn.is_empty(), "{given_up:?}");
    let mark = world.mark();
    assert_eq!((mark.last_high_water, mark.last_run_id, mark.last_run_completed_at), (None, None, None));
    assert!(!mark.is_initial_full_load_done && !mark.is_running);
    let marker = world.backend.slice_marker(&table).unwrap();
    assert_eq!((marker.state, marker.run_id, marker.window), (SliceState::Empty, None, None));
    // Neither packed nor gone on with: both say what to do.
    let again = engine::give_up(&mut *world.backend, left, None, 600).unwrap_err();
    assert_eq!(again.kind(), Kind::Usage, "{again}");
    let error = pack(&mut world, left, &options).unwrap_err();
    assert!(error.to_string().contains("were given up; a fresh run takes what they held"), "{error}");
    let report = world.run(2000);
    assert_eq!((report.run.status, world.numbers()), (Status::Completed, vec![1]));
}

/// What was asked for without metadata still is; what had metadata and lost it waits for it.
pub fn rule_19_giving_up_asks_again_as_it_was_asked(on: &Instance) {
    let mut world = World::new(on);
    let table = world.table.name.clone();
    world.run(500);
    world.blob(1, None, b"without metadata");
    world.put(2, None, b"with", 10, A);
    let asked = KeyRequest { without_metadata: true, ..KeyRequest::of(None, "a scenario") };
    world.backend.pend_key(&table, key(1), &asked).unwrap();
    // Neither a stamp nor none says how it was asked.
    world.blob(3, None, b"without a stamp");
    world.stamp_as(3, 3, None, Some(A));
    world.put(4, None, b"stamped", 10, A);
    for number in [2, 3] {
        world.backend.pend_key(&table, key(number), &KeyRequest::of(None, "a scenario")).unwrap();
    }
    world.backend.pend_key(&table, key(4), &asked).unwrap();
    let options = world.options();
    let left = stopped(&mut world, 1000, &options);
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    (2..=4).for_each(|number| world.withdraw(number));
    let reported = world.run(2000).tables[0].counts.clone().unwrap();
    assert_eq!((world.numbers(), reported.pending), (vec![1, 4], 2));
}

/// A watermark that somebody has set since is theirs.
pub fn rule_19_giving_up_takes_back_no_watermark_but_its_own(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let options = world.options();
    let left = stopped(&mut world, 1000, &options);
    world.script(
        "UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '2025-12-01T00:00:00.0000000'",
        "UPDATE dbo.BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '2025-12-01T00:00:00'",
    );
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    assert_eq!(world.mark().last_high_water, Some(Timestamp::parse("2025-12-01").unwrap()));
}

/// A job database that was restored from an older backup knows nothing of the run whose slice stands.
pub fn rule_19_a_slice_of_a_run_that_nobody_knows_can_be_given_up(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let options = world.options();
    let left = stopped(&mut world, 1000, &options);
    let forget = |dbo: &str| {
        format!(
            "DELETE FROM {dbo}BlobDeltaRunStep; DELETE FROM {dbo}BlobDeltaRunTable; DELETE FROM {dbo}BlobDeltaRun;
                 UPDATE {dbo}BlobDeltaHighWatermark SET LastHighWaterModifiedOn = NULL"
        )
    };
    world.script(&forget(""), &forget("dbo."));
    world.at(2000);
    let report = world.run_with(&options).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains(&format!("blobdelta pack --run {left} --give-up")), "{error}");
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    let report = world.run(3000);
    assert_eq!((report.run.status, world.numbers()), (Status::Completed, vec![1]));
}

pub fn rule_19_only_what_the_run_holds_is_given_up(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let packed = world.run(1000).run.id;
    let options = reported(&world, "one", Some(A), None);
    let left = stopped(&mut world, 2000, &options);
    let error = engine::give_up(&mut *world.backend, packed, None, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    // Nor what another one is working on.
    let (table, mut other) = (world.table.clone(), world.another());
    let held = other.take_lease(Guid::from_bytes([7; 16]), &table.name, 600).unwrap();
    let error = engine::give_up(&mut *world.backend, left, None, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::LeaseHeld, "{error}");
    other.release_leases(&[held]).unwrap();
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    assert_eq!(
        world.mark().last_high_water,
        Some(minute(1000 - BUFFER)),
        "the watermark of all units is not the unit's"
    );
    let _ = unit(A);
}

/// A run of two tables, of which one is given up: the other goes on, and no session takes up what was.
pub fn rule_19_a_run_that_is_gone_on_with_leaves_what_was_given_up(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.add_table("Other");
    let renamed =
        |from: &str, to: &str| format!("USE Src; EXEC sp_rename N'dbo.{from}', N'{to}', N'OBJECT'; USE BlobDeltaJobs");
    world.script("ALTER TABLE Src.Other RENAME TO Gone", &renamed("Other", "Gone"));
    let mut options = world.options();
    let left = {
        world.at(1000);
        let stops = crate::scenarios::destinations::StopsPacking::default();
        engine::run(&mut *world.backend, &options, &blobdelta::durable::Local, &stops).unwrap_err();
        world.backend.recent_runs(1).unwrap().remove(0).id
    };
    world.script("ALTER TABLE Src.Gone RENAME TO Other", &renamed("Gone", "Other"));
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    options.resume = Some(left);
    let report = world.run_with(&options).unwrap();
    let statuses: Vec<_> = report.tables.iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [Status::GivenUp, Status::Completed]);
    assert_eq!(world.backend.run_tables(left).unwrap()[0].1, PackState::GivenUp);
}
