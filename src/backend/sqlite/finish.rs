//! Ending table runs and runs: the sums, the tree, the watermark.

use super::database::Database;
use super::engine::Engine;
use super::errors::failed;
use super::prepared::{self, Prepared};
use super::sql::{from_json, to_json};
use super::{ancestors, asked, config, drift, lease, left, marker, reported, start, template};
use crate::error::{Error, Result};
use crate::model::name::TableName;
use crate::model::run::{Fence, Run, Scope, Status, TableCounts, TableRun};
use crate::model::slice::SliceState;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/finish.sql");
const COMPLETE_TABLE: &str = statement(SQL, "complete_table");
const ODD_DEPTH: &str = statement(SQL, "odd_depth");
const MEND_DEPTHS: &str = statement(SQL, "mend_depths");
const SUM_UP: &str = statement(SQL, "sum_up");
const SLICE_COUNTS: &str = statement(SQL, "slice_counts");
const MOVE_WATERMARK: &str = statement(SQL, "move_watermark");
const AWAY_UNITS: &str = statement(SQL, "away_units");
const KNOWN_UNITS: &str = statement(SQL, "known_units");
const MOVE_UNIT_WATERMARK: &str = statement(SQL, "move_unit_watermark");
const LOG_FAILURE: &str = statement(SQL, "log_failure");
const LOG_FAILED_STEP: &str = statement(SQL, "log_failed_step");

/// Passes over a slice whose rows moved while it was filled; each mends one level.
const MAX_DEPTH_PASSES: u32 = 512;

pub(super) fn complete_slice(engine: &mut Engine<'_>, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts> {
    let prepared = engine.state.prepared.of(engine.db, &table_run.fence.table)?;
    let (fence, table) = (&table_run.fence, &prepared.config);
    let lease = engine.state.lease;
    engine.db.transact("complete the slice", |db| {
        lease.check_fence(db, fence)?;
        marker::own_slice(db, table, fence, &[SliceState::Filling])?;
        drift::check_no_drift(db, table)?;
        config::create_order_index(db, table)?;
        if table.is_tree() {
            mend_depths(db, &prepared)?;
            reported::suspect_tree(db, &prepared, &prepared.parameters(&prepared::given(db, table_run, 0, 0)?))?;
        }
        asked::forget_pending(db, &prepared, table_run)?;
        left::report_what_left(db, &prepared, table_run)?;
        if table.is_tree() {
            ancestors::note_absent(db, &prepared, table_run)?;
        }
        let counts = sum_up(db, &prepared, table_run)?;
        move_watermark(db, &prepared, table_run)?;
        db.execute(
            &format!(
                "UPDATE {}.BlobDeltaSlice SET State = 'Complete' WHERE TargetTable = ?1",
                db.schema_of(&table.target.db)
            ),
            [&table.target.table],
        )?;
        db.execute(COMPLETE_TABLE, (fence.run_id, &table.name, to_json(&counts)?, db.server_time().utc))?;
        if !keep_lease {
            lease::release(db, fence)?;
        }
        Ok(counts)
    })
}

/// Rule 13: a parent stands before its children also where rows moved between two batches.
fn mend_depths(db: &Database, prepared: &Prepared) -> Result<()> {
    let filled = |text: &str| prepared.placeholders.fill("mend_depths", text);
    let find = filled(ODD_DEPTH)?;
    let mend = filled(MEND_DEPTHS)?;
    let mut odd = db.query_optional(&find, [], |row| row.get::<_, crate::model::id::Guid>(0))?;
    for _ in 0..MAX_DEPTH_PASSES {
        if odd.is_none() {
            return Ok(());
        }
        db.execute(&mend, [])?;
        odd = db.query_optional(&find, [], |row| row.get(0))?;
    }
    let error = Error::config("rows of this table were moved while the slice was filled, and now form a cycle");
    let error = error.table(&prepared.config.name).hint("run the table again");
    Err(odd.into_iter().fold(error, |error, key| error.key(prepared.config.key_type.shown(key))))
}

/// Rule 3: every key has ended, and what was copied stands in the slice.
fn sum_up(db: &Database, prepared: &Prepared, table_run: &TableRun) -> Result<TableCounts> {
    let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
    let (unfinished, copied, gone): (u64, u64, u64) =
        db.query_row(SUM_UP, (run, table), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let reported: String =
        db.query_one("SELECT Counts FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2", (run, table))?;
    let mut counts: TableCounts = from_json(&reported)?;
    let sql = prepared.placeholders.fill("slice_counts", SLICE_COUNTS)?;
    let parameters = prepared.parameters(&prepared::given(db, table_run, 0, 0)?);
    let mut statement = template::prepare_script(db, "slice_counts", &sql, &parameters)?;
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
    counts.held_back =
        db.query_one("SELECT count(*) FROM BlobDeltaHeldBackKey WHERE RunId = ?1 AND TableName = ?2", (run, table))?;
    (counts.pending, counts.pending_since) = asked::pending_keys(db, &prepared.config, table_run.scope)?;
    counts.tombstones = start::told_deletions(db, prepared)?;
    if unfinished > 0 || counts.roots + counts.children != copied {
        let text = format!(
            "the sums do not fit: {unfinished} keys have not ended, {copied} were copied, {} stand in the slice",
            counts.roots + counts.children
        );
        return Err(Error::internal(text).run(run).table(table).hint("go on with --resume"));
    }
    Ok(counts)
}

/// Rules 11 and 12: never backwards, and a run for one unit moves that unit's alone.
fn move_watermark(db: &Database, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
    let (run, table, end) = (table_run.fence.run_id, &table_run.fence.table, table_run.window.end);
    match table_run.scope {
        Scope::All => {
            db.execute(MOVE_WATERMARK, (table, run, db.server_time().utc, end))?;
            if prepared.config.metadata_business_unit_column.is_none() {
                return Ok(());
            }
            // One that is away, and comes back, is new again: its changes of meanwhile lie in no window.
            let sql = prepared.placeholders.fill("away_units", AWAY_UNITS)?;
            db.execute(&sql, [table])?;
            let sql = prepared.placeholders.fill("known_units", KNOWN_UNITS)?;
            db.execute(&sql, [table])?;
        }
        Scope::BusinessUnit(unit) => {
            db.execute(MOVE_UNIT_WATERMARK, (table, unit, end, run, db.server_time().utc))?;
        }
    }
    Ok(())
}

/// Releases the lease of a failed table run under its own fence, and logs the failure.
pub(super) fn log_failure(
    db: &mut Database,
    run: &Run,
    table: &TableName,
    fence: Option<&Fence>,
    status: Status,
    message: &str,
) -> Result<()> {
    db.transact("log a failure", |db| {
        lease::check_attempt(db, run.id, run.attempt)?;
        fence.map_or(Ok(()), |fence| lease::release(db, fence))?;
        let now = db.server_time().utc;
        db.execute(LOG_FAILURE, (run.id, table, status.as_str(), message))?;
        db.execute(LOG_FAILED_STEP, (run.id, table, now, status.as_str(), message))?;
        Ok(())
    })
}

/// Clears what a failed table run holds, under its own fence alone.
pub(super) fn release_failed(db: &mut Database, fence: &Fence) -> Result<()> {
    db.transact("release the lease", |db| lease::release(db, fence))
}
