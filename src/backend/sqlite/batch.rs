//! One batch: the next keys by number, their parents, the template, and how each key ended; all
//! in one transaction behind the fence.

use super::database::Database;
use super::engine::Engine;
use super::errors::failed;
use super::prepared::{self, Prepared};
use super::template::{self, Parameters};
use super::{claim, marker};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::{BatchOutcome, Step, TableRun};
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::types::Value;
use std::collections::HashMap;

const SQL: &str = include_str!("../../../sql/sqlite/batch.sql");
const TOO_DEEP: &str = statement(SQL, "too_deep");
const ROWS_ABOVE: &str = statement(SQL, "rows_above");
const PLACE_BELOW_PARENTS: &str = statement(SQL, "place_below_parents");
const LOG_BATCH: &str = statement(SQL, "log_batch");
const REFRESH_PARENTS: &str = statement(SQL, "refresh_parents");
const HAS_ORPHANS: &str = statement(SQL, "has_orphans");

/// Rule 7: more levels than this are a cycle, or as good as one.
const MAX_LEVELS: u32 = 512;
/// Rows of a cycle that its message names.
const MOST_NAMED: usize = 5;

pub(super) fn copy_batch(
    engine: &mut Engine<'_>,
    table_run: &TableRun,
    step: Step,
    batch_size: u32,
) -> Result<BatchOutcome> {
    let prepared = engine.state.prepared.of(engine.db, &table_run.fence.table)?;
    template::create_batch_tables(engine.db)?;
    let started = engine.db.server_time().utc;
    let lease = engine.state.lease;
    engine.db.transact("copy a batch", |db| {
        lease.check_fence(db, &table_run.fence)?;
        marker::own_slice(db, &prepared.config, &table_run.fence, &[SliceState::Filling])?;
        let given = prepared::given(db, table_run, batch_size, step.number())?;
        let parameters = prepared.parameters(&given);
        let mut batch = claim::claim_batch(db, &prepared, table_run, step, &parameters)?;
        if batch.keys == 0 {
            return Ok(BatchOutcome::default());
        }
        if let Some(sql) = &prepared.batch_parents {
            find_parents(db, &prepared, sql, &parameters)?;
        }
        let template = prepared
            .steps
            .get(usize::from(step.number()) - 1)
            .ok_or_else(|| Error::internal("a flat table has step 1 alone").table(&prepared.config.name))?;
        let last_row = prepared.values.last_row(db)?;
        let copied = template::run_template(db, &prepared.config, template, &parameters);
        let rows =
            copied.map_err(|error| prepared.values.explain(db, &prepared.placeholders, &prepared.config, error))?;
        // A script of ours takes rows of the batch alone, each once, so that their number is proof enough.
        batch.is_all_copied = rows == batch.keys && prepared.is_ours(step);
        prepared.placeholders.chunked().fill(db, &prepared.config, &batch.chunked)?;
        prepared.values.check(db, &prepared.config, last_row)?;
        match step {
            Step::MissingParents => claim::mark_parents(db, table_run)?,
            Step::Roots | Step::Children => {
                claim::mark_keys(db, &prepared, table_run, (&template.0, step), &batch, &parameters)?;
            }
        }
        log_batch(db, table_run, step, rows, started)?;
        Ok(BatchOutcome { keys: batch.keys, rows })
    })
}

