//! Rule 8 between processes: who goes on with a run that somebody else began, and who is kept from writing.

use crate::scenarios::instance::Instance;
use crate::scenarios::session::Session;
use crate::scenarios::world::{A, World, key};
use blobdelta::backend::{BundleRecord, WatermarkRecord};
use blobdelta::error::Kind;
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Run, Scope, Status, Step, TableRun};

fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    (1..=4).for_each(|number| world.put(number, None, b"x", 10, A));
    world.at(1000);
    world
}

/// A process that dies after its first batch, or seems to.
fn begun(world: &World) -> (Session, Run, TableRun) {
    let mut process = world.another();
    let run = process.start_run(&world.options().request, None).unwrap();
    let table_run = process.start_table(&run, &world.table, 600).unwrap();
    process.run_batch(&table_run, Step::Roots, 2).unwrap();
    (process, run, table_run)
}

/// Whatever an attempt that is over tries is refused, and changes nothing, how the run ended neither.
fn nothing_is_taken_from_an_earlier_attempt(world: &mut World, process: &mut Session, run: &Run, table_run: &TableRun) {
    nothing_is_taken_from(world, process, run, table_run);
    let table = world.table.clone();
    for error in [
        process.start_table(run, &table, 600).unwrap_err(),
        process.fail_table(run, &table.name, Some(&table_run.fence), Status::Failed, "late").unwrap_err(),
        process.finish_run(run, Status::Failed, Some("late")).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Superseded, "{error}");
    }
    assert!(world.backend.run_steps(run.id).unwrap().iter().all(|step| step.error.as_deref() != Some("late")));
}

/// Whoever lost his lease writes nothing more into the slice.
fn nothing_is_taken_from(world: &mut World, process: &mut Session, run: &Run, table_run: &TableRun) {
    let before = (world.slice(), world.backend.run_steps(run.id).unwrap().len(), world.mark());
    let status = world.backend.run(run.id).unwrap().status;
    for error in [
        process.run_batch(table_run, Step::Roots, 2).unwrap_err(),
        process.queue_missing_parents(table_run).unwrap_err(),
        process.finish_table(table_run, true).unwrap_err(),
        process.lease_keeper().unwrap().renew(&table_run.fence, 600).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Superseded, "{error}");
    }
    process.release_leases(std::slice::from_ref(&table_run.fence)).unwrap();
    let (is_of, after) =
        (|mark: &WatermarkRecord| (mark.is_running, mark.lease_epoch, mark.lease_run_id), world.mark());
    assert_eq!((world.slice(), world.backend.run_steps(run.id).unwrap().len()), (before.0, before.1));
    assert_eq!(is_of(&after), is_of(&before.2));
    assert_eq!(world.backend.run(run.id).unwrap().status, status);
}

pub fn rule_8_a_resume_takes_the_lease_of_its_own_run_at_once(on: &Instance) {
    let mut world = seeded(on);
    let (mut dead, run, table_run) = begun(&world);
    let mut options = world.options();
    options.resume = Some(run.id);
    // Its lease would last for ten minutes yet.
    let report = world.run_with(&options).unwrap();
    assert_eq!((report.run.id, report.run.status), (run.id, Status::Completed));
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
    assert_eq!(report.bundles.len(), 1);
    nothing_is_taken_from_an_earlier_attempt(&mut world, &mut dead, &run, &table_run);
}

pub fn rule_8_of_two_that_resume_a_run_the_later_goes_on_alone(on: &Instance) {
    let mut world = seeded(on);
    let (_, run, _) = begun(&world);
    let (mut first, mut second) = (world.another(), world.another());
    let of_first = first.resume_run(run.id).unwrap();
    let of_second = second.resume_run(run.id).unwrap();
    assert_eq!((of_first.attempt, of_second.attempt), (2, 3));
    let table = world.table.clone();
    let error = first.start_table(&of_first, &table, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::Superseded, "before the later one has taken anything: {error}");
    let table_run = second.start_table(&of_second, &table, 600).unwrap();
    let third = world.another().resume_run(run.id).unwrap();
    nothing_is_taken_from_an_earlier_attempt(&mut world, &mut first, &of_first, &table_run_of(&table_run, 1));
    // The second has its fence yet: what it copies is not lost, but it ends nothing.
    second.run_batch(&table_run, Step::Roots, 2).unwrap();
    assert_eq!(second.finish_run(&of_second, Status::Failed, None).unwrap_err().kind(), Kind::Superseded);
    assert_eq!(third.attempt, 4);
    let mut options = world.options();
    options.resume = Some(run.id);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.run.status, Status::Completed);
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
}

/// The same table run under a fence from so many takes before.
fn table_run_of(table_run: &TableRun, before: i64) -> TableRun {
    let mut old = table_run.clone();
    old.fence.epoch -= before;
    old
}

