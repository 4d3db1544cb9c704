//! One batch: the next keys by number, their parents, the template, and how each key ended; all
//! in one transaction behind the fence.

use super::prepared::Prepared;
use super::session::Session;
use super::template::Parameters;
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
            let keys = session.take_keys(table_run, step, batch_size)?;
            if keys == 0 {
                return Ok(BatchOutcome::default());
            }
            if let Some(sql) = &prepared.batch_parents {
                session.find_parents(&prepared, sql, &parameters)?;
            }
            let (name, sql) = prepared
                .steps
                .get(usize::from(step.number()) - 1)
                .ok_or_else(|| Error::internal("a flat table has step 1 alone").table(&prepared.config.name))?;
            let rows = session.run_script(name, sql, &parameters)?;
            match step {
                Step::MissingParents => session.mark_parents(table_run)?,
                Step::Roots | Step::Children => session.mark_keys(&prepared, table_run, name, step, &parameters)?,
            }
            session.log_batch(table_run, step, rows, started)?;
            Ok(BatchOutcome { keys, rows })
        })
    }

    /// The next keys of a step into `#Batch`.
    fn take_keys(&self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<u64> {
        self.execute("DELETE FROM temp.\"#Batch\"", [])?;
        let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
        if step == Step::MissingParents {
            return self.execute(
                "INSERT INTO temp.\"#Batch\" (stream_id) SELECT stream_id FROM BlobDeltaMissingParentsQueue
                 WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0 ORDER BY stream_id LIMIT ?3",
                (run, table, batch_size),
            );
        }
        let column = if step == Step::Roots { "RootsSeq" } else { "ChildrenSeq" };
        let after: i64 = self.query_one(
            &format!("SELECT {column} FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2"),
            (run, table),
        )?;
        let next = "INSERT INTO temp.\"#Batch\" (stream_id, Seq, WasHeldBack, IsPending)
                    SELECT stream_id, Seq, WasHeldBack, IsPending FROM BlobDeltaWindowQueue
                    WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3 AND Seq > ?4 AND State IS NULL
                    ORDER BY Seq LIMIT ?5";
        let taken = self.execute(next, (run, table, step.number(), after, batch_size))?;
        if taken > 0 || after == 0 {
            return Ok(taken);
        }
        // A step ends when no key is unmarked, not when the numbers have run out.
        self.execute(next, (run, table, step.number(), 0, batch_size))
    }

    fn find_parents(&self, prepared: &Prepared, sql: &str, parameters: &Parameters) -> Result<()> {
        self.execute("DELETE FROM temp.\"#Parents\"", [])?;
        self.run_script("batch_parents", sql, parameters)?;
        let fill = |text: &str| prepared.placeholders.fill("batch_parents", text);
        let too_deep: Option<Guid> = self.query_optional(
            &fill(
                "SELECT b.stream_id FROM temp.\"#Batch\" AS b CROSS JOIN {SourceTable} AS s ON s.{KeyColumn} = b.stream_id
                 CROSS JOIN temp.\"#Parents\" AS p ON p.ParentPath = {ParentPath} WHERE p.Depth >= ?1 LIMIT 1",
            )?,
            [MAX_LEVELS],
            |row| row.get(0),
        )?;
        if let Some(key) = too_deep {
            return Err(Error::config(format!("this row has a cycle or {MAX_LEVELS} levels of parents above it"))
                .table(&prepared.config.name)
                .key(key)
                .hint("mend its parent path in the source, or exclude the key in BlobDeltaExcludedKey"));
        }
        // Looked up row by row: SQLite would scan the source, not knowing how small a batch is.
        let update = "UPDATE temp.\"#Batch\" SET (ParentKey, Depth) = (
                          SELECT max(p.ParentKey), coalesce(max(p.Depth), 0)
                          FROM {SourceTable} AS s CROSS JOIN temp.\"#Parents\" AS p ON p.ParentPath = {ParentPath}
                          WHERE s.{KeyColumn} = \"#Batch\".stream_id)";
        self.execute(&fill(update)?, [])?;
        Ok(())
    }

    fn mark_parents(&self, table_run: &TableRun) -> Result<()> {
        self.execute(
            "UPDATE BlobDeltaMissingParentsQueue SET Processed = 1
             WHERE RunId = ?1 AND TableName = ?2 AND stream_id IN (SELECT stream_id FROM temp.\"#Batch\")",
            (table_run.fence.run_id, &table_run.fence.table),
        )?;
        Ok(())
    }

    /// Rules 3 to 5: every key of the batch ends, and is remembered where it has to be.
    fn mark_keys(
        &self,
        prepared: &Prepared,
        table_run: &TableRun,
        script: &str,
        step: Step,
        parameters: &Parameters,
    ) -> Result<()> {
        let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
        self.run_script("batch_states", &prepared.batch_states, parameters)?;
        let left: Option<Guid> =
            self.query_optional("SELECT stream_id FROM temp.\"#Batch\" WHERE State IS NULL LIMIT 1", [], |row| {
                row.get(0)
            })?;
        if let Some(key) = left {
            let text = format!("the script {script} left out a row that is in the window");
            let hint = "a script may not filter rows: exclude keys in BlobDeltaExcludedKey, with a reason";
            return Err(Error::config(text).run(run).table(table).step(step.number()).key(key).hint(hint));
        }
        self.execute(
            // By number, and not as a join, which SQLite would begin at the whole queue.
            "UPDATE BlobDeltaWindowQueue AS q SET State = (
                 SELECT CASE b.State WHEN 'Absent' THEN 'Gone' ELSE b.State END
                 FROM temp.\"#Batch\" AS b WHERE b.stream_id = q.stream_id)
             WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3
             AND Seq IN (SELECT Seq FROM temp.\"#Batch\" WHERE State <> 'Moved')",
            (run, table, step.number()),
        )?;
        self.execute(
            "UPDATE BlobDeltaWindowQueue SET Step = 3 WHERE RunId = ?1 AND TableName = ?2 AND Step = 1
             AND Seq IN (SELECT Seq FROM temp.\"#Batch\" WHERE State = 'Moved')",
            (run, table),
        )?;
        self.execute(
            "INSERT OR IGNORE INTO BlobDeltaHeldBackKey (RunId, TableName, stream_id)
             SELECT ?1, ?2, stream_id FROM temp.\"#Batch\" WHERE State = 'HeldBack'",
            (run, table),
        )?;
        self.execute(
            "DELETE FROM BlobDeltaPendingKey WHERE TableName = ?1
             AND stream_id IN (SELECT stream_id FROM temp.\"#Batch\" WHERE State = 'Copied')",
            [table],
        )?;
        self.execute(
            "INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, stream_id, Reason, CreatedAt)
             SELECT ?1, b.stream_id, 'The metadata has this key, the source does not', ?2 FROM temp.\"#Batch\" AS b
             WHERE b.State = 'Absent' AND NOT EXISTS (
                 -- A deletion after the stamp explains why the row is not there.
                 SELECT 1 FROM BlobDeltaDeletionLog AS d INNER JOIN BlobDeltaWindowQueue AS q
                     ON q.RunId = ?3 AND q.TableName = ?1 AND q.stream_id = b.stream_id
                 WHERE d.TableName = ?1 AND d.stream_id = b.stream_id
                     AND d.DeletedOn >= coalesce(q.ModifiedOn, d.DeletedOn))",
            (table, self.server_time().utc, run),
        )?;
        let column = if step == Step::Roots { "RootsSeq" } else { "ChildrenSeq" };
        self.execute(
            &format!(
                "UPDATE BlobDeltaRunTable SET {column} = max({column}, (SELECT max(Seq) FROM temp.\"#Batch\"))
                 WHERE RunId = ?1 AND TableName = ?2"
            ),
            (run, table),
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
        let Some((name, sql)) = &prepared.missing_parents else { return Ok(0) };
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
            session.run_script(name, sql, &parameters)?;
            session.query_one(
                "SELECT count(*) FROM BlobDeltaMissingParentsQueue WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0",
                (table_run.fence.run_id, &table_run.fence.table),
            )
        })
    }
}