fn find_parents(db: &Database, prepared: &Prepared, sql: &str, parameters: &Parameters) -> Result<()> {
    db.execute("DELETE FROM temp.\"#Parents\"", [])?;
    if template::run_script(db, "batch_parents", sql, parameters)? == 0 {
        return Ok(());
    }
    let too_deep = db.query_optional(TOO_DEEP, [MAX_LEVELS], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some((key, parent)) = too_deep {
        return Err(too_deep_below(&prepared.config, &rows_above(db, prepared, parameters, key)?, (key, parent)));
    }
    db.execute(PLACE_BELOW_PARENTS, [])?;
    Ok(())
}

/// A row and those above it.
fn rows_above(db: &Database, prepared: &Prepared, parameters: &Parameters, key: Guid) -> Result<Vec<Guid>> {
    let sql = prepared.placeholders.fill("rows_above", ROWS_ABOVE)?;
    let mut parameters = parameters.clone();
    parameters.push(("@At", Value::Blob(key.as_bytes().to_vec())));
    let broken = |error| failed("look for a cycle", error);
    let mut statement = template::prepare_script(db, "rows_above", &sql, &parameters)?;
    let mut rows = statement.raw_query();
    let mut above = Vec::new();
    while let Some(row) = rows.next().map_err(broken)? {
        above.push(row.get(0).map_err(broken)?);
    }
    Ok(above)
}

/// A row with a cycle above it, or with too many levels. To exclude the row that the message names frees all others.
fn too_deep_below(config: &TableConfig, above: &[Guid], (key, parent): (Guid, Guid)) -> Error {
    let shown = |key: Guid| config.key_type.shown(key);
    let mut seen = HashMap::new();
    let again = above.iter().enumerate().find_map(|(at, key)| Some((seen.insert(key, at)?, at)));
    let (what, at, mend) = match again {
        Some((first, end)) if end == first + 1 => ("this row is its own parent".into(), above[first], above[first]),
        Some((first, end)) => {
            let cycle = &above[first..end];
            let named = cycle.iter().take(MOST_NAMED).map(|key| shown(*key).to_string()).collect::<Vec<_>>().join(", ");
            let more = if cycle.len() > MOST_NAMED { format!(" … ({} rows)", cycle.len()) } else { String::new() };
            let what = format!("these rows form a cycle, in which each one's parent is the next: {named}{more}");
            (what, cycle[0], cycle[0])
        }
        None => (format!("this row has {MAX_LEVELS} levels of parents or more above it"), key, parent),
    };
    Error::config(what).table(&config.name).key(shown(at)).hint(format!(
        "correct the parent of {} in the source, or exclude that row with `blobdelta key exclude {} {} --reason TEXT`: the rows \
         below it then come without their parent; then run again, or go on with --resume",
        shown(mend),
        config.name.shell_word(),
        shown(mend)
    ))
}

fn log_batch(db: &Database, table_run: &TableRun, step: Step, rows: u64, started: Timestamp) -> Result<()> {
    db.execute(
        LOG_BATCH,
        (
            table_run.fence.run_id,
            &table_run.fence.table,
            step.number(),
            rows,
            table_run.window.start,
            table_run.window.end,
            started,
            db.server_time().utc,
        ),
    )?;
    Ok(())
}

/// Rule 7: one pass of queueing ancestors. Returns how many wait now.
pub(super) fn queue_parents(engine: &mut Engine<'_>, table_run: &TableRun) -> Result<u64> {
    let prepared = engine.state.prepared.of(engine.db, &table_run.fence.table)?;
    let Some(template) = &prepared.missing_parents else { return Ok(0) };
    let config = &prepared.config;
    // A parent that came to the source after its child was copied.
    let refresh = prepared.placeholders.fill("refresh_parents", REFRESH_PARENTS)?;
    let orphaned = prepared.placeholders.fill("refresh_parents", HAS_ORPHANS)?;
    let lease = engine.state.lease;
    engine.db.transact("queue missing parents", |db| {
        lease.check_fence(db, &table_run.fence)?;
        marker::own_slice(db, config, &table_run.fence, &[SliceState::Filling])?;
        // A statement that would change nothing still locks the file of the slice.
        if db.query_one(&orphaned, [])? {
            db.execute(&refresh, [])?;
        }
        let parameters = prepared.parameters(&prepared::given(db, table_run, 0, 2)?);
        template::run_template(db, config, template, &parameters)?;
        db.query_one(
            "SELECT count(*) FROM BlobDeltaMissingParentsQueue WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0",
            (table_run.fence.run_id, &table_run.fence.table),
        )
    })
}
