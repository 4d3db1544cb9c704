//! The deletion log as others fill it: late, with times of their own, from a backup; rules 15 and 27.

use crate::scenarios::destinations::stopped;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, key, minute, unit};
use blobdelta::backend::Retention;
use blobdelta::engine::{self, RunReport};
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, TableCounts};
use blobdelta::model::slice::{Deletion, DeletionReason};
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions, TableDifferences, reconcile};

const ALL: Scope = Scope::All;
const DAY: i64 = 24 * 60;

fn of(letter: u8) -> Scope {
    Scope::BusinessUnit(unit(letter))
}

pub(crate) fn number(key: Guid) -> u32 {
    u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap())
}

/// An entry as a DBA writes one, with a number of its own if it has to be a certain one.
pub(crate) fn entry(world: &mut World, id: Option<u32>, of_key: u32, deleted: Timestamp, logged: i64) {
    let (table, logged) = (world.table.name.to_string(), minute(logged));
    let hex: String = key(of_key).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id_text = id.map_or("NULL".to_owned(), |id| id.to_string());
    let on_server = |columns: &str, values: &str| {
        format!(
            "INSERT INTO dbo.BlobDeltaDeletionLog ({columns}TableName, stream_id, DeletedOn, LoggedAt)
             VALUES ({values}N'{table}', '{}', '{deleted}', '{logged}');",
            key(of_key)
        )
    };
    let tsql = match id {
        None => on_server("", ""),
        Some(id) => format!(
            "SET IDENTITY_INSERT dbo.BlobDeltaDeletionLog ON; {} SET IDENTITY_INSERT dbo.BlobDeltaDeletionLog OFF;",
            on_server("DeletionId, ", &format!("{id}, "))
        ),
    };
    world.script(
        &format!(
            "INSERT INTO BlobDeltaDeletionLog (DeletionId, TableName, stream_id, DeletedOn, LoggedAt)
             VALUES ({id_text}, '{table}', x'{hex}', '{deleted}', '{logged}')"
        ),
        &tsql,
    );
}

fn on_both(world: &mut World, sql: &str) {
    world.script(sql, sql);
}

fn run(world: &mut World, at: i64, scope: Scope) -> RunReport {
    let mut options = world.options();
    options.request.scope = scope;
    world.at(at);
    world.run_with(&options).unwrap()
}

fn counts(report: &RunReport) -> TableCounts {
    report.tables[0].counts.clone().unwrap()
}

/// The keys whose deletion the slice that stands tells, and when.
fn reported(world: &mut World) -> Vec<(u32, Timestamp)> {
    let last = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(last.id, &world.table.name.clone(), 60).unwrap();
    let found = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    found.into_iter().map(|one| (number(one.key), one.deleted_on)).collect()
}

pub(crate) fn reconciled(world: &mut World, options: &ReconcileOptions) -> TableDifferences {
    let bundles: Vec<_> = std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    reconcile(&bundles, &mut *world.backend, options, &Silent).unwrap().remove(0)
}

pub(crate) fn found(report: &TableDifferences, kind: DifferenceKind) -> Vec<u32> {
    report.findings.iter().filter(|finding| finding.kind == kind).map(|finding| number(finding.key)).collect()
}

pub fn rule_15_an_entry_is_due_until_a_scope_has_told_it_whatever_its_logged_at(on: &Instance) {
    let mut world = World::new(on);
    for (number, letter) in [(1, A), (2, B)] {
        world.put(number, None, b"x", 10, letter);
    }
    for scope in [ALL, of(A), of(B)] {
        let _ = run(&mut world, 20_000, scope);
    }
    world.remove(1);
    world.remove(2);
    // Long before all of these runs, and long after whatever comes.
    entry(&mut world, None, 1, minute(15_000), 100);
    entry(&mut world, None, 2, minute(15_000), 900_000);
    let waits = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!((waits.logged, waits.counts.len()), (2, 0), "the next run takes them: {waits:?}");
    let gone = |number| (number, minute(15_000));
    for (at, scope, due) in [(30_000, ALL, vec![1, 2]), (30_010, of(A), vec![1]), (30_020, of(B), vec![2])] {
        let _ = run(&mut world, at, scope);
        assert_eq!(reported(&mut world), due.into_iter().map(gone).collect::<Vec<_>>(), "{scope}");
    }
    for (at, scope) in [(30_030, ALL), (30_040, of(A)), (30_050, of(B))] {
        let _ = run(&mut world, at, scope);
        assert_eq!(reported(&mut world), [], "{scope}: once");
    }
    let clear = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!((clear.logged, clear.counts.len()), (0, 0), "{clear:?}");
}

pub fn rule_15_a_log_that_begins_anew_and_an_entry_that_is_corrected_are_reported(on: &Instance) {
    let mut world = World::new(on);
    entry(&mut world, Some(1), 1, minute(100), 100);
    let _ = run(&mut world, 1000, ALL);
    assert_eq!(reported(&mut world), [(1, minute(100))]);
    on_both(&mut world, "DELETE FROM BlobDeltaDeletionLog");
    entry(&mut world, Some(1), 2, minute(100), 100);
    let _ = run(&mut world, 2000, ALL);
    assert_eq!(reported(&mut world), [(2, minute(100))], "the same number, another entry");
    on_both(&mut world, &format!("UPDATE BlobDeltaDeletionLog SET DeletedOn = '{}'", minute(200)));
    let _ = run(&mut world, 3000, ALL);
    assert_eq!(reported(&mut world), [(2, minute(200))]);
    // A log that came back from a backup says nothing new.
    entry(&mut world, Some(2), 1, minute(100), 100);
    let _ = run(&mut world, 4000, ALL);
    assert_eq!(reported(&mut world), []);
    let mut options = world.options();
    options.request.from = Some(minute(50));
    world.at(5000);
    world.run_with(&options).unwrap();
    assert_eq!(reported(&mut world), [(1, minute(100)), (2, minute(200))], "a run that goes back tells them again");
    options.request.from = Some(minute(101));
    world.at(5010);
    world.run_with(&options).unwrap();
    assert_eq!(reported(&mut world), [], "what was logged before that has been told");
}

