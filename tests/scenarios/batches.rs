//! What bounds a batch on a server, and what keeps a row from it: bytes, values that no column holds, rows that somebody holds.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, key};
use blobdelta::model::run::{Status, Step};

/// Replaces a function of the engine that says what the server's limits are.
fn say(world: &mut World, head: &str, answer: &str) {
    let name = head.split('(').next().unwrap();
    world.backend.execute_script(&format!("DROP FUNCTION dbo.{name}")).unwrap();
    world.backend.execute_script(&format!("CREATE FUNCTION dbo.{head} AS BEGIN RETURN {answer}; END")).unwrap();
}

fn reasons(world: &mut World) -> Vec<String> {
    let sql = "SELECT CONCAT(LOWER(CONVERT(nvarchar(36), MIN(stream_id))), N' ', MIN(Reason)) FROM dbo.BlobDeltaPendingKey HAVING COUNT(*) > 0";
    world.backend.ask(sql).unwrap().into_iter().collect()
}

pub fn a_batch_ends_with_the_row_that_reaches_its_bytes(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..=5 {
        world.put(number, None, b"ten bytes.", 10, A);
    }
    world.at(1000);
    let call = "EXEC dbo.usp_BlobDelta_RunOperator @Mode = N'AllTables', @BatchSize = 500, @BatchBytes = 15";
    world.backend.execute_script(call).unwrap();
    let run = world.backend.recent_runs(1).unwrap().remove(0);
    let steps = world.backend.run_steps(run.id).unwrap();
    let rows: Vec<_> =
        steps.iter().filter(|step| step.step == Step::Roots.number()).map(|step| step.rows_processed).collect();
    assert_eq!((run.status, rows), (Status::Completed, vec![2, 2, 1]));
    assert_eq!(world.numbers(), [1, 2, 3, 4, 5]);
}

pub fn a_value_that_no_column_holds_is_left_by_its_key_and_the_rest_ships(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"small", 10, A);
    world.put(2, None, b"too large for this", 10, A);
    world.put(3, None, b"small", 10, A);
    say(&mut world, "ufn_BlobDelta_LargestValue() RETURNS bigint", "10");
    let first = world.run(1000);
    let waiting = reasons(&mut world);
    let without = world.numbers();
    say(&mut world, "ufn_BlobDelta_LargestValue() RETURNS bigint", "2147483647");
    world.run(2000);
    let counts = first.tables[0].counts.as_ref().unwrap();
    assert_eq!((counts.rows(), counts.pending, counts.gone), (2, 1, 1));
    assert_eq!(without, [1, 3]);
    assert!(waiting[0].starts_with(&key(2).to_string()) && waiting[0].contains("10 bytes"), "{waiting:?}");
    assert_eq!((world.numbers(), reasons(&mut world)), (vec![2], vec![]));
}

pub fn a_row_that_somebody_holds_is_left_by_its_key_and_the_rest_ships(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..=9 {
        world.put(number, None, b"x", 10, A);
    }
    // Readers of the server that these run on wait for nobody, so the error of one that waited too long is thrown by the template.
    let held = format!(
        "INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT N'Src.dbo.Docs', 1, N'Held', CONCAT(
             N'IF EXISTS (SELECT 1 FROM #Batch WHERE stream_id = ''{}'') THROW 51999, N''somebody holds it'', 1; ', ScriptText)
         FROM dbo.BlobDeltaStepScript WHERE StepNumber = 1 AND TableName IS NULL",
        key(4)
    );
    world.backend.execute_script(&held).unwrap();
    say(
        &mut world,
        "ufn_BlobDelta_IsLocked(@Number int) RETURNS bit",
        "CASE WHEN @Number IN (1222, 51999) THEN 1 ELSE 0 END",
    );
    let first = world.run(1000);
    let (waiting, without) = (reasons(&mut world), world.numbers());
    say(&mut world, "ufn_BlobDelta_IsLocked(@Number int) RETURNS bit", "CASE WHEN @Number = 1222 THEN 1 ELSE 0 END");
    let refused = world.run(1500);
    world.backend.execute_script("DELETE FROM dbo.BlobDeltaStepScript WHERE TableName = N'Src.dbo.Docs'").unwrap();
    world.run(2000);
    assert_eq!(first.tables[0].status, Status::Completed, "{:?}", first.tables[0].error);
    assert_eq!(without, [1, 2, 3, 5, 6, 7, 8, 9]);
    assert!(waiting[0].starts_with(&key(4).to_string()) && waiting[0].contains("holds its row"), "{waiting:?}");
    let error = refused.tables[0].error.as_ref().unwrap().to_string();
    assert!(error.contains("somebody holds it") && error.contains("Held"), "another error is not waited away: {error}");
    assert_eq!((world.numbers(), reasons(&mut world)), (vec![4], vec![]));
}

pub fn a_slice_that_cannot_be_truncated_is_emptied_row_by_row(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.run(1000);
    let hang = "USE Src_Delta; CREATE TABLE dbo.Hanging (k uniqueidentifier NULL REFERENCES dbo.Docs (stream_id)); USE BlobDeltaJobs";
    world.backend.execute_script(hang).unwrap();
    world.put(2, None, b"y", 1000, A);
    let report = world.run(2000);
    world.backend.execute_script("USE Src_Delta; DROP TABLE dbo.Hanging; USE BlobDeltaJobs").unwrap();
    assert_eq!(report.tables[0].status, Status::Completed, "{:?}", report.tables[0].error);
    assert_eq!(world.numbers(), [2]);
}

/// Rows of the source and their metadata, made by the server.
const MANY: &str = "INSERT INTO Src.dbo.Docs (stream_id, name, path_locator, file_stream)
    SELECT NEWID(), N'one of many', CONVERT(varbinary(8), 1000000 + n.Nr), 0x01
    FROM (
        SELECT TOP (2100) ROW_NUMBER() OVER (ORDER BY a.n, b.n, c.n, d.n) AS Nr
        FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7) AS a
        CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7) AS b
        CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7) AS c
        CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7) AS d
    ) AS n;
    INSERT INTO Meta.dbo.Docs (RowId, Id, ModifiedOn, BusinessUnit)
    SELECT NEWID(), s.stream_id, m.ModifiedOn, m.BusinessUnit FROM Src.dbo.Docs AS s CROSS JOIN Meta.dbo.Docs AS m WHERE s.name = N'one of many'";

pub fn a_queue_is_filled_in_chunks_and_a_plan_puts_nothing_into_it(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.backend.execute_script(MANY).unwrap();
    world.at(1000);
    let mut options = world.options();
    options.request.batch_size = Some(1000);
    let table = world.table.clone();
    let planned = world.backend.plan_table(&options.request, &table).unwrap();
    let queued = "SELECT CONVERT(nvarchar(20), COUNT(*)) FROM dbo.BlobDeltaWindowQueue";
    let before = world.backend.ask(queued).unwrap();
    let report = world.run_with(&options).unwrap();
    assert_eq!((planned.keys, before.as_deref()), (2101, Some("0")));
    assert_eq!(
        report.tables[0].counts.as_ref().map(|counts| counts.rows()),
        Some(2101),
        "{:?}",
        report.tables[0].error
    );
    assert_eq!(world.backend.ask(queued).unwrap().as_deref(), Some("2101"));
    let direct = "SELECT MIN(TableName) FROM dbo.BlobDeltaRunScript
        WHERE ScriptName = N'WindowQueue' AND CHARINDEX(N'BlobDeltaWindowQueue', SqlText) > 0";
    assert_eq!(world.backend.ask(direct).unwrap(), None, "no single statement fills the queue");
}
