//! Rule 17: what the runs of one scope settle for themselves alone.

use super::prepared::Prepared;
use super::session::Session;
use super::sql::Noted;
use super::template::Parameters;
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::run::{Scope, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::sqlite as scripts;

/// By so many ticks a row passes a tombstone, which wins a tie: a microsecond, which every server keeps.
pub(super) const PASSES: i64 = 10;

const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2)";

impl Session {
    /// Before the queue is filled, in its transaction: what everybody asked for becomes what each scope asks for, and what
    /// came back to this unit without a stamp is asked for.
    pub(super) fn settle_asked(&self, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<()> {
        let table = &prepared.config.name;
        if self.query_one(WAITS, (table, ""))? {
            self.run_script("expand_pending", scripts::EXPAND_PENDING, parameters)?;
            // Kept while no scope has a watermark: the first run of each takes what its window has, and no more.
            self.execute(
                "DELETE FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = '' AND (
                     EXISTS (SELECT 1 FROM BlobDeltaHighWatermark
                         WHERE TableName = ?1 AND LastHighWaterModifiedOn IS NOT NULL)
                     OR EXISTS (SELECT 1 FROM BlobDeltaBusinessUnitWatermark
                         WHERE TableName = ?1 AND LastHighWaterModifiedOn IS NOT NULL))",
                [table],
            )?;
        }
        if scope != Scope::All {
            let sql = prepared.placeholders.fill("back_again", scripts::BACK_AGAIN)?;
            self.run_script("back_again", &sql, parameters)?;
        }
        self.ask_for_orphans(prepared, parameters)
    }

    /// After the queues are filled: what is another unit's by now waits for this one no more, unless it is an ancestor that
    /// the unit needs.
    pub(super) fn drop_foreign(&self, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<()> {
        if scope != Scope::All && self.query_one(WAITS, (&prepared.config.name, scope.to_string()))? {
            let sql = prepared.placeholders.fill("foreign_pending", scripts::FOREIGN_PENDING)?;
            self.run_script("foreign_pending", &sql, parameters)?;
        }
        Ok(())
    }

    /// With the slice complete: its scope has had what was copied, and the ancestors that were asked for.
    pub(super) fn forget_pending(&self, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
        let (table, scope) = (&table_run.fence.table, table_run.scope.to_string());
        if self.query_one(WAITS, (table, &scope))? {
            if prepared.config.is_tree() {
                let parameters = prepared.parameters(&self.given(table_run, 0, 0)?);
                self.run_filled(prepared, "asked_ancestors", scripts::ASKED_ANCESTORS, &parameters)?;
            }
            self.execute(
                "DELETE FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
                     SELECT stream_id FROM BlobDeltaWindowQueue
                     WHERE RunId = ?3 AND TableName = ?1 AND IsPending AND State = 'Copied'
                     UNION ALL
                     SELECT stream_id FROM BlobDeltaMissingParentsQueue
                     WHERE RunId = ?3 AND TableName = ?1 AND IsPending)",
                (table, scope, table_run.fence.run_id),
            )?;
        }
        Ok(())
    }

    /// Which keys left a scope, and which of them stay for what lies below them.
    pub(super) fn find_what_left(&self, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
        let run = |name: &str, text: &str| {
            let sql = prepared.placeholders.fill(name, text)?;
            self.run_script(name, &sql, parameters)
        };
        self.execute("DELETE FROM temp.\"#Left\"", [])?;
        run("left_scope", scripts::LEFT_SCOPE)?;
        let mut stay = u64::from(prepared.config.is_tree());
        while stay > 0 {
            // Each turn takes a key out at least.
            stay = run("left_stays", scripts::LEFT_STAYS)?;
        }
        Ok(())
    }

