//! Rule 18: a bundle goes only where its own run was told, sealed as it was told; what could not be
//! packed stays, and stops no other table.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, name, unit};
use blobdelta::backend::PackState;
use blobdelta::bundle::{Bundle, PublishForm, Recipients, places};
use blobdelta::durable::{Faulty, When};
use blobdelta::engine::{self, PackRequest, RunOptions, RunReport, Waiver};
use blobdelta::error::{Kind, Result, Unfinished};
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Status};
use blobdelta::model::slice::SliceState;
use blobdelta::monitor::{Event, Monitor, Silent};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub const TO_ALL: &str = "s3://everybody/weekly";
const TO_A: &str = "s3://a/weekly";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// An operator who presses Ctrl-C when packing begins.
#[derive(Default)]
pub struct StopsPacking(AtomicBool);

impl Monitor for StopsPacking {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::WorkStarted { what: "pack", .. }) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Rows of two units.
fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.put(1, None, b"of a", 10, A);
    world.put(2, None, b"of b", 10, B);
    world
}

/// What is told to a run over all units, or over one, with a folder of its own.
pub fn reported(world: &World, folder: &str, letter: Option<u8>, ship_to: Option<&str>) -> RunOptions {
    let out = world.dir.path().join(folder);
    std::fs::create_dir_all(&out).unwrap();
    let mut options = world.options();
    options.request.scope = Scope::from(letter.map(unit));
    options.pack.waive.place = false;
    options.pack.ship_to = ship_to.map(str::to_owned);
    options.out = Some(out);
    options
}

/// A run that fills its slices and is stopped when it packs them.
pub fn stopped(world: &mut World, at: i64, options: &RunOptions) -> Guid {
    world.at(at);
    let error =
        engine::run(&mut *world.backend, options, &*Arc::clone(&world.disk), &StopsPacking::default()).unwrap_err();
    let run = world.backend.recent_runs(1).unwrap().remove(0);
    assert_eq!((error.kind(), run.status), (Kind::Cancelled, Status::Completed), "{error}");
    assert_eq!(error.what_is_unfinished(), Some(&Unfinished::Pack(run.id.to_string())), "{error:?}");
    run.id
}

fn run_at(world: &mut World, at: i64, options: &RunOptions) -> RunReport {
    world.at(at);
    world.run_with(options).unwrap()
}

pub fn pack(world: &mut World, run: Guid, options: &RunOptions) -> Result<engine::PackReport> {
    let (out, disk) = (options.out.clone().unwrap(), Arc::clone(&world.disk));
    engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: run, out: &out, options: &options.pack, lease_seconds: 600 },
        &*disk,
        &Silent,
    )
}

/// Whose rows the bundles of a folder have.
fn scopes(folder: &PathBuf) -> Vec<Option<Guid>> {
    let places = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let bundles = places.filter(|path| path.is_dir()).map(|path| Bundle::open(&path).unwrap());
    let mut found: Vec<_> = bundles.map(|bundle| bundle.manifest().run.business_unit).collect();
    found.sort();
    found
}

/// The one table of the run was not taken, because of what another run left.
fn kept_back(world: &mut World, report: &RunReport, left: Guid) -> String {
    let outcome = &report.tables[0];
    let error = outcome.error.as_ref().unwrap();
    assert_eq!((outcome.status, error.kind()), (Status::Failed, Kind::NotPacked), "{error}");
    let hint = error.what_to_do().unwrap().to_owned();
    assert!(hint.contains(&format!("blobdelta pack --run {left} --out ")), "{hint}");
    assert!(hint.contains(&format!("blobdelta pack --run {left} --give-up --table Src.dbo.Docs")), "{hint}");
    let table = world.table.clone();
    let marker = world.backend.slice_marker(&table).unwrap();
    assert_eq!((marker.run_id, marker.state), (Some(left), SliceState::Complete), "nothing was emptied");
    format!("{error}")
}

