//! [`Keys`] on a server.

use super::engine::Engine;
use super::key_id::with_keys;
use super::sql::{Sql, filled};
use super::values::{RowFields, text_at};
use crate::backend::jobs::{Jobs as _, KeyRequest};
use crate::backend::keys::{KeyRecord, KeyState, Keys, OF_TABLE, UnknownName, check_removal};
use crate::backend::slices::Slices as _;
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/keys.sql");
const NAMED_KEYS: &str = statement(SQL, "named_keys");
const UNKNOWN_NAMES: &str = statement(SQL, "unknown_names");

impl Keys for Engine<'_> {
    fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool> {
        let which = Sql::new("SELECT 1 FROM dbo.BlobDeltaExcludedKey WHERE TableName = ").bind(table.to_string());
        let which = which.then(" AND stream_id = ").bind(key);
        if self.db.client.unit(|client| client.rows("look for an exclusion", which.clone()))?.is_empty() {
            return Ok(false);
        }
        // Asked for first: who dies between the two has a key that is asked for, and excluded still.
        self.pend_key(table, key, &KeyRequest::of(None, "An exclusion was taken back"))?;
        let delete = Sql::new("DELETE FROM dbo.BlobDeltaExcludedKey WHERE TableName = ").bind(table.to_string());
        let delete = delete.then(" AND stream_id = ").bind(key);
        self.db.client.unit(|client| client.execute("include a key", delete.clone())).map(|removed| removed > 0)
    }

    fn named_keys(&mut self, table: &TableName, scope: Option<Scope>, limit: u32) -> Result<Vec<KeyRecord>> {
        let key_type = self.table(table)?.key_type;
        let text = filled(&with_keys(key_type, NAMED_KEYS), &[("Limit", &limit.to_string())]);
        let scope = scope.map(|scope| scope.to_string());
        let sql = Sql::bound(&text, vec![("Table", table.into()), ("Scope", scope.into())]);
        let rows = self.db.client.unit(|client| client.rows("list keys", sql.clone()))?;
        rows.iter().map(|row| record(&RowFields::of(row))).collect()
    }

    fn unknown_names(&mut self) -> Result<Vec<UnknownName>> {
        let rows = self.db.client.unit(|client| client.rows("look for names", Sql::new(UNKNOWN_NAMES)))?;
        let unknown = |fields: &RowFields<'_>| {
            let entries = fields.must(2, RowFields::number)?.unsigned_abs();
            Ok(UnknownName { list: text_at(fields, 0)?, name: text_at(fields, 1)?, entries })
        };
        rows.iter().map(|row| unknown(&RowFields::of(row))).collect()
    }

    fn remove_table(&mut self, table: &TableName, force: bool) -> Result<()> {
        let config = self.table(table)?;
        if !force {
            let (watermarks, now) = (self.watermarks()?, self.now()?.utc);
            let mark = watermarks.iter().find(|mark| mark.table == *table);
            check_removal(&config, mark, self.slice_marker(&config).ok().as_ref(), now)?;
        }
        self.state.known.configs.remove(table);
        self.db.client.transact("remove a table", |client| {
            for of_table in OF_TABLE.iter().chain(&["BlobDeltaRunScript", "BlobDeltaTableConfig"]) {
                let delete = Sql::new(format!("DELETE FROM dbo.{of_table} WHERE TableName = ")).bind(table);
                client.execute("remove a table", delete)?;
            }
            Ok(())
        })
    }
}

fn record(fields: &RowFields<'_>) -> Result<KeyRecord> {
    let is_excluded = fields.must(1, RowFields::number)? == 1;
    Ok(KeyRecord {
        key: fields.must(0, RowFields::guid)?,
        state: if is_excluded { KeyState::Excluded } else { KeyState::Pending },
        scope: Scope::parse(&text_at(fields, 4)?),
        reason: text_at(fields, 2)?,
        created_at: Some(fields.must(3, RowFields::time)?),
    })
}
