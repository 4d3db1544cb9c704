//! Rule 17: receivers are told what left their scope.

use super::database::Database;
use super::prepared::{self, Prepared};
use super::sql::filled;
use super::{ancestors, reported, scope, template};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::run::{Scope, TableRun};
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/left.sql");
const REPORTED_AND_HANDED_OUT: &str = statement(SQL, "reported_and_handed_out");
const OUTRANK_HANDED: &str = statement(SQL, "outrank_handed");
const REPORTED_DELETIONS: &str = statement(SQL, "reported_deletions");
const PASSED_DELETIONS: &str = statement(SQL, "passed_deletions");
const LEFT_BACK: &str = statement(SQL, "left_back");
const SHIPPED_ANCESTORS: &str = statement(SQL, "shipped_ancestors");
const WERE_WHOLE: &str = statement(SQL, "were_whole");
const LEFT_BARE: &str = statement(SQL, "left_bare");
const SHIPPED_KEYS: &str = statement(SQL, "shipped_keys");
const DROP_OUTRANKED: &str = statement(SQL, "drop_outranked");
const TELL_LEFT: &str = statement(SQL, "tell_left");
const DROP_REPORTED: &str = statement(SQL, "drop_reported");

/// What left is told by times that pass what was handed out, where the run alone would not.
fn outrank_handed(db: &Database, slice: &str, table_run: &TableRun) -> Result<()> {
    let (table, margin) = (&table_run.fence.table, scope::margin(db, table_run)?);
    if margin == 0 {
        return Ok(());
    }
    let of = filled(REPORTED_AND_HANDED_OUT, &[("Slice", slice)]);
    let reported: Vec<(Guid, Timestamp)> = db.query_all(&of, [table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let update = filled(OUTRANK_HANDED, &[("Slice", slice)]);
    reported
        .into_iter()
        .try_for_each(|(key, left_on)| db.execute(&update, (table, key, left_on.plus_ticks(margin))).map(drop))
}

/// With the slice complete: what it hands out is noted, and its receivers are told what left their scope; those of all units,
/// which ancestors out of it nothing lies in any more.
pub(super) fn report_what_left(db: &Database, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
    let parameters = prepared.parameters(&prepared::given(db, table_run, 0, 0)?);
    let run = |name: &str, text: &str| {
        let sql = prepared.placeholders.fill(name, text)?;
        template::run_script(db, name, &sql, &parameters)
    };
    ancestors::stamp_ancestors(db, prepared, table_run, &parameters)?;
    let (table, slice) = (&prepared.config.name, db.schema_of(&prepared.config.target.db));
    // Here what was logged stands in the slice: what has come back is settled too.
    run("reported_deletions", REPORTED_DELETIONS)?;
    if prepared.config.is_tree() {
        run("passed_deletions", PASSED_DELETIONS)?;
    }
    let logged = format!(
        "SELECT EXISTS (SELECT 1 FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope')"
    );
    if db.query_one(&logged, [table])? {
        run("left_back", LEFT_BACK)?;
    }
    match table_run.scope {
        Scope::All if !prepared.config.is_tree() => return Ok(()),
        Scope::All => _ = run("shipped_ancestors", SHIPPED_ANCESTORS)?,
        Scope::BusinessUnit(_) => {
            reported::suspect_left(db, prepared, &parameters)?;
            run("were_whole", WERE_WHOLE)?;
            run("left_bare", LEFT_BARE)?;
            run("shipped_keys", SHIPPED_KEYS)?;
        }
    }
    scope::find_what_left(db, prepared, &parameters)?;
    report_deletions(db, &slice, table_run)?;
    run("reported_deletions", REPORTED_DELETIONS).map(drop)
}

/// What left, into the slice, and out of what its receivers have.
fn report_deletions(db: &Database, slice: &str, table_run: &TableRun) -> Result<()> {
    let table = &table_run.fence.table;
    if table_run.scope == Scope::All {
        // What is logged to have left all units stands in the slice as it was logged.
        db.execute("DELETE FROM temp.\"#Left\" WHERE IsWhole", [])?;
    } else {
        let logged = format!("DELETE FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope'");
        db.execute(&logged, [table])?;
    }
    // A deletion that is told already says more, unless it is one of before the row came.
    db.execute(&filled(DROP_OUTRANKED, &[("Slice", slice)]), [table])?;
    db.execute(
        &filled(TELL_LEFT, &[("Slice", slice)]),
        (table, table_run.scope.business_unit(), db.server_time().utc),
    )?;
    outrank_handed(db, slice, table_run)?;
    db.execute(&filled(DROP_REPORTED, &[("Slice", slice)]), (table, table_run.scope.to_string())).map(drop)
}