pub fn rule_18_what_all_units_left_never_reaches_the_folder_of_one(on: &Instance) {
    let mut world = seeded(on);
    let all = reported(&world, "all", None, Some(TO_ALL));
    let one = reported(&world, "one", Some(A), Some(TO_A));
    let left = stopped(&mut world, 1000, &all);
    let recorded = world.backend.run(left).unwrap().destination.unwrap();
    assert_eq!((recorded.ship_to.as_deref(), recorded.out_folder), (Some(TO_ALL), path_text(&all)));
    let report = run_at(&mut world, 2000, &one);
    assert_eq!(report.run.status, Status::Completed);
    assert_eq!(scopes(one.out.as_ref().unwrap()), [Some(unit(A))]);
    assert_eq!(scopes(all.out.as_ref().unwrap()), [None]);
    let unshipped = blobdelta::shipping::unshipped(&mut *world.backend, &report.run.selection()).unwrap();
    let of = |unshipped: &[blobdelta::backend::PendingShipment]| -> Vec<(Guid, String)> {
        unshipped.iter().map(|bundle| (bundle.run_id, bundle.ship_to.clone())).collect()
    };
    assert_eq!(of(&unshipped.own), [(report.run.id, TO_A.to_owned())], "a unit's run ships its own alone");
    assert_eq!(of(&unshipped.of_others), [(left, TO_ALL.to_owned())]);
}

fn path_text(options: &RunOptions) -> String {
    options.out.as_ref().unwrap().to_str().unwrap().to_owned()
}

pub fn rule_18_what_one_unit_left_never_reaches_another_or_all(on: &Instance) {
    for other in [Some(B), None] {
        let mut world = seeded(on);
        let one = reported(&world, "one", Some(A), None);
        let left = stopped(&mut world, 1000, &one);
        let next = reported(&world, "next", other, Some(TO_ALL));
        run_at(&mut world, 2000, &next);
        assert_eq!(scopes(one.out.as_ref().unwrap()), [Some(unit(A))]);
        assert_eq!(scopes(next.out.as_ref().unwrap()), [other.map(unit)]);
        assert_eq!(world.backend.bundles(left).unwrap()[0].ship_to, None, "nobody told it to be shipped");
    }
}

pub fn rule_18_a_leftover_whose_folder_is_gone_stays_until_somebody_packs_it(on: &Instance) {
    let mut world = seeded(on);
    let all = reported(&world, "all", None, None);
    let left = stopped(&mut world, 1000, &all);
    std::fs::remove_dir_all(all.out.as_ref().unwrap()).unwrap();
    let one = reported(&world, "one", Some(A), None);
    let report = run_at(&mut world, 2000, &one);
    let says = kept_back(&mut world, &report, left);
    assert!(says.contains("the folder for bundles is not there"), "{says}");
    assert_eq!(scopes(one.out.as_ref().unwrap()), []);
    let elsewhere = reported(&world, "elsewhere", None, None);
    let packed = pack(&mut world, left, &elsewhere).unwrap();
    assert_eq!((packed.bundles.len(), packed.failed.len()), (1, 0));
    let recorded = world.backend.run(left).unwrap().destination.unwrap();
    assert_eq!(recorded.out_folder, path_text(&elsewhere), "what the run was told last");
    assert_eq!(run_at(&mut world, 3000, &one).run.status, Status::Completed);
}

/// By a run of the same tables and units: into its own folder, and to the receiver whom either names.
pub fn rule_18_a_run_of_the_same_tables_and_units_takes_what_the_last_one_left_with_it(on: &Instance) {
    for (named, gets) in [(None, TO_ALL), (Some(TO_A), TO_A)] {
        let mut world = seeded(on);
        let first = reported(&world, "first", None, Some(TO_ALL));
        let left = stopped(&mut world, 1000, &first);
        let second = reported(&world, "second", None, named);
        let report = run_at(&mut world, 2000, &second);
        assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 2));
        assert_eq!(scopes(second.out.as_ref().unwrap()), [None, None]);
        assert_eq!(scopes(first.out.as_ref().unwrap()), []);
        assert_eq!(world.backend.bundles(left).unwrap()[0].ship_to.as_deref(), Some(gets));
    }
}

