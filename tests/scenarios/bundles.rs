//! What a consumer sees: the manifest, big values, and publishing across a crash.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, BUFFER, World, minute};
use blobdelta::backend::PackState;
use blobdelta::bundle::{Bundle, FileRole};
use blobdelta::durable::{Faulty, Local, When};
use blobdelta::engine::{self, PackOptions, PackRequest};
use blobdelta::error::Kind;
use blobdelta::monitor::Silent;
use blobdelta::verify::{VerifyLevel, verify};
use std::path::{Path, PathBuf};

pub fn findings(path: &Path) -> Vec<String> {
    let report = verify(path, VerifyLevel::Deep, &Silent).unwrap();
    report.findings.iter().map(|finding| format!("{finding:?}")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn rule_2_the_manifest_says_lag_only_where_transactions_cannot_be_seen(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let report = world.run(1000);
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    let table = &bundle.manifest().tables[0];
    assert!(table.window.lag_only);
    assert_eq!(table.window.end, minute(1000 - BUFFER));
    assert_eq!(table.counts, report.tables[0].counts.clone().unwrap());
}

pub fn rule_7_absent_parents_are_in_the_bundle_and_verify_accepts_exactly_those(on: &Instance) {
    let mut world = World::new(on);
    world.put(2, Some(1), b"orphan", 10, A);
    let report = world.run(1000);
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().tables[0].files_of(FileRole::AbsentParents).count(), 1);
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
}

pub fn rule_9_a_run_whose_slice_was_taken_is_never_packed(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    let mut options = world.options();
    options.out = None;
    world.at(1000);
    let first = world.run_with(&options).unwrap().run.id;
    world.at(2000);
    world.run_with(&options).unwrap();
    let out = world.out();
    let error = engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: first, out: &out, options: &PackOptions::default(), lease_seconds: 600 },
        &Local,
        &Silent,
    )
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("a later run emptied its slices"), "{error}");
    assert!(names(&out).is_empty());
}

pub fn a_value_over_the_inline_limit_lies_in_blob_and_comes_back(on: &Instance) {
    let mut world = World::new(on);
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    world.put(1, None, &big, 10, A);
    world.put(2, None, &big, 10, A);
    world.put(3, None, b"small", 10, A);
    world.at(1000);
    let mut options = world.options();
    options.pack.parts.inline_bytes = Some(1 << 20);
    let report = world.run_with(&options).unwrap();
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().tables[0].files_of(FileRole::Blob).count(), 1, "content-addressed");
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
}

/// Every durable operation of a run with two bundles fails once; whatever stands then under a
/// final name is whole, and the next run ends as if nothing had happened.
pub fn a_crash_at_any_durable_operation_publishes_all_or_nothing(on: &Instance) {
    let mut survived = 0;
    for at in 1.. {
        let mut world = World::new(on);
        world.put(1, None, b"root", 10, A);
        world.put(2, Some(1), b"child", 10, A);
        world.log_deletion(9, 5);
        world.at(1000);
        let disk = Faulty::new(When::CrashAt(at));
        world.fail_with(&disk);
        let died = world.run_with(&world.options());
        if !disk.has_failed() {
            assert!(died.is_ok());
            break;
        }
        survived += 1;
        if let (Err(error), Some(run)) = (&died, world.another().recent_runs(1).unwrap().first()) {
            assert_eq!(error.place().run, Some(run.id.to_string()), "crash at {at}: {error}");
            assert!(error.what_is_unfinished().is_some(), "crash at {at}: {error}");
        }
        for name in names(&world.out()).iter().filter(|name| !name.starts_with('.')) {
            assert_eq!(findings(&world.out().join(name)), [] as [String; 0], "crash at {at}");
        }
        world.restart();
        let report = world.run(1011);
        assert_eq!(report.run.status, blobdelta::model::run::Status::Completed, "crash at {at}");
        let left: Vec<String> = names(&world.out()).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, [] as [String; 0], "staging folders are swept, crash at {at}");
        let counts = |name: &String| Bundle::open(&world.out().join(name)).unwrap().manifest().tables[0].counts.clone();
        let shipped: Vec<_> = names(&world.out()).iter().map(counts).collect();
        assert_eq!(shipped.iter().map(|counts| counts.rows()).max(), Some(2), "crash at {at}");
        assert_eq!(shipped.iter().map(|counts| counts.tombstones).max(), Some(1), "crash at {at}");
    }
    assert!(survived > 30, "only {survived} operations were counted");
}

pub fn staging_folders_of_others_are_left_alone(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let run = world.run(1000);
    let ours = run.bundles[0].file_name().unwrap().to_string_lossy().into_owned();
    let foreign = ours.replace(&run.run.id.to_string()[..8], "deadbeef");
    let staging = |name: &str| format!(".{name}.staging-0123456789abcdef");
    for name in [staging(&ours), staging(&foreign), ".staging-mine".into()] {
        std::fs::create_dir(world.out().join(name)).unwrap();
    }
    world.run(2000);
    let left: Vec<String> = names(&world.out()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, [staging(&foreign), ".staging-mine".to_owned()].map(String::from));
}

pub fn a_bundle_that_was_published_and_not_recorded_is_adopted(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.run_with(&world.options()).unwrap();
    let path: &PathBuf = &run.bundles[0];
    world.script(
        "DELETE FROM BlobDeltaBundle; UPDATE BlobDeltaRunTable SET PackNumber = NULL;
         UPDATE Src_Delta.BlobDeltaSlice SET State = 'Complete'",
        "DELETE FROM dbo.BlobDeltaBundle; UPDATE dbo.BlobDeltaRunTable SET PackNumber = NULL;
         UPDATE Src_Delta.dbo.BlobDeltaSlice SET State = N'Complete'",
    );
    let report = world.run(2000);
    assert_eq!(&report.bundles[0], path);
    assert_eq!(world.backend.bundles(run.run.id).unwrap().len(), 1);
    assert_eq!(names(&world.out()).len(), 2);
}

pub fn a_foreign_folder_under_the_bundles_name_is_never_touched(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.run_with(&world.options()).unwrap();
    let other = world.dir.path().join("other");
    let foreign = other.join(run.bundles[0].file_name().unwrap());
    std::fs::create_dir_all(&foreign).unwrap();
    std::fs::write(foreign.join("mine.txt"), b"mine").unwrap();
    let error = engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: run.run.id, out: &other, options: &PackOptions::default(), lease_seconds: 600 },
        &Local,
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("something foreign"), "{error}");
    assert_eq!(names(&foreign), ["mine.txt"]);
    assert_eq!(names(&other).len(), 1, "no staging folder is left");
    let states = world.backend.run_tables(run.run.id).unwrap();
    assert_eq!(states[0].1, PackState::Packed(1));
}

pub fn a_folder_for_bundles_that_is_missing_is_reported_before_anything_is_written(on: &Instance) {
    let mut world = World::new(on);
    let mut options = world.options();
    options.out = Some(world.dir.path().join("nowhere"));
    let error = world.run_with(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(world.backend.recent_runs(1).unwrap().is_empty());
}
