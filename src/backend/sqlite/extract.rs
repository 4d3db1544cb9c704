//! [`Extract`] on the embedded instance.

use super::database::{Database, JOB_DATABASE};
use super::engine::Engine;
use super::lease::{self, Keeper, Lease, Taker};
use super::{asked, batch, config, drift, finish, marker, runs, scope, servers, start};
use crate::backend::extract::{Extract, LeaseKeeper};
use crate::backend::jobs::Jobs as _;
use crate::error::{Error, Kind, Result};
use crate::model::destination::Destination;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{BatchOutcome, Fence, Run, RunRequest, Status, Step, TableCounts, TablePlan, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::window::{Cut, Window};
use crate::scripts::statement::statement;
use std::sync::Arc;

const SQL: &str = include_str!("../../../sql/sqlite/extract.sql");
const INSERT_RUN: &str = statement(SQL, "insert_run");
const STARTED_TABLE: &str = statement(SQL, "started_table");
const RESUME_RUN: &str = statement(SQL, "resume_run");
const LEAVE_OUT_WITHOUT_UNITS: &str = statement(SQL, "leave_out_without_units");

/// Rows of a batch where nobody says how many. A commit costs some ten syncs here, and nothing locks
/// less for being small; how long a batch may be is for its bytes to say.
const DEFAULT_BATCH_ROWS: u32 = 20_000;

impl Extract for Engine<'_> {
    fn plan_table(&mut self, request: &RunRequest, table: &TableConfig) -> Result<TablePlan> {
        scope::check_scope(request.scope, table)?;
        start::plan(self, request, table).map_err(|error| error.table(&table.name))
    }

    fn start_run(&mut self, request: &RunRequest, recorded: Option<&Destination>) -> Result<Run> {
        servers::read_servers(self.db)?.check()?;
        let tables = start::requested_tables(self.db, request)?;
        let started = self.db.server_time();
        start::check_clock(self.db, &tables, started, None)?;
        for table in &tables {
            match config::placeholders(self.db, table) {
                Ok(placeholders) => drop(self.state.prepared.prepare_scripts(self.db, table, placeholders)?),
                // One table of several that cannot run is a failure of that table.
                Err(error) if request.table.is_some() => return Err(error),
                Err(_) => {}
            }
            if request.table.is_some() {
                marker::marker(self.db, table)?;
            }
        }
        self.db.settle_journal(JOB_DATABASE)?;
        let id = Guid::random();
        let run_type = if request.table.is_some() { "SingleTable" } else { "AllTables" };
        self.db.transact("start a run", |db| {
            db.execute(
                INSERT_RUN,
                (
                    id,
                    run_type,
                    &request.requested_by,
                    started.utc,
                    started.local,
                    request.table.as_ref().and(tables.first()).map(|table| &table.name),
                    request.scope.business_unit(),
                    request.batch_size.unwrap_or(DEFAULT_BATCH_ROWS),
                    request.max_dop,
                    request.from,
                    request.until,
                    request.continues,
                ),
            )?;
            note_left_out(db, id, request, started.utc)?;
            if let Some(recorded) = recorded {
                runs::write_destination(db, id, recorded)?;
            }
            for table in &tables {
                db.execute(
                    "INSERT INTO BlobDeltaRunTable (RunId, TableName, Scope, Status) VALUES (?1, ?2, ?3, 'Waiting')",
                    (id, &table.name, request.scope.to_string()),
                )?;
            }
            Ok(())
        })?;
        self.run(id)
    }

    fn resume_run(&mut self, id: Guid) -> Result<Run> {
        let run = self.run(id)?;
        if run.status == Status::Completed {
            return Err(Error::usage("this run is completed")
                .run(id)
                .hint("pack it with `pack --run`, or start a new one"));
        }
        servers::read_servers(self.db)?.check()?;
        start::check_clock(self.db, &config::configured_tables(self.db)?, self.db.server_time(), Some(id))?;
        let run = self.db.transact("resume a run", |db| {
            db.execute(RESUME_RUN, [id])?;
            runs::run(db, id)
        })?;
        self.state.resumed = Some((id, run.attempt));
        Ok(run)
    }

    fn take_over(&mut self, run: Guid) -> Result<()> {
        self.state.taken_over = Some(self.run(run)?.id);
        Ok(())
    }

    fn start_table(&mut self, run: &Run, table: &TableConfig, lease_seconds: u32) -> Result<TableRun> {
        scope::check_scope(run.scope, table)?;
        let prepared = self.state.prepared.prepare(self.db, table)?;
        self.db.settle_journal(&table.target.db)?;
        let (fence, took_over) = take(self, run.id, &table.name, lease_seconds, Some(run.attempt))?;
        let lease = self.state.lease;
        let started = resume_table(self.db, lease, run, table, &fence).and_then(|resumed| match resumed {
            Some(table_run) if table_run.complete => Ok(table_run),
            Some(table_run) => drift::check_no_drift(self.db, table).map(|()| table_run),
            None => start::start_fresh(self, run, &prepared, &fence),
        });
        if started.is_err() {
            finish::release_failed(self.db, &fence)?;
        }
        let started = started.map(|table_run| TableRun { took_over, ..table_run });
        started.map_err(|error| error.run(run.id).table(&table.name))
    }

    // Rule 7.
    fn queue_missing_parents(&mut self, table_run: &TableRun) -> Result<u64> {
        batch::queue_parents(self, table_run)
    }

    fn run_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome> {
        let placed = |error: Error| error.run(table_run.fence.run_id).table(&table_run.fence.table).step(step.number());
        batch::copy_batch(self, table_run, step, batch_size).map_err(placed)
    }

    fn finish_table(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts> {
        finish::complete_slice(self, table_run, keep_lease)
    }

    fn fail_table(
        &mut self,
        run: &Run,
        table: &TableName,
        fence: Option<&Fence>,
        status: Status,
        message: &str,
    ) -> Result<()> {
        finish::log_failure(self.db, run, table, fence, status, message)
    }

    fn finish_run(&mut self, run: &Run, status: Status, message: Option<&str>) -> Result<()> {
        self.db.transact("finish the run", |db| {
            lease::check_attempt(db, run.id, run.attempt)?;
            db.execute(
                "UPDATE BlobDeltaRun SET Status = ?2, ErrorMessage = ?3, RunCompletedAt = ?4 WHERE RunId = ?1",
                (run.id, status.as_str(), message, db.server_time().utc),
            )
        })?;
        Ok(())
    }

    fn take_lease(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence> {
        let attempt = self.state.resumed.filter(|(resumed, _)| *resumed == run_id).map(|(_, attempt)| attempt);
        take(self, run_id, table, lease_seconds, attempt).map(|(fence, _)| fence)
    }

    fn release_leases(&mut self, fences: &[Fence]) -> Result<()> {
        self.db.transact("release leases", |db| fences.iter().try_for_each(|fence| lease::release(db, fence)))
    }

    fn lease_keeper(&mut self) -> Result<Box<dyn LeaseKeeper>> {
        Ok(Box::new(Keeper { connection: self.db.open_main_alone()?, clock: Arc::clone(self.db.clock()) }))
    }
}

/// Takes a lease as [`Lease::take`] does, and holds it for so long from then on.
fn take(
    engine: &mut Engine<'_>,
    run_id: Guid,
    table: &TableName,
    lease_seconds: u32,
    attempt: Option<u32>,
) -> Result<(Fence, Option<Guid>)> {
    servers::read_servers(engine.db)?.check()?;
    engine.state.lease = Lease::of(lease_seconds);
    let taker = Taker { run_id, attempt, taken_over: engine.state.taken_over };
    engine.state.lease.take(engine.db, table, &taker)
}

/// Tables without units that a run for one unit over all tables leaves out.
fn note_left_out(db: &Database, run_id: Guid, request: &RunRequest, now: Timestamp) -> Result<()> {
    if request.table.is_some() || request.scope.business_unit().is_none() {
        return Ok(());
    }
    db.execute(LEAVE_OUT_WITHOUT_UNITS, (run_id, now))?;
    Ok(())
}

/// A table run of this run that had queued its keys before, if its slice is still its own.
fn resume_table(
    db: &mut Database,
    lease: Lease,
    run: &Run,
    table: &TableConfig,
    fence: &Fence,
) -> Result<Option<TableRun>> {
    type Started = (Option<Timestamp>, Option<Timestamp>, Option<u64>, Option<Timestamp>, Option<u64>);
    let (start, end, queued, goal, one_stamp_rows): Started = db
        .query_optional(STARTED_TABLE, (run.id, &table.name), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?
        .ok_or_else(|| Error::usage("this table is not part of the run"))?;
    let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
    let cut = Cut { goal: goal.unwrap_or(end), one_stamp_rows };
    let marker = marker::marker(db, table)?;
    if marker.run_id != Some(run.id) {
        let taken = marker.run_id.map_or("another run".into(), |run| format!("run {run}"));
        return Err(Error::new(Kind::Superseded, format!("the slice was taken by {taken}; nothing was written"))
            .hint("start a new run"));
    }
    if queued.is_none() {
        return Ok(None);
    }
    asked::drop_excluded(db, lease, fence, table)?;
    let of = "SELECT QueuedKeys FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2";
    let queued_keys = db.query_one(of, (run.id, &table.name))?;
    let ended_keys = db.query_one(
        "SELECT count(*) FROM BlobDeltaWindowQueue WHERE RunId = ?1 AND TableName = ?2 AND State IS NOT NULL",
        (run.id, &table.name),
    )?;
    let complete = marker.state != crate::model::slice::SliceState::Filling;
    let window = Window { start, end, clock: table.clock };
    let fence = fence.clone();
    Ok(Some(TableRun { fence, window, cut, scope: run.scope, queued_keys, ended_keys, complete, took_over: None }))
}