pub fn rule_18_a_run_of_one_table_packs_nothing_of_the_others(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    let all = reported(&world, "all", None, None);
    let left = stopped(&mut world, 1000, &all);
    let mut one = reported(&world, "one", None, None);
    one.request.table = Some(name("Src.dbo.Other"));
    assert_eq!(run_at(&mut world, 2000, &one).run.status, Status::Completed);
    let states = |world: &mut World| -> Vec<PackState> {
        world.backend.run_tables(left).unwrap().into_iter().map(|(_, state)| state).collect()
    };
    assert_eq!(states(&mut world), [PackState::Unpacked, PackState::SliceGone]);
    let tables = |world: &mut World| -> Vec<(String, u32)> {
        let bundles = world.backend.bundles(left).unwrap();
        bundles.into_iter().map(|record| (record.table.table, record.pack_number)).collect()
    };
    assert_eq!(tables(&mut world), [("Other".to_owned(), 1)]);
    assert_eq!(scopes(one.out.as_ref().unwrap()).len(), 1, "its own");
    // Two runs' leftovers at once: of this one's table, and what the first left of the other.
    let second = stopped(&mut world, 3000, &one);
    let report = run_at(&mut world, 4000, &all);
    assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 3));
    assert_eq!(tables(&mut world), [("Other".to_owned(), 1), ("Docs".to_owned(), 2)]);
    assert_eq!(scopes(one.out.as_ref().unwrap()).len(), 2, "where its own run was told");
    assert_eq!(world.backend.run_tables(second).unwrap()[0].1, PackState::SliceGone);
}

/// Somebody else packs a leftover while a run is about to.
struct PackedMeanwhile(std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Monitor for PackedMeanwhile {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Note(note) if note.starts_with("packing what run"))
            && let Some(pack) = self.0.lock().unwrap().take()
        {
            pack();
        }
    }
}

/// What is to be packed is read before its lease is taken.
pub fn rule_18_a_leftover_that_somebody_else_has_just_packed_is_not_packed_twice(on: &Instance) {
    let mut world = seeded(on);
    let options = reported(&world, "all", None, None);
    let left = stopped(&mut world, 1000, &options);
    world.at(2000);
    let (open, same, disk) = (world.place.opener(), options.clone(), Arc::clone(&world.disk));
    let pack = move || {
        let out = same.out.clone().unwrap();
        engine::pack(
            &mut *open(),
            &PackRequest { run_id: left, out: &out, options: &same.pack, lease_seconds: 600 },
            &*disk,
            &Silent,
        )
        .unwrap();
    };
    let monitor = PackedMeanwhile(std::sync::Mutex::new(Some(Box::new(pack))));
    let report = engine::run(&mut *world.backend, &options, &*Arc::clone(&world.disk), &monitor).unwrap();
    assert!(monitor.0.lock().unwrap().is_none(), "it was packed in between");
    assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 1));
    assert_eq!(world.backend.bundles(left).unwrap().len(), 1);
    assert_eq!(scopes(options.out.as_ref().unwrap()), [None, None], "one bundle a run");
}

pub fn rule_18_what_was_told_nothing_is_packed_by_the_same_tables_and_units_alone(on: &Instance) {
    let mut world = seeded(on);
    world.table.require_bundle = Some(false);
    let table = world.table.clone();
    world.backend.save_table(&table).unwrap();
    let mut silent = world.options();
    silent.out = None;
    let left = run_at(&mut world, 1000, &silent).run;
    assert_eq!(left.destination, None);
    let one = reported(&world, "one", Some(A), None);
    let report = run_at(&mut world, 2000, &one);
    let says = kept_back(&mut world, &report, left.id);
    assert!(says.contains("it was told no folder") && says.contains("--out FOLDER"), "{says}");
    let all = reported(&world, "all", None, None);
    let report = run_at(&mut world, 3000, &all);
    assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 2));
    assert_eq!(scopes(one.out.as_ref().unwrap()), []);
}

