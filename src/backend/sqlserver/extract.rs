//! [`Extract`] on a server: each method is one stored procedure.

use super::client::Client;
use super::database::Database;
use super::engine::Engine;
use super::marker::placed;
use super::runs::destination_inputs;
use super::sql::{Sql, SqlParameter};
use super::values::{RowFields, number_at, text_at};
use crate::backend::extract::{Extract, LeaseKeeper};
use crate::backend::jobs::Jobs as _;
use crate::error::{Error, Result};
use crate::model::destination::Destination;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{BatchOutcome, Fence, Run, RunRequest, Status, Step, TableCounts, TablePlan, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::window::{Cut, Window};
use crate::scripts::statement::statement;
use std::time::Duration;
use tiberius::Row;

const SQL: &str = include_str!("../../../sql/sqlserver/extract.sql");
const WINDOW: &str = statement(SQL, "window");

/// Rows of a batch where nobody says how many: from some 5,000 locks on, the server locks the table.
const DEFAULT_BATCH_ROWS: u32 = 500;

/// `BlobDeltaRun.ErrorMessage` and `LastError` hold so many characters.
const MESSAGE_CHARS: usize = 4000;

type Inputs<'a> = Vec<(&'static str, SqlParameter<'a>)>;

impl Extract for Engine<'_> {
    fn plan_table(&mut self, request: &RunRequest, table: &TableConfig) -> Result<TablePlan> {
        // As start_table does.
        self.source_columns(table).map_err(|error| error.table(&table.name))?;
        // Rule 15: it counts deletions by the script `Deletions`, which start_table runs.
        let mut sql = Sql::new("EXEC dbo.usp_BlobDelta_PlanTable @TableName = ").bind(&table.name);
        if let Some(unit) = request.scope.business_unit() {
            sql = sql.then(", @BusinessUnitId = ").bind(unit);
        }
        if let Some(from) = request.from {
            sql = sql.then(", @WindowFrom = ").bind(from);
        }
        if let Some(until) = request.until {
            sql = sql.then(", @WindowUntil = ").bind(until);
        }
        let row = self.db.client.unit(|client| client.row("plan a table", sql.clone()));
        let row = row.map_err(|error| self.db.name_script(error).table(&table.name))?;
        let row = row.ok_or_else(|| Error::internal("the plan of a table is empty").table(&table.name))?;
        let fields = RowFields::of(&row);
        Ok(TablePlan {
            schema_changes: Vec::new(),
            table: table.name.clone(),
            window: Window {
                start: fields.must(0, RowFields::time)?,
                end: fields.must(1, RowFields::time)?,
                clock: table.clock,
            },
            ends: text_at(&fields, 5)?.split(',').map(Timestamp::parse).collect::<Result<_>>()?,
            has_more_ends: fields.number(6)? == Some(1),
            keys: number_at(&fields, 2)?,
            counts: fields.text(3)?.map(counts_of).transpose()?.unwrap_or_default(),
            refused: fields.text(4)?.map(str::to_owned),
        })
    }

    fn start_run(&mut self, request: &RunRequest, recorded: Option<&Destination>) -> Result<Run> {
        self.state.known.forget_catalogs();
        // Named on this side, so that the call can be repeated when its answer is lost.
        let id = Guid::random();
        unit(self.db, "start a run", "dbo.usp_BlobDelta_StartRun", &[], || {
            let mut inputs = vec![
                ("TableName", request.table.as_ref().into()),
                ("BatchSize", request.batch_size.unwrap_or(DEFAULT_BATCH_ROWS).into()),
                ("MaxDOP", request.max_dop.into()),
                ("BusinessUnitId", request.scope.business_unit().into()),
                ("RequestedBy", (&request.requested_by).into()),
                ("WindowFrom", request.from.into()),
                ("WindowUntil", request.until.into()),
                ("ContinuesRunId", request.continues.into()),
                ("RunId", id.into()),
            ];
            inputs.extend(destination_inputs(recorded));
            inputs
        })
        .map_err(|error| match &request.table {
            Some(table) => error.table(table),
            None => error,
        })?;
        self.run(id)
    }

    fn resume_run(&mut self, id: Guid) -> Result<Run> {
        self.state.known.forget_catalogs();
        let output = [("Attempt", "int")];
        let row = unit(self.db, "resume a run", "dbo.usp_BlobDelta_ResumeRun", &output, || vec![("RunId", id.into())]);
        let row = row.and_then(must).map_err(|error| error.run(id))?;
        // Not read back: by now it may be another's.
        let attempt = number_at(&RowFields::of(&row), 0)?;
        self.state.resumed = Some((id, attempt));
        Ok(Run { attempt, ..self.run(id)? })
    }

    fn take_over(&mut self, run: Guid) -> Result<()> {
        self.state.taken_over = Some(self.run(run)?.id);
        Ok(())
    }

    fn start_table(&mut self, run: &Run, table: &TableConfig, lease_seconds: u32) -> Result<TableRun> {
        let (owner, taken_over) = (self.state.owner, self.state.taken_over);
        let outputs = [
            ("LeaseEpoch", "bigint"),
            ("QueuedKeys", "bigint"),
            ("IsComplete", "bit"),
            ("TookOver", "uniqueidentifier"),
            ("SliceChanged", "bit"),
        ];
        // Rule 15: its scripts `Deletions` and `LeftAgain` put what is due into the slice.
        let started = unit(self.db, "start a table", "dbo.usp_BlobDelta_StartTable", &outputs, || {
            vec![
                ("RunId", run.id.into()),
                ("TableName", (&table.name).into()),
                ("LeaseSeconds", lease_seconds.into()),
                ("OwnerToken", owner.into()),
                ("Attempt", run.attempt.into()),
                ("TakeOver", taken_over.into()),
            ]
        });
        let started = started.and_then(must).and_then(|row| {
            if RowFields::of(&row).number(4)? == Some(1) {
                self.state.known.columns.remove(&table.target);
                self.state.known.forget_catalogs();
            }
            table_run(self.db, run, table, &row)
        });
        started.map_err(|error| {
            give_back_lease(self, run.id, &table.name);
            error.run(run.id).table(&table.name)
        })
    }

    // Rule 7: the procedure that is called says how.
    fn queue_missing_parents(&mut self, table_run: &TableRun) -> Result<u64> {
        let fence = &table_run.fence;
        let row = unit(
            self.db,
            "queue missing parents",
            "dbo.usp_BlobDelta_QueueMissingParents",
            &[("Waiting", "bigint")],
            || fenced(fence),
        );
        let row = row.and_then(must).map_err(|error| placed(error, fence))?;
        number_at(&RowFields::of(&row), 0)
    }

    fn run_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome> {
        let fence = &table_run.fence;
        let outputs = [("Keys", "bigint"), ("Rows", "bigint")];
        let row = unit(self.db, "copy a batch", "dbo.usp_BlobDelta_RunBatch", &outputs, || {
            let mut inputs = fenced(fence);
            inputs.push(("Step", i64::from(step.number()).into()));
            inputs.push(("BatchSize", batch_size.into()));
            inputs
        });
        let row = row.and_then(must).map_err(|error| placed(error, fence).step(step.number()))?;
        let fields = RowFields::of(&row);
        Ok(BatchOutcome { keys: number_at(&fields, 0)?, rows: number_at(&fields, 1)? })
    }

    fn finish_table(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts> {
        let fence = &table_run.fence;
        // Rule 15: its script `ReportedDeletions` records what the slice reports. Rule 12: `NewUnits` finds the units that are new,
        // and a run for a unit moves the watermark of that unit alone.
        let row = unit(
            self.db,
            "complete the slice",
            "dbo.usp_BlobDelta_FinishTable",
            &[("Counts", "nvarchar(4000)")],
            || {
                let mut inputs = fenced(fence);
                inputs.push(("KeepLease", keep_lease.into()));
                inputs
            },
        );
        let row = row.and_then(must).map_err(|error| placed(error, fence))?;
        counts_of(RowFields::of(&row).must(0, RowFields::text)?)
    }

    fn fail_table(
        &mut self,
        run: &Run,
        table: &TableName,
        fence: Option<&Fence>,
        status: Status,
        message: &str,
    ) -> Result<()> {
        let message = cut(message);
        unit(self.db, "log a failure", "dbo.usp_BlobDelta_FailTable", &[], || {
            vec![
                ("RunId", run.id.into()),
                ("TableName", table.into()),
                ("LeaseEpoch", fence.map(|fence| fence.epoch).into()),
                ("Status", status.as_str().into()),
                ("Message", (&message).into()),
                ("Attempt", run.attempt.into()),
            ]
        })
        .map(drop)
    }

    fn finish_run(&mut self, run: &Run, status: Status, message: Option<&str>) -> Result<()> {
        let message = message.map(cut);
        unit(self.db, "finish the run", "dbo.usp_BlobDelta_FinishRun", &[], || {
            let mut inputs =
                vec![("RunId", run.id.into()), ("Status", status.as_str().into()), ("Attempt", run.attempt.into())];
            inputs.extend(message.as_ref().map(|message| ("Message", message.into())));
            inputs
        })
        .map(drop)
    }

    fn take_lease(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence> {
        let (owner, taken_over) = (self.state.owner, self.state.taken_over);
        let attempt = self.state.resumed.filter(|(resumed, _)| *resumed == run_id).map(|(_, attempt)| attempt);
        let row = unit(self.db, "take the lease", "dbo.usp_BlobDelta_TakeLease", &[("LeaseEpoch", "bigint")], || {
            vec![
                ("RunId", run_id.into()),
                ("TableName", table.into()),
                ("LeaseSeconds", lease_seconds.into()),
                ("OwnerToken", owner.into()),
                ("Attempt", attempt.into()),
                ("TakeOver", taken_over.into()),
            ]
        });
        let row = row.and_then(must).map_err(|error| error.table(table))?;
        Ok(Fence { table: table.clone(), run_id, epoch: number_at(&RowFields::of(&row), 0)? })
    }

    fn release_leases(&mut self, fences: &[Fence]) -> Result<()> {
        let release = "dbo.usp_BlobDelta_ReleaseLease";
        fences.iter().try_for_each(|fence| unit(self.db, "release the lease", release, &[], || fenced(fence)).map(drop))
    }

    fn lease_keeper(&mut self) -> Result<Box<dyn LeaseKeeper>> {
        let mut client = self.db.another(Some(MOST_FOR_A_LEASE))?;
        // It comes again by itself, and whoever ends waits for it.
        client.wait_for_nobody();
        Ok(Box::new(Keeper { client }))
    }
}

/// What a renewal waits for at most, the wait for a lock included. Whoever ends waits for its thread.
const MOST_FOR_A_LEASE: Duration = Duration::from_secs(120);

/// Renews on a connection of its own.
struct Keeper {
    client: Client,
}

impl LeaseKeeper for Keeper {
    fn renew(&mut self, fence: &Fence, lease_seconds: u32) -> Result<()> {
        let renewed = self.client.unit(|client| {
            let mut inputs = fenced(fence);
            inputs.push(("LeaseSeconds", lease_seconds.into()));
            client.call("renew the lease", "dbo.usp_BlobDelta_RenewLease", inputs, &[])
        });
        renewed.map(drop).map_err(|error| placed(error, fence))
    }
}

/// One procedure, repeated as a whole where the server or the connection asks for it.
fn unit<'a>(
    db: &mut Database,
    doing: &str,
    procedure: &str,
    outputs: &[(&str, &str)],
    inputs: impl Fn() -> Inputs<'a>,
) -> Result<Option<Row>> {
    db.disk().before_commit(doing)?;
    let done = db.client.unit(|client| client.call(doing, procedure, inputs(), outputs));
    done.map_err(|error| db.name_script(error))
}

/// Releases a lease whose epoch this session was never told. If that fails too, it expires by itself.
fn give_back_lease(engine: &mut Engine<'_>, run: Guid, table: &TableName) {
    if engine.db.client.is_linked() {
        let inputs =
            vec![("RunId", run.into()), ("TableName", table.into()), ("OwnerToken", engine.state.owner.into())];
        drop(engine.db.client.call("give the lease back", "dbo.usp_BlobDelta_ReleaseLease", inputs, &[]));
    }
}

fn table_run(db: &mut Database, run: &Run, table: &TableConfig, started: &Row) -> Result<TableRun> {
    let started = RowFields::of(started);
    let fence = Fence { table: table.name.clone(), run_id: run.id, epoch: number_at(&started, 0)? };
    let (queued_keys, complete) = (number_at(&started, 1)?, started.number(2)? == Some(1));
    let took_over = started.guid(3)?;
    let sql = Sql::new(WINDOW).with(run.id).with(&table.name);
    let row = must(db.client.unit(|client| client.row("read the window", sql.clone()))?)?;
    let fields = RowFields::of(&row);
    let (start, end) = (fields.must(0, RowFields::time)?, fields.must(1, RowFields::time)?);
    let window = Window { start, end, clock: table.clock };
    let ended_keys = number_at(&fields, 2)?;
    let one_stamp_rows = fields.number(4)?.and_then(|rows| u64::try_from(rows).ok());
    let cut = Cut { goal: fields.time(3)?.unwrap_or(end), one_stamp_rows };
    Ok(TableRun { fence, window, cut, scope: run.scope, queued_keys, ended_keys, complete, took_over })
}

/// What every write of a table run carries.
fn fenced<'a>(fence: &Fence) -> Inputs<'a> {
    vec![("RunId", fence.run_id.into()), ("TableName", (&fence.table).into()), ("LeaseEpoch", fence.epoch.into())]
}

fn must(row: Option<Row>) -> Result<Row> {
    row.ok_or_else(|| Error::internal("a procedure gave no answer").hint("run deploy with this program"))
}

fn counts_of(json: &str) -> Result<TableCounts> {
    serde_json::from_str(json)
        .map_err(|error| Error::internal("the counts of a table cannot be understood").caused_by(error))
}

fn cut(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS).collect()
}