    /// By how much what this run tells has to pass what its scope was handed by the same time: on a tie the run that
    /// started later wins, and the server's clock may have gone back since. What a run of more than a day later has told
    /// no receiver takes (rule 27).
    pub(super) fn margin(&self, table_run: &TableRun) -> Result<i64> {
        let later = "SELECT EXISTS (
                SELECT 1 FROM BlobDeltaRun AS own JOIN BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt
                    AND r.RunStartedAt < strftime('%Y-%m-%dT%H:%M:%f', own.RunStartedAt, '+1 day')
                WHERE own.RunId = ?1 AND r.RunId <> own.RunId)";
        Ok(if self.query_one(later, [table_run.fence.run_id])? { PASSES } else { 0 })
    }

    /// What left is told by times that pass what was handed out, where the run alone would not.
    fn outrank_handed(&self, slice: &str, table_run: &TableRun) -> Result<()> {
        let (table, margin) = (&table_run.fence.table, self.margin(table_run)?);
        if margin == 0 {
            return Ok(());
        }
        let of = format!("{slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope'");
        let told: Vec<(Guid, Timestamp)> =
            self.query_all(&format!("SELECT stream_id, DeletedOn FROM {of}"), [table], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let update = format!(
            "UPDATE {slice}.BlobDeltaDeletion SET DeletedOn = ?3
             WHERE TableName = ?1 AND Reason = 'LeftScope' AND stream_id = ?2"
        );
        told.into_iter()
            .try_for_each(|(key, left_on)| self.execute(&update, (table, key, left_on.plus_ticks(margin))).map(drop))
    }

    /// With the slice complete: what it hands out is noted, and receivers of a business unit are told what left it.
    pub(super) fn tell_what_left(&self, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
        let parameters = prepared.parameters(&self.given(table_run, 0, 0)?);
        let run = |name: &str, text: &str| {
            let sql = prepared.placeholders.fill(name, text)?;
            self.run_script(name, &sql, &parameters)
        };
        self.stamp_ancestors(prepared, table_run, &parameters)?;
        let (table, slice) = (&prepared.config.name, self.schema_of(&prepared.config.target.db));
        // Here what was logged stands in the slice: what has come back is settled too.
        run("told_deletions", scripts::TOLD_DELETIONS)?;
        if prepared.config.is_tree() {
            run("passed_deletions", scripts::PASSED_DELETIONS)?;
        }
        let logged = format!(
            "SELECT EXISTS (SELECT 1 FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope')"
        );
        if self.query_one(&logged, [table])? {
            run("left_back", scripts::LEFT_BACK)?;
        }
        let Scope::BusinessUnit(unit) = table_run.scope else {
            let is_tree = prepared.config.is_tree();
            return if is_tree { run("shipped_ancestors", scripts::SHIPPED_ANCESTORS).map(drop) } else { Ok(()) };
        };
        self.suspect_left(prepared, &parameters)?;
        run("were_whole", scripts::WERE_WHOLE)?;
        run("left_bare", scripts::LEFT_BARE)?;
        run("shipped_keys", scripts::SHIPPED_KEYS)?;
        self.find_what_left(prepared, &parameters)?;
        self.execute(
            &format!(
                "DELETE FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1 AND (Reason = 'LeftScope' OR EXISTS (
                     SELECT 1 FROM temp.\"#Left\" AS l
                     WHERE l.stream_id = BlobDeltaDeletion.stream_id AND NOT l.Stays AND l.LeftOn > DeletedOn))"
            ),
            [table],
        )?;
        // A deletion that is told already says more, unless it is one of before the row came.
        self.execute(
            &format!(
                "INSERT OR IGNORE INTO {slice}.BlobDeltaDeletion
                     (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
                 SELECT ?1, stream_id, LeftOn, ?2, ?3, 'LeftScope' FROM temp.\"#Left\" WHERE NOT Stays AND (IsWhole OR IsPassed)"
            ),
            (table, unit, self.server_time().utc),
        )?;
        self.outrank_handed(&slice, table_run)?;
        self.execute(
            &format!(
                "DELETE FROM BlobDeltaShippedKey WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
                     SELECT stream_id FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope')"
            ),
            (table, table_run.scope.to_string()),
        )?;
        run("told_deletions", scripts::TOLD_DELETIONS).map(drop)
    }

    /// How many keys wait for this scope, and since when the first of them does, UTC.
    pub(super) fn pending_keys(&self, table: &TableConfig, scope: Scope) -> Result<(u64, Option<Timestamp>)> {
        let sql = "SELECT count(*), min(CreatedAt) FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2";
        self.query_row(sql, (&table.name, scope.to_string()), |row| Ok((row.get(0)?, row.get::<_, Noted>(1)?.0)))
    }
}