fn encrypted(mut options: RunOptions) -> RunOptions {
    options.pack.form = PublishForm::Encrypted(Arc::new(Recipients::parse(&[RECIPIENT.to_owned()]).unwrap()));
    options
}

pub fn rule_18_nothing_goes_out_in_plain_that_was_to_be_encrypted(on: &Instance) {
    let mut world = seeded(on);
    let sealed = encrypted(reported(&world, "sealed", None, None));
    let plain = reported(&world, "plain", None, None);
    let one = reported(&world, "one", Some(A), None);
    let left = stopped(&mut world, 1000, &sealed);
    for (at, other) in [(2000, &plain), (2100, &one)] {
        let report = run_at(&mut world, at, other);
        let says = kept_back(&mut world, &report, left);
        assert!(says.contains(&format!("encrypted to {RECIPIENT}")), "{says}");
        assert!(says.contains("--archive --encrypt-to"), "{says}");
    }
    let refused = pack(&mut world, left, &plain).unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.to_string().contains("--unencrypted"), "{refused}");
    assert!(world.backend.bundles(left).unwrap().is_empty());
    let mut by_name = plain.clone();
    by_name.pack.waive = Waiver { encryption: true, ..Waiver::default() };
    pack(&mut world, left, &by_name).unwrap();
    assert_eq!(scopes(plain.out.as_ref().unwrap()), [None]);
    // And the other way: what was told in plain is not kept from its receivers.
    let left = stopped(&mut world, 3000, &plain);
    let report = run_at(&mut world, 4000, &sealed);
    kept_back(&mut world, &report, left);
    assert_eq!(run_at(&mut world, 5000, &plain).run.status, Status::Completed);
    // With the same recipients it goes where it was told, encrypted.
    let left = stopped(&mut world, 6000, &sealed);
    assert_eq!(run_at(&mut world, 7000, &encrypted(one)).run.status, Status::Completed);
    let record = world.backend.bundles(left).unwrap().remove(0);
    assert_eq!(record.folder, path_text(&sealed));
    assert!(record.name.ends_with(".tar.age"), "{}", record.name);
}

/// A run that died between the rename of its bundle and the record.
fn unrecorded(on: &Instance, options: impl Fn(&mut World) -> RunOptions) -> (World, RunOptions, Guid) {
    let dies = |when: When| {
        let mut world = seeded(on);
        let options = options(&mut world);
        world.at(1000);
        let disk = Faulty::new(when);
        world.fail_with(&disk);
        let _ = world.run_with(&options);
        world.restart();
        (world, options, disk.count())
    };
    let count = dies(When::Never).2;
    let died = (1..=count).rev().map(|at| dies(When::CrashAt(at))).find_map(|(mut world, options, _)| {
        let run = world.backend.recent_runs(1).unwrap().remove(0).id;
        let is_it = published(&options) == 1 && world.backend.bundles(run).unwrap().is_empty();
        is_it.then_some((world, options, run))
    });
    died.unwrap()
}

fn published(options: &RunOptions) -> usize {
    places(&[options.out.clone().unwrap()]).unwrap().len()
}

/// How many are kept under another name: nothing is thrown away.
fn set_aside(options: &RunOptions) -> usize {
    let all = std::fs::read_dir(options.out.as_ref().unwrap()).unwrap();
    all.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".unrecorded-")).count()
}

/// Nobody can look into what it published.
pub fn rule_18_an_encrypted_archive_that_nobody_recorded_makes_room_for_itself(on: &Instance) {
    let (mut world, sealed, run) = unrecorded(on, |world| encrypted(reported(world, "sealed", None, None)));
    let report = run_at(&mut world, 2000, &sealed);
    assert_eq!((report.run.status, report.bundles.len(), published(&sealed)), (Status::Completed, 2, 2));
    assert_eq!((world.backend.bundles(run).unwrap().len(), set_aside(&sealed)), (1, 1));
}

