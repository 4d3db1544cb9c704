//! Reconciliation: what bundles lack of the source, and how the next run mends it.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, X, key, minute, unit};
use blobdelta::backend::{KeyRequest, WholeTable};
use blobdelta::model::run::Scope;
use blobdelta::model::slice::DeletionReason;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions, TableDifferences, reconcile};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn reconciled(world: &mut World, options: &ReconcileOptions) -> TableDifferences {
    tried(world, options).unwrap()
}

fn tried(world: &mut World, options: &ReconcileOptions) -> blobdelta::error::Result<TableDifferences> {
    let entries = std::fs::read_dir(world.out()).unwrap();
    let bundles: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    reconcile(&bundles, &mut *world.backend, options, &Silent).map(|mut reports| reports.remove(0))
}

fn numbers(report: &TableDifferences) -> BTreeMap<DifferenceKind, Vec<u32>> {
    let mut found: BTreeMap<DifferenceKind, Vec<u32>> = BTreeMap::new();
    for finding in &report.findings {
        let number = u32::from_be_bytes(finding.key.as_bytes()[12..].try_into().unwrap());
        found.entry(finding.kind).or_default().push(number);
    }
    found
}

pub fn what_runs_took_is_reconciled(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"a folder without metadata");
    world.put(2, Some(1), b"two", 10, A);
    world.put(3, Some(2), b"three", 20, B);
    world.put(4, None, b"out of scope", 20, X);
    world.put(5, None, b"removed", 30, A);
    world.put(6, None, b"not due yet", 900, A);
    world.run(1000);
    world.remove(5);
    world.log_deletion(5, 1100);
    world.put(3, Some(2), b"changed", 1200, B);
    world.at(1300);
    let before = reconciled(&mut world, &ReconcileOptions::default());
    assert!(before.is_good(), "{before:?}");
    assert_eq!((before.logged, before.not_due), (1, 2), "{before:?}");
    let whole = WholeTable { without_metadata: 1, logged_deletions: 1, future_deletions: 0 };
    assert_eq!(before.whole, whole);
    world.run(2000);
    let all = ReconcileOptions { content: true, ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &all);
    assert!(report.is_good() && report.counts.is_empty(), "{report:?}");
    assert_eq!((report.bundles, report.keys, report.equal, report.not_due), (2, 3, 3, 0));
    assert_eq!(report.reached, Some(minute(2000 - crate::scenarios::world::BUFFER)));
}

pub fn rule_24_contents_are_compared_across_a_change_of_columns(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world.put(2, None, b"two", 20, A);
    world.run(1000);
    let alter = |world: &mut World, sqlite: &str, tsql: &str| {
        world.script(&format!("ALTER TABLE Src.Docs {sqlite}"), &format!("ALTER TABLE Src.dbo.Docs {tsql}"));
    };
    alter(&mut world, "ADD a_second \"varbinary(max)\" NULL", "ADD a_second varbinary(max) NULL");
    world.put(2, None, b"two again", 1500, A);
    world.restart();
    world.run(2000);
    let all = ReconcileOptions { content: true, ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &all);
    assert!(report.is_good() && report.equal == 2, "{report:?}");
    // A value where an earlier bundle had no column is one that receivers lack.
    let of_one = format!("UPDATE Src.Docs SET a_second = x'01' WHERE stream_id = {}", world.keys.sqlite(1));
    let of_one_tsql = format!("UPDATE Src.dbo.Docs SET a_second = 0x01 WHERE stream_id = {}", world.keys.tsql(1));
    world.script(&of_one, &of_one_tsql);
    let report = reconciled(&mut world, &all);
    assert_eq!((report.equal, report.counts.get(&DifferenceKind::OtherContent).copied()), (1, Some(1)), "{report:?}");
    alter(&mut world, "DROP COLUMN a_second", "DROP COLUMN a_second");
    world.restart();
    world.at(2100);
    let report = reconciled(&mut world, &all);
    assert!(report.is_good() && report.equal == 2, "what is gone cannot be compared: {report:?}");
}

/// After two runs: each number is one way in which the bundles are wrong.
fn spoiled(on: &Instance) -> World {
    let mut world = World::new(on);
    for number in [1, 3, 4, 5, 6, 7, 10, 11] {
        world.put(number, None, &[u8::try_from(number).unwrap()], 10, A);
    }
    world.stamp(11, 50, A);
    world.run(1000);
    world.log_deletion(7, 900);
    world.run(2000);
    world.put(2, None, b"stamped long ago, committed now", 10, B);
    world.put(3, None, b"likewise", 20, A);
    world.blob(4, Some(1), &[4]);
    world.remove(5);
    world.stamp(6, 10, X);
    world.put(8, None, b"no stamp", 10, A);
    world.stamp_as(8, 8, None, Some(A));
    world.put(9, None, b"in the future", 90_000, A);
    world.blob(10, None, b"other bytes");
    world.stamp(11, 40, A);
    world.put(12, None, b"excluded", 10, A);
    world.backend.exclude_key(&world.table.name.clone(), key(12), "a scenario").unwrap();
    world.put(13, None, b"pending", 10, A);
    world.backend.pend_key(&world.table.name.clone(), key(13), &KeyRequest::of(None, "a scenario")).unwrap();
    world
}

