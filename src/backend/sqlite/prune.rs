//! Pruning the job database: whole runs, oldest first, in transactions of bounded size.
//!
//! The rows of `BlobDeltaRunTable` go first, in the transaction that finds that nothing needs the
//! run: from then on nobody can resume it. Its header goes last, so that a pruning that dies leaves
//! nothing that the next one would not find. Pages that become free are used again by later runs;
//! the file does not shrink.

use super::database::Database;
use super::errors::failed;
use super::sql::quote;
use super::template::{self, Parameters};
use crate::backend::prune::{PrunedTable, Retention};
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::types::Value;

const SQL: &str = include_str!("../../../sql/sqlite/prune.sql");
const PRUNE_REPORTED: &str = statement(SQL, "prune_reported");
const PRUNE_EXPIRED: &str = statement(SQL, "prune_expired");
const PRUNE_SCOPES: &str = statement(SQL, "prune_scopes");
const PRUNE_DELETIONS: &str = statement(SQL, "prune_deletions");

/// Runs whose rows go together.
const RUNS_AT_ONCE: i64 = 100;

/// Rows that go in one transaction.
const ROWS_AT_ONCE: u64 = 5_000;

/// A run that says for longer that it runs has died.
const LONGEST_RUN_DAYS: u32 = 30;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// What stands under a RunId, with the key by which a part of it is chosen; the header comes last.
const OF_RUNS: [(&str, &str); 6] = [
    ("BlobDeltaRunTable", "RunId, TableName"),
    ("BlobDeltaRunStep", "RunId, TableName, StepNumber, BatchNumber"),
    ("BlobDeltaWindowQueue", "RunId, TableName, Step, Seq"),
    ("BlobDeltaMissingParentsQueue", "RunId, TableName, stream_id"),
    ("BlobDeltaHeldBackKey", "RunId, TableName, stream_id"),
    ("BlobDeltaBundle", "BundleId"),
];
const RUNS: &str = "BlobDeltaRun";
const DELETIONS: &str = "BlobDeltaDeletionLog";

const TEMPORARY: &str = statement(SQL, "temporary");

pub(super) fn prune_job_database(db: &mut Database, retention: &Retention, plan: bool) -> Result<Vec<PrunedTable>> {
    retention.check()?;
    db.execute_batch(TEMPORARY).map_err(|error| failed("prune", error))?;
    if plan { plan_prune(db, retention) } else { prune_all(db, retention) }
}

fn plan_prune(db: &mut Database, retention: &Retention) -> Result<Vec<PrunedTable>> {
    let rolled_back = Error::new(Kind::Internal, "rolled back");
    let mut planned = None;
    let outcome = db.transact("plan a pruning", |db| {
        find_doomed(db, retention, -1)?;
        let mut all = counted(db)?;
        for pruned in all.iter_mut().filter(|pruned| pruned.table != DELETIONS) {
            let sql = format!("SELECT count(*) FROM {} WHERE RunId IN temp.PruneExpired", pruned.table);
            pruned.removed = db.query_one(&sql, [])?;
        }
        let mut logged = 0;
        for (table, before) in deletion_floors(db)? {
            let sql = format!("SELECT count(*) FROM {DELETIONS} WHERE ?1 IS NULL AND {}", PRUNE_REPORTED);
            logged += db.query_one::<u64>(&sql, (None::<u64>, table, before))?;
        }
        note(&mut all, DELETIONS, logged);
        planned = Some(all);
        Err::<(), Error>(rolled_back)
    });
    planned.ok_or_else(|| outcome.err().unwrap_or_else(|| Error::internal("the pruning was not planned")))
}

fn prune_all(db: &mut Database, retention: &Retention) -> Result<Vec<PrunedTable>> {
    let mut all = counted(db)?;
    loop {
        let (tables, _) = OF_RUNS[0];
        let (expired, removed) = db.transact("prune: runs that nothing needs", |db| {
            find_doomed(db, retention, RUNS_AT_ONCE)?;
            let expired: u64 = db.query_one("SELECT count(*) FROM temp.PruneExpired", [])?;
            let sql = format!("DELETE FROM {tables} WHERE RunId IN temp.PruneExpired");
            Ok((expired, db.execute(&sql, [])?))
        })?;
        note(&mut all, tables, removed);
        if expired == 0 {
            break;
        }
        for (table, key) in OF_RUNS {
            prune_rows(db, &mut all, table, key, "RunId IN temp.PruneExpired", None)?;
        }
        prune_rows(db, &mut all, RUNS, "RunId", "RunId IN temp.PruneExpired", None)?;
    }
    for floor in deletion_floors(db)? {
        prune_rows(db, &mut all, DELETIONS, "DeletionId", PRUNE_REPORTED, Some(floor))?;
    }
    Ok(all)
}

