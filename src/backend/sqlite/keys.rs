//! [`Keys`] on the embedded instance, and what an exclusion means for a run that goes on.

use super::engine::Engine;
use super::sql::{Noted, filled};
use super::{key_id, marker};
use crate::backend::jobs::{Jobs as _, KeyRequest};
use crate::backend::keys::{KeyRecord, KeyState, Keys, OF_TABLE, UnknownName, check_removal};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/keys.sql");
const NAMED_KEYS: &str = statement(SQL, "named_keys");
const UNKNOWN_NAMES: &str = statement(SQL, "unknown_names");

impl Keys for Engine<'_> {
    fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool> {
        let is_excluded = "SELECT EXISTS (SELECT 1 FROM BlobDeltaExcludedKey WHERE TableName = ?1 AND stream_id = ?2)";
        if !self.db.query_one(is_excluded, (table, key))? {
            return Ok(false);
        }
        // Asked for first: who dies between the two has a key that is asked for, and excluded still.
        self.pend_key(table, key, &KeyRequest::of(None, "An exclusion was taken back"))?;
        let delete = "DELETE FROM BlobDeltaExcludedKey WHERE TableName = ?1 AND stream_id = ?2";
        let removed = self.db.transact("include a key", |db| db.execute(delete, (table, key)))?;
        Ok(removed > 0)
    }

    fn named_keys(&mut self, table: &TableName, scope: Option<Scope>, limit: u32) -> Result<Vec<KeyRecord>> {
        let key = key_id::to_key(self.table(table)?.key_type, "n.stream_id");
        self.db.query_all(
            &filled(NAMED_KEYS, &[("Key", &key)]),
            (table, limit, scope.map(|scope| scope.to_string())),
            |row| {
                Ok(KeyRecord {
                    key: row.get(0)?,
                    state: if row.get(1)? { KeyState::Excluded } else { KeyState::Pending },
                    reason: row.get(2)?,
                    created_at: row.get::<_, Noted>(3)?.0,
                    scope: Scope::parse(&row.get::<_, String>(4)?),
                })
            },
        )
    }

    fn unknown_names(&mut self) -> Result<Vec<UnknownName>> {
        self.db.query_all(UNKNOWN_NAMES, [], |row| {
            Ok(UnknownName { list: row.get(0)?, name: row.get(1)?, entries: row.get(2)? })
        })
    }

    fn remove_table(&mut self, table: &TableName, force: bool) -> Result<()> {
        let config = self.table(table)?;
        if !force {
            let watermarks = self.watermarks()?;
            let mark = watermarks.iter().find(|mark| mark.table == *table);
            check_removal(&config, mark, marker::marker(self.db, &config).ok().as_ref(), self.db.server_time().utc)?;
        }
        self.state.prepared.forget(table);
        self.db.transact("remove a table", |db| {
            for of_table in OF_TABLE.iter().chain(&["BlobDeltaTableConfig"]) {
                db.execute(&format!("DELETE FROM {of_table} WHERE TableName = ?1"), [table])?;
            }
            Ok(())
        })
    }
}
