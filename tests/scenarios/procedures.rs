//! The procedures called without this program, as an operator or a job calls them, before and after
//! the program itself.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::Count;
use crate::scenarios::session::Session;
use crate::scenarios::world::{A, B, BUFFER, World, key, minute, name, unit};
use blobdelta::backend::{OpenOptions, PackState};
use blobdelta::engine::{self, PackOptions, PackRequest};
use blobdelta::error::Kind;
use blobdelta::model::clock::ClockKind;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Status, Step};
use blobdelta::monitor::Silent;
use std::path::PathBuf;

/// As the design documents have it.
const ALL_TABLES: &str = "EXEC dbo.usp_BlobDelta_RunOperator
    @Mode           = N'AllTables',
    @TableName      = NULL,
    @BatchSize      = 500,
    @MaxDOP         = 2,
    @BusinessUnitId = NULL;";

fn call(world: &mut World, at: i64, sql: &str) -> Guid {
    world.at(at);
    world.backend.execute_script(sql).unwrap();
    world.backend.recent_runs(1).unwrap().remove(0).id
}

fn pack(world: &mut World, run: Guid) -> Vec<PathBuf> {
    let (out, disk) = (world.out(), std::sync::Arc::clone(&world.disk));
    engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: run, out: &out, options: &PackOptions::default(), lease_seconds: 600 },
        &*disk,
        &Silent,
    )
    .unwrap()
    .bundles
}

/// Three levels, a row of another unit, a deletion.
fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.put(1, None, b"root", 10, A);
    world.put(2, Some(1), b"folder", 10, A);
    world.put(3, Some(2), b"file", 10, B);
    world.log_deletion(9, 5);
    world
}

pub fn a_run_of_the_procedures_alone_is_packed_by_the_program(on: &Instance) {
    let mut world = seeded(on);
    let run = call(&mut world, 1000, ALL_TABLES);
    let header = world.backend.run(run).unwrap();
    assert_eq!((header.status, header.scope), (Status::Completed, Scope::All));
    assert_eq!(world.backend.run_tables(run).unwrap(), [(world.table.name.clone(), PackState::Unpacked)]);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!(world.mark().last_high_water, Some(minute(1000 - BUFFER)));
    assert!(!world.mark().is_running, "nobody waits for a bundle");
    let packed = pack(&mut world, run);
    assert_eq!(findings(&packed[0]), [] as [String; 0]);
    assert_eq!(world.backend.run_tables(run).unwrap()[0].1, PackState::Packed(1));
}

pub fn the_procedures_and_the_program_fill_the_same_slice(on: &Instance) {
    let mut world = seeded(on);
    call(&mut world, 1000, ALL_TABLES);
    let by_procedures = world.slice();
    let mut world = seeded(on);
    world.run(1000);
    assert_eq!(world.slice(), by_procedures);
    assert_eq!(by_procedures.len(), 3);
}

pub fn a_run_of_the_procedures_is_packed_before_the_program_empties_its_slice(on: &Instance) {
    let mut world = seeded(on);
    let run = call(&mut world, 1000, ALL_TABLES);
    let report = world.run(2000);
    assert_eq!(report.bundles.len(), 2);
    assert_eq!(world.backend.bundles(run).unwrap().len(), 1);
}

pub fn one_table_and_one_unit_are_called_as_the_documents_show(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Other");
    let single = "DECLARE @RunId uniqueidentifier;
        EXEC dbo.usp_BlobDelta_RunOperator
            @Mode          = N'SingleTable',
            @TableName     = N'Src.dbo.Docs',
            @BatchSize     = 500,
            @MaxDOP        = 2,
            @BusinessUnitId = NULL;";
    let run = call(&mut world, 1000, single);
    let tables: Vec<_> = world.backend.run_tables(run).unwrap().into_iter().map(|(table, _)| table).collect();
    assert_eq!(tables, [name("Src.dbo.Docs")]);
    pack(&mut world, run);
    let of_unit = format!(
        "DECLARE @RunId uniqueidentifier;
        DECLARE @BU uniqueidentifier = '{}';
        EXEC dbo.usp_BlobDelta_RunOperator
            @Mode          = N'AllTables',
            @TableName     = NULL,
            @BatchSize     = 500,
            @MaxDOP        = 2,
            @BusinessUnitId = @BU;",
        unit(B)
    );
    let run = call(&mut world, 1001, &of_unit);
    assert_eq!(world.backend.run(run).unwrap().scope, Scope::BusinessUnit(unit(B)));
    assert_eq!(world.backend.run_tables(run).unwrap().len(), 2);
    let slice = world.slice();
    assert_eq!(slice[&key(3)].bytes.as_deref(), Some(&b"file"[..]));
    assert_eq!(slice[&key(2)].bytes, None, "an ancestor of another unit comes without its blob");
}

