//! Keys that somebody asked for, and keys that somebody excluded (rules 5, 6 and 17).

use super::ancestors;
use super::database::Database;
use super::lease::Lease;
use super::prepared::{self, Prepared};
use super::scope::WAITS;
use super::sql::{Noted, filled, from_json, to_json};
use super::template::{self, Parameters};
use crate::error::Result;
use crate::model::run::{Fence, Scope, TableCounts, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/asked.sql");
const DROP_EXCLUDED_KEYS: &str = statement(SQL, "drop_excluded_keys");
const IS_EXCLUDED: &str = statement(SQL, "is_excluded");
const DROP_EXCLUDED_PARENTS: &str = statement(SQL, "drop_excluded_parents");
const EXPAND_PENDING: &str = statement(SQL, "expand_pending");
const DROP_EXPANDED: &str = statement(SQL, "drop_expanded");
const BACK_AGAIN: &str = statement(SQL, "back_again");
const ASKED_ANCESTORS: &str = statement(SQL, "asked_ancestors");
const ASKED_DELETIONS: &str = statement(SQL, "asked_deletions");
const NOTE_WITHOUT_METADATA: &str = statement(SQL, "note_without_metadata");
const FORGET_TAKEN: &str = statement(SQL, "forget_taken");
const DROP_TAKEN: &str = statement(SQL, "drop_taken");

/// A key that was excluded since its run queued it is not waited for: that is the way out of a row that
/// cannot be copied.
pub(super) fn drop_excluded(db: &mut Database, lease: Lease, fence: &Fence, table: &TableConfig) -> Result<()> {
    db.transact("leave excluded keys out", |db| {
        lease.check_fence(db, fence)?;
        let of = (fence.run_id, &fence.table, table.excluded_stream_id);
        let dropped = db.execute(
            &filled(DROP_EXCLUDED_KEYS, &[("IsExcluded", IS_EXCLUDED)]),
            of,
        )?;
        db.execute(
            &filled(DROP_EXCLUDED_PARENTS, &[("IsExcluded", IS_EXCLUDED)]),
            of,
        )?;
        if dropped == 0 {
            return Ok(());
        }
        let counts = "SELECT Counts FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2";
        let mut counts: TableCounts = from_json(&db.query_one::<String>(counts, (of.0, of.1))?)?;
        counts.excluded += dropped;
        db.execute(
            "UPDATE BlobDeltaRunTable SET QueuedKeys = QueuedKeys - ?3, Counts = ?4 WHERE RunId = ?1 AND TableName = ?2",
            (of.0, of.1, dropped, to_json(&counts)?),
        )?;
        Ok(())
    })
}

/// Before the queue is filled, in its transaction: what everybody asked for becomes what each scope asks for, and what
/// came back to this unit without a stamp is asked for.
pub(super) fn settle_asked(db: &Database, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<()> {
    let table = &prepared.config.name;
    if db.query_one(WAITS, (table, ""))? {
        template::run_script(db, "expand_pending", EXPAND_PENDING, parameters)?;
        // Kept while no scope has a watermark: the first run of each takes what its window has, and no more.
        db.execute(DROP_EXPANDED, [table])?;
    }
    if scope != Scope::All {
        let sql = prepared.placeholders.fill("back_again", BACK_AGAIN)?;
        template::run_script(db, "back_again", &sql, parameters)?;
    }
    ancestors::ask_for_orphans(db, prepared, parameters)
}

/// With the slice complete: its scope has had what was copied, and the ancestors and deletions that were asked for.
pub(super) fn forget_pending(db: &Database, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
    let (table, scope) = (&table_run.fence.table, table_run.scope.to_string());
    if db.query_one(WAITS, (table, &scope))? {
        let parameters = prepared.parameters(&prepared::given(db, table_run, 0, 0)?);
        if prepared.config.is_tree() {
            prepared.run_filled(db, "asked_ancestors", ASKED_ANCESTORS, &parameters)?;
        }
        if prepared.config.deleted_when.is_some() {
            prepared.run_filled(db, "asked_deletions", ASKED_DELETIONS, &parameters)?;
        }
        // What was asked for even without metadata is that again, where the slice is given up.
        for queue in ["BlobDeltaWindowQueue", "BlobDeltaMissingParentsQueue"] {
            db.execute(&filled(NOTE_WITHOUT_METADATA, &[("Queue", queue)]), (table, &scope, table_run.fence.run_id))?;
        }
        db.execute(FORGET_TAKEN, (table, &scope, table_run.fence.run_id))?;
        db.execute(DROP_TAKEN, (table, scope, table_run.fence.run_id))?;
    }
    Ok(())
}

/// How many keys wait for this scope, and since when the first of them does, UTC.
pub(super) fn pending_keys(db: &Database, table: &TableConfig, scope: Scope) -> Result<(u64, Option<Timestamp>)> {
    let sql = "SELECT count(*), min(CreatedAt) FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2";
    db.query_row(sql, (&table.name, scope.to_string()), |row| Ok((row.get(0)?, row.get::<_, Noted>(1)?.0)))
}
