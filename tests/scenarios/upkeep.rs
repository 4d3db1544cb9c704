//! What a deployment is asked and told beside its runs: tables that are removed, data that does not mean what
//! the configuration says, and an embedded source that stays as it is.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, X, key, minute, name};
use blobdelta::backend::Severity;
use blobdelta::error::Kind;
use blobdelta::model::run::Status;

pub fn a_table_is_removed_with_what_was_kept_for_it(on: &Instance) {
    let mut world = World::new(on);
    let table = name("Src.dbo.Docs");
    world.put(1, None, b"x", 10, A);
    let run = world.run(1000).run.id;
    world.backend.exclude_key(&table, key(7), "poison").unwrap();
    world.backend.remove_table(&table, false).unwrap();
    assert!(world.backend.tables().unwrap().iter().all(|config| config.name != table));
    assert!(world.backend.watermarks().unwrap().iter().all(|mark| mark.table != table));
    assert_eq!(world.backend.bundles(run).unwrap().len(), 1, "what was done stays known");
    assert_eq!(world.numbers(), [1], "the slice is left as it is");
    assert_eq!(world.backend.remove_table(&table, false).unwrap_err().kind(), Kind::Config);
    world.backend.save_table(&world.table.clone()).unwrap();
    assert!(world.backend.named_keys(&table, None, 10).unwrap().is_empty());
    assert_eq!(world.mark().last_high_water, None);
}

/// The chain goes on, so what it handed out is not forgotten.
pub fn a_table_that_is_removed_and_added_tells_a_unit_what_is_gone(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let _ = world.run_unit(1000, A);
    world.remove(1);
    world.at(1100);
    world.log_deletion(1, 1100);
    world.backend.remove_table(&name("Src.dbo.Docs"), false).unwrap();
    world.backend.save_table(&world.table.clone()).unwrap();
    let report = world.run_unit(9000, A);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 1);
}

pub fn a_table_that_is_at_work_or_not_packed_is_removed_by_force_alone(on: &Instance) {
    let mut world = World::new(on);
    let table = name("Src.dbo.Docs");
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.start_run();
    let held = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    let error = world.backend.remove_table(&table, false).unwrap_err();
    assert_eq!(error.kind(), Kind::LeaseHeld, "{error}");
    world.backend.release_leases(&[held.fence]).unwrap();
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let mut options = world.options();
    options.out = None;
    assert_eq!(world.run_with(&options).unwrap().run.status, Status::Completed);
    let error = world.backend.remove_table(&table, false).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.what_to_do().unwrap().contains("table remove Src.dbo.Docs --force"), "{error:?}");
    world.backend.remove_table(&table, true).unwrap();
}

/// What `table add`, `table set` and `doctor` see in the data.
pub fn rule_21_the_data_says_whether_the_configuration_means_it(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..31 {
        world.blob(number, (number > 1).then_some(1), b"x");
        world.stamp_as(5000 + number, number, Some(minute(10)), Some(A));
    }
    world.at(1000);
    let found = world.backend.look_at_data(&world.table.clone()).unwrap();
    assert!(found.iter().all(|advice| advice.severity == Severity::Ok), "{found:?}");
    assert!(found.iter().any(|advice| advice.finding.contains("no deletion of this table is logged")), "{found:?}");
    let mut wrong = world.table.clone();
    wrong.metadata_id_column = "RowId".into();
    let (path, parent) = (wrong.path_column.clone(), wrong.parent_path_column.clone());
    (wrong.path_column, wrong.parent_path_column) = (parent, path);
    world.backend.save_table(&wrong).unwrap();
    let found = world.backend.look_at_data(&wrong).unwrap();
    let errors: Vec<_> = found.iter().filter(|advice| advice.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 2, "{found:?}");
    assert!(errors[0].finding.contains("30 of 30 keys of the metadata have no row"), "{found:?}");
    assert!(errors[1].finding.contains("of 30 children have no parent"), "{found:?}");
    let reported = world.backend.doctor().unwrap();
    assert!(reported.iter().any(|advice| advice.finding.contains("keys of the metadata have no row")), "{reported:?}");
}

pub fn rule_20_the_doctor_counts_what_no_window_will_take(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, X);
    world.blob(2, None, b"no metadata");
    world.blob(3, None, b"no stamp");
    world.stamp_as(3, 3, None, Some(A));
    world.put(4, None, b"of the future", 99_999, A);
    world.log_deletion(9, 99_999);
    world.at(1000);
    let reported = world.backend.doctor().unwrap();
    for due in [
        "1 rows of the metadata have no stamp",
        "1 keys are stamped in the future",
        "1 blobs of the source have no metadata row",
        "1 logged deletions are dated in the future",
    ] {
        let is_it = |advice: &&blobdelta::backend::Advice| advice.finding.starts_with(due);
        assert_eq!(reported.iter().filter(is_it).count(), 1, "{due}: {reported:?}");
    }
}

/// Somebody else's database is in the mode that it is in, and somebody who reads it is in nobody's way.
pub fn a_source_keeps_its_journal_mode_and_an_idle_reader_is_no_lock(on: &Instance) {
    for mode in ["wal", "delete"] {
        let mut world = World::new(on);
        let script = format!("PRAGMA Src.journal_mode = {mode}; PRAGMA Meta.journal_mode = {mode}");
        world.backend.execute_script(&script).unwrap();
        world.put(1, None, b"x", 10, A);
        let mut idle = world.another();
        idle.execute_script("BEGIN; SELECT count(*) FROM Src.Docs; SELECT count(*) FROM Meta.Docs").unwrap();
        world.restart();
        assert_eq!(world.run(1000).run.status, Status::Completed);
        assert_eq!(world.numbers(), [1]);
        drop(idle);
        let header = std::fs::read(world.dir.path().join("source").join("Src.sqlite")).unwrap();
        // The version numbers of the file format: 2 for WAL, 1 for rollback journals.
        let due = if mode == "wal" { [2, 2] } else { [1, 1] };
        assert_eq!(header[18..20], due, "{mode}");
    }
}
