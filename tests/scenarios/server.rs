//! A server on which the scenarios run, one after the other: its databases are made once and stay,
//! so that what was granted on them stays too, and are emptied for each world.
//!
//! Databases: `BlobDeltaJobs`, `Src`, `Meta`, `Src_Delta` and those of receivers: `Copy`, `CopyA`, `CopyB`,
//! `CopyAllAndA`, `CopyAAndB`. A server that holds anything
//! else under these names is refused before anything of it is touched. A test that makes a database
//! of another name has it noted first, so that what it leaves if it dies is dropped by the next, and
//! nothing else is.
//!
//! Its clock stands still: the functions that the procedures ask for the time are replaced by ones
//! that read a table of one row.

use crate::scenarios::session::Session;
use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::name::TableName;
use blobdelta::model::time::{TICKS_PER_MINUTE, Timestamp};
use std::sync::{Arc, OnceLock};

/// Says that the server's job database is the scenarios' own, and holds their time.
const CLOCK: &str = "BlobDeltaJobs.dbo.ScenarioClock";

/// What may hold tables of a world, beside the job database.
const DATABASES: [&str; 8] = ["Src", "Meta", "Src_Delta", "Copy", "CopyA", "CopyB", "CopyAllAndA", "CopyAAndB"];

/// See the module's text.
pub struct Server {
    pub connection: Arc<Connection>,
    /// See [`World::finest_ticks`](crate::scenarios::world::World::finest_ticks).
    pub finest_ticks: i64,
    /// A session of its own, which no fault of a scenario reaches.
    control: Session,
    utc: Timestamp,
    ahead_minutes: i64,
}

/// What is done once in a process; `Err` is why no scenario may run.
static PREPARED: OnceLock<std::result::Result<i64, String>> = OnceLock::new();

impl Server {
    /// The server with all databases empty but for what `deploy` makes.
    pub fn emptied(connection: &Arc<Connection>) -> Self {
        let prepared = PREPARED.get_or_init(|| prepare(connection).map_err(|error| error.to_string()));
        let finest_ticks = prepared.clone().unwrap_or_else(|error| panic!("{error}"));
        let mut control = Session::lent(connection);
        empty(&mut *control, "1 = 1").unwrap();
        Self { connection: Arc::clone(connection), finest_ticks, control, utc: Timestamp::MIN, ahead_minutes: 0 }
    }

    pub fn set_clock(&mut self, utc: Timestamp) {
        self.utc = utc;
        self.write_clock();
    }

    pub fn set_offset(&mut self, minutes: i64) {
        self.ahead_minutes = minutes;
        self.write_clock();
    }

    fn write_clock(&mut self) {
        let local = self.utc.plus_ticks(self.ahead_minutes * TICKS_PER_MINUTE);
        write_clock(&mut *self.control, self.utc, local).unwrap();
    }

    pub fn stop_clock(&mut self) {
        stop_clock(&mut *self.control).unwrap();
    }
}

fn write_clock(control: &mut dyn Sandbox, utc: Timestamp, local: Timestamp) -> Result<()> {
    control.execute_script(&format!("UPDATE dbo.ScenarioClock SET Utc = '{utc}', Local = '{local}'"))
}

fn stop_clock(control: &mut dyn Sandbox) -> Result<()> {
    for (function, column) in [("ufn_BlobDelta_UtcNow", "Utc"), ("ufn_BlobDelta_LocalNow", "Local")] {
        // Not every server has ALTER FUNCTION.
        control.execute_script(&format!("IF OBJECT_ID(N'dbo.{function}') IS NOT NULL DROP FUNCTION dbo.{function}"))?;
        control.execute_script(&format!(
            "CREATE FUNCTION dbo.{function}() RETURNS datetime2(7) AS
             BEGIN RETURN (SELECT {column} FROM dbo.ScenarioClock); END;"
        ))?;
    }
    Ok(())
}

