//! What goes wrong: one table of several, scripts, resumption.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, config, key};
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
    let watermarks = world.backend.watermarks().unwrap();
    let other = watermarks.iter().find(|mark| mark.table.table == "Other").unwrap();
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

pub fn a_template_with_an_error_of_form_is_refused_by_script_and_line_before_anything_is_written(on: &Instance) {
    for (broken, says, line) in [
        ("-- one\nSELECT {Nonsense}", "unknown placeholder {Nonsense}", "line 2"),
        ("-- one\n-- two\nSELECT FROM WHERE", "FROM", "line 3"),
        ("SELECT {", "without a closing one", "line 1"),
    ] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        let sql = format!("UPDATE BlobDeltaStepScript SET ScriptText = '{broken}' WHERE StepNumber = 3");
        world.script(&sql, &sql);
        world.at(1000);
        let error = world.run_with(&world.options()).unwrap_err();
        assert!(error.place().script.as_deref().unwrap().starts_with("Children (step 3)"), "{error}");
        assert!(error.to_string().contains(says) && error.to_string().contains(line), "{error}");
        assert!(world.backend.recent_runs(1).unwrap().is_empty());
        assert!(!world.mark().is_running);
    }
}

pub fn a_template_that_fails_in_a_batch_is_named_and_costs_that_batch(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"root", 10, A);
    world.put(2, Some(1), b"child", 10, A);
    world.script(
        "INSERT INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText) VALUES ('Src.dbo.Docs', 3, 'Mine',
             '-- of one table\nUPDATE \"#Batch\" SET Depth =\nabs(-9223372036854775807 - 1)')",
        "INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText) VALUES (N'Src.dbo.Docs', 3, N'Mine',
             N'-- of one table\nUPDATE #Batch SET Depth = 1 / (Depth - Depth)')",
    );
    let report = world.run(1000);
    let error = report.tables[0].error.as_ref().unwrap();
    let script = error.place().script.as_deref().unwrap();
    assert!(script.starts_with("Mine (step 3, of Src.dbo.Docs alone)"), "{error}");
    // The embedded instance knows the line of an error of form alone.
    let says: &[&str] = if world.is_embedded() { &["integer overflow"] } else { &["zero", "line 2"] };
    assert!(says.iter().all(|part| error.to_string().contains(part)), "{error}");
    let failed = world.backend.table_errors(report.run.id).unwrap();
    assert!(failed[0].1.contains("script Mine"), "{failed:?}");
    assert_eq!((report.bundles.len(), world.numbers()), (0, vec![1]));
    assert_eq!((world.mark().last_high_water, world.mark().is_running), (None, false));
    let mended = "DELETE FROM BlobDeltaStepScript WHERE ScriptName = 'Mine'";
    world.script(mended, mended);
    let mut options = world.options();
    options.resume = Some(report.run.id);
    assert_eq!(world.run_with(&options).unwrap().run.status, Status::Completed);
    assert_eq!(world.numbers(), [1, 2]);
}

/// Servers differ in when they look for a column; what is reported and what is left is the same.
pub fn a_queue_template_that_fails_is_named_and_leaves_no_lease(on: &Instance) {
    let (sqlite, tsql) = ("abs(-9223372036854775807 - 1)", "1 / (CONVERT(int, m.Keys) - CONVERT(int, m.Keys))");
    let keys = "(SELECT COUNT(*) AS Keys FROM {MetadataTable} AS k) AS m";
    for (sqlite, tsql) in [(sqlite, tsql), ("m.nothing", "m.nothing")] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        let broken = |what: &str| {
            format!(
                "INSERT INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText) VALUES ('Src.dbo.Docs',
                     'WindowQueue', '-- mine\nUPDATE BlobDeltaPendingKey SET Reason = (SELECT {what} FROM {keys})')"
            )
        };
        world.script(&broken(sqlite), &broken(tsql));
        let asked = "INSERT INTO BlobDeltaPendingKey (TableName, stream_id, Reason, CreatedAt) VALUES";
        world.script(
            &format!("{asked} ('Src.dbo.Docs', x'0102030405060708090a0b0c0d0e0f10', 'asked', '2026-01-01 00:00:00')"),
            &format!(
                "{asked} (N'Src.dbo.Docs', '04030201-0605-0807-090A-0B0C0D0E0F10', N'asked', '2026-01-01 00:00:00')"
            ),
        );
        world.at(1000);
        let error = match world.run_with(&world.options()) {
            Ok(mut report) => report.tables.remove(0).error.unwrap(),
            Err(error) => error,
        };
        let script = error.place().script.as_deref().unwrap();
        assert!(script.starts_with("WindowQueue (queue, of Src.dbo.Docs alone)"), "{error}");
        assert!(world.is_embedded() || error.to_string().contains("line 2"), "{error}");
        assert_eq!((world.mark().last_high_water, world.mark().is_running), (None, false), "{error}");
        assert!(world.numbers().is_empty());
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
    world.backend.execute_script("ALTER TABLE Src.Docs ADD COLUMN odd tree").unwrap();
    world.at(1000);
    let request = world.options().request;
    let error = blobdelta::engine::plan(&mut *world.backend, &request).unwrap_err();
    assert!(error.to_string().contains("\"tree\" cannot be carried"), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("odd"));
    let report = world.run(1000);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("cannot be carried"), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("odd"));
    assert!(error.what_to_do().unwrap().contains("ExcludedColumns"), "{error:?}");
    world.table.excluded_columns = vec!["odd".into()];
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    let report = world.run(2000);
    assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
    assert_eq!(world.numbers(), [1]);
}

pub fn a_plan_reports_the_window_and_the_keys_and_changes_nothing(on: &Instance) {
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
