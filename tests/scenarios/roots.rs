//! Rule 28: before anything is added to a chain, its newest bundle at the place is held against ours. A job
//! database that was restored from a backup would give the chain a second end.

use crate::made::{Made, Row};
use crate::scenarios::deletions::reconciled;
use crate::scenarios::instance::Instance;
use crate::scenarios::reconcile::tombstones;
use crate::scenarios::world::{A, B, World, X, key, minute, unit};
use blobdelta::bundle::{Access, Bundle};
use blobdelta::chain::survey;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::engine;
use blobdelta::error::{Error, Kind};
use blobdelta::model::id::Guid;
use blobdelta::model::run::Scope;
use blobdelta::model::slice::{DeletionReason, SliceState};
use blobdelta::monitor::Silent;
use blobdelta::reconcile::ReconcileOptions;

/// Three weeks, of which the job database knows the first alone: it was restored from the backup after it.
/// In the second a key was without its blob.
struct Restored {
    world: World,
    runs: Vec<Guid>,
}

fn restored(on: &Instance) -> Restored {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    let mut runs = vec![world.run(1000).run.id];
    world.put(2, None, b"two", 1100, A);
    world.stamp(3, 1150, A);
    runs.push(world.run(2000).run.id);
    world.put(4, None, b"four", 2100, A);
    runs.push(world.run(3000).run.id);
    for run in &runs[1..] {
        forget(&mut world, *run);
    }
    let end = minute(1000 - 240);
    world.script(
        &format!("UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '{end}'; DELETE FROM BlobDeltaPendingKey"),
        &format!("UPDATE dbo.BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '{end}'; DELETE FROM dbo.BlobDeltaPendingKey"),
    );
    Restored { world, runs }
}

fn forget(world: &mut World, run: Guid) {
    let tables = [
        "BlobDeltaBundle",
        "BlobDeltaRunStep",
        "BlobDeltaRunTable",
        "BlobDeltaHeldBackKey",
        "BlobDeltaWindowQueue",
        "BlobDeltaRun",
    ];
    let hex: String = run.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let sqlite: Vec<String> =
        tables.iter().map(|table| format!("DELETE FROM {table} WHERE RunId = x'{hex}'")).collect();
    let tsql: Vec<String> =
        tables.iter().map(|table| format!("DELETE FROM dbo.{table} WHERE RunId = '{run}'")).collect();
    world.script(&sqlite.join(";"), &tsql.join(";"));
}

fn bundles_in(world: &World) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// One bundle in the place of all that stand there.
fn compact_all(world: &World) {
    let paths = bundles_in(world);
    let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let away = world.dir.path().join("away");
    std::fs::create_dir(&away).unwrap();
    let made = compact(bundles, &Local, &away, &CompactOptions::default(), &Silent).unwrap();
    paths.iter().for_each(|path| std::fs::remove_dir_all(path).unwrap());
    let made = made.path().to_owned();
    std::fs::rename(&made, world.out().join(made.file_name().unwrap())).unwrap();
}

fn assert_fork(error: &Error, why: &str) {
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(error.to_string().contains(why), "{error}");
    assert!(error.what_to_do().unwrap().contains("deploy --adopt "), "{error:?}");
}

pub fn rule_28_an_older_job_database_adds_nothing_until_it_took_over_what_it_published(on: &Instance) {
    let Restored { mut world, runs } = restored(on);
    world.blob(3, None, b"late");
    world.put(5, None, b"five", 3100, A);
    world.at(4000);
    let (options, out) = (world.options(), world.out());
    let error = world.run_with(&options).unwrap_err();
    assert_fork(&error, "does not know its run");
    assert_eq!(world.backend.recent_runs(10).unwrap().len(), 1, "nothing was begun");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 3, "nothing was added");
    let before = world.mark().last_high_water;
    let adopted = engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!((adopted.len(), adopted[0].bundles.len()), (1, 2), "{adopted:?}");
    assert_eq!(world.mark().last_high_water, before, "what the lost one knew beside its bundles is taken once more");
    let known: Vec<Guid> = world.backend.recent_runs(10).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(known, [runs[2], runs[1], runs[0]]);
    let report = world.run(4000);
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    let previous = bundle.manifest().tables[0].previous.unwrap().root_sha256;
    assert_eq!(Some(&previous), adopted[0].bundles.last().map(|(_, root)| root));
    assert_eq!(world.numbers(), [2, 3, 4, 5], "the blob that came late is not lost");
    let all = survey(std::slice::from_ref(&out), &Default::default(), &Silent).unwrap();
    assert!(!all.has_gap() && !all.has_broken_link(), "{:?}", all.chains);
    assert!(
        engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap().is_empty(),
        "it can be said again"
    );
}

