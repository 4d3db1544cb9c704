//! Where the rows of queued keys were found, and what a deployment makes of an older job database. Of the
//! embedded instance alone.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, key};
use blobdelta::model::run::{Run, Status, Step, TableRun};

/// A folder and two files in it, a file beside it, one that goes.
fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    for (number, parent) in [(7, None), (2, Some(7)), (3, Some(7)), (5, None), (4, None), (6, None)] {
        world.put(number, parent, format!("bytes {number}").as_bytes(), 5, A);
    }
    world.at(1000);
    world
}

fn started(world: &mut World) -> (Run, TableRun) {
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    (run, table_run)
}

fn check(world: &mut World, numbers: &[u32], context: &str) {
    assert_eq!(world.numbers(), numbers, "{context}");
    for (key, row) in world.slice() {
        let number = u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap());
        assert_eq!(row.bytes, Some(format!("bytes {number}").into_bytes()), "{context}");
        assert_eq!(row.name, format!("file {number}"), "{context}");
    }
}

pub fn a_row_that_moved_since_it_was_queued_is_taken_by_its_key(on: &Instance) {
    let cases = [
        (
            "every row stands where another stood",
            "UPDATE Src.Docs SET rowid = -rowid; UPDATE Src.Docs SET rowid = rowid + 7",
        ),
        ("no row stands where one stood", "UPDATE Src.Docs SET rowid = rowid + 100"),
        ("nobody knows where", "UPDATE BlobDeltaWindowQueue SET Place = NULL"),
        ("places are no numbers", "UPDATE BlobDeltaWindowQueue SET Place = stream_id"),
    ];
    for (context, script) in cases {
        let mut world = seeded(on);
        let (_, table_run) = started(&mut world);
        world.script("DELETE FROM Src.Docs WHERE name = 'file 4'", "");
        world.script(script, "");
        while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
        assert_eq!(world.backend.queue_missing_parents(&table_run).unwrap(), 0, "{context}");
        while world.backend.run_batch(&table_run, Step::Children, 2).unwrap().keys > 0 {}
        let counts = world.backend.finish_table(&table_run, false).unwrap();
        assert_eq!((counts.roots, counts.children, counts.gone), (3, 2, 1), "{context}");
        check(&mut world, &[2, 3, 5, 6, 7], context);
        assert_eq!(world.slice()[&key(2)].parent, Some(key(7)), "{context}");
    }
}

pub fn rule_7_a_parent_of_a_row_that_moved_since_it_was_queued_comes_too(on: &Instance) {
    let mut world = seeded(on);
    world.blob(9, None, b"bytes 9");
    world.put(8, Some(9), b"bytes 8", 5, A);
    let (_, table_run) = started(&mut world);
    world.script("UPDATE Src.Docs SET rowid = -rowid; UPDATE Src.Docs SET rowid = rowid + 9", "");
    while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
    assert_eq!(world.backend.queue_missing_parents(&table_run).unwrap(), 1);
    assert_eq!(world.backend.run_batch(&table_run, Step::MissingParents, 2).unwrap().rows, 1);
    while world.backend.run_batch(&table_run, Step::Children, 2).unwrap().keys > 0 {}
    assert_eq!(world.backend.queue_missing_parents(&table_run).unwrap(), 0);
    world.backend.finish_table(&table_run, false).unwrap();
    check(&mut world, &[2, 3, 4, 5, 6, 7, 8, 9], "an ancestor without metadata");
}

const TEMPLATE_BEFORE: &str = include_str!("../../fixtures/scripts/WindowQueue_of_version_2.sql");

/// A template as an earlier version shipped it.
fn set_back(world: &mut World) {
    let text = TEMPLATE_BEFORE.replace('\'', "''");
    let template = format!(
        "UPDATE BlobDeltaQueuePopulationScript SET ScriptText = '{text}' WHERE QueueName = 'WindowQueue' AND TableName IS NULL"
    );
    world.script(&template, "");
}

fn outcome(world: &mut World, of: &str) -> Option<String> {
    world.deploy().into_iter().find(|step| step.name == of).map(|step| step.outcome)
}

pub fn a_template_of_an_earlier_version_is_replaced(on: &Instance) {
    let mut world = seeded(on);
    set_back(&mut world);
    world.restart();
    let replaced = outcome(&mut world, "templates").unwrap();
    assert_eq!(replaced, "replaced, for nobody had changed them: WindowQueue");
    assert_eq!(outcome(&mut world, "templates"), None, "once");
}

pub fn a_template_that_somebody_changed_stays_and_has_its_index(on: &Instance) {
    let mut world = seeded(on);
    set_back(&mut world);
    world.script("UPDATE BlobDeltaQueuePopulationScript SET ScriptText = ScriptText || char(10) || '-- mine'", "");
    world.restart();
    assert_eq!(outcome(&mut world, "templates"), None);
    let options = world.options();
    assert_eq!(world.run_with(&options).unwrap().run.status, Status::Completed);
    check(&mut world, &[2, 3, 4, 5, 6, 7], "by a template that knows nothing of places");
    // Rule 3: a key is queued once, whoever wrote the script.
    world.script(
        "INSERT INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText) VALUES ('Src.dbo.Docs', 'WindowQueue',
             'INSERT INTO BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id)
              SELECT @RunId, @TableName, 1, row_number() OVER (), m.{MetadataIdColumn}
              FROM (SELECT * FROM {MetadataTable} UNION ALL SELECT * FROM {MetadataTable}) AS m')",
        "",
    );
    let report = world.run(2000);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.place().script.as_deref().unwrap().starts_with("WindowQueue (queue, of Src.dbo.Docs"), "{error}");
}
