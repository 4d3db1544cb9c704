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
use rusqlite::types::{ToSqlOutput, Value};

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
    let into = "INSERT INTO temp.\"#Batch\" (stream_id, Seq, WasHeldBack, WithoutMetadata, Place, ParentPath)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut into = db.cached(into).map_err(broken)?;
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
    db.execute(
        "UPDATE BlobDeltaMissingParentsQueue SET Processed = 1
         WHERE RunId = ?1 AND TableName = ?2 AND stream_id IN (SELECT stream_id FROM temp.\"#Batch\")",
        (table_run.fence.run_id, &table_run.fence.table),
    )?;
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
    db.execute(
        "UPDATE BlobDeltaWindowQueue SET State = 'Copied'
         WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3 AND Seq > ?4 AND Seq <= ?5 AND State IS NULL",
        (run, table, step.number(), batch.after, batch.last),
    )?;
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
    db.execute(
        // By number, and not as a join, which SQLite would begin at the whole queue.
        "UPDATE BlobDeltaWindowQueue AS q SET State = (
             SELECT CASE b.State WHEN 'Absent' THEN 'Gone' ELSE b.State END
             FROM temp.\"#Batch\" AS b WHERE b.Seq = q.Seq)
         WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3
         AND Seq IN (SELECT Seq FROM temp.\"#Batch\" WHERE State NOT IN ('Moved', 'Copied'))",
        (run, table, step.number()),
    )?;
    db.execute(
        "UPDATE BlobDeltaWindowQueue SET Step = 3 WHERE RunId = ?1 AND TableName = ?2 AND Step = 1
         AND Seq IN (SELECT Seq FROM temp.\"#Batch\" WHERE State = 'Moved')",
        (run, table),
    )?;
    db.execute(
        "INSERT OR IGNORE INTO BlobDeltaHeldBackKey (RunId, TableName, stream_id)
         SELECT ?1, ?2, stream_id FROM temp.\"#Batch\" WHERE State = 'HeldBack'",
        (run, table),
    )?;
    db.execute(
        "INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
         SELECT ?1, ?5, b.stream_id, 'The metadata has this key, the source does not', ?2 FROM temp.\"#Batch\" AS b
         WHERE b.State = 'Absent' AND NOT EXISTS (
             -- A deletion after the stamp explains why the row is not there; to have left a scope does not.
             SELECT 1 FROM BlobDeltaDeletionLog AS d INNER JOIN BlobDeltaWindowQueue AS q
                 ON q.RunId = ?3 AND q.TableName = ?1 AND q.Step = ?4 AND q.Seq = b.Seq
             WHERE d.TableName = ?1 AND d.stream_id = b.stream_id AND d.Reason = 'Deleted'
                 AND d.DeletedOn >= coalesce(q.ModifiedOn, d.DeletedOn))",
        (table, db.server_time().utc, run, step.number(), table_run.scope.to_string()),
    )?;
    Ok(())
}

/// Where a step's numbers have come to.
fn seq_column(step: Step) -> &'static str {
    if step == Step::Roots { "RootsSeq" } else { "ChildrenSeq" }
}