/// Refuses what is not the scenarios' own, deploys, and stops the clock. Returns the finest step
/// of time that the server keeps.
fn prepare(connection: &Connection) -> Result<i64> {
    let create = OpenOptions { create: true, ..OpenOptions::default() };
    let mut first = connection.open_sandbox(&create)?;
    drop_noted(&mut *first)?;
    refuse_foreign(&mut *first)?;
    let mut control = connection.open_sandbox(&create)?;
    let control = &mut *control;
    // Templates that an earlier process changed and left behind are put back by the deployment.
    control.execute_script(
        "IF OBJECT_ID(N'BlobDeltaJobs.dbo.BlobDeltaStepScript') IS NOT NULL
         EXEC (N'DELETE FROM BlobDeltaJobs.dbo.BlobDeltaStepScript;
                 DELETE FROM BlobDeltaJobs.dbo.BlobDeltaQueuePopulationScript')",
    )?;
    control.deploy()?;
    for db in DATABASES {
        control.create_database(db)?;
    }
    let mut control = connection.open_sandbox(&OpenOptions::default())?;
    let control = &mut *control;
    control.execute_script(
        "IF OBJECT_ID(N'dbo.ScenarioClock') IS NULL
         BEGIN
             CREATE TABLE dbo.ScenarioClock (
                 Id uniqueidentifier NOT NULL PRIMARY KEY, Utc datetime2(7) NOT NULL, Local datetime2(7) NOT NULL
             );
             INSERT INTO dbo.ScenarioClock (Id, Utc, Local) VALUES (NEWID(), SYSUTCDATETIME(), SYSDATETIME());
         END;",
    )?;
    for table in ["BlobDeltaStepScript", "BlobDeltaQueuePopulationScript"] {
        let kept = table.replace("BlobDelta", "Scenario");
        control.execute_script(&format!("IF OBJECT_ID(N'dbo.{kept}') IS NOT NULL DROP TABLE dbo.{kept}"))?;
        control.execute_script(&format!("SELECT * INTO dbo.{kept} FROM dbo.{table}"))?;
    }
    stop_clock(control)?;
    finest_ticks(control)
}

/// Errs where a table is configured that is not the scenarios', or where a database of theirs has
/// tables on a server that they never ran on.
fn refuse_foreign(control: &mut dyn Sandbox) -> Result<()> {
    let why = "the scenarios empty the databases BlobDeltaJobs, Src, Meta, Src_Delta and Copy…, and on this server";
    control.execute_script(&format!(
        "IF OBJECT_ID(N'BlobDeltaJobs.dbo.BlobDeltaTableConfig') IS NOT NULL EXEC (N'
         IF EXISTS (
             SELECT 1 FROM BlobDeltaJobs.dbo.BlobDeltaTableConfig
             WHERE TableName NOT LIKE N''Src.%''
                 AND (IsActive = 1 OR TableName NOT LIKE N''Gwent[_]LA[_]FileTable.dbo.%'')
         ) RAISERROR (N''{why} BlobDeltaJobs has tables that are not theirs: give them a server of their own'', 16, 1)')"
    ))?;
    for db in DATABASES {
        control.execute_script(&format!(
            "IF DB_ID(N'{db}') IS NOT NULL AND OBJECT_ID(N'{CLOCK}') IS NULL EXEC (N'
             USE {db};
             IF EXISTS (SELECT 1 FROM sys.tables)
                 RAISERROR (N''{why} {db} has tables that are not theirs: give them a server of their own'', 16, 1);
             USE master;')"
        ))?;
    }
    Ok(())
}

/// Notes a database that a test is about to make.
pub fn note_database(control: &mut dyn Sandbox, name: &str) -> Result<()> {
    let name = format!("N'{}'", name.replace('\'', "''"));
    control.execute_script(&format!(
        "IF OBJECT_ID(N'dbo.ScenarioDatabase') IS NULL CREATE TABLE dbo.ScenarioDatabase (Name nvarchar(128) NOT NULL);
         IF DB_ID({name}) IS NOT NULL RAISERROR (N'the server has such a database, which is not the tests'' own', 16, 1)
         ELSE INSERT INTO dbo.ScenarioDatabase (Name) VALUES ({name})"
    ))
}

/// Drops the databases that were noted, and forgets what was configured of them.
pub fn drop_noted(control: &mut dyn Sandbox) -> Result<()> {
    control.execute_script(
        "IF OBJECT_ID(N'BlobDeltaJobs.dbo.ScenarioDatabase') IS NOT NULL EXEC (N'
         DECLARE @Name nvarchar(128), @Sql nvarchar(400);
         SET @Name = (SELECT MIN(Name) FROM BlobDeltaJobs.dbo.ScenarioDatabase);
         WHILE @Name IS NOT NULL
         BEGIN
             DELETE FROM BlobDeltaJobs.dbo.BlobDeltaTableConfig WHERE SourceDb = @Name;
             SET @Sql = N''DROP DATABASE ['' + REPLACE(@Name, N'']'', N'']]'') + N'']'';
             IF DB_ID(@Name) IS NOT NULL EXEC (@Sql);
             DELETE FROM BlobDeltaJobs.dbo.ScenarioDatabase WHERE Name = @Name;
             SET @Name = (SELECT MIN(Name) FROM BlobDeltaJobs.dbo.ScenarioDatabase);
         END;')",
    )
}