pub fn each_way_to_be_wrong_is_reported_and_the_next_run_mends_what_it_can(on: &Instance) {
    use DifferenceKind as K;
    let mut world = spoiled(on);
    let reported = [
        (K::Missing, vec![2]),
        (K::Older, vec![3]),
        (K::Moved, vec![4]),
        (K::Buried, vec![7]),
        (K::Gone, vec![5]),
        (K::LeftScope, vec![6]),
        (K::StampedBack, vec![11]),
        (K::NullModifiedOn, vec![8]),
        (K::FutureModifiedOn, vec![9]),
    ];
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!(numbers(&report), BTreeMap::from(reported.clone()));
    assert_eq!((report.equal, report.excluded, report.pending, report.not_due), (2, 1, 1, 0), "1 and 10");
    let mending = ReconcileOptions { content: true, pend: true, log_deletions: true, ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &mending);
    let with_content = reported.into_iter().chain([(K::OtherContent, vec![10])]);
    assert_eq!(numbers(&report), BTreeMap::from_iter(with_content));
    assert_eq!((report.pended, report.deletions), (4, 2));
    let again = reconciled(&mut world, &mending);
    assert_eq!((again.pended, again.deletions, again.logged, again.pending), (0, 0, 2, 5), "each once");
    world.run(3000);
    let left = reconciled(&mut world, &mending);
    let kinds: Vec<K> = left.counts.keys().copied().collect();
    assert_eq!(kinds, [K::Buried, K::StampedBack, K::NullModifiedOn, K::FutureModifiedOn], "{left:?}");
    assert_eq!(left.equal, 6, "{left:?}");
}

pub fn a_business_unit_is_reconciled_with_its_own_runs(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"a", 10, A);
    world.put(2, None, b"b", 10, B);
    world.run_unit(1000, A);
    let of = |letter| ReconcileOptions { unit: Some(unit(letter)), ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &of(A));
    assert!(report.is_good() && report.equal == 1, "{report:?}");
    let report = reconciled(&mut world, &of(B));
    assert_eq!((report.reached, report.not_due, report.counts.len()), (None, 1, 0), "{report:?}");
    world.run_unit(2000, B);
    assert_eq!(reconciled(&mut world, &of(B)).equal, 1);
    // Who has the bundles of one unit alone lacks what only a run over all units brings.
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!((report.reached, report.not_due), (None, 2));
}

/// Bundles of all units are not a unit's: what they brought, its receivers have not.
pub fn rule_17_what_all_units_were_handed_is_nothing_that_a_unit_has(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"a", 10, A);
    let lost = world.run_unit(1000, A).bundles.remove(0);
    world.put(2, None, b"b", 1100, A);
    world.run_unit(2000, A);
    world.run(3000);
    let pending = ReconcileOptions { unit: Some(unit(A)), pend: true, ..ReconcileOptions::default() };
    assert_eq!(reconciled(&mut world, &pending).equal, 2);
    std::fs::remove_dir_all(lost).unwrap();
    let report = reconciled(&mut world, &pending);
    let kinds: Vec<(DifferenceKind, u64)> = report.counts.iter().map(|(kind, count)| (*kind, *count)).collect();
    assert_eq!((kinds, report.equal, report.pended), (vec![(DifferenceKind::Missing, 1)], 1, 1), "{report:?}");
    let table = world.table.name.clone();
    let named = world.backend.named_keys(&table, Some(Scope::BusinessUnit(unit(A))), 9).unwrap();
    assert_eq!((named.len(), named[0].scope), (1, Some(Scope::BusinessUnit(unit(A)))));
    assert!(world.backend.named_keys(&table, Some(Scope::BusinessUnit(unit(B))), 9).unwrap().is_empty());
    assert!(world.backend.named_keys(&table, Some(Scope::All), 9).unwrap().is_empty());
    world.run_unit(4000, A);
    assert!(reconciled(&mut world, &pending).is_good());
}

/// What the tombstones of the run's slice say: the number of each key, and why.
pub fn tombstones(run: &blobdelta::engine::RunReport) -> Vec<(u32, DeletionReason)> {
    let bundle = blobdelta::bundle::Bundle::open(&run.bundles[0]).unwrap();
    let table = &bundle.manifest().tables[0];
    let mut found = Vec::new();
    for file in table.files_of(blobdelta::bundle::FileRole::Tombstones) {
        let each = |some: &blobdelta::rows::PartKeys<'_>| {
            for (nth, key) in some.keys.iter().enumerate() {
                let number = u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap());
                found.push((number, some.reason(nth).unwrap()));
            }
            Ok(())
        };
        let source = blobdelta::rows::TableRows { bundle: &bundle, table };
        source.each_key(file, Default::default(), &Silent, each).unwrap();
    }
    found
}

