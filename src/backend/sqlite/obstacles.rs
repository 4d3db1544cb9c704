//! What of a standing table would keep rows of a replay out, asked of SQLite's catalog.

use super::database::Database;
use super::ledger;
use crate::backend::TargetSpec;
use crate::backend::obstacles::{ForeignKey, ForeignKeyEnd, Obstacles, Trigger, words};
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/obstacles.sql");
const NEEDED: &str = statement(SQL, "needed");
const FOREIGN_KEYS: &str = statement(SQL, "foreign_keys");

/// See the module's text.
pub(super) fn obstacles(db: &Database, spec: &TargetSpec) -> Result<Obstacles> {
    let of = (&spec.target.table, db.schema_name(&spec.target.db));
    // A column that is the rowid counts by itself.
    let needed = db.query_all(NEEDED, of, |row| row.get(0))?;
    let keys = ledger::in_schema(db, spec, FOREIGN_KEYS);
    let foreign_keys = db.query_all(&keys, of, |row| {
        let restricts =
            |at: usize| Ok::<_, rusqlite::Error>(["NO ACTION", "RESTRICT"].contains(&&*row.get::<_, String>(at)?));
        let end = match row.get::<_, bool>(3)? {
            true => ForeignKeyEnd::Child,
            false => ForeignKeyEnd::Parent { keeps_rows: restricts(4)?, keeps_values: restricts(5)? },
        };
        let column: Option<String> = row.get(2)?;
        // Without a name it is the key of the table.
        let column = column.unwrap_or_else(|| spec.key_column.clone());
        Ok(ForeignKey { name: row.get(0)?, other: row.get(1)?, column, end })
    })?;
    let sql = ledger::in_schema(
        db,
        spec,
        "SELECT name, sql FROM {Schema}.sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE",
    );
    let triggers = db.query_all(&sql, [&spec.target.table], |row| {
        Ok(trigger(row.get(0)?, &words(&row.get::<_, Option<String>>(1)?.unwrap_or_default())))
    })?;
    let made = "SELECT sql FROM {Schema}.sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let made: Option<String> = db.query_one(&ledger::in_schema(db, spec, made), [&spec.target.table])?;
    let clause =
        |three: &[String]| three[0] == "ON" && three[1] == "CONFLICT" && ["REPLACE", "IGNORE"].contains(&&*three[2]);
    let is_silent = words(&made.unwrap_or_default()).windows(3).any(clause);
    Ok(Obstacles { needed, identities: Vec::new(), foreign_keys, triggers, is_silent })
}

fn trigger(name: String, words: &[String]) -> Trigger {
    let head: Vec<&str> = words.iter().map(String::as_str).take_while(|word| *word != "BEGIN").collect();
    let event = head.iter().find(|word| ["DELETE", "INSERT", "UPDATE"].contains(word));
    let aborts = |three: &[String]| {
        three[0] == "RAISE" && three[1] == "(" && ["ABORT", "FAIL", "ROLLBACK"].contains(&three[2].as_str())
    };
    Trigger {
        name,
        is_on_delete: event == Some(&"DELETE"),
        is_instead: head.windows(2).any(|two| two == ["INSTEAD", "OF"]),
        may_abort: words.windows(3).any(aborts),
    }
}
