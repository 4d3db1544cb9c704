//! Taking back what a replay made that fails.

use super::database::Database;
use super::ledger;
use super::replay::Replay;
use super::sql::{Sql, filled, quote};
use super::values::RowFields;
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/take_back.sql");
const DROP_EMPTY_TABLE: &str = statement(SQL, "drop_empty_table");

/// Removes what was made, where nothing has come into it. Where that is the database in use, another one is
/// afterwards. A schema stays.
pub(super) fn take_back(replay: &mut Replay<'_>) -> Result<()> {
    let Replay { db, state } = replay;
    let databases = std::mem::take(&mut db.made).databases;
    let made = std::mem::take(&mut state.made);
    state.targets.clear();
    for spec in &made.tables {
        let target = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
        let sql = Sql::new(filled(DROP_EMPTY_TABLE, &[("Target", &target)]));
        let sql = sql.with(spec.here());
        let doing = "remove a table that nothing came into";
        ledger::in_target(db, spec, |db| db.client.execute(doing, sql).map(drop))?;
    }
    for spec in &made.ledgers {
        let doing = "remove a ledger that nothing came into";
        ledger::in_target(db, spec, |db| db.client.batch(doing, &drop_ledger()))?;
    }
    for database in &databases {
        remove_database(db, database)?;
    }
    Ok(())
}

fn remove_database(db: &mut Database, name: &str) -> Result<()> {
    let doing = "remove a database that nothing came into";
    let tables = Sql::new(format!("SELECT COUNT(*) FROM {}.sys.objects WHERE type IN ('U', 'V')", quote(name)));
    let row = db.client.row(doing, tables)?;
    if row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()? != Some(0) {
        return Ok(());
    }
    if db.client.database().is_some_and(|used| used.eq_ignore_ascii_case(name)) {
        db.client.use_database("master")?;
    }
    db.client.batch(doing, &format!("DROP DATABASE {}", quote(name)))
}

/// Drops the tables of the ledger, where all of them are empty.
fn drop_ledger() -> String {
    let tables: Vec<&str> = ledger::SCHEMA
        .lines()
        .filter_map(|line| line.trim().strip_prefix("CREATE TABLE "))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let empty: Vec<String> = tables.iter().map(|table| format!("NOT EXISTS (SELECT 1 FROM {table})")).collect();
    format!("IF {}\nBEGIN\nDROP TABLE {};\nEND;", empty.join(" AND "), tables.join(", "))
}
