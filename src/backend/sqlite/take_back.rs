//! Taking back what a replay made that fails.

use super::database::Database;
use super::ledger;
use super::replay::Replay;
use crate::backend::TargetSpec;
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/take_back.sql");
const IS_NOTED: &str = statement(SQL, "is_noted");

/// Removes what was made, where nothing has come into it. The main database is gone then, and the session of
/// no more use.
pub(super) fn take_back(replay: &mut Replay<'_>) -> Result<()> {
    let made = std::mem::take(&mut replay.db.made);
    let targets = std::mem::take(replay.made);
    let db = &mut *replay.db;
    db.roll_back();
    for spec in &targets.tables {
        if !has_anything_of(db, spec)? {
            let drop = format!("DROP TABLE {}", db.quoted(&spec.target));
            db.transact("remove a table that nothing came into", |db| db.execute(&drop, []))?;
        }
    }
    for (_, ledger) in &targets.ledgers {
        let mut is_used = false;
        for table in ledger {
            is_used |= db.query_one::<bool>(&format!("SELECT EXISTS (SELECT * FROM {table})"), [])?;
        }
        if !is_used {
            db.transact("remove a ledger that nothing came into", |db| {
                ledger.iter().try_for_each(|table| db.execute(&format!("DROP TABLE {table}"), []).map(drop))
            })?;
        }
    }
    for database in made.databases.iter().rev() {
        db.remove_database(database)?;
    }
    match made.folder && std::fs::read_dir(&db.folder).is_ok_and(|mut entries| entries.next().is_none()) {
        true => db.disk().remove_dir(&db.folder),
        false => Ok(()),
    }
}

/// Whether rows of a table are there, or were noted.
fn has_anything_of(db: &Database, spec: &TargetSpec) -> Result<bool> {
    let rows = format!("SELECT EXISTS (SELECT * FROM {})", db.quoted(&spec.target));
    Ok(db.query_one(&rows, [])? || db.query_one(&ledger::in_schema(db, spec, IS_NOTED), [spec.here()])?)
}
