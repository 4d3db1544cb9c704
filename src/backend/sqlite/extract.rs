//! [`Extract`] on the embedded instance.

use super::lease::Keeper;
use super::session::Session;
use crate::backend::extract::{Extract, LeaseKeeper};
use crate::backend::jobs::Jobs as _;
use crate::error::{Error, Kind, Result};
use crate::model::clock::ServerTime;
use crate::model::destination::{BundleForm, Destination, Seal};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{BatchOutcome, Fence, Run, RunRequest, Status, Step, TableCounts, TablePlan, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use rusqlite::Row;
use std::sync::Arc;

const SELECT_RUN: &str = "SELECT RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt, Status,
    ErrorMessage, TableName, BusinessUnitId, BatchSize, MaxDOP, WindowFrom, Attempt, OutFolder, ShipTo, SignedBy,
    EncryptedTo, BundleForm FROM BlobDeltaRun";

/// Rows of a batch where nobody says how many. A commit costs some ten syncs here, and nothing locks
/// less for being small; how long a batch may be is for its bytes to say.
const DEFAULT_BATCH_ROWS: u32 = 20_000;

impl Extract for Session {
    fn plan_table(&mut self, request: &RunRequest, table: &TableConfig) -> Result<TablePlan> {
        self.check_scope(request.scope, table)?;
        self.plan(request, table).map_err(|error| error.table(&table.name))
    }

    fn start_run(&mut self, request: &RunRequest, told: Option<&Destination>) -> Result<Run> {
        self.read_servers()?.check()?;
        let tables = self.requested_tables(request)?;
        let started = self.server_time();
        self.check_clock(&tables, started, None)?;
        for table in &tables {
            match self.placeholders(table) {
                Ok(placeholders) => drop(self.prepare_scripts(table, placeholders)?),
                // One table of several that cannot run is a failure of that table.
                Err(error) if request.table.is_some() => return Err(error),
                Err(_) => {}
            }
            if request.table.is_some() {
                self.marker(table)?;
            }
        }
        self.settle_journal(super::session::JOB_DATABASE)?;
        let id = Guid::random();
        let run_type = if request.table.is_some() { "SingleTable" } else { "AllTables" };
        self.transact("start a run", |session| {
            session.execute(
                "INSERT INTO BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, Status, TableName,
                     BusinessUnitId, BatchSize, MaxDOP, WindowFrom)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'Running', ?6, ?7, ?8, ?9, ?10)",
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
                ),
            )?;
            session.note_left_out(id, request, started.utc)?;
            if let Some(told) = told {
                session.write_destination(id, told)?;
            }
            for table in &tables {
                session.execute(
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
        self.read_servers()?.check()?;
        self.check_clock(&self.configured_tables()?, self.server_time(), Some(id))?;
        let run = self.transact("resume a run", |session| {
            session.execute(
                "UPDATE BlobDeltaRun SET Status = 'Running', RunCompletedAt = NULL, ErrorMessage = NULL,
                 Attempt = Attempt + 1 WHERE RunId = ?1",
                [id],
            )?;
            session.read_run(id)
        })?;
        self.resumed = Some((id, run.attempt));
        Ok(run)
    }

    fn take_over(&mut self, run: Guid) -> Result<()> {
        self.taken_over = Some(self.run(run)?.id);
        Ok(())
    }

    fn start_table(&mut self, run: &Run, table: &TableConfig, lease_seconds: u32) -> Result<TableRun> {
        self.check_scope(run.scope, table)?;
        let prepared = self.prepare_table(table)?;
        self.settle_journal(&table.target.db)?;
        let (fence, took_over) = self.take(run.id, &table.name, lease_seconds, Some(run.attempt))?;
        let started = self.resume_table(run, table, &fence).and_then(|resumed| match resumed {
            Some(table_run) => Ok(table_run),
            None => self.start_fresh(run, &prepared, &fence),
        });
        if started.is_err() {
            self.release_failed(&fence)?;
        }
        let started = started.map(|table_run| TableRun { took_over, ..table_run });
        started.map_err(|error| error.run(run.id).table(&table.name))
    }

    fn queue_missing_parents(&mut self, table_run: &TableRun) -> Result<u64> {
        self.queue_parents(table_run)
    }

    fn run_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome> {
        let placed = |error: Error| error.run(table_run.fence.run_id).table(&table_run.fence.table).step(step.number());
        self.copy_batch(table_run, step, batch_size).map_err(placed)
    }

    fn finish_table(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts> {
        self.complete_slice(table_run, keep_lease)
    }

    fn fail_table(
        &mut self,
        run: &Run,
        table: &TableName,
        fence: Option<&Fence>,
        status: Status,
        message: &str,
    ) -> Result<()> {
        self.log_failure(run, table, fence, status, message)
    }

    fn finish_run(&mut self, run: &Run, status: Status, message: Option<&str>) -> Result<()> {
        self.transact("finish the run", |session| {
            session.pass_run(run.id, run.attempt)?;
            session.execute(
                "UPDATE BlobDeltaRun SET Status = ?2, ErrorMessage = ?3, RunCompletedAt = ?4 WHERE RunId = ?1",
                (run.id, status.as_str(), message, session.server_time().utc),
            )
        })?;
        Ok(())
    }

    fn take_lease(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence> {
        let attempt = self.resumed.filter(|(resumed, _)| *resumed == run_id).map(|(_, attempt)| attempt);
        self.take(run_id, table, lease_seconds, attempt).map(|(fence, _)| fence)
    }

    fn release_leases(&mut self, fences: &[Fence]) -> Result<()> {
        self.transact("release leases", |session| fences.iter().try_for_each(|fence| session.release(fence)))
    }

    fn lease_keeper(&self) -> Result<Box<dyn LeaseKeeper>> {
        Ok(Box::new(Keeper { connection: self.open_main_alone()?, clock: Arc::clone(self.clock()) }))
    }
}

impl Session {
    /// Tables without units that a run for one unit over all tables leaves out.
    fn note_left_out(&self, run_id: Guid, request: &RunRequest, now: Timestamp) -> Result<()> {
        if request.table.is_some() || request.scope.business_unit().is_none() {
            return Ok(());
        }
        self.execute(
            "INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
                 BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
             SELECT ?1, TableName, 0, 1, 0, 0, ?2, ?2, 'LeftOut', 'this table has no business units'
             FROM BlobDeltaTableConfig WHERE IsActive AND MetadataBusinessUnitCol IS NULL",
            (run_id, now),
        )?;
        Ok(())
    }

    /// A table run of this run that had queued its keys before, if its slice is still its own.
    fn resume_table(&mut self, run: &Run, table: &TableConfig, fence: &Fence) -> Result<Option<TableRun>> {
        let (start, end, queued): (Option<Timestamp>, Option<Timestamp>, Option<u64>) = self
            .query_optional(
                "SELECT WindowStart, WindowEnd, QueuedKeys FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2",
                (run.id, &table.name),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .ok_or_else(|| Error::usage("this table is not part of the run"))?;
        let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
        let marker = self.marker(table)?;
        if marker.run_id != Some(run.id) {
            let taken = marker.run_id.map_or("another run".into(), |run| format!("run {run}"));
            return Err(Error::new(Kind::Superseded, format!("the slice was taken by {taken}; nothing was written"))
                .hint("start a new run"));
        }
        if queued.is_none() {
            return Ok(None);
        }
        self.drop_excluded(fence, table)?;
        let of = "SELECT QueuedKeys FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2";
        let queued_keys = self.query_one(of, (run.id, &table.name))?;
        let ended_keys = self.query_one(
            "SELECT count(*) FROM BlobDeltaWindowQueue WHERE RunId = ?1 AND TableName = ?2 AND State IS NOT NULL",
            (run.id, &table.name),
        )?;
        let complete = marker.state != crate::model::slice::SliceState::Filling;
        let window = Window { start, end, clock: table.clock };
        let fence = fence.clone();
        Ok(Some(TableRun { fence, window, scope: run.scope, queued_keys, ended_keys, complete, took_over: None }))
    }

    /// Within a transaction.
    pub(super) fn write_destination(&self, run: Guid, told: &Destination) -> Result<()> {
        self.execute(
            "UPDATE BlobDeltaRun SET OutFolder = ?2, ShipTo = ?3, SignedBy = ?4, EncryptedTo = ?5, BundleForm = ?6
             WHERE RunId = ?1",
            (
                run,
                &told.out_folder,
                &told.ship_to,
                &told.seal.signed_by,
                told.seal.recipients_text(),
                told.form.as_str(),
            ),
        )?;
        Ok(())
    }

    pub(super) fn read_run(&self, id: Guid) -> Result<Run> {
        let found = self.query_optional(&format!("{SELECT_RUN} WHERE RunId = ?1"), [id], read_run)?;
        found.ok_or_else(|| Error::usage("there is no such run").run(id).hint("status lists the runs"))
    }

    pub(super) fn read_runs(&self, limit: u32) -> Result<Vec<Run>> {
        self.query_all(&format!("{SELECT_RUN} ORDER BY RunStartedAt DESC, RunId LIMIT ?1"), [limit], read_run)
    }
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let status: String = row.get(6)?;
    Ok(Run {
        id: row.get(0)?,
        run_type: row.get(1)?,
        requested_by: row.get(2)?,
        started_at: ServerTime { utc: row.get(3)?, local: row.get(4)? },
        completed_at: row.get(5)?,
        status: Status::parse(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        error: row.get(7)?,
        table: row.get(8)?,
        scope: row.get::<_, Option<Guid>>(9)?.into(),
        batch_size: row.get(10)?,
        max_dop: row.get(11)?,
        from: row.get(12)?,
        attempt: row.get(13)?,
        destination: read_destination(row)?,
    })
}

fn read_destination(row: &Row<'_>) -> rusqlite::Result<Option<Destination>> {
    let (out_folder, form): (Option<String>, Option<String>) = (row.get(14)?, row.get(18)?);
    let (Some(out_folder), Some(form)) = (out_folder, form) else { return Ok(None) };
    Ok(Some(Destination {
        out_folder,
        ship_to: row.get(15)?,
        form: BundleForm::parse(&form).ok_or(rusqlite::Error::InvalidQuery)?,
        seal: Seal {
            signed_by: row.get(16)?,
            encrypted_to: Seal::recipients_of(row.get::<_, Option<String>>(17)?.as_deref()),
        },
    }))
}
