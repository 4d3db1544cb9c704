//! Rule 30: a table's name is the same in any case of its letters.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, config, key, minute, name};
use blobdelta::model::run::Status;

/// The configured one is `Src.dbo.Docs`.
const TYPED: &str = "sRC.DBO.docs";

fn one_watermark(world: &mut World) {
    let watermarks = world.backend.watermarks().unwrap();
    let ours: Vec<_> =
        watermarks.iter().filter(|mark| mark.table == name(TYPED)).map(|mark| mark.table.to_string()).collect();
    assert_eq!(ours, ["Src.dbo.Docs"]);
}

pub fn rule_30_a_table_is_found_under_any_spelling_and_told_as_configured(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    assert_eq!(world.backend.table(&name(TYPED)).unwrap().name.to_string(), "Src.dbo.Docs");
    let mut options = world.options();
    options.request.table = Some(name(TYPED));
    world.at(1000);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.tables[0].status, Status::Completed);
    assert_eq!(report.tables[0].table.to_string(), "Src.dbo.Docs");
    assert_eq!(report.run.table.unwrap().to_string(), "Src.dbo.Docs");
    assert_eq!(world.numbers(), [1]);
    one_watermark(&mut world);
}

pub fn rule_30_a_table_saved_under_another_spelling_is_the_same_table(on: &Instance) {
    let mut world = World::new(on);
    let mut typed = world.backend.table(&name(TYPED)).unwrap();
    typed.name = name(TYPED);
    typed.safety_buffer_minutes = 300;
    world.backend.save_table(&typed).unwrap();
    let tables = world.backend.tables().unwrap();
    let ours = tables.iter().filter(|table| table.name == typed.name);
    let found: Vec<_> = ours.map(|table| (table.name.to_string(), table.safety_buffer_minutes)).collect();
    assert_eq!(found, [("Src.dbo.Docs".to_owned(), 300)]);
    one_watermark(&mut world);
    assert_eq!(config("Docs").name, typed.name);
}

pub fn rule_30_what_others_write_under_another_spelling_counts(on: &Instance) {
    let mut world = World::new(on);
    (1..=3).for_each(|number| world.put(number, None, b"x", 10, A));
    world.run(1000);
    let hex = |number: u32| key(number).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let now = minute(1900);
    world.script(
        &format!(
            "INSERT INTO BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, LoggedAt) VALUES ('{TYPED}', x'{}', '{now}', '{now}');
             INSERT INTO BlobDeltaPendingKey (TableName, stream_id, Reason, CreatedAt) VALUES ('{TYPED}', x'{}', 'asked', '{now}');
             INSERT INTO BlobDeltaExcludedKey (TableName, stream_id, Reason, CreatedAt) VALUES ('{TYPED}', x'{}', 'poison', '{now}')",
            hex(1),
            hex(2),
            hex(3),
        ),
        &format!(
            "INSERT INTO dbo.BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, LoggedAt) VALUES (N'{TYPED}', '{}', '{now}', '{now}');
             INSERT INTO dbo.BlobDeltaPendingKey (TableName, stream_id, Reason, CreatedAt) VALUES (N'{TYPED}', '{}', N'asked', '{now}');
             INSERT INTO dbo.BlobDeltaExcludedKey (TableName, stream_id, Reason, CreatedAt) VALUES (N'{TYPED}', '{}', N'poison', '{now}')",
            key(1),
            key(2),
            key(3),
        ),
    );
    world.stamp(3, 1700, A);
    let report = world.run(2000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.tombstones, counts.late, counts.excluded), (1, 1, 1), "{counts:?}");
    assert_eq!(world.numbers(), [2]);
    let report = world.run(3000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().late, 0, "and the key that was copied waits no more");
}

pub fn rule_30_what_others_write_of_a_table_that_is_not_configured_is_reported(on: &Instance) {
    let mut world = World::new(on);
    assert_eq!(world.run(1000).unknown_names, []);
    let hex = |number: u32| key(number).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let odd = "[Src].[dbo].[Docs]";
    let now = minute(900);
    let rows = |prefix: &str, quote: &dyn Fn(u32) -> String| {
        format!(
            "INSERT INTO {prefix}BlobDeltaDeletionLog (TableName, stream_id, DeletedOn) VALUES ('{odd}', {one}, '{now}');
             INSERT INTO {prefix}BlobDeltaDeletionLog (TableName, stream_id, DeletedOn) VALUES ('{odd}', {two}, '{now}');
             INSERT INTO {prefix}BlobDeltaDeletionLog (TableName, stream_id, DeletedOn) VALUES ('{TYPED}', {two}, '{now}');
             INSERT INTO {prefix}BlobDeltaPendingKey (TableName, stream_id, Reason) VALUES ('Src.dbo.Docs ', {one}, 'asked');
             INSERT INTO {prefix}BlobDeltaExcludedKey (TableName, stream_id, Reason) VALUES ('Docs', {one}, 'poison');
             INSERT INTO {prefix}BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText) VALUES ('\"Docs\"', 1, 'x', 'y');
             INSERT INTO {prefix}BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText) VALUES ('dbo.Docs', 'WindowQueue', 'y');",
            one = quote(1),
            two = quote(2),
        )
    };
    let embedded = rows("", &|number| format!("x'{}'", hex(number)));
    world.script(&embedded, &rows("dbo.", &|number| format!("'{}'", key(number))));
    let report = world.run(2000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().tombstones, 1, "another case of the letters is no other name");
    let reported: Vec<_> =
        report.unknown_names.iter().map(|one| (one.list.as_str(), one.name.trim_end(), one.entries)).collect();
    let mut due = vec![
        ("BlobDeltaDeletionLog", odd, 2),
        ("BlobDeltaExcludedKey", "Docs", 1),
        ("BlobDeltaQueuePopulationScript", "dbo.Docs", 1),
        ("BlobDeltaStepScript", "\"Docs\"", 1),
    ];
    // Blanks at the end are nothing to a server.
    if world.is_embedded() {
        due.insert(2, ("BlobDeltaPendingKey", "Src.dbo.Docs", 1));
    }
    assert_eq!(reported, due);
    assert_eq!(world.backend.unknown_names().unwrap(), report.unknown_names);
}