pub fn what_an_operator_gets_wrong_is_reported_and_nothing_is_written(on: &Instance) {
    let mut world = seeded(on);
    for (call, says) in [
        ("@Mode = N'Everything'", "@Mode is AllTables or SingleTable"),
        ("@Mode = N'SingleTable'", "needs @TableName"),
        ("@Mode = N'SingleTable', @TableName = N'Src.dbo.Nothing'", "this table is not configured"),
        ("@Mode = N'AllTables', @BatchSize = 0", "the batch size has to be"),
        ("@Mode = N'AllTables', @BusinessUnitId = '77777777-7777-7777-7777-777777777777'", "business unit"),
    ] {
        let error = world.backend.execute_script(&format!("EXEC dbo.usp_BlobDelta_RunOperator {call}")).unwrap_err();
        assert!(error.to_string().contains(says), "{call}: {error}");
    }
    // Windows go back, in each table's own clock. What the program would refuse is refused here.
    world.at(1000);
    world.local_time_is_ahead_by(-60);
    for (clock, from, is_refused) in
        [(ClockKind::Utc, 1001, true), (ClockKind::Local, 941, true), (ClockKind::Local, 940, false)]
    {
        world.table.clock = clock;
        world.backend.save_table(&world.table.clone()).unwrap();
        let call = format!("EXEC dbo.usp_BlobDelta_Run @TableName = N'Src.dbo.Docs', @WindowFrom = '{}'", minute(from));
        let outcome = world.backend.execute_script(&call);
        assert_eq!(outcome.is_err(), is_refused, "{clock:?} {from}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("lies in the future"), "{error}");
            let plan = format!(
                "EXEC dbo.usp_BlobDelta_PlanTable @TableName = N'Src.dbo.Docs', @WindowFrom = '{}'",
                minute(from)
            );
            assert!(world.backend.execute_script(&plan).unwrap_err().to_string().contains("lies in the future"));
            assert!(world.backend.recent_runs(1).unwrap().is_empty());
        }
    }
}

pub fn one_table_of_several_fails_alone_in_the_procedures_too(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("Another");
    world.backend.execute_script("USE Src; DROP TABLE dbo.Another; USE BlobDeltaJobs").unwrap();
    let run = call(&mut world, 1000, ALL_TABLES);
    let header = world.backend.run(run).unwrap();
    assert_eq!(header.status, Status::Failed);
    assert_eq!(world.numbers(), [1, 2, 3], "the table after it was done");
    let failed = world.backend.table_errors(run).unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].1.contains("there is no table Src.dbo.Another"), "{failed:?}");
    assert_eq!(pack(&mut world, run).len(), 1);
}

pub fn a_template_that_fails_is_named_by_the_procedures_too(on: &Instance) {
    let mut world = seeded(on);
    let broken =
        "UPDATE dbo.BlobDeltaStepScript SET ScriptText = N'-- one\nUPDATE #Batch SET Depth = 1 / (Depth - Depth)'
        WHERE StepNumber = 1";
    world.backend.execute_script(broken).unwrap();
    let run = call(&mut world, 1000, ALL_TABLES);
    let failed = world.backend.table_errors(run).unwrap();
    assert!(failed[0].1.contains("zero (script Roots (step 1), line 2)"), "{failed:?}");
    assert!(!world.mark().is_running);
    assert!(world.numbers().is_empty());
}

pub fn a_run_that_the_procedures_began_is_resumed_by_the_program(on: &Instance) {
    let mut world = seeded(on);
    let begun = "DECLARE @RunId uniqueidentifier, @Epoch bigint;
        EXEC dbo.usp_BlobDelta_StartRun @BatchSize = 1, @RunId = @RunId OUTPUT;
        EXEC dbo.usp_BlobDelta_StartTable @RunId, N'Src.dbo.Docs', 600, @Epoch OUTPUT;
        EXEC dbo.usp_BlobDelta_RunBatch @RunId, N'Src.dbo.Docs', @Epoch, 1, 1;";
    let run = call(&mut world, 1000, begun);
    assert_eq!(world.numbers(), [1]);
    let mut options = world.options();
    options.resume = Some(run);
    let report = world.run_with(&options).unwrap();
    assert_eq!((report.run.id, report.run.status), (run, Status::Completed));
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!(report.tables[0].window.unwrap().end, minute(1000 - BUFFER), "the window is that of its start");
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
}

