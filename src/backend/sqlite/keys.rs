//! [`Keys`] on the embedded instance, and what an exclusion means for a run that goes on.

use super::finish::{from_json, to_json};
use super::session::Session;
use super::sql::Noted;
use crate::backend::jobs::{Asked, Jobs as _};
use crate::backend::keys::{KeyRecord, KeyState, Keys, OF_TABLE, UnknownName, check_removal};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Fence, Scope, TableCounts};
use crate::model::table::TableConfig;

const UNKNOWN_NAMES: &str = include_str!("../../../sql/sqlite/engine/unknown_names.sql");

impl Keys for Session {
    fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool> {
        // Asked for first: who dies between the two has a key that is asked for, and excluded still.
        self.pend_key(table, key, &Asked::of(None, "An exclusion was taken back"))?;
        let delete = "DELETE FROM BlobDeltaExcludedKey WHERE TableName = ?1 AND stream_id = ?2";
        let removed = self.transact("include a key", |session| session.execute(delete, (table, key)))?;
        Ok(removed > 0)
    }

    fn named_keys(&mut self, table: &TableName, scope: Option<Scope>, limit: u32) -> Result<Vec<KeyRecord>> {
        self.table(table)?;
        let sql = "SELECT stream_id, 1, Reason, CreatedAt, '' FROM BlobDeltaExcludedKey WHERE TableName = ?1
                   UNION ALL
                   SELECT stream_id, 0, Reason, CreatedAt, Scope FROM BlobDeltaPendingKey
                   WHERE TableName = ?1 AND (?3 IS NULL OR Scope IN ('', ?3))
                   ORDER BY 2 DESC, 1, 5 LIMIT ?2";
        self.query_all(sql, (table, limit, scope.map(|scope| scope.to_string())), |row| {
            Ok(KeyRecord {
                key: row.get(0)?,
                state: if row.get(1)? { KeyState::Excluded } else { KeyState::Pending },
                reason: row.get(2)?,
                created_at: row.get::<_, Noted>(3)?.0,
                scope: Scope::parse(&row.get::<_, String>(4)?),
            })
        })
    }

    fn unknown_names(&mut self) -> Result<Vec<UnknownName>> {
        self.query_all(UNKNOWN_NAMES, [], |row| {
            Ok(UnknownName { list: row.get(0)?, name: row.get(1)?, entries: row.get(2)? })
        })
    }

    fn remove_table(&mut self, table: &TableName, force: bool) -> Result<()> {
        let config = self.table(table)?;
        if !force {
            let marks = self.watermarks()?;
            let mark = marks.iter().find(|mark| mark.table == *table);
            check_removal(&config, mark, self.marker(&config).ok().as_ref(), self.server_time().utc)?;
        }
        self.prepared.remove(table);
        self.transact("remove a table", |session| {
            for of_table in OF_TABLE.iter().chain(&["BlobDeltaTableConfig"]) {
                session.execute(&format!("DELETE FROM {of_table} WHERE TableName = ?1"), [table])?;
            }
            Ok(())
        })
    }
}

impl Session {
    /// A key that was excluded since its run queued it is not waited for: that is the way out of a row that
    /// cannot be copied.
    pub(super) fn drop_excluded(&mut self, fence: &Fence, table: &TableConfig) -> Result<()> {
        self.transact("leave excluded keys out", |session| {
            session.pass(fence)?;
            let of = (fence.run_id, &fence.table, table.excluded_stream_id);
            let is_excluded = "(stream_id IS ?3 OR stream_id IN (
                SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = ?2))";
            let dropped = session.execute(
                &format!(
                    "DELETE FROM BlobDeltaWindowQueue
                     WHERE RunId = ?1 AND TableName = ?2 AND State IS NULL AND {is_excluded}"
                ),
                of,
            )?;
            session.execute(
                &format!(
                    "DELETE FROM BlobDeltaMissingParentsQueue
                     WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0 AND {is_excluded}"
                ),
                of,
            )?;
            if dropped == 0 {
                return Ok(());
            }
            let counts = "SELECT Counts FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2";
            let mut counts: TableCounts = from_json(&session.query_one::<String>(counts, (of.0, of.1))?)?;
            counts.excluded += dropped;
            session.execute(
                "UPDATE BlobDeltaRunTable SET QueuedKeys = QueuedKeys - ?3, Counts = ?4 WHERE RunId = ?1 AND TableName = ?2",
                (of.0, of.1, dropped, to_json(&counts)?),
            )?;
            Ok(())
        })
    }
}