pub fn rule_15_what_was_logged_before_anybody_told_deletions_is_due(on: &Instance) {
    let mut world = World::new(on);
    world.table.include_deletions = false;
    world.backend.save_table(&world.table.clone()).unwrap();
    entry(&mut world, None, 1, minute(5), 5);
    let _ = run(&mut world, 10_000, ALL);
    assert_eq!(reported(&mut world), []);
    world.table.include_deletions = true;
    world.backend.save_table(&world.table.clone()).unwrap();
    let _ = run(&mut world, 20_000, ALL);
    assert_eq!(reported(&mut world), [(1, minute(5))]);
}

pub fn rule_15_a_run_that_dies_or_is_given_up_has_told_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let _ = run(&mut world, 10_000, ALL);
    world.remove(1);
    entry(&mut world, None, 1, minute(9_000), 50);
    world.put(2, None, b"x", 10_050, A);
    world.at(20_000);
    let died = world.start_run();
    world.backend.start_table(&died, &world.table.clone(), 60).unwrap();
    let options = world.options();
    let left = stopped(&mut world, 20_010, &options);
    assert_eq!(reported(&mut world), [(1, minute(9_000))], "nobody has had it of the run that died");
    // Nor may it be pruned now: the slice may be given up.
    for _ in 0..2 {
        world.backend.prune(&Retention { keep_runs: Some(1), keep_days: None }, false).unwrap();
    }
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    let _ = run(&mut world, 30_000, ALL);
    assert_eq!(reported(&mut world), [(1, minute(9_000))]);
}

pub fn rule_15_pruning_keeps_what_a_scope_has_yet_to_be_told(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let _ = run(&mut world, 1000, of(A));
    world.remove(1);
    entry(&mut world, None, 1, minute(900), 50);
    let prune = |world: &mut World, plan| {
        let all = world.backend.prune(&Retention { keep_runs: Some(1), keep_days: None }, plan).unwrap();
        all.into_iter().find(|one| one.table == "BlobDeltaDeletionLog").unwrap().removed
    };
    for day in 10..13 {
        let _ = run(&mut world, day * DAY, ALL);
    }
    assert_eq!((prune(&mut world, true), prune(&mut world, false)), (0, 0), "A has not heard of it");
    for day in 20..22 {
        let _ = run(&mut world, day * DAY, of(A));
        assert_eq!(reported(&mut world).len(), usize::from(day == 20));
    }
    assert_eq!((prune(&mut world, true), prune(&mut world, false)), (1, 1));
}

pub fn attack_a_deletion_of_the_year_9999_buries_no_key(on: &Instance) {
    let mut world = World::new(on);
    for number in [1, 2] {
        world.put(number, None, b"x", 10, A);
    }
    let _ = run(&mut world, 1000, ALL);
    world.remove(1);
    world.remove(2);
    entry(&mut world, Some(70), 1, minute(2000 + DAY), 1500);
    let too_late = minute(2000 + DAY).plus_ticks(world.finest_ticks());
    entry(&mut world, Some(71), 2, too_late, 1500);
    let report = run(&mut world, 2000, ALL);
    assert_eq!(reported(&mut world), [(1, minute(2000 + DAY))], "24 hours, and not a tick more");
    let counted = counts(&report);
    assert_eq!((counted.future_deletions, counted.withheld_deletions, counted.withheld_deletion), (2, 1, Some(71)));
    let bundle = blobdelta::bundle::Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().tables[0].counts, counted);
    let reported_so = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!(found(&reported_so, DifferenceKind::Gone), [2], "it explains nothing: {reported_so:?}");
    on_both(
        &mut world,
        &format!("UPDATE BlobDeltaDeletionLog SET DeletedOn = '{}' WHERE DeletionId = 71", minute(1400)),
    );
    assert_eq!(counts(&run(&mut world, 3000, ALL)).withheld_deletions, 0);
    assert_eq!(reported(&mut world), [(2, minute(1400))]);
}

pub fn rule_15_a_unit_that_has_not_been_told_what_all_units_were_is_reconciled_so(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    for scope in [ALL, of(A)] {
        let _ = run(&mut world, 1000, scope);
    }
    world.remove(1);
    let _ = run(&mut world, 2000, of(A));
    let deletion =
        Deletion { key: key(1), deleted_on: minute(2100), business_unit: None, reason: DeletionReason::Deleted };
    world.at(2200);
    world.backend.log_deletion(&world.table.name.clone(), &deletion).unwrap();
    let _ = run(&mut world, 3000, ALL);
    let of_a = ReconcileOptions { unit: Some(unit(A)), ..ReconcileOptions::default() };
    let waits = reconciled(&mut world, &of_a);
    assert_eq!((waits.logged, waits.counts.len()), (1, 0), "{waits:?}");
    on_both(&mut world, "DELETE FROM BlobDeltaDeletionLog");
    assert_eq!(found(&reconciled(&mut world, &of_a), DifferenceKind::Gone), [1], "its receivers still have the row");
}