/// Of what came after the backup its table of shipped keys knows nothing.
pub fn rule_28_what_a_unit_was_handed_is_taken_over_with_its_bundles(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    let _ = world.run_unit(1000, A);
    for number in [2, 3, 6] {
        world.put(number, None, b"of A", 1100, A);
    }
    world.put(4, None, b"folder of B", 1100, B);
    world.put(5, Some(4), b"of A", 1100, A);
    let mut lost = vec![world.run_unit(2000, A)];
    world.stamp(6, 2100, B);
    lost.push(world.run_unit(3000, A));
    assert_eq!(tombstones(&lost[1]), [(6, DeletionReason::LeftScope)]);
    lost.iter().for_each(|run| forget(&mut world, run.run.id));
    let (end, hex) = (minute(1000 - 240), key(1).to_string().replace('-', ""));
    world.script(
        &format!(
            "UPDATE BlobDeltaBusinessUnitWatermark SET LastHighWaterModifiedOn = '{end}'; DELETE FROM BlobDeltaReportedDeletion;
             DELETE FROM BlobDeltaShippedKey WHERE stream_id <> x'{hex}'"
        ),
        &format!(
            "UPDATE dbo.BlobDeltaBusinessUnitWatermark SET LastHighWaterModifiedOn = '{end}'; DELETE FROM dbo.BlobDeltaReportedDeletion;
             DELETE FROM dbo.BlobDeltaShippedKey WHERE stream_id <> '{}'",
            key(1)
        ),
    );
    let out = world.out();
    let adopted = engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!((adopted.len(), adopted[0].bundles.len()), (1, 2), "{adopted:?}");
    world.remove(2);
    world.log_deletion(2, 3100);
    world.stamp(3, 3100, B);
    world.stamp(5, 3100, B);
    let run = world.run_unit(4000, A);
    let mut reported = tombstones(&run);
    reported.sort_by_key(|(number, _)| *number);
    let left = |number| (number, DeletionReason::LeftScope);
    assert_eq!(reported, [(2, DeletionReason::Deleted), left(3), left(4), left(5)], "6 was told to have left before");
}

/// A job database that went on alone, and has a newer bundle of its own than the chain there.
pub fn rule_28_a_fork_goes_back_to_the_watermark_of_what_it_takes_over(on: &Instance) {
    let Restored { mut world, .. } = restored(on);
    let elsewhere = world.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut options = world.options();
    options.out = Some(elsewhere.clone());
    world.put(5, None, b"five", 3100, A);
    world.at(5000);
    world.run_with(&options).unwrap();
    world.at(6000);
    let (own, out) = (world.options(), world.out());
    assert_fork(&world.run_with(&own).unwrap_err(), "does not know its run");
    engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!(world.mark().last_high_water, Some(minute(3000 - 240)), "its own stands in no bundle there");
    world.run(6000);
    assert!(world.numbers().contains(&5), "{:?}", world.numbers());
    let all = survey(&[out], &Default::default(), &Silent).unwrap();
    assert!(!all.has_gap() && !all.has_broken_link(), "{:?}", all.chains);
}

pub fn rule_28_what_others_and_vandals_have_there_is_passed_by(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world.run(1000);
    let out = world.out();
    // Newer than all of ours: another source's, and one that is none.
    let mut foreign = Made::new(9, 70_000_000_000_000_000, (500, 900));
    foreign.rows = vec![Row::root(40, Some(600), b"foreign")];
    foreign.write(&out);
    let hostile = out.join("99991231T000000Z-deadbeef-1.bundle");
    std::fs::create_dir(&hostile).unwrap();
    std::fs::write(hostile.join("tagmanifest-sha256.txt"), "nonsense").unwrap();
    world.run(2000);
}

