//! Rule 17: what the runs of one scope settle for themselves alone.

use super::database::Database;
use super::prepared::Prepared;
use super::template::{self, Parameters};
use crate::error::{Error, Kind, Result};
use crate::model::run::{Scope, TableRun};
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/scope.sql");
const FOREIGN_PENDING: &str = statement(SQL, "foreign_pending");
const LEFT_SCOPE: &str = statement(SQL, "left_scope");
const LEFT_STAYS: &str = statement(SQL, "left_stays");
const HAS_LATER_RUN: &str = statement(SQL, "has_later_run");

/// By so many ticks a row passes a tombstone, which wins a tie: a microsecond, which every server keeps.
pub(super) const PASSES: i64 = 10;

pub(super) const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2)";

/// After the queues are filled: what is another unit's by now waits for this one no more, unless it is an ancestor that
/// the unit needs.
pub(super) fn drop_foreign(db: &Database, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<()> {
    if scope != Scope::All && db.query_one(WAITS, (&prepared.config.name, scope.to_string()))? {
        let sql = prepared.placeholders.fill("foreign_pending", FOREIGN_PENDING)?;
        template::run_script(db, "foreign_pending", &sql, parameters)?;
    }
    Ok(())
}

/// Which keys left a scope, and which of them stay for what lies below them.
pub(super) fn find_what_left(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    let run = |name: &str, text: &str| {
        let sql = prepared.placeholders.fill(name, text)?;
        template::run_script(db, name, &sql, parameters)
    };
    db.execute("DELETE FROM temp.\"#Left\"", [])?;
    run("left_scope", LEFT_SCOPE)?;
    let mut stay = u64::from(prepared.config.is_tree());
    while stay > 0 {
        // Each turn takes a key out at least.
        stay = run("left_stays", LEFT_STAYS)?;
    }
    Ok(())
}

/// By how much what this run tells has to pass what its scope was handed by the same time: on a tie the run that
/// started later wins, and the server's clock may have gone back since. What a run of more than a day later has told
/// no receiver takes (rule 27).
pub(super) fn margin(db: &Database, table_run: &TableRun) -> Result<i64> {
    Ok(if db.query_one(HAS_LATER_RUN, [table_run.fence.run_id])? { PASSES } else { 0 })
}

/// A table without business units cannot serve a run for one.
pub(super) fn check_scope(scope: Scope, table: &TableConfig) -> Result<()> {
    match scope {
        Scope::BusinessUnit(unit) if !table.has_scope(scope) => {
            Err(Error::new(Kind::Config, format!("this table has no business units, so no run for {unit}"))
                .table(&table.name)
                .hint("set MetadataBusinessUnitCol with `table set`, or run it for all business units"))
        }
        _ => Ok(()),
    }
}
