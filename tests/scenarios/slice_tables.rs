//! Slice tables that are gone or are somebody else's, and templates that somebody changed.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World};
use blobdelta::backend::{Advice, Severity};
use blobdelta::model::run::Status;

/// What `doctor` says about something, with what to do.
fn reported(world: &mut World, about: &str) -> Vec<Advice> {
    let found = world.backend.doctor().unwrap();
    let is_it = |advice: &Advice| format!("{} {}", advice.subject, advice.finding).contains(about);
    found.into_iter().filter(|advice| is_it(advice) && advice.severity != Severity::Ok).collect()
}

fn dropped(world: &mut World) {
    world.script("DROP TABLE Src_Delta.Docs", "USE Src_Delta; DROP TABLE dbo.Docs; USE BlobDeltaJobs");
}

pub fn a_slice_table_that_was_dropped_is_made_again_by_deploy_as_is_reported(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.run(1000);
    dropped(&mut world);
    let report = world.run(2000);
    let error = report.tables[0].error.as_ref().unwrap().to_string();
    assert!(error.contains("deploy") && !error.contains("GRANT"), "{error}");
    let advice = reported(&mut world, "Src_Delta");
    let todo: Vec<_> = advice.iter().filter_map(|advice| advice.what_to_do.as_deref()).collect();
    assert!(todo.iter().any(|todo| todo.contains("deploy")), "{advice:?}");
    assert!(todo.iter().all(|todo| !todo.contains("GRANT")), "{advice:?}");
    world.deploy();
    world.stamp(1, 2900 - 240, A);
    assert_eq!(world.run(3000).tables[0].status, Status::Completed);
    assert_eq!(world.numbers(), [1]);
}

pub fn a_foreign_table_under_the_slice_s_name_is_called_that(on: &Instance) {
    let mut world = World::new(on);
    dropped(&mut world);
    world.script(
        "CREATE TABLE Src_Delta.Docs (stream_id \"uniqueidentifier BLOB\", theirs \"int INTEGER\")",
        "USE Src_Delta; CREATE TABLE dbo.Docs (stream_id uniqueidentifier, theirs int); USE BlobDeltaJobs",
    );
    let report = world.run(1000);
    let error = report.tables[0].error.as_ref().unwrap().to_string();
    assert!(error.contains("no slice of ours") && error.contains("TargetTable"), "{error}");
}

pub fn doctor_reports_changed_templates_and_those_of_one_table(on: &Instance) {
    let mut world = World::new(on);
    assert_eq!(reported(&mut world, "shared script").len(), 0, "as they were shipped");
    world.script(
        "UPDATE BlobDeltaStepScript SET ScriptText = ScriptText || '\n-- mine' WHERE StepNumber = 1 AND TableName IS NULL",
        "UPDATE dbo.BlobDeltaStepScript SET ScriptText = ScriptText + N'
-- mine' WHERE StepNumber = 1 AND TableName IS NULL",
    );
    world.script(
        "INSERT INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
         SELECT 'Src.dbo.Docs', QueueName, ScriptText FROM BlobDeltaQueuePopulationScript WHERE QueueName = 'MissingParents'",
        "INSERT INTO dbo.BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
         SELECT N'Src.dbo.Docs', QueueName, ScriptText FROM dbo.BlobDeltaQueuePopulationScript WHERE QueueName = N'MissingParents'",
    );
    let changed = reported(&mut world, "shared script");
    assert_eq!(changed.iter().map(|advice| advice.subject.as_str()).collect::<Vec<_>>(), ["shared script Roots"]);
    let own = reported(&mut world, "of this table alone");
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].subject == "Src.dbo.Docs" && own[0].finding.contains("MissingParents"), "{own:?}");
}

/// Whoever makes a slice by hand need not call its key primary.
pub fn a_slice_that_was_made_by_hand_with_a_unique_index_stays(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    let columns = "stream_id uniqueidentifier NOT NULL, file_stream varbinary(max) NULL, name nvarchar(255) NOT NULL,
        path_locator varbinary(892) NOT NULL, parent_path_locator varbinary(892) NULL, DeltaModifiedOn datetime2(7) NULL,
        DeltaBusinessUnit uniqueidentifier NULL, DeltaStep tinyint NOT NULL, DeltaDepth smallint NOT NULL,
        DeltaParentKey uniqueidentifier NULL, DeltaEarly bit NOT NULL, OwnNumber int NULL";
    world
        .backend
        .execute_script(&format!(
            "USE Src_Delta; DROP TABLE dbo.Docs; CREATE TABLE dbo.Docs ({columns});
             CREATE UNIQUE INDEX UX_ByHand ON dbo.Docs (stream_id); USE BlobDeltaJobs"
        ))
        .unwrap();
    let of_table = "SELECT CONVERT(nvarchar(20), OBJECT_ID(N'Src_Delta.dbo.Docs'))";
    let before = world.backend.ask(of_table).unwrap();
    world.backend.execute_script("EXEC dbo.usp_BlobDelta_MakeSlice N'Src.dbo.Docs'").unwrap();
    assert_eq!(world.backend.ask(of_table).unwrap(), before, "it was not made anew");
    assert_eq!(world.run(1000).tables[0].status, Status::Completed);
    assert_eq!(world.numbers(), [1]);
}
