//! Giving up a complete slice that is in no bundle, or a run that a clock which ran ahead has recorded under a time that is
//! yet to come: what it settled is open again (rules 1 and 19).

use super::database::Database;
use super::engine::Engine;
use super::sql::{filled, from_json};
use super::{lease, marker};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::{Fence, Scope};
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/give_up.sql");
const RUN_AFTER: &str = statement(SQL, "run_after");
const MOVED: &str = statement(SQL, "moved");
const MOVE_WATERMARK_BACK: &str = statement(SQL, "move_watermark_back");
const MOVE_UNIT_WATERMARK_BACK: &str = statement(SQL, "move_unit_watermark_back");
const PEND_AGAIN: &str = statement(SQL, "pend_again");
const REPORTED_AGAIN: &str = statement(SQL, "reported_again");
const REPORTED_IN_SLICE_AGAIN: &str = statement(SQL, "reported_in_slice_again");
const UNIT_IS_NEW_AGAIN: &str = statement(SQL, "unit_is_new_again");
const WHOLE_AGAIN: &str = statement(SQL, "whole_again");
const UNPASS_DELETIONS: &str = statement(SQL, "unpass_deletions");
const UNKNOWN_AGAIN: &str = statement(SQL, "unknown_again");
const EMPTY_MARKER: &str = statement(SQL, "empty_marker");

/// Why a key is pending that a run had copied whose slice was given up.
const REASON: &str = "The slice of the run that had copied this key was given up";

/// What a completed table run moved.
struct Moved {
    scope: Scope,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    previous: Option<Guid>,
    new_units: Vec<Guid>,
}

pub(super) fn give_slice_up(engine: &mut Engine<'_>, fence: &Fence) -> Result<()> {
    let table = engine.state.prepared.of(engine.db, &fence.table)?.config.clone();
    let lease = engine.state.lease;
    engine.db.transact("give up the slice", |db| {
        lease.check_fence(db, fence)?;
        if is_to_come(db, fence.run_id)? {
            is_last(db, fence)?;
            db.execute(
                "DELETE FROM BlobDeltaBundle WHERE RunId = ?1 AND TableName = ?2",
                (fence.run_id, &fence.table),
            )?;
        } else {
            marker::own_slice(db, &table, fence, &[SliceState::Complete])?;
        }
        if let Some(moved) = moved(db, fence)? {
            move_watermark_back(db, fence, &moved)?;
            ask_again(db, &table, fence, &moved)?;
            db.execute(
                "UPDATE BlobDeltaRunTable SET Status = 'GivenUp' WHERE RunId = ?1 AND TableName = ?2",
                (fence.run_id, &fence.table),
            )?;
        }
        empty_marker(db, &table, fence.run_id)?;
        lease::release(db, fence)
    })
}

/// Whether the clock ran ahead when this run began: then it is taken back whatever became of it.
fn is_to_come(db: &Database, run: Guid) -> Result<bool> {
    let started: Option<Timestamp> =
        db.query_optional("SELECT RunStartedAt FROM BlobDeltaRun WHERE RunId = ?1", [run], |row| row.get(0))?;
    Ok(started.is_some_and(|started| started > db.server_time().utc))
}

/// Of its table and scope: what came after it goes on from its watermark, and behind its bundle.
fn is_last(db: &Database, fence: &Fence) -> Result<()> {
    let after: Option<Guid> = db.query_optional(RUN_AFTER, (fence.run_id, &fence.table), |row| row.get(0))?;
    let Some(after) = after else { return Ok(()) };
    Err(Error::usage(format!("run {after} came after this one, and goes on where it ended; nothing was given up"))
        .run(fence.run_id)
        .table(&fence.table)
        .hint(format!(
            "where that one is recorded under a time that is yet to come too, give it up first: `blobdelta pack --run {after} --give-up`"
        )))
}

fn moved(db: &Database, fence: &Fence) -> Result<Option<Moved>> {
    let found = db.query_optional(MOVED, (fence.run_id, &fence.table), |row| {
        let (unit, units): (Option<Guid>, Option<String>) = (row.get(0)?, row.get(4)?);
        Ok((unit, row.get(1)?, row.get(2)?, row.get(3)?, units))
    })?;
    let Some((unit, before, after, previous, units)) = found else { return Ok(None) };
    let new_units = units.as_deref().map_or(Ok(Vec::new()), from_json)?;
    Ok(Some(Moved { scope: unit.into(), before, after, previous, new_units }))
}

/// Where it still is the run's: somebody may have set it since.
fn move_watermark_back(db: &Database, fence: &Fence, moved: &Moved) -> Result<()> {
    match moved.scope {
        Scope::All => db.execute(MOVE_WATERMARK_BACK, (&fence.table, moved.after, moved.before, moved.previous))?,
        Scope::BusinessUnit(unit) => {
            db.execute(MOVE_UNIT_WATERMARK_BACK, (&fence.table, moved.after, moved.before, moved.previous, unit))?
        }
    };
    Ok(())
}

/// Pending keys that the run took are pending again; what it told to have left a unit, and units that it
/// told as new, and logged deletions, are reported again. Held-back keys of the run before come by themselves: that run
/// is the previous one again.
fn ask_again(db: &Database, table: &TableConfig, fence: &Fence, moved: &Moved) -> Result<()> {
    db.execute(PEND_AGAIN, (fence.run_id, &fence.table, REASON, db.server_time().utc, moved.scope.to_string()))?;
    // The slice may be another run's by now. What was logged to have left all units is due again by the log.
    db.execute(REPORTED_AGAIN, (&fence.table, moved.scope.to_string(), fence.run_id, moved.scope != Scope::All))?;
    db.execute(
        "DELETE FROM BlobDeltaReportedDeletion WHERE TableName = ?1 AND Scope = ?2 AND RunId = ?3",
        (&fence.table, moved.scope.to_string(), fence.run_id),
    )?;
    ask_for_ancestors_again(db, fence, moved)?;
    if moved.scope != Scope::All && marker::marker(db, table)?.run_id == Some(fence.run_id) {
        let slice = db.schema_of(&table.target.db);
        db.execute(&filled(REPORTED_IN_SLICE_AGAIN, &[("Slice", &slice)]), (&fence.table, moved.scope.to_string()))?;
    }
    for unit in &moved.new_units {
        db.execute(UNIT_IS_NEW_AGAIN, (&fence.table, unit))?;
    }
    Ok(())
}

/// What it brought without its blob stands whole where it did; deletions that it passed are passed no more, and
/// parents that it brought are absent again.
fn ask_for_ancestors_again(db: &Database, fence: &Fence, moved: &Moved) -> Result<()> {
    let of = (&fence.table, moved.scope.to_string(), fence.run_id);
    db.execute(WHOLE_AGAIN, (&of.0, &of.1, of.2))?;
    db.execute(UNPASS_DELETIONS, (&of.0, &of.1, of.2))?;
    db.execute(UNKNOWN_AGAIN, (&of.0, &of.1, of.2))?;
    db.execute(
        "UPDATE BlobDeltaAbsentParent SET RunId = NULL WHERE TableName = ?1 AND Scope = ?2 AND RunId = ?3",
        (&of.0, &of.1, of.2),
    )?;
    Ok(())
}

fn empty_marker(db: &Database, table: &TableConfig, run: Guid) -> Result<()> {
    let schema = db.schema_of(&table.target.db);
    let empty = filled(EMPTY_MARKER, &[("Schema", &schema)]);
    db.execute(&empty, (&table.target.table, run)).map(drop)
}