pub fn rule_8_a_run_that_was_resumed_elsewhere_ends_itself_there(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    let (mut alive, run, table_run) = begun(&world);
    let mut options = world.options();
    options.resume = Some(run.id);
    world.run_with(&options).unwrap();
    nothing_is_taken_from_an_earlier_attempt(&mut world, &mut alive, &run, &table_run);
    let other = alive.table(&crate::scenarios::world::name("Src.dbo.Other")).unwrap();
    let error = alive.start_table(&run, &other, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::Superseded, "it begins no other table either: {error}");
    assert!(error.to_string().contains("resumed"), "{error}");
}

pub fn rule_8_a_dead_holder_is_taken_over_by_name_and_that_is_reported(on: &Instance) {
    let mut world = seeded(on);
    let (mut dead, run, table_run) = begun(&world);
    let refused = world.run_with(&world.options()).unwrap();
    let error = refused.tables[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::LeaseHeld);
    let reported = error.to_string();
    assert!(
        reported.contains(&format!("--resume {}", run.id)) && reported.contains(&format!("--take-over {}", run.id)),
        "{reported}"
    );
    let mut options = world.options();
    options.take_over = Some(Guid::from_bytes([9; 16]));
    assert_eq!(world.run_with(&options).unwrap_err().kind(), Kind::Usage, "a number that is no run's");
    options.take_over = Some(refused.run.id);
    let report = world.run_with(&options).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::LeaseHeld, "only who was named is taken over");
    options.take_over = Some(run.id);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.tables[0].status, Status::Completed);
    assert_eq!(report.tables[0].took_over, Some(run.id));
    let steps = world.backend.run_steps(report.run.id).unwrap();
    let note = steps.iter().find(|step| step.status == "TookOver").unwrap();
    assert!(note.error.as_ref().unwrap().contains(&run.id.to_string()), "{note:?}");
    is_ended_by(&mut world, run.id, report.run.id);
    nothing_is_taken_from(&mut world, &mut dead, &run, &table_run);
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
}

/// A run that did not end is told to have failed, and who has its lease now.
fn is_ended_by(world: &mut World, dead: Guid, by: Guid) {
    let ended = world.backend.run(dead).unwrap();
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.error.as_ref().is_some_and(|error| error.contains(&format!("run {by} took the lease"))), "{ended:?}");
}

/// Its lease has expired, and the next run takes the table: nobody has to name it.
pub fn rule_8_a_run_that_died_has_failed_once_another_has_its_lease(on: &Instance) {
    let mut world = seeded(on);
    let (_, dead, _) = begun(&world);
    assert_eq!(world.backend.run(dead.id).unwrap().status, Status::Running);
    let report = world.run(9000);
    assert_eq!(report.run.status, Status::Completed);
    is_ended_by(&mut world, dead.id, report.run.id);
    // One that ended by itself stays as it ended.
    let next = world.run(20_000);
    assert_eq!(next.run.status, Status::Completed);
    assert_eq!(world.backend.run(report.run.id).unwrap().status, Status::Completed);
}

/// Who dies once the bundle is recorded leaves no lease behind.
pub fn rule_8_the_record_of_a_bundle_releases_its_leases(on: &Instance) {
    let mut world = seeded(on);
    let mut options = world.options();
    options.out = None;
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let record = |run: &Run, table: &TableName| BundleRecord {
        remembers_content: false,
        columns: Vec::new(),
        run_id: run.id,
        table: table.clone(),
        pack_number: 1,
        scope: Scope::All,
        root_sha256: Sha256::of(run.id.as_bytes()),
        previous_root_sha256: None,
        name: "x.bundle".into(),
        folder: "/out".into(),
        published_at: run.started_at.utc,
        ship_to: None,
        shipped_at: None,
    };
    for (at, keeps) in [(1000, true), (2000, false)] {
        world.at(at);
        let run = world.run_with(&options).unwrap().run;
        let table = world.table.name.clone();
        let mut dead = world.another();
        let fence = dead.take_lease(run.id, &table, 600).unwrap();
        dead.record_bundle(&[(fence.clone(), record(&run, &table))], keeps).unwrap();
        assert_eq!(world.mark().is_running, keeps);
        let next = world.run_with(&options).unwrap();
        assert_eq!(next.tables[0].status == Status::Completed, !keeps, "{:?}", next.tables[0].error);
        dead.release_leases(&[fence]).unwrap();
    }
}

pub fn rule_8_a_dead_pack_is_taken_over_by_name(on: &Instance) {
    let mut world = seeded(on);
    let mut options = world.options();
    options.out = None;
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let run = world.run_with(&options).unwrap().run.id;
    let table = world.table.name.clone();
    // A pack of this run that died, or seems to.
    let mut dead = world.another();
    dead.take_lease(run, &table, 600).unwrap();
    assert_eq!(world.another().take_lease(run, &table, 600).unwrap_err().kind(), Kind::LeaseHeld, "it may be alive");
    let mut named = world.another();
    named.take_over(run).unwrap();
    let fence = named.take_lease(run, &table, 600).unwrap();
    assert!(dead.lease_keeper().unwrap().renew(&fence, 600).is_ok());
    assert_eq!(world.slice().len(), 4);
    assert!(world.slice().contains_key(&key(1)));
}