pub fn rule_17_what_left_a_unit_is_no_deletion_for_anybody_else(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"moves", 10, A);
    world.put(2, None, b"stays", 10, B);
    world.put(3, None, b"goes", 10, A);
    world.run(1000);
    world.run_unit(1010, A);
    world.stamp(1, 10, B);
    world.remove(3);
    let of_a = ReconcileOptions { unit: Some(unit(A)), log_deletions: true, ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &of_a);
    let due = BTreeMap::from([(DifferenceKind::LeftScope, vec![1]), (DifferenceKind::Gone, vec![3])]);
    assert_eq!((numbers(&report), report.deletions), (due, 2));
    let again = reconciled(&mut world, &of_a);
    assert_eq!((again.deletions, again.logged), (0, 2), "{again:?}");
    let all = world.run(2000);
    assert_eq!(tombstones(&all), [(3, DeletionReason::Deleted)], "the row that moved stands");
    let of_unit = world.run_unit(2010, A);
    let due = [(1, DeletionReason::LeftScope), (3, DeletionReason::Deleted)];
    assert_eq!(tombstones(&of_unit), due);
    for options in [&of_a, &ReconcileOptions::default()] {
        let report = reconciled(&mut world, options);
        assert!(report.counts.is_empty(), "{report:?}");
    }
}

pub fn a_source_that_went_back_in_time_is_reported_and_its_bytes_are_compared(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"written over by the restore", 50, A);
    world.put(2, None, b"the same", 50, A);
    world.run(1000);
    world.put(1, None, b"as it was before", 20, A);
    world.stamp(2, 20, A);
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert!(report.is_good(), "{report:?}");
    assert_eq!(numbers(&report), BTreeMap::from([(DifferenceKind::StampedBack, vec![1, 2])]));
    let content = ReconcileOptions { content: true, ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &content);
    let due = BTreeMap::from([(DifferenceKind::StampedBack, vec![2]), (DifferenceKind::WentBack, vec![1])]);
    assert_eq!((numbers(&report), report.is_good()), (due, false));
}

/// A time that is none stops nobody where its key is excluded; else it is named by its key, as a run does.
pub fn rule_20_a_time_that_is_none_is_named_by_its_key_unless_that_is_excluded(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..=3 {
        world.put(number, None, b"row", 10, A);
    }
    let _ = world.run(1000);
    let table = world.table.name.clone();
    let (all, odd) = (ReconcileOptions::default(), "'2026-02-30T00:00:00.0000000'");
    let keys = world.keys;
    let hex = |number| keys.sqlite(number);
    let spoil = |world: &mut World, number: u32| {
        let sql = format!("UPDATE Meta.Docs SET ModifiedOn = {odd} WHERE Id = {}", hex(number));
        world.backend.execute_script(&sql).unwrap();
    };
    let named = |world: &mut World, number: u32, says: &str| {
        let error = tried(world, &all).unwrap_err();
        assert_eq!(error.place().key, Some(keys.shown(number)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.what_to_do().is_some(), "{error}");
    };
    spoil(&mut world, 2);
    named(&mut world, 2, "is no time of the form");
    world.backend.exclude_key(&table, key(2), "no stamp").unwrap();
    let report = reconciled(&mut world, &all);
    assert_eq!((report.is_good(), report.equal, report.excluded), (true, 2, 1), "{report:?}");
    // Out of scope it is looked for from the bundles' side.
    let sql = format!("UPDATE Meta.Docs SET BusinessUnit = NULL WHERE Id IN ({}, {})", hex(1), hex(2));
    world.backend.execute_script(&sql).unwrap();
    assert_eq!(numbers(&reconciled(&mut world, &all)), BTreeMap::from([(DifferenceKind::LeftScope, vec![1, 2])]));
    spoil(&mut world, 1);
    named(&mut world, 1, "is no time of the form");
    world.backend.exclude_key(&table, key(1), "no stamp").unwrap();
    world.remove(3);
    world.log_deletion(3, 1100);
    world.backend.execute_script("UPDATE BlobDeltaDeletionLog SET DeletedOn = '2026-01-00T12:00:00.0000000'").unwrap();
    named(&mut world, 3, "the entry 1 of BlobDeltaDeletionLog");
    // Where no run tells what is logged, no entry is looked at.
    world.table.include_deletions = false;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(numbers(&reconciled(&mut world, &all))[&DifferenceKind::Gone], [3]);
}