/// Deletes in transactions of [`ROWS_AT_ONCE`], until no row is left that the condition takes.
fn prune_rows(
    db: &mut Database,
    all: &mut [PrunedTable],
    table: &str,
    key: &str,
    which: &str,
    floor: Option<(String, Timestamp)>,
) -> Result<()> {
    let sql = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {which} LIMIT ?1)");
    loop {
        let removed = db.transact("prune: rows", |db| match &floor {
            None => db.execute(&sql, [ROWS_AT_ONCE]),
            Some((table, before)) => db.execute(&sql, (ROWS_AT_ONCE, table, before)),
        })?;
        note(all, table, removed);
        if removed < ROWS_AT_ONCE {
            return Ok(());
        }
    }
}

fn counted(db: &Database) -> Result<Vec<PrunedTable>> {
    let tables = [RUNS].into_iter().chain(OF_RUNS.map(|(table, _)| table)).chain([DELETIONS]);
    let count = |table: &str| {
        let rows = db.query_one(&format!("SELECT count(*) FROM {table}"), [])?;
        Ok(PrunedTable { table: table.into(), rows, removed: 0 })
    };
    tables.map(count).collect()
}

/// Within a transaction.
fn find_doomed(db: &Database, retention: &Retention, limit: i64) -> Result<()> {
    db.execute("DELETE FROM temp.PruneExpired", [])?;
    find_markers(db)?;
    // A clock that runs ahead makes nothing old.
    let newest: Option<Timestamp> = db.query_one("SELECT max(RunStartedAt) FROM BlobDeltaRun", [])?;
    let now = db.server_time().utc;
    let now = newest.map_or(now, |newest| now.min(newest));
    let days_ago = |days: u32| Value::Text(now.minus_minutes(days.saturating_mul(MINUTES_PER_DAY)).to_string());
    let parameters: Parameters = vec![
        ("@KeepRuns", retention.keep_runs.map_or(Value::Null, |runs| Value::Integer(runs.into()))),
        ("@KeepSince", retention.keep_days.map_or(Value::Null, days_ago)),
        ("@RunningSince", days_ago(LONGEST_RUN_DAYS)),
        ("@Limit", Value::Integer(limit)),
    ];
    template::run_script(db, "prune_expired", PRUNE_EXPIRED, &parameters)?;
    Ok(())
}

/// The runs that slices hold, of tables that are no longer configured too.
fn find_markers(db: &Database) -> Result<()> {
    db.execute("DELETE FROM temp.PruneMarker", [])?;
    let sql = "SELECT schema FROM pragma_table_list WHERE name = 'BlobDeltaSlice' COLLATE NOCASE";
    for schema in db.query_all(sql, [], |row| row.get::<_, String>(0))? {
        let schema = quote(&schema);
        let runs = format!("SELECT RunId FROM {schema}.BlobDeltaSlice WHERE RunId IS NOT NULL");
        for run in db.query_all(&runs, [], |row| row.get::<_, Guid>(0))? {
            db.execute("INSERT OR IGNORE INTO temp.PruneMarker (RunId) VALUES (?1)", [run])?;
        }
    }
    Ok(())
}

/// Before when logged deletions of each table may go, and in temp.PruneScope whom they have to have been told.
fn deletion_floors(db: &Database) -> Result<Vec<(String, Timestamp)>> {
    db.execute("DELETE FROM temp.PruneScope", [])?;
    db.execute(PRUNE_SCOPES, [])?;
    db.query_all(PRUNE_DELETIONS, [], |row| {
        let oldest: Timestamp = row.get(1)?;
        Ok((row.get(0)?, oldest.minus_minutes(row.get(2)?)))
    })
}

fn note(all: &mut [PrunedTable], table: &str, removed: u64) {
    all.iter_mut().filter(|pruned| pruned.table == table).for_each(|pruned| pruned.removed += removed);
}
