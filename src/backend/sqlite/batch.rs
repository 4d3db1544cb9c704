//! One batch: the next keys by number, their parents, the template, and how each key ended; all
//! in one transaction behind the fence.

use super::prepared::Prepared;
use super::session::Session;
use super::template::Parameters;
use super::values::way_out;
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::run::{BatchOutcome, Fence, Step, TableRun};
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

/// Rule 7: more levels than this are a cycle, or as good as one.
const MAX_LEVELS: u32 = 512;

impl Session {
    /// Rule 9, within a transaction: the slice is still this run's, and in this state.
    pub(super) fn own_slice(&self, table: &TableConfig, fence: &Fence, states: &[SliceState]) -> Result<()> {
        let marker = self.marker(table)?;
        if marker.run_id == Some(fence.run_id) && states.contains(&marker.state) {
            return Ok(());
        }
        let holder = marker.run_id.map_or("no run".into(), |run| format!("run {run}"));
        Err(Error::new(
            Kind::Superseded,
            format!("the slice is {} and holds {holder}; nothing was written", marker.state.as_str()),
        )
        .run(fence.run_id)
        .table(&table.name)
        .hint("a run whose slice was taken is never resumed or packed: start a new run"))
    }

    pub(super) fn copy_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome> {
        let prepared = self.prepared(&table_run.fence.table)?;
        self.create_batch_tables()?;
        let started = self.server_time().utc;
        self.transact("copy a batch", |session| {
            session.pass(&table_run.fence)?;
            session.own_slice(&prepared.config, &table_run.fence, &[SliceState::Filling])?;
            let given = session.given(table_run, batch_size, step.number())?;
            let parameters = prepared.parameters(&given);
            let mut taken = session.take_keys(&prepared, table_run, step, &parameters)?;
            if taken.keys == 0 {
                return Ok(BatchOutcome::default());
            }
            if let Some(sql) = &prepared.batch_parents {
                session.find_parents(&prepared, sql, &parameters)?;
            }
            let template = prepared
                .steps
                .get(usize::from(step.number()) - 1)
                .ok_or_else(|| Error::internal("a flat table has step 1 alone").table(&prepared.config.name))?;
            let last_row = session.last_row(&prepared)?;
            let copied = session.run_template(&prepared.config, template, &parameters);
            let rows = copied.map_err(|error| session.explain(&prepared, error))?;
            // A script of ours takes rows of the batch alone, each once, so that their number is proof enough.
            taken.is_all_copied = rows == taken.keys && prepared.is_ours(step);
            session.fill_pieces(&prepared, &taken.piecewise)?;
            session.check_values(&prepared, last_row)?;
            match step {
                Step::MissingParents => session.mark_parents(table_run)?,
                Step::Roots | Step::Children => {
                    session.mark_keys(&prepared, table_run, (&template.0, step), &taken, &parameters)?;
                }
            }
            session.log_batch(table_run, step, rows, started)?;
            Ok(BatchOutcome { keys: taken.keys, rows })
        })
    }

    fn find_parents(&self, prepared: &Prepared, sql: &str, parameters: &Parameters) -> Result<()> {
        self.execute("DELETE FROM temp.\"#Parents\"", [])?;
        if self.run_script("batch_parents", sql, parameters)? == 0 {
            return Ok(());
        }
        let too_deep: Option<Guid> = self.query_optional(
            "SELECT b.stream_id FROM temp.\"#Parents\" AS p CROSS JOIN temp.\"#Batch\" AS b
                 ON b.ParentPath = p.ParentPath WHERE p.Depth >= ?1 LIMIT 1",
            [MAX_LEVELS],
            |row| row.get(0),
        )?;
        if let Some(key) = too_deep {
            let table = &prepared.config.name;
            return Err(Error::config(format!("this row has a cycle or {MAX_LEVELS} levels of parents above it"))
                .table(table)
                .key(key)
                .hint(format!("its parent path leads back to it, or up too far: {}", way_out(table, key))));
        }
        self.execute(
            "UPDATE temp.\"#Batch\" AS b SET (ParentKey, Depth) = (
                 SELECT p.ParentKey, p.Depth FROM temp.\"#Parents\" AS p WHERE p.ParentPath = b.ParentPath)
             WHERE ParentPath IS NOT NULL",
            [],
        )?;
        Ok(())
    }

    fn log_batch(&self, table_run: &TableRun, step: Step, rows: u64, started: Timestamp) -> Result<()> {
        self.execute(
            "INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
                 WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status)
             SELECT ?1, ?2, ?3, coalesce(max(BatchNumber), 0) + 1, ?4,
                 ?4 + coalesce((SELECT TotalRowsProcessed FROM BlobDeltaRunStep
                     WHERE RunId = ?1 AND TableName = ?2 AND StepNumber = ?3 ORDER BY BatchNumber DESC LIMIT 1), 0),
                 ?5, ?6, ?7, ?8, 'Completed'
             FROM BlobDeltaRunStep WHERE RunId = ?1 AND TableName = ?2 AND StepNumber = ?3",
            (
                table_run.fence.run_id,
                &table_run.fence.table,
                step.number(),
                rows,
                table_run.window.start,
                table_run.window.end,
                started,
                self.server_time().utc,
            ),
        )?;
        Ok(())
    }

    /// Rule 7: one pass of queueing ancestors. Returns how many wait now.
    pub(super) fn queue_parents(&mut self, table_run: &TableRun) -> Result<u64> {
        let prepared = self.prepared(&table_run.fence.table)?;
        let Some(template) = &prepared.missing_parents else { return Ok(0) };
        let config = &prepared.config;
        // A parent that came to the source after its child was copied.
        let refresh = prepared.placeholders.fill(
            "refresh_parents",
            "UPDATE {TargetTable} AS t SET DeltaParentKey = (
                 SELECT min(s.{KeyColumn}) FROM {SourceTable} AS s WHERE s.{PathColumn} = t.{ParentPathColumn})
             WHERE t.DeltaParentKey IS NULL AND t.{ParentPathColumn} IS NOT NULL
                 AND EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{PathColumn} = t.{ParentPathColumn})",
        )?;
        let orphaned = prepared.placeholders.fill(
            "refresh_parents",
            "SELECT EXISTS (SELECT 1 FROM {TargetTable} AS t
                 WHERE t.DeltaParentKey IS NULL AND t.{ParentPathColumn} IS NOT NULL)",
        )?;
        self.transact("queue missing parents", |session| {
            session.pass(&table_run.fence)?;
            session.own_slice(config, &table_run.fence, &[SliceState::Filling])?;
            // A statement that would change nothing still locks the file of the slice.
            if session.query_one(&orphaned, [])? {
                session.execute(&refresh, [])?;
            }
            let parameters = prepared.parameters(&session.given(table_run, 0, 2)?);
            session.run_template(config, template, &parameters)?;
            session.query_one(
                "SELECT count(*) FROM BlobDeltaMissingParentsQueue WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0",
                (table_run.fence.run_id, &table_run.fence.table),
            )
        })
    }
}