/// Empties what a world, or a process that died in one, left; of its tables those that a condition takes.
pub fn empty(control: &mut dyn Sandbox, which: &str) -> Result<()> {
    for db in DATABASES {
        each_table(control, db, which, "DROP TABLE ")?;
    }
    each_table(control, "BlobDeltaJobs", "name NOT LIKE N'BlobDelta%' AND name NOT LIKE N'Scenario%'", "DROP TABLE ")?;
    let kept = "name LIKE N'BlobDelta%'
        AND name NOT IN (N'BlobDeltaSource', N'BlobDeltaSchemaVersion', N'BlobDeltaIndexMade')";
    each_table(control, "BlobDeltaJobs", kept, "DELETE FROM ")?;
    control.execute_script("EXEC dbo.usp_BlobDelta_AddServer")?;
    control.execute_script(
        "INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
         SELECT TableName, StepNumber, ScriptName, ScriptText FROM dbo.ScenarioStepScript;
         INSERT INTO dbo.BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
         SELECT TableName, QueueName, ScriptText FROM dbo.ScenarioQueuePopulationScript;",
    )
}

/// Does one thing to each table of a database that a condition takes. There are servers whose QUOTENAME doubles
/// quotes too, and then names another table.
fn each_table(control: &mut dyn Sandbox, db: &str, which: &str, what: &str) -> Result<()> {
    control.execute_script(&format!(
        "USE {db};
         DECLARE @Id int, @Sql nvarchar(800);
         SET @Id = (SELECT MIN(object_id) FROM sys.tables WHERE {which});
         WHILE @Id IS NOT NULL
         BEGIN
             SET @Sql = (SELECT N'{what}[' + REPLACE(CAST(SCHEMA_NAME(schema_id) AS nvarchar(128)), N']', N']]') + N'].['
                                + REPLACE(CAST(name AS nvarchar(128)), N']', N']]') + N']' FROM sys.tables WHERE object_id = @Id);
             EXEC (@Sql);
             SET @Id = (SELECT MIN(object_id) FROM sys.tables WHERE object_id > @Id AND {which});
         END;
         USE BlobDeltaJobs;"
    ))
}

/// Some servers keep six digits of a datetime2(7).
fn finest_ticks(control: &mut dyn Sandbox) -> Result<i64> {
    struct Read(Option<Timestamp>);
    impl CellSink for Read {
        fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
            if let Cell::DateTime(at) = cell {
                self.0 = Some(at);
            }
            Ok(())
        }
        fn end_row(&mut self) -> Result<()> {
            Ok(())
        }
    }
    let odd = Timestamp::parse("2026-01-01").unwrap().plus_ticks(1);
    write_clock(control, odd, odd)?;
    let clock = TableName::parse(CLOCK).unwrap();
    let columns = control.columns(&clock)?;
    let utc: Vec<_> = columns.into_iter().filter(|column| column.name.eq_ignore_ascii_case("Utc")).collect();
    let mut read = Read(None);
    control.scan(&clock, &utc, "Id", &mut read)?;
    Ok(if read.0 == Some(odd) { 1 } else { 10 })
}
