//! What whoever writes a source, or a script template, could make a run do.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, key, minute};
use blobdelta::model::run::Status;
use blobdelta::model::time::Timestamp;

const STEP: &str = "INSERT INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText) VALUES ('Src.dbo.Docs', 1, 'Mine', ";
const QUEUE: &str = "INSERT INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText) VALUES ('Src.dbo.Docs', 'WindowQueue', ";

/// What no script may do. FILE is one that is not there.
const HOSTILE: [&str; 24] = [
    "ATTACH DATABASE 'FILE' AS x",
    "DETACH DATABASE Src",
    "VACUUM INTO 'FILE'",
    "VACUUM",
    "PRAGMA main.user_version = 7",
    "PRAGMA journal_mode = OFF",
    "PRAGMA temp_store_directory = '/tmp'",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT x",
    "REINDEX",
    "ANALYZE",
    "DELETE FROM {SourceTable}",
    "UPDATE {MetadataTable} SET {MetadataModifiedOnCol} = NULL",
    "INSERT INTO {MetadataTable} DEFAULT VALUES",
    "DROP TABLE {SourceTable}",
    "CREATE TABLE main.Mine (x)",
    "CREATE TEMP TABLE Mine (x)",
    "CREATE TEMP VIEW Mine AS SELECT 1",
    "UPDATE main.BlobDeltaTableConfig SET IsActive = 0",
    "UPDATE main.BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '9000-01-01'",
    "DELETE FROM main.BlobDeltaDeletionLog",
    "UPDATE {SliceSchema}.BlobDeltaSlice SET State = 'Packed'",
    "DELETE FROM main.BlobDeltaPendingKey",
];

/// A script is read before the run begins, and what it does is seen when it does it. VACUUM is none of a transaction.
fn fails(world: &mut World, at: i64, what: &str) {
    world.put(1, None, b"row", at - 500, A);
    world.at(at);
    let text = match world.run_with(&world.options()) {
        Err(error) => format!("{error:?}"),
        Ok(report) => {
            assert!(report.bundles.is_empty() && report.tables[0].status == Status::Failed, "{what} was done");
            format!("{:?}", report.tables[0].error)
        }
    };
    assert!(text.contains("which no script may") || text.contains("cannot VACUUM"), "{what}: {text}");
}

pub fn attack_a_script_does_no_more_than_read_and_fill_its_slice_and_its_queue(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"row", 10, A);
    let file = world.dir.path().join("made.sqlite");
    let before = world.run(1000);
    assert_eq!(before.tables[0].status, Status::Completed);
    let reported = |world: &mut World| world.backend.watermarks().unwrap()[0].last_high_water;
    let mark = reported(&mut world);
    let mut at = 1000;
    for (insert, table) in [(STEP, "BlobDeltaStepScript"), (QUEUE, "BlobDeltaQueuePopulationScript")] {
        for text in HOSTILE {
            at += 1000;
            let text = text.replace("FILE", &file.display().to_string()).replace('\'', "''");
            world.script(&format!("{insert}'{text}')"), "");
            fails(&mut world, at, &text);
            world.script(&format!("DELETE FROM {table} WHERE TableName IS NOT NULL"), "");
        }
    }
    assert!(!file.exists());
    assert_eq!(reported(&mut world), mark);
    // Nothing of all that was done: the row is there, and comes.
    let report = world.run(at + 1000);
    assert_eq!((report.tables[0].status, world.numbers()), (Status::Completed, vec![1]));
}

pub fn attack_a_trigger_on_a_slice_writes_nothing_elsewhere(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"row", 10, A);
    world.script(
        "CREATE TRIGGER Src_Delta.Mine AFTER INSERT ON Docs BEGIN UPDATE BlobDeltaSlice SET State = 'Packed'; END",
        "",
    );
    fails(&mut world, 1000, "a trigger that writes a marker");
}

pub fn attack_functions_that_reach_files_are_not_called(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"row", 10, A);
    let text = "INSERT INTO {TargetTable} (stream_id) SELECT load_extension(''/tmp/none.so'')";
    world.script(&format!("{STEP}'{text}')"), "");
    fails(&mut world, 1000, "load_extension");
}

/// Rule 27 where a key was held back before, and comes however late its stamp is: one that is stamped between the queue
/// and the batch to lie in the year 9999 does not, and is told as held back.
pub fn attack_a_stamp_of_the_year_9999_that_comes_in_between_is_in_no_bundle(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"v1", 990, A);
    world.run(1000);
    world.put(1, None, b"v2", 1990, A);
    world.at(2000);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    assert_eq!(table_run.queued_keys, 1, "held back before, so it comes now");
    world.stamp_as(1, 1, Some(Timestamp::parse("9999-12-31").unwrap()), Some(A));
    world.at(2011);
    let mut options = world.options();
    options.resume = Some(run.id);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
    assert_eq!(world.numbers(), [] as [u32; 0]);
    world.put(1, None, b"v3", 2500, A);
    world.run(3000);
    assert_eq!(world.slice()[&key(1)].modified, Some(minute(2500)), "once it is corrected it comes");
}

pub fn attack_a_script_that_is_not_the_shipped_one_is_reported(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"row", 10, A);
    let plain = world.run(1000);
    let manifest = |path: &std::path::Path| std::fs::read_to_string(path.join("manifest.json")).unwrap();
    assert!(!manifest(&plain.bundles[0]).contains("changed_scripts"));
    world.script(
        "UPDATE BlobDeltaStepScript SET ScriptText = ScriptText || ' -- mine' WHERE StepNumber = 1;
         INSERT INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT 'Src.dbo.Docs', 3, 'Children', ScriptText || ' -- ours' FROM BlobDeltaStepScript WHERE StepNumber = 3",
        "UPDATE dbo.BlobDeltaStepScript SET ScriptText = CONCAT(ScriptText, N' -- mine') WHERE StepNumber = 1;
         INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT N'Src.dbo.Docs', 3, N'Children', CONCAT(ScriptText, N' -- ours') FROM dbo.BlobDeltaStepScript WHERE StepNumber = 3",
    );
    world.put(2, None, b"another", 1500, A);
    let report = world.run(2000);
    let bundle = blobdelta::bundle::Bundle::open(&report.bundles[0]).unwrap();
    let changed = &bundle.manifest().tables[0].changed_scripts;
    let names: Vec<&str> = changed.iter().map(|script| script.name.split(' ').next().unwrap()).collect();
    assert_eq!((names.len(), names.contains(&"Roots"), names.contains(&"Children")), (2, true, true), "{changed:?}");
    let advices = world.backend.doctor().unwrap();
    for script in changed.iter().filter(|script| script.name.starts_with("Roots")) {
        let reported = advices.iter().any(|advice| advice.finding.contains(&script.sha256.to_string()));
        assert!(reported, "{advices:?}");
    }
    // Put back as it was, nothing is told any more.
    world.script("DELETE FROM BlobDeltaStepScript", "DELETE FROM dbo.BlobDeltaStepScript");
    world.backend.deploy().unwrap();
    world.put(3, None, b"a third", 2500, A);
    assert!(!manifest(&world.run(3000).bundles[0]).contains("changed_scripts"));
}
