//! Ending table runs and runs: the sums, the tree, the watermark.

use super::prepared::Prepared;
use super::session::{Session, failed};
use crate::error::{Error, Result};
use crate::model::name::TableName;
use crate::model::run::{Fence, Run, Scope, Status, TableCounts, TableRun};
use crate::model::slice::SliceState;
use crate::scripts;
use serde::{Serialize, de::DeserializeOwned};

/// Passes over a slice whose rows moved while it was filled; each mends one level.
const MAX_DEPTH_PASSES: u32 = 512;

impl Session {
    pub(super) fn complete_slice(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts> {
        let prepared = self.prepared(&table_run.fence.table)?;
        let (fence, table) = (&table_run.fence, &prepared.config);
        self.transact("complete the slice", |session| {
            session.pass(fence)?;
            session.own_slice(table, fence, &[SliceState::Filling])?;
            session.create_order_index(table)?;
            if table.is_tree() {
                session.mend_depths(&prepared)?;
                session.suspect_tree(&prepared, &prepared.parameters(&session.given(table_run, 0, 0)?))?;
            }
            session.forget_pending(&prepared, table_run)?;
            session.tell_what_left(&prepared, table_run)?;
            if table.is_tree() {
                session.note_absent(&prepared, table_run)?;
            }
            let counts = session.sum_up(&prepared, table_run)?;
            session.move_watermark(table_run)?;
            session.execute(
                &format!(
                    "UPDATE {}.BlobDeltaSlice SET State = 'Complete' WHERE TargetTable = ?1",
                    session.schema_of(&table.target.db)
                ),
                [&table.target.table],
            )?;
            session.execute(
                "UPDATE BlobDeltaRunTable SET Status = 'Completed', Counts = ?3, CompletedAt = ?4,
                     WatermarkAfter = max(WindowEnd, coalesce(WatermarkBefore, WindowEnd))
                 WHERE RunId = ?1 AND TableName = ?2",
                (fence.run_id, &table.name, to_json(&counts)?, session.server_time().utc),
            )?;
            if !keep_lease {
                session.release(fence)?;
            }
            Ok(counts)
        })
    }

    /// Rule 13: a parent stands before its children also where rows moved between two batches.
    fn mend_depths(&self, prepared: &Prepared) -> Result<()> {
        let filled = |text: &str| prepared.placeholders.fill("mend_depths", text);
        let find = filled(
            "SELECT c.{KeyColumn} FROM {TargetTable} AS c INNER JOIN {TargetTable} AS p
                 ON p.{KeyColumn} = c.DeltaParentKey
             WHERE c.DeltaDepth <> p.DeltaDepth + 1 LIMIT 1",
        )?;
        let mend = filled(
            "UPDATE {TargetTable} AS c SET DeltaDepth = p.DeltaDepth + 1 FROM {TargetTable} AS p
             WHERE p.{KeyColumn} = c.DeltaParentKey AND c.DeltaDepth <> p.DeltaDepth + 1",
        )?;
        let mut odd = self.query_optional(&find, [], |row| row.get::<_, crate::model::id::Guid>(0))?;
        for _ in 0..MAX_DEPTH_PASSES {
            if odd.is_none() {
                return Ok(());
            }
            self.execute(&mend, [])?;
            odd = self.query_optional(&find, [], |row| row.get(0))?;
        }
        let error = Error::config("rows of this table were moved while the slice was filled, and stand in a cycle now");
        let error = error.table(&prepared.config.name).hint("run the table again");
        Err(odd.into_iter().fold(error, |error, key| error.key(key)))
    }

    /// Rule 3: every key has ended, and what was copied stands in the slice.
    fn sum_up(&self, prepared: &Prepared, table_run: &TableRun) -> Result<TableCounts> {
        let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
        let (unmarked, copied, gone): (u64, u64, u64) = self.query_row(
            "SELECT coalesce(sum(State IS NULL), 0), coalesce(sum(State = 'Copied'), 0), coalesce(sum(State = 'Gone'), 0)
             FROM BlobDeltaWindowQueue WHERE RunId = ?1 AND TableName = ?2",
            (run, table),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let told: String =
            self.query_one("SELECT Counts FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2", (run, table))?;
        let mut counts: TableCounts = from_json(&told)?;
        let sql = prepared.placeholders.fill("slice_counts", scripts::sqlite::SLICE_COUNTS)?;
        let parameters = prepared.parameters(&self.given(table_run, 0, 0)?);
        let mut statement = self.prepare_script("slice_counts", &sql, &parameters)?;
        let mut rows = statement.raw_query();
        let broken = |error| failed("count the slice", error);
        if let Some(row) = rows.next().map_err(broken)? {
            counts.roots = row.get(0).map_err(broken)?;
            counts.missing_parents = row.get(1).map_err(broken)?;
            counts.children = row.get(2).map_err(broken)?;
            counts.early = row.get(3).map_err(broken)?;
            counts.late = row.get(4).map_err(broken)?;
            counts.buried = row.get(5).map_err(broken)?;
        }
        counts.gone = gone;
        counts.held_back = self
            .query_one("SELECT count(*) FROM BlobDeltaHeldBackKey WHERE RunId = ?1 AND TableName = ?2", (run, table))?;
        (counts.pending, counts.pending_since) = self.pending_keys(&prepared.config, table_run.scope)?;
        counts.tombstones = self.query_one(
            &format!(
                "SELECT count(*) FROM {}.BlobDeltaDeletion WHERE TableName = ?1",
                self.schema_of(&prepared.config.target.db)
            ),
            [table],
        )?;
        if unmarked > 0 || counts.roots + counts.children != copied {
            let text = format!(
                "the sums do not fit: {unmarked} keys have not ended, {copied} were copied, {} stand in the slice",
                counts.roots + counts.children
            );
            return Err(Error::internal(text).run(run).table(table).hint("go on with --resume"));
        }
        Ok(counts)
    }

    /// Rules 11 and 12: never backwards, and a run for one unit moves that unit's alone.
    fn move_watermark(&self, table_run: &TableRun) -> Result<()> {
        let (run, table, end) = (table_run.fence.run_id, &table_run.fence.table, table_run.window.end);
        match table_run.scope {
            Scope::All => {
                self.execute(
                    "UPDATE BlobDeltaHighWatermark SET LastRunId = ?2, LastRunCompletedAt = ?3, IsInitialFullLoadDone = 1,
                         LastHighWaterModifiedOn = max(?4, coalesce(LastHighWaterModifiedOn, ?4)) WHERE TableName = ?1",
                    (table, run, self.server_time().utc, end),
                )?;
                let prepared = self.prepared.get(table);
                let units = prepared.filter(|prepared| prepared.config.metadata_business_unit_column.is_some());
                let Some(prepared) = units else { return Ok(()) };
                // One that is away, and comes back, is new again: its changes of meanwhile lie in no window.
                let sql = prepared.placeholders.fill(
                    "away_units",
                    "UPDATE BlobDeltaBusinessUnitWatermark SET IsKnownToAllRuns = 0 WHERE TableName = ?1
                     AND BusinessUnitId NOT IN (SELECT u.{BusinessUnitIdColumn} FROM {BusinessUnitTable} AS u
                                                WHERE u.{BusinessUnitIdColumn} IS NOT NULL)",
                )?;
                self.execute(&sql, [table])?;
                let sql = prepared.placeholders.fill(
                    "known_units",
                    "INSERT INTO BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, IsKnownToAllRuns)
                     SELECT ?1, u.{BusinessUnitIdColumn}, 1 FROM {BusinessUnitTable} AS u WHERE true
                     ON CONFLICT (TableName, BusinessUnitId) DO UPDATE SET IsKnownToAllRuns = 1",
                )?;
                self.execute(&sql, [table])?;
            }
            Scope::BusinessUnit(unit) => {
                self.execute(
                    "INSERT INTO BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId,
                         LastRunCompletedAt)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (TableName, BusinessUnitId) DO UPDATE SET LastRunId = ?4,
                         LastRunCompletedAt = ?5, LastHighWaterModifiedOn = max(?3, coalesce(LastHighWaterModifiedOn, ?3))",
                    (table, unit, end, run, self.server_time().utc),
                )?;
            }
        }
        Ok(())
    }

    /// Releases the lease of a failed table run under its own fence, and logs the failure.
    pub(super) fn log_failure(
        &mut self,
        run: &Run,
        table: &TableName,
        fence: Option<&Fence>,
        status: Status,
        message: &str,
    ) -> Result<()> {
        self.transact("log a failure", |session| {
            session.pass_run(run.id, run.attempt)?;
            fence.map_or(Ok(()), |fence| session.release(fence))?;
            let now = session.server_time().utc;
            session.execute(
                "UPDATE BlobDeltaRunTable SET
                     LastError = CASE WHEN Status = 'Completed' THEN coalesce(LastError, ?4) ELSE ?4 END,
                     Status = CASE WHEN Status IN ('Completed', 'GivenUp') THEN Status ELSE ?3 END
                 WHERE RunId = ?1 AND TableName = ?2",
                (run.id, table, status.as_str(), message),
            )?;
            session.execute(
                "INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
                     WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
                 SELECT ?1, ?2, 0, coalesce(max(s.BatchNumber), 0) + 1, 0, 0, t.WindowStart, t.WindowEnd, ?3, ?3, ?4, ?5
                 FROM BlobDeltaRunTable AS t
                 LEFT JOIN BlobDeltaRunStep AS s ON s.RunId = ?1 AND s.TableName = ?2 AND s.StepNumber = 0
                 WHERE t.RunId = ?1 AND t.TableName = ?2",
                (run.id, table, now, status.as_str(), message),
            )?;
            Ok(())
        })
    }

    /// Clears what a failed table run holds, under its own fence alone.
    pub(super) fn release_failed(&mut self, fence: &Fence) -> Result<()> {
        self.transact("release the lease", |session| session.release(fence))
    }
}

/// JSON of a small value, for a column of text.
pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal("cannot write JSON").caused_by(error))
}

/// The value again.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::config("a row of BlobDeltaRunTable holds broken JSON").caused_by(error))
}
