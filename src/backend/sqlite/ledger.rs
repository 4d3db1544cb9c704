//! Ledger, tombstones and version columns of a replay, beside the table that they are of.

use super::database::Database;
use super::sql::filled;
use crate::backend::{LedgerEntry, TargetSpec};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use std::collections::BTreeSet;

const SQL: &str = include_str!("../../../sql/sqlite/ledger.sql");
const LEDGER_MOVE: &str = statement(SQL, "ledger_move");
pub(super) const SCHEMA: &str = statement(SQL, "schema");

/// A statement about them: they lie in the target's database.
pub(super) fn in_schema(db: &Database, spec: &TargetSpec, sql: &str) -> String {
    filled(sql, &[("Schema", &db.schema_of(&spec.target.db))])
}

pub(super) fn has_table(db: &Database, spec: &TargetSpec, name: &str) -> Result<bool> {
    let schema = db.schema_of(&spec.target.db);
    let sql = format!("SELECT EXISTS (SELECT * FROM {schema}.sqlite_master WHERE name = ?1 COLLATE NOCASE)");
    db.query_one(&sql, [name])
}

/// The same, quoted.
pub(super) fn tables(db: &Database, spec: &TargetSpec) -> impl Iterator<Item = String> {
    let schema = db.schema_of(&spec.target.db);
    names().map(move |name| format!("{schema}.{name}"))
}

/// Whether anything can have been applied: what a ledger says of a table that was dropped since, it says of none.
pub(super) fn has_applied(db: &Database, spec: &TargetSpec) -> Result<bool> {
    Ok(is_there(db, spec)? && has_table(db, spec, &spec.target.table)?)
}

pub(super) fn is_there(db: &Database, spec: &TargetSpec) -> Result<bool> {
    Ok(db.has_database(&spec.target.db) && has_table(db, spec, "BlobDeltaReplayBundle")?)
}

/// Notes whose rows the runs took that these versions are of.
pub(super) fn note_runs(db: &Database, spec: &TargetSpec, versions: &[Version]) -> Result<()> {
    let runs: BTreeSet<Guid> = versions.iter().map(|version| version.run_id).collect();
    let note = "INSERT OR IGNORE INTO {Schema}.BlobDeltaReplayRun (TableName, RunId, Scope) VALUES (?1, ?2, ?3)";
    let (note, here) = (in_schema(db, spec, note), spec.here());
    runs.iter().try_for_each(|run| db.execute(&note, (&here, run, spec.scope)).map(drop))
}

/// Moves it from before these rows to behind them.
///
/// # Errors
/// Internal: it is elsewhere.
pub(super) fn move_to(db: &Database, spec: &TargetSpec, entry: &LedgerEntry, rows: usize) -> Result<()> {
    let after = i64::try_from(entry.rows).map_err(|_| Error::internal("a part has more rows than can be counted"))?;
    let before = after - i64::try_from(rows as u64 + entry.passed_by).unwrap_or(i64::MAX);
    let root = entry.root_sha256.to_string();
    let moved = db.execute(
        &in_schema(db, spec, LEDGER_MOVE),
        (root, spec.here(), &entry.part, after, entry.complete, before, entry.applied_at),
    )?;
    if moved == 1 {
        return Ok(());
    }
    let text = format!(
        "another replay has applied some of this to this table meanwhile: its ledger is not where a batch of {rows} rows that ends \
             at row {} begins",
        entry.rows
    );
    Err(Error::internal(text).hint("another replay may be applying the same bundle; run again when it has ended"))
}

/// The tables of the ledger.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let names = SCHEMA.lines().filter_map(|line| line.strip_prefix("CREATE TABLE IF NOT EXISTS {Schema}."));
    names.filter_map(|rest| rest.split_whitespace().next())
}