/// The next run packs one of its two tables.
pub fn rule_18_a_bundle_of_more_tables_that_nobody_recorded_makes_room(on: &Instance) {
    let (mut world, mut one, run) = unrecorded(on, |world| {
        world.add_table("Other");
        reported(world, "all", None, None)
    });
    one.request.table = Some(world.table.name.clone());
    let report = run_at(&mut world, 2000, &one);
    assert_eq!((report.run.status, report.bundles.len(), published(&one)), (Status::Completed, 2, 2));
    assert_eq!((world.backend.bundles(run).unwrap().len(), set_aside(&one)), (1, 1));
    one.request.table = None;
    assert_eq!(run_at(&mut world, 3000, &one).run.status, Status::Completed);
    assert_eq!((world.backend.bundles(run).unwrap().len(), published(&one)), (2, 4));
}

pub fn rule_18_a_run_that_is_gone_on_with_keeps_to_its_seal_and_takes_the_new_folder(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    world.script("DROP TABLE Src.Other", "USE Src; DROP TABLE dbo.Other; USE BlobDeltaJobs");
    let first = encrypted(reported(&world, "first", None, Some(TO_ALL)));
    let run = run_at(&mut world, 1000, &first).run;
    assert_eq!(run.status, Status::Failed, "one table of two");
    let mut plain = reported(&world, "second", None, None);
    plain.resume = Some(run.id);
    let refused = world.run_with(&plain).unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.to_string().contains(&format!("encrypted to {RECIPIENT}")), "{refused}");
    assert_eq!(world.backend.run(run.id).unwrap().status, Status::Failed, "nothing was written");
    let second = encrypted(plain);
    world.run_with(&second).unwrap();
    let recorded = world.backend.run(run.id).unwrap().destination.unwrap();
    assert_eq!((recorded.out_folder, recorded.ship_to.as_deref()), (path_text(&second), Some(TO_ALL)));
    assert_eq!(recorded.seal.recipients_text().as_deref(), Some(RECIPIENT));
}

/// The first bundled run of a table requires bundles from then on, where nobody has said 0.
pub fn rule_10_a_bundle_is_required_from_the_first_one_on_unless_somebody_said_no(on: &Instance) {
    for (said, then) in [(None, Some(true)), (Some(false), Some(false)), (Some(true), Some(true))] {
        let mut world = seeded(on);
        world.table.require_bundle = said;
        let table = world.table.clone();
        world.backend.save_table(&table).unwrap();
        assert_eq!(world.backend.table(&table.name).unwrap().require_bundle, said);
        let reported = Notes::default();
        world.at(1000);
        let options = world.options();
        engine::run(&mut *world.backend, &options, &*Arc::clone(&world.disk), &reported).unwrap();
        assert_eq!(world.backend.table(&table.name).unwrap().require_bundle, then, "{said:?}");
        let is_reported =
            reported.0.lock().unwrap().iter().any(|note| note.contains("table set Src.dbo.Docs RequireBundle=0"));
        assert_eq!(is_reported, said.is_none(), "{said:?}");
    }
}

#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Monitor for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(note) = event {
            self.0.lock().unwrap().push(note.to_owned());
        }
    }
}

/// Makes a complete slice one that cannot be packed: a row is gone that was counted.
pub fn spoil(world: &mut World, number: u32) {
    let key = crate::scenarios::world::key(number);
    let target = world.table.target.clone();
    assert!(world.backend.delete(&target, ("stream_id", key)).unwrap());
}