pub fn a_run_that_the_program_began_is_resumed_by_the_procedures(on: &Instance) {
    let mut world = seeded(on);
    world.at(1000);
    let mut dying = world.another();
    let run = dying.start_run(&world.options().request, None).unwrap();
    let table_run = dying.start_table(&run, &world.table, 600).unwrap();
    dying.run_batch(&table_run, Step::Roots, 1).unwrap();
    drop(dying);
    let resumed = format!("EXEC dbo.usp_BlobDelta_Run @ResumeRunId = '{}';", run.id);
    assert_eq!(call(&mut world, 1001, &resumed), run.id, "its own lease is no hindrance");
    assert_eq!(world.backend.run(run.id).unwrap().status, Status::Completed);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!(findings(&pack(&mut world, run.id)[0]), [] as [String; 0]);
}

pub fn the_monitoring_queries_answer_column_for_column(on: &Instance) {
    let mut world = seeded(on);
    let run = call(&mut world, 1000, ALL_TABLES);
    // As the design documents have them, with a table for their answer.
    let of_run = format!("WHERE RunId = '{run}'");
    let queries = [
        (
            "TOP (50)",
            "RunId, RunType, RequestedBy, RunStartedAt, RunCompletedAt, Status, ErrorMessage",
            "BlobDeltaRun",
            String::new(),
            "RunStartedAt DESC",
            1,
        ),
        (
            "",
            "TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed, WindowStart, WindowEnd, \
          BatchStartedAt, BatchCompletedAt, Status, ErrorMessage",
            "BlobDeltaRunStep",
            of_run.clone(),
            "TableName, StepNumber, BatchNumber",
            2,
        ),
        (
            "",
            "h.TableName, h.LastHighWaterModifiedOn, h.LastRunId, h.LastRunCompletedAt, h.IsInitialFullLoadDone, \
          h.IsRunning, h.RunLeaseExpiresAt",
            "BlobDeltaHighWatermark h",
            String::new(),
            "h.TableName",
            1,
        ),
        (
            "",
            "RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt",
            "BlobDeltaMissingParentsQueue",
            of_run,
            "TableName, CreatedAt",
            0,
        ),
    ];
    for (nth, (top, columns, table, which, order, least)) in queries.into_iter().enumerate() {
        let answer = name(&format!("BlobDeltaJobs.dbo.Answer{nth}"));
        let query = |into: &str| format!("SELECT {top} {columns} {into} FROM dbo.{table} {which} ORDER BY {order};");
        world.backend.execute_script(&query("")).unwrap();
        // A key of its own, by which the answer can be scanned.
        world.backend.execute_script(&query(&format!("INTO {answer}"))).unwrap();
        world.backend.execute_script(&format!("ALTER TABLE {answer} ADD Scanned uniqueidentifier NULL")).unwrap();
        world.backend.execute_script(&format!("UPDATE {answer} SET Scanned = NEWID()")).unwrap();
        let found = world.backend.columns(&answer).unwrap();
        let names: Vec<_> = found.iter().map(|column| column.name.to_lowercase()).collect();
        let wanted = columns.replace("h.", "").to_lowercase() + ", scanned";
        assert_eq!(names, wanted.split(", ").collect::<Vec<_>>(), "{table}");
        let mut rows = Count::default();
        world.backend.scan(&answer, &found, "Scanned", &mut rows).unwrap();
        assert!(rows.0 >= least, "{table}: {} rows", rows.0);
    }
}

