//! Business units, chains and deletions: rules 12, 15 and 16.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, BUFFER, World, X, key, minute, name, unit};
use blobdelta::model::run::{Scope, Status};
use blobdelta::model::slice::Deletion;

pub fn rule_12_a_run_for_one_unit_takes_its_rows_and_moves_its_watermark_alone(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    world.put(2, None, b"of B", 10, B);
    let report = world.run_unit(1000, A);
    assert_eq!(world.numbers(), [1]);
    assert_eq!(report.run.scope, Scope::BusinessUnit(unit(A)));
    let mark = world.mark();
    assert_eq!((mark.last_high_water, mark.is_initial_full_load_done), (None, false));
    world.run(2000);
    assert_eq!(world.numbers(), [1, 2], "the table's own window starts at the beginning");
    let mark = world.mark();
    assert_eq!(mark.last_high_water, Some(minute(2000 - BUFFER)));
    assert!(mark.is_initial_full_load_done, "the first completed run over all units sets it");
    let report = world.run_unit(3000, A);
    let window = report.tables[0].window.unwrap();
    assert_eq!(window.start, minute(1000 - 2 * BUFFER), "the unit's own watermark");
}

pub fn rule_12_a_unit_that_is_new_in_scope_is_reported_until_a_run_knows_it(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of X", 10, X);
    let report = world.run(5000);
    assert!(report.tables[0].new_business_units.is_empty(), "the first run takes everything");
    world.unit_in_scope(X);
    let report = world.run(20_000);
    assert_eq!(report.tables[0].new_business_units, [unit(X)]);
    assert_eq!(world.numbers(), [] as [u32; 0], "its old rows are in no window");
    let report = world.run_unit(20_001, X);
    assert_eq!(report.tables[0].status, Status::Completed);
    assert_eq!(world.numbers(), [1], "the command that the summary names loads them");
    let report = world.run(30_000);
    assert!(report.tables[0].new_business_units.is_empty());
}

/// What changed while it was away lies in no window of all units.
pub fn rule_12_a_unit_that_comes_back_is_new_again(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of A", 10, A);
    world.run(5000);
    assert!(world.backend.delete(&name("Src.dbo.Units"), ("Id", unit(A))).unwrap());
    world.put(2, None, b"while it was away", 5100, A);
    for at in [10_000, 20_000] {
        assert!(world.run(at).tables[0].new_business_units.is_empty());
    }
    world.unit_in_scope(A);
    let report = world.run(30_000);
    assert_eq!(report.tables[0].new_business_units, [unit(A)]);
    assert!(world.run(40_000).tables[0].new_business_units.is_empty());
}

pub fn rule_12_a_unit_that_nobody_knows_is_refused(on: &Instance) {
    let mut world = World::new(on);
    let mut options = world.options();
    options.request.scope = Scope::BusinessUnit(unit(0x7));
    let error = world.run_with(&options).unwrap_err();
    assert!(error.to_string().contains("business unit"), "{error}");
    assert!(world.backend.recent_runs(9).unwrap().is_empty(), "nothing was written");
}

fn deletions(world: &mut World) -> Vec<Deletion> {
    let run = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(run.id, &name("Src.dbo.Docs"), 60).unwrap();
    let deletions = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    deletions
}

pub fn rule_15_what_is_logged_late_is_reported_once_and_deleted_on_competes(on: &Instance) {
    let mut world = World::new(on);
    world.run(1000);
    world.at(1500);
    world.log_deletion(1, 20);
    let report = world.run(2000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 1);
    let found = deletions(&mut world);
    assert_eq!((found[0].key, found[0].deleted_on), (key(1), minute(20)), "logged late, and not lost");
    world.run(9000);
    assert_eq!(deletions(&mut world), []);
}

pub fn rule_15_the_latest_deletion_of_a_key_is_taken(on: &Instance) {
    let mut world = World::new(on);
    world.log_deletion(1, 10);
    world.log_deletion(1, 30);
    world.log_deletion(1, 20);
    world.run(1000);
    assert_eq!(deletions(&mut world)[0].deleted_on, minute(30));
}

pub fn rule_15_deletions_are_left_out_where_the_table_says_so(on: &Instance) {
    let mut world = World::new(on);
    world.table.include_deletions = false;
    world.backend.save_table(&world.table.clone()).unwrap();
    world.log_deletion(1, 10);
    let report = world.run(1000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 0);
}

pub fn rule_16_a_chain_is_of_one_scope(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let root = |world: &mut World, report: &blobdelta::engine::RunReport| {
        let record = world.backend.bundles(report.run.id).unwrap().remove(0);
        (record.root_sha256, record.previous_root_sha256)
    };
    let report = world.run(1000);
    let first = root(&mut world, &report);
    let report = world.run_unit(1500, A);
    let of_unit = root(&mut world, &report);
    let report = world.run(2000);
    let second = root(&mut world, &report);
    assert_eq!((first.1, of_unit.1, second.1), (None, None, Some(first.0)));
}

pub fn a_run_for_a_unit_leaves_out_tables_without_units_and_reports_it(on: &Instance) {
    let mut world = World::new(on);
    world.add_table("Other");
    let mut other = crate::scenarios::world::config("Other");
    other.metadata_business_unit_column = None;
    (other.business_unit_table, other.business_unit_id_column) = (None, None);
    world.backend.save_table(&other).unwrap();
    let report = world.run_unit(1000, A);
    let statuses: Vec<_> = report.tables.iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [Status::Completed]);
    assert_eq!(report.left_out, [name("Src.dbo.Other")]);
    let steps = world.backend.run_steps(report.run.id).unwrap();
    let left_out: Vec<_> = steps.iter().filter(|step| step.status == "LeftOut").map(|step| &step.table).collect();
    assert_eq!(left_out, [&other.name]);
    // One that is named is an error, and so is a unit where no table has any.
    let mut options = world.options();
    options.request.scope = blobdelta::model::run::Scope::BusinessUnit(crate::scenarios::world::unit(A));
    options.request.table = Some(other.name);
    assert!(world.run_with(&options).unwrap_err().to_string().contains("no business units"));
    options.request.table = None;
    let mut docs = world.table.clone();
    docs.is_active = false;
    world.backend.save_table(&docs).unwrap();
    assert!(world.run_with(&options).unwrap_err().to_string().contains("no active table has business units"));
}
