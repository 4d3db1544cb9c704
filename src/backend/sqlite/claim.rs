//! The keys of one batch, and how they are marked.
//!
//! A batch ends at so many rows or so many bytes, whatever comes first: an embedded instance syncs every
//! file that a commit changed, so many small rows belong into one commit, and yet neither a kill nor
//! Ctrl-C may cost more than a second or two of large ones.

use super::database::Database;
use super::errors::failed;
use super::prepared::Prepared;
use super::template::{self, Parameters};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::{Step, TableRun};
use crate::scripts::statement::statement;
use rusqlite::types::{ToSqlOutput, Value};

const SQL: &str = include_str!("../../../sql/sqlite/claim.sql");
const PUT_INTO_BATCH: &str = statement(SQL, "put_into_batch");
const MARK_PARENTS: &str = statement(SQL, "mark_parents");
const MARK_REST_COPIED: &str = statement(SQL, "mark_rest_copied");
const MARK_EXCEPTIONS: &str = statement(SQL, "mark_exceptions");
const MOVE_TO_CHILDREN: &str = statement(SQL, "move_to_children");
const NOTE_HELD_BACK: &str = statement(SQL, "note_held_back");
const NOTE_ABSENT: &str = statement(SQL, "note_absent");

/// Bytes of large values after which a batch is full.
const BATCH_BYTES: u64 = 64 << 20;

/// What was taken into `#Batch`.
#[derive(Default)]
pub(super) struct BatchKeys {
    pub(super) keys: u64,
    /// Numbers in the queue: those before the first, and the last. Of steps 1 and 3 alone.
    pub(super) after: i64,
    pub(super) last: i64,
    /// Whether it is known that every key was copied.
    pub(super) is_all_copied: bool,
    /// Keys of rows with values that are copied in chunks. At most a few: each fills a good part of a batch.
    pub(super) chunked: Vec<Guid>,
}

/// The next keys of a step into `#Batch`.
pub(super) fn claim_batch(
    db: &Database,
    prepared: &Prepared,
    table_run: &TableRun,
    step: Step,
    parameters: &Parameters,
) -> Result<BatchKeys> {
    db.execute("DELETE FROM temp.\"#Batch\"", [])?;
    if step == Step::MissingParents {
        return fill_batch(db, &prepared.batch_ancestors, parameters, BatchKeys::default());
    }
    let after: i64 = db.query_one(
        &format!("SELECT {} FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2", seq_column(step)),
        (table_run.fence.run_id, &table_run.fence.table),
    )?;
    let from = |after: i64| {
        let mut parameters = parameters.clone();
        parameters.push(("@After", Value::Integer(after)));
        fill_batch(db, &prepared.batch_keys, &parameters, BatchKeys { after, ..BatchKeys::default() })
    };
    let batch = from(after)?;
    if batch.keys > 0 || after == 0 {
        return Ok(batch);
    }
    // A step ends when no key is unmarked, not when the numbers have run out.
    from(0)
}

fn fill_batch(db: &Database, sql: &str, parameters: &Parameters, mut batch: BatchKeys) -> Result<BatchKeys> {
    let broken = |error| failed("take the keys of a batch", error);
    let mut keys = template::prepare_script(db, "batch_keys", sql, parameters)?;
    let mut keys = keys.raw_query();
    let mut into = db.cached(PUT_INTO_BATCH).map_err(broken)?;
    let mut bytes = 0;
    while let Some(row) = keys.next().map_err(broken)? {
        let key: Guid = row.get(0).map_err(broken)?;
        for at in 0..6 {
            let value = ToSqlOutput::Borrowed(row.get_ref(at).map_err(broken)?);
            into.raw_bind_parameter(at + 1, value).map_err(broken)?;
        }
        into.raw_execute().map_err(broken)?;
        batch.keys += 1;
        batch.last = row.get::<_, Option<i64>>(1).map_err(broken)?.unwrap_or(0);
        bytes += row.get::<_, u64>(6).map_err(broken)?;
        if row.get(7).map_err(broken)? {
            batch.chunked.push(key);
        }
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(batch)
}

pub(super) fn mark_parents(db: &Database, table_run: &TableRun) -> Result<()> {
    db.execute(MARK_PARENTS, (table_run.fence.run_id, &table_run.fence.table))?;
    Ok(())
}

/// Rules 3 to 5: every key of the batch ends, and is remembered where it has to be. A pending key that was
/// copied waits on until the slice is complete: a run that dies before it has handed nothing out.
pub(super) fn mark_keys(
    db: &Database,
    prepared: &Prepared,
    table_run: &TableRun,
    (script, step): (&str, Step),
    batch: &BatchKeys,
    parameters: &Parameters,
) -> Result<()> {
    let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
    if !batch.is_all_copied {
        template::run_script(db, "batch_states", &prepared.batch_states, parameters)?;
        mark_not_copied(db, table_run, script, step)?;
    }
    // What of these numbers has no mark now is the rest of the batch.
    db.execute(MARK_REST_COPIED, (run, table, step.number(), batch.after, batch.last))?;
    let column = seq_column(step);
    db.execute(
        &format!("UPDATE BlobDeltaRunTable SET {column} = max({column}, ?3) WHERE RunId = ?1 AND TableName = ?2"),
        (run, table, batch.last),
    )?;
    Ok(())
}

fn mark_not_copied(db: &Database, table_run: &TableRun, script: &str, step: Step) -> Result<()> {
    let (run, table) = (table_run.fence.run_id, &table_run.fence.table);
    let states = db.query_all(
        "SELECT State, min(stream_id) FROM temp.\"#Batch\" WHERE State IS NOT 'Copied' GROUP BY State",
        [],
        |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Guid>(1)?)),
    )?;
    match states.first() {
        None => return Ok(()),
        Some((None, key)) => {
            let text = format!("the script {script} left out a row that is in the window");
            let hint = "a script may not filter rows: leave keys out with `blobdelta key exclude`, with a reason";
            return Err(Error::config(text).run(run).table(table).step(step.number()).key(*key).hint(hint));
        }
        Some(_) => {}
    }
    db.execute(MARK_EXCEPTIONS, (run, table, step.number()))?;
    db.execute(MOVE_TO_CHILDREN, (run, table))?;
    db.execute(NOTE_HELD_BACK, (run, table))?;
    db.execute(NOTE_ABSENT, (table, db.server_time().utc, run, step.number(), table_run.scope.to_string()))?;
    Ok(())
}

/// Where a step's numbers have come to.
fn seq_column(step: Step) -> &'static str {
    if step == Step::Roots { "RootsSeq" } else { "ChildrenSeq" }
}