pub fn rule_19_a_slice_that_cannot_be_packed_costs_its_table_alone(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    let options = world.options();
    let left = stopped(&mut world, 1000, &options);
    spoil(&mut world, 1);
    // By a run: the other table's leftover is packed, and the other table is taken.
    let report = run_at(&mut world, 2000, &options);
    let statuses: Vec<_> = report.tables.iter().map(|outcome| outcome.status).collect();
    assert_eq!((statuses, report.run.status), (vec![Status::Failed, Status::Completed], Status::Failed));
    let says = kept_back(&mut world, &report, left);
    assert!(says.contains("the slice gave 1 rows, but 2 were counted"), "{says}");
    let tables = |world: &mut World, run| -> Vec<String> {
        world.backend.bundles(run).unwrap().into_iter().map(|record| record.table.table).collect()
    };
    assert_eq!(
        (tables(&mut world, left), tables(&mut world, report.run.id)),
        (vec!["Other".into()], vec!["Other".into()])
    );
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().failed_tables[0].table, world.table.name, "the receiver is told");
    // By name: told, and nothing else is wrong.
    let packed = pack(&mut world, left, &options).unwrap();
    assert_eq!((packed.bundles.len(), packed.failed.len()), (0, 1));
    assert_eq!(packed.failed[0].1.kind(), Kind::NotPacked);
    assert!(!world.mark().is_running, "no lease is left");
    // Given up, the next run brings all of it.
    engine::give_up(&mut *world.backend, left, None, 600).unwrap();
    let report = run_at(&mut world, 3000, &options);
    assert_eq!((report.run.status, world.numbers()), (Status::Completed, vec![1, 2]));
}

pub fn rule_19_a_run_whose_own_slice_cannot_be_packed_says_so_and_goes_on_when_it_can(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    let renamed =
        |from: &str, to: &str| format!("USE Src; EXEC sp_rename N'dbo.{from}', N'{to}', N'OBJECT'; USE BlobDeltaJobs");
    world.script("ALTER TABLE Src.Other RENAME TO Gone", &renamed("Other", "Gone"));
    world.at(1000);
    let mut options = world.options();
    engine::run(&mut *world.backend, &options, &blobdelta::durable::Local, &StopsPacking::default()).unwrap_err();
    let run = world.backend.recent_runs(1).unwrap().remove(0).id;
    world.script("ALTER TABLE Src.Gone RENAME TO Other", &renamed("Gone", "Other"));
    spoil(&mut world, 1);
    options.resume = Some(run);
    let report = run_at(&mut world, 1001, &options);
    let outcome = &report.tables[0];
    assert_eq!((outcome.status, report.run.status), (Status::Failed, Status::Failed));
    let error = outcome.error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::NotPacked, "{error}");
    assert!(error.what_to_do().unwrap().contains(&format!("blobdelta pack --run {run} --out")), "{error}");
    assert_eq!((report.bundles.len(), world.mark().is_running), (1, false), "of the other table");
    let states = world.backend.run_tables(run).unwrap();
    assert_eq!([states[0].1, states[1].1], [PackState::Unpacked, PackState::Packed(1)]);
    let steps = world.backend.run_steps(run).unwrap();
    let logged = steps.iter().filter(|step| step.error.as_ref().is_some_and(|text| text.contains("the slice gave")));
    assert_eq!(logged.count(), 1, "it is in the log of steps");
    let mended = mended(&world);
    world.backend.execute_script(&mended).unwrap();
    let report = run_at(&mut world, 1002, &options);
    assert_eq!((report.run.status, report.bundles.len()), (Status::Completed, 1));
}

/// Puts the row back that was spoiled.
fn mended(world: &World) -> String {
    let dbo = if world.is_embedded() { "" } else { "dbo." };
    let (source, slice) = (format!("Src.{dbo}Docs"), format!("Src_Delta.{dbo}Docs"));
    let columns = "stream_id, file_stream, name, path_locator, parent_path_locator";
    let delta = "DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly";
    let of = |alias: &str, columns: &str| {
        columns.split(", ").map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "INSERT INTO {slice} ({columns}, {delta}) SELECT {}, {} FROM {source} AS s CROSS JOIN {slice} AS t
         WHERE s.name = 'file 1' AND t.name = 'file 2'",
        of("s", columns),
        of("t", delta)
    )
}