pub fn rule_28_a_bundle_of_another_root_under_our_name_is_reported(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world.run(1000);
    let root = "a".repeat(64);
    world.script(
        &format!("UPDATE BlobDeltaBundle SET RootSha256 = '{root}'"),
        &format!("UPDATE dbo.BlobDeltaBundle SET RootSha256 = '{root}'"),
    );
    world.at(2000);
    let options = world.options();
    let error = world.run_with(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(error.to_string().contains("another root digest"), "{error}");
    // What it says to do works.
    std::fs::rename(bundles_in(&world).remove(0), world.dir.path().join("moved away")).unwrap();
    world.run_with(&options).unwrap();
}

pub fn rule_28_one_chain_is_not_held_against_another(on: &Instance) {
    let Restored { mut world, .. } = restored(on);
    // That of a unit was never begun, and has no second end.
    let report = world.run_unit(4000, A);
    assert_eq!(report.bundles.len(), 1);
    let error = engine::find_fork(
        &mut *world.backend,
        &[world.table.name.clone()],
        Scope::BusinessUnit(unit(B)),
        &world.dir.path().join("out"),
        &Silent,
    );
    assert!(error.unwrap().is_none());
    assert_eq!(world.backend.slice_marker(&world.table.clone()).unwrap().state, SliceState::Packed);
}

/// The clock was set back, so that the name of what follows is older; it is still to be shipped to that place.
pub fn rule_28_what_was_pruned_is_known_by_the_record_of_what_follows_it(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    let first = world.run(1000).run.id;
    let second = world.run(990).bundles.remove(0);
    std::fs::rename(&second, world.dir.path().join("not yet shipped")).unwrap();
    forget(&mut world, first);
    let (table, out) = (world.table.name.clone(), world.out());
    let fork = engine::find_fork(&mut *world.backend, &[table], Scope::All, &out, &Silent).unwrap();
    assert!(fork.is_none(), "{fork:?}");
    assert!(engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap().is_empty());
}

/// The newest there was compacted, and what of ours follows it began in the same second, or earlier by a clock that was set
/// back. Records of what it was made of are pruned.
pub fn rule_28_what_was_compacted_is_known_by_what_follows_the_bundles_in_it(on: &Instance) {
    for second in [1000, 990] {
        let mut world = World::new(on);
        world.put(1, None, b"one", 10, A);
        let first = [world.run(980), world.run(1000)];
        compact_all(&world);
        // Not to be told from the names: what follows is still to be shipped to that place.
        let follows = world.run(second).bundles.remove(0);
        std::fs::rename(&follows, world.dir.path().join("not yet shipped")).unwrap();
        first.iter().for_each(|run| forget(&mut world, run.run.id));
        let out = world.out();
        let adopted = engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
        assert!(adopted.is_empty(), "nothing there is unknown: {adopted:?}");
        world.run(1010);
    }
}

/// One in which there is more than the job database knows is a fork still.
pub fn rule_28_what_was_compacted_with_bundles_that_are_lost_here_is_a_fork(on: &Instance) {
    let Restored { mut world, .. } = restored(on);
    compact_all(&world);
    world.at(4000);
    let options = world.options();
    assert_fork(&world.run_with(&options).unwrap_err(), "compacted from bundles");
    let out = world.out();
    let adopted = engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!((adopted.len(), adopted[0].bundles.len()), (1, 1), "{adopted:?}");
    world.run(4000);
}

pub fn rule_28_nothing_is_taken_over_across_a_gap(on: &Instance) {
    let Restored { mut world, .. } = restored(on);
    let out = world.out();
    let mut names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    std::fs::rename(&names[1], world.dir.path().join("away")).unwrap();
    let error = engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::ChainGap, "{error}");
    std::fs::rename(world.dir.path().join("away"), &names[1]).unwrap();
    // One that is damaged is not gone on behind.
    std::fs::remove_file(a_part(&names[2])).unwrap();
    assert_eq!(
        engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap_err().kind(),
        Kind::Verification
    );
    assert_eq!(world.backend.recent_runs(10).unwrap().len(), 1);
}

fn a_part(bundle: &std::path::Path) -> std::path::PathBuf {
    let table = std::fs::read_dir(bundle.join("data")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(table).unwrap().next().unwrap().unwrap().path()
}

/// What the receivers of all units were told to be rid of is not theirs any more, though the backup has it among what they have.
pub fn rule_28_a_folder_that_left_all_units_before_the_loss_is_not_told_again(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of nobody", 10, X);
    world.put(2, Some(1), b"file", 10, A);
    let _ = world.run(1000);
    world.put(2, None, b"file", 1100, A);
    let lost = world.run(9000);
    assert_eq!(tombstones(&lost), [(1, DeletionReason::LeftScope)]);
    forget(&mut world, lost.run.id);
    let (table, folder) = (world.table.name.clone(), key(1));
    let hex: String = folder.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let back = |key: &str| {
        format!(
            "DELETE FROM BlobDeltaReportedDeletion;
             INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
             VALUES ('{table}', 'all', {key}, NULL, 0)"
        )
    };
    world.script(&back(&format!("x'{hex}'")), &back(&format!("'{folder}'")));
    let out = world.out();
    engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!(tombstones(&world.run(20_000)), []);
}

/// What a lost job database had told is reported again: under the same time, which changes nothing at receivers.
pub fn rule_28_a_deletion_that_was_told_before_the_loss_is_reported_again_and_takes_nothing_back(on: &Instance) {
    let mut world = World::new(on);
    for number in [1, 2] {
        world.put(number, None, b"goes", 10, A);
    }
    let _ = world.run(1000);
    world.remove(1);
    world.remove(2);
    world.log_deletion(1, 1100);
    world.log_deletion(2, 1100);
    let lost = world.run(2000);
    let gone = [(1, DeletionReason::Deleted), (2, DeletionReason::Deleted)];
    assert_eq!(tombstones(&lost), gone);
    world.put(2, None, b"is back", 2100, A);
    let last = world.run(3000);
    for run in [&lost, &last] {
        forget(&mut world, run.run.id);
    }
    let end = minute(1000 - 240);
    let sql = format!(
        "UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '{end}'; DELETE FROM BlobDeltaReportedDeletion"
    );
    world.script(&sql, &sql);
    let out = world.out();
    engine::adopt(&mut *world.backend, &out, &Access::default(), &Silent).unwrap();
    assert_eq!(tombstones(&world.run(4000)), gone, "once more, by the same time");
    let report = reconciled(&mut world, &ReconcileOptions { content: true, ..ReconcileOptions::default() });
    assert_eq!((report.counts.len(), report.equal), (0, 1), "what came back stands: {report:?}");
}
