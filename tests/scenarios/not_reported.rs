//! Reconciliation where what is logged reaches nobody: it explains nothing, and what to do is reported.

use crate::scenarios::deletions::{found, reconciled};
use crate::scenarios::instance::Instance;
use crate::scenarios::reconcile::tombstones;
use crate::scenarios::world::{A, B, World, key, name, unit};
use blobdelta::model::slice::DeletionReason::{Deleted, LeftScope};
use blobdelta::reconcile::{DifferenceKind, NotReported, ReconcileOptions, TableDifferences};

fn of_a() -> ReconcileOptions {
    ReconcileOptions { unit: Some(unit(A)), log_deletions: true, ..ReconcileOptions::default() }
}

fn what_explains(report: &TableDifferences) -> (usize, u64, u64) {
    (report.findings.len(), report.logged, report.deletions)
}

pub fn rule_17_nothing_that_is_logged_explains_what_a_unit_that_is_gone_has(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"moves", 10, A);
    world.put(2, None, b"goes", 10, A);
    world.run_unit(1000, A);
    assert!(world.backend.delete(&name("Src.dbo.Units"), ("Id", unit(A))).unwrap());
    world.stamp(1, 1010, B);
    world.remove(2);
    world.log_deletion(2, 1100);
    world.run(2000);
    for deletions in [1, 0] {
        let report = reconciled(&mut world, &of_a());
        assert_eq!(report.not_reported, Some(NotReported::UnitIsGone(unit(A))));
        let kinds = [DifferenceKind::LeftScope, DifferenceKind::Gone].map(|kind| found(&report, kind));
        assert_eq!(kinds, [vec![1], vec![2]], "{report:?}");
        assert_eq!(what_explains(&report), (2, 0, deletions), "each is logged once: {report:?}");
        for kind in [DifferenceKind::LeftScope, DifferenceKind::Gone] {
            assert!(report.what_to_do(kind).contains(&format!("blobdelta run --business-unit {}", unit(A))));
        }
    }
    // As it says.
    world.unit_in_scope(A);
    assert_eq!(what_explains(&reconciled(&mut world, &of_a())), (0, 2, 0));
    assert_eq!(tombstones(&world.run_unit(3000, A)), [(1, LeftScope), (2, Deleted)]);
    assert!(world.backend.delete(&name("Src.dbo.Units"), ("Id", unit(A))).unwrap());
    let report = reconciled(&mut world, &of_a());
    assert_eq!(what_explains(&report), (0, 0, 0), "{report:?}");
}

pub fn rule_17_what_a_unit_does_not_know_to_have_handed_out_is_reported_as_left(on: &Instance) {
    let mut world = World::new(on);
    for number in [1, 2, 3] {
        world.put(number, None, b"row", 10, A);
    }
    world.run_unit(1000, A);
    world.script("DELETE FROM BlobDeltaShippedKey", "DELETE FROM dbo.BlobDeltaShippedKey");
    world.remove(1);
    let source = world.table.source.clone();
    assert!(world.backend.delete(&source, ("stream_id", key(2))).unwrap(), "its metadata stands");
    // The runs of all units tell this one; those of the unit do not know that it is theirs.
    world.log_deletion(1, 1100);
    world.run(2000);
    let report = reconciled(&mut world, &of_a());
    assert_eq!((found(&report, DifferenceKind::Gone), what_explains(&report)), (vec![2, 1], (2, 0, 2)), "{report:?}");
    let report = reconciled(&mut world, &of_a());
    assert_eq!(what_explains(&report), (0, 2, 0), "{report:?}");
    assert_eq!(tombstones(&world.run_unit(3000, A)), [(1, LeftScope), (2, LeftScope)]);
    let report = reconciled(&mut world, &of_a());
    assert_eq!((what_explains(&report), report.equal), ((0, 0, 0), 1), "{report:?}");
    // Its blob comes back: what was logged outranks what was handed out, and nothing that comes.
    world.put(2, None, b"again", 2900, A);
    world.run_unit(4000, A);
    let report = reconciled(&mut world, &of_a());
    assert_eq!((what_explains(&report), report.equal), ((0, 0, 0), 2), "{report:?}");
}

pub fn rule_17_a_leaving_that_was_told_in_a_bundle_that_is_lost_is_reported_again(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"moves", 10, A);
    world.put(2, None, b"goes", 10, A);
    world.run_unit(1000, A);
    world.stamp(1, 10, B);
    world.stamp(2, 10, B);
    let lost = world.run_unit(2000, A);
    assert_eq!(tombstones(&lost), [(1, LeftScope), (2, LeftScope)]);
    std::fs::remove_dir_all(&lost.bundles[0]).unwrap();
    world.remove(2);
    let report = reconciled(&mut world, &of_a());
    let kinds = [DifferenceKind::LeftScope, DifferenceKind::Gone].map(|kind| found(&report, kind));
    assert_eq!((kinds, what_explains(&report)), ([vec![1], vec![2]], (2, 0, 2)), "{report:?}");
    assert_eq!(what_explains(&reconciled(&mut world, &of_a())), (0, 2, 0));
    assert_eq!(tombstones(&world.run_unit(3000, A)), [(1, LeftScope), (2, LeftScope)]);
    assert_eq!(what_explains(&reconciled(&mut world, &of_a())), (0, 0, 0));
}

pub fn rule_15_what_no_run_tells_is_logged_once_and_explains_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"goes", 10, A);
    world.run(1000);
    world.table.include_deletions = false;
    world.backend.save_table(&world.table.clone()).unwrap();
    world.remove(1);
    let all = ReconcileOptions { log_deletions: true, ..ReconcileOptions::default() };
    for deletions in [1, 0] {
        let report = reconciled(&mut world, &all);
        assert_eq!(
            (report.not_reported, what_explains(&report)),
            (Some(NotReported::DeletionsAreOff), (1, 0, deletions))
        );
        let what_to_do = report.what_to_do(DifferenceKind::Gone);
        assert!(what_to_do.contains("blobdelta table set Src.dbo.Docs IncludeDeletions=1"), "{what_to_do}");
    }
    world.table.include_deletions = true;
    world.backend.save_table(&world.table.clone()).unwrap();
    assert_eq!(what_explains(&reconciled(&mut world, &all)), (0, 1, 0));
    assert_eq!(tombstones(&world.run(2000)), [(1, Deleted)]);
}

pub fn rule_16_bundles_of_another_source_are_reported_and_say_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"row", 10, A);
    world.run(1000);
    let all = ReconcileOptions::default();
    let report = reconciled(&mut world, &all);
    assert_eq!((report.bundles, report.foreign_bundles, report.equal), (1, 0, 1));
    let other = "UPDATE BlobDeltaSource SET SourceId = ";
    world.script(&format!("{other}randomblob(16)"), &format!("{other}NEWID()"));
    let report = reconciled(&mut world, &all);
    assert_eq!((report.bundles, report.foreign_bundles, found(&report, DifferenceKind::Missing)), (0, 1, vec![1]));
}