/// As a client does that knows GO and nothing else; on what is deployed, and used.
pub fn the_scripts_run_again_on_what_is_there_and_change_nothing(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    let source = world.backend.source_id().unwrap();
    let (tables, watermarks) = (world.backend.tables().unwrap(), world.mark());
    for script in [
        include_str!("../../sql/sqlserver/03_BlobDeltaJobs_Schema.sql"),
        include_str!("../../sql/sqlserver/04_BlobDeltaJobs_Seed_Config.sql"),
        include_str!("../../sql/sqlserver/05_BlobDeltaJobs_Engine.sql"),
        include_str!("../../sql/sqlserver/07_BlobDeltaJobs_Doctor.sql"),
        include_str!("../../sql/sqlserver/08_BlobDeltaJobs_Prune.sql"),
        include_str!("../../sql/sqlserver/10_BlobDeltaJobs_Bundles.sql"),
        include_str!("../../sql/sqlserver/11_BlobDeltaJobs_Rights.sql"),
    ] {
        let mut batch = String::new();
        for line in script.lines().chain(["GO"]) {
            if line.trim().eq_ignore_ascii_case("GO") {
                if !batch.trim().is_empty() {
                    world.backend.execute_script(&batch).unwrap();
                }
                batch.clear();
            } else {
                batch.push_str(line);
                batch.push('\n');
            }
        }
    }
    world.stop_clock();
    assert_eq!(world.backend.source_id().unwrap(), source);
    let configured = world.backend.tables().unwrap();
    assert!(tables.iter().all(|table| configured.contains(table)), "{configured:?}");
    assert_eq!(format!("{:?}", world.mark()), format!("{watermarks:?}"));
    world.put(4, None, b"new", 1000, A);
    world.run(2000);
    assert_eq!(world.slice()[&key(4)].bytes.as_deref(), Some(&b"new"[..]));
}

pub fn a_table_is_added_by_plain_insert(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    world
        .backend
        .execute_script("DELETE FROM dbo.BlobDeltaTableConfig; DELETE FROM dbo.BlobDeltaHighWatermark;")
        .unwrap();
    let insert = "INSERT INTO dbo.BlobDeltaTableConfig (TableName, SourceDb, SourceTable, TargetDb, TargetTable,
            MetadataDb, MetadataTable, MetadataIdColumn)
        VALUES (N'Src.dbo.Docs', N'Src', N'Docs', N'Src_Delta', N'Docs', N'Meta', N'Docs', N'Id');";
    world.backend.execute_script(insert).unwrap();
    let run = call(&mut world, 2000, ALL_TABLES);
    assert_eq!(world.backend.run(run).unwrap().status, Status::Completed);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!(world.mark().last_high_water, Some(minute(2000 - BUFFER)), "a missing watermark row was made");
}

/// The marker row of a slice goes by the table's name alone.
pub fn a_table_of_another_schema_has_its_own_slice(on: &Instance) {
    let mut world = seeded(on);
    let mut other = world.table.clone();
    other.source = name("Src.Other.Docs");
    (other.name, other.target) = (other.source.clone(), name("Src_Delta.Other.Docs"));
    let columns = world.backend.columns(&world.table.source).unwrap();
    world.backend.create_table(&other.source, &columns, "stream_id", &[]).unwrap();
    let refused = world.backend.save_table(&other).unwrap_err();
    assert_eq!(refused.kind(), Kind::Config);
    assert!(refused.to_string().contains("Src.dbo.Docs"), "{refused}");
    assert_eq!(world.backend.tables().unwrap().iter().filter(|table| table.name == other.name).count(), 0);

    other.target = name("Src_Delta.Other.OtherDocs");
    world.backend.save_table(&other).unwrap();
    let run = call(&mut world, 1000, ALL_TABLES);
    assert_eq!(world.backend.run_tables(run).unwrap().len(), 2);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert!(world.backend.columns(&other.target).unwrap().len() > columns.len(), "the slice was made");
}

/// What the first load of another table puts into the queue in one transaction is 2,000 keys, and nobody waits for them.
pub fn a_queue_that_is_being_filled_keeps_no_other_table_waiting(on: &Instance) {
    let mut world = seeded(on);
    let Instance::Server(connection) = on else { return };
    let mut other = Session::own(connection, &OpenOptions::default());
    let filling = "USE BlobDeltaJobs;
        BEGIN TRANSACTION;
        INSERT INTO dbo.BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id)
        SELECT '00000000-0000-0000-0000-00000000000f', N'Src.dbo.Other', 3, n.Seq, NEWID()
        FROM (
            SELECT ROW_NUMBER() OVER (ORDER BY a.name, b.name) AS Seq FROM sys.all_columns AS a CROSS JOIN sys.databases AS b
        ) AS n
        WHERE n.Seq <= 2000;";
    other.execute_script(filling).unwrap();
    // The procedures wait a minute for a lock, and then fail.
    world.run(1000);
    assert_eq!(world.numbers(), [1, 2, 3]);
    other.execute_script("ROLLBACK TRANSACTION;").unwrap();
}
