//! What goes wrong: one table of several, scripts, resumption.

use crate::instance::Instance;
use crate::world::{A, World, config, key};
use blobdelta::error::Kind;
use blobdelta::model::run::Status;

pub fn one_table_of_several_fails_alone(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.add_table("Other");
    world.script("DROP TABLE Src.Other", "USE Src; DROP TABLE dbo.Other; USE BlobDeltaJobs");
    let report = world.run(1000);
    let statuses: Vec<_> = report.tables.iter().map(|outcome| (outcome.table.table.clone(), outcome.status)).collect();
    assert_eq!(statuses, [("Docs".into(), Status::Completed), ("Other".into(), Status::Failed)]);
    assert_eq!(report.run.status, Status::Failed);
    assert_eq!(report.bundles.len(), 1);
    let steps = world.backend.run_steps(report.run.id).unwrap();
    let failed: Vec<_> = steps.iter().filter(|step| step.status == "Failed").collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].error.as_ref().unwrap().contains("there is no table Src.dbo.Other"));
    let marks = world.backend.watermarks().unwrap();
    let other = marks.iter().find(|mark| mark.table.table == "Other").unwrap();
    assert_eq!((other.last_high_water, other.is_running), (None, false));
}

pub fn a_failed_run_goes_on_with_resume_and_packs_what_was_missing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.add_table("Other");
    let renamed =
        |from: &str, to: &str| format!("USE Src; EXEC sp_rename N'dbo.{from}', N'{to}', N'OBJECT'; USE BlobDeltaJobs");
    world.script("ALTER TABLE Src.Other RENAME TO Gone", &renamed("Other", "Gone"));
    let report = world.run(1000);
    world.script("ALTER TABLE Src.Gone RENAME TO Other", &renamed("Gone", "Other"));
    let mut options = world.options();
    options.resume = Some(report.run.id);
    world.at(1001);
    let resumed = world.run_with(&options).unwrap();
    assert_eq!(resumed.run.id, report.run.id);
    assert_eq!(resumed.run.status, Status::Completed);
    let name = resumed.bundles[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.ends_with("-2.bundle"), "{name}");
    let windows: Vec<_> = resumed.tables.iter().map(|outcome| outcome.window.unwrap().end).collect();
    assert_eq!(windows[0], windows[1], "the window of a resumed run is that of its start");
    let error = world.run_with(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

pub fn a_changed_template_changes_what_a_run_does(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"secret", 10, A);
    world.script(
        "INSERT INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT 'Src.dbo.Docs', 1, 'Roots without names', replace(ScriptText, '{SourceColumns}',
             's.stream_id, ''withheld'', s.path_locator, s.parent_path_locator, s.file_stream')
         FROM BlobDeltaStepScript WHERE StepNumber = 1 AND TableName IS NULL",
        "INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT N'Src.dbo.Docs', 1, N'Roots without names', REPLACE(ScriptText, N'{SourceColumns}',
             N's.stream_id, N''withheld'', s.path_locator, s.parent_path_locator, s.file_stream')
         FROM dbo.BlobDeltaStepScript WHERE StepNumber = 1 AND TableName IS NULL",
    );
    world.run(1000);
    assert_eq!(world.slice()[&key(1)].name, "withheld");
}

pub fn a_template_that_filters_rows_is_an_error_that_names_the_row(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.put(2, None, b"y", 10, A);
    world.script(
        "UPDATE BlobDeltaStepScript SET ScriptText = replace(ScriptText, 'WHERE (f.MetadataRows',
             'WHERE s.name <> ''file 2'' AND (f.MetadataRows') WHERE StepNumber = 1",
        "UPDATE dbo.BlobDeltaStepScript SET ScriptText = REPLACE(ScriptText, N'WHERE (f.stream_id IS',
             N'WHERE s.name <> N''file 2'' AND (f.stream_id IS') WHERE StepNumber = 1",
    );
    let report = world.run(1000);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("left out a row that is in the window"), "{error}");
    assert!(error.to_string().contains(&key(2).to_string()), "{error}");
}

pub fn a_template_with_an_unknown_placeholder_is_refused_before_anything_is_written(on: &Instance) {
    // A server's own message of the syntax does not name the script.
    let script = if matches!(on, Instance::Embedded) { "Children" } else { "syntax" };
    for (broken, says) in [
        ("SELECT {Nonsense}", "unknown placeholder {Nonsense}"),
        ("SELECT FROM WHERE", script),
        ("SELECT {", "without a closing one"),
    ] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        let sql = format!("UPDATE BlobDeltaStepScript SET ScriptText = '{broken}' WHERE StepNumber = 3");
        world.script(&sql, &sql);
        world.at(1000);
        let error = world.run_with(&world.options()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(world.backend.recent_runs(1).unwrap().is_empty());
    }
}

pub fn a_configuration_that_names_what_is_not_there_is_refused(on: &Instance) {
    let mut world = World::new(on);
    let mut wrong = config("Docs");
    wrong.metadata_modified_on_column = "Changed".into();
    let error = world.backend.save_table(&wrong).unwrap_err();
    assert!(error.to_string().contains("Changed") && error.to_string().contains("the table has:"), "{error}");
    let mut wrong = config("Docs");
    wrong.source.db = "Nowhere".into();
    assert!(world.backend.save_table(&wrong).unwrap_err().to_string().contains("there is no database"));
    assert_eq!(world.backend.table(&world.table.name.clone()).unwrap(), world.table);
}

pub fn a_column_of_a_type_that_cannot_be_carried_is_refused_before_anything_is_read(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.script(
        "ALTER TABLE Src.Docs ADD COLUMN odd sql_variant",
        "USE Src; ALTER TABLE dbo.Docs ADD odd sql_variant NULL; USE BlobDeltaJobs",
    );
    let report = world.run(1000);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("cannot be carried"), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("odd"));
}

pub fn a_plan_tells_the_window_and_the_keys_and_changes_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.put(2, Some(1), b"y", 10, A);
    world.put(3, None, b"late", 990, A);
    world.at(1000);
    let request = world.options().request;
    let plan = blobdelta::engine::plan(&mut *world.backend, &request).unwrap();
    assert_eq!((plan[0].keys, plan[0].counts.held_back), (2, 1));
    assert_eq!(plan[0].refused, None);
    assert!(world.backend.recent_runs(1).unwrap().is_empty());
    world.run(1000);
    assert_eq!(world.numbers(), [1, 2]);
}
