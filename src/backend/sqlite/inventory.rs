//! What the source of an embedded instance has.

use super::database::Database;
use super::errors::failed;
use super::key_id::{KeyValue, RowKey};
use super::sql::{Noted, quote};
use super::survey::{self, is_stamp_or_null, odd_stamp};
use super::template::{self, Parameters, Placeholders};
use super::types;
use super::{catalog, config, large};
use crate::backend::inventory::{Flagged, Inventory, InventoryRow, ParentRow, Remains, WholeTable};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
use std::collections::BTreeSet;

const SQL: &str = include_str!("../../../sql/sqlite/inventory.sql");
const INVENTORY: &str = statement(SQL, "inventory");
const REACHED: &str = statement(SQL, "reached");
const REMAINS: &str = statement(SQL, "remains");
const PARENTS: &str = statement(SQL, "parents");
const WHOLE: &str = statement(SQL, "whole");
const DUE_DELETIONS: &str = statement(SQL, "due_deletions");

/// What a parameter holds of a key.
fn bytes(key: Option<Guid>) -> Value {
    key.map_or(Value::Null, |key| Value::Blob(key.as_bytes().to_vec()))
}

/// Serves `Inventory`.
pub struct SourceInventory<'a> {
    pub(super) db: &'a Database,
}

impl Inventory for SourceInventory<'_> {
    fn inventory(
        &mut self,
        table: &TableConfig,
        unit: Option<Guid>,
        now: Timestamp,
        after: Option<Guid>,
        most: u32,
    ) -> Result<Vec<InventoryRow>> {
        let script = "inventory";
        let sql = inventory_sql(self.db, (table, now), "s", (script, INVENTORY))?;
        let parameters: Parameters = vec![
            ("@After", bytes(after)),
            ("@Most", Value::Integer(most.into())),
            ("@BusinessUnitId", bytes(unit)),
            ("@Scope", Value::Text(Scope::from(unit).to_string())),
            ("@TableName", Value::Text(table.name.to_string())),
            ("@ExcludedStreamId", bytes(table.excluded_stream_id)),
        ];
        let mut statement = template::prepare_script(self.db, script, &sql, &parameters)?;
        let mut rows = statement.raw_query();
        let (mut found, read) = (Vec::new(), |error| failed("read the inventory", error).table(&table.name));
        while let Some(row) = rows.next().map_err(read)? {
            let path = path_bytes(row.get_ref(5).map_err(read)?);
            let (id, stamp) = (row.get_ref(0).map_err(read)?, row.get_ref(1).map_err(read)?);
            let is_excluded = row.get::<_, Option<bool>>(4).map_err(read)?.unwrap_or(false);
            if !is_excluded && !is_stamp_or_null(stamp) {
                let key = id.as_blob().ok().and_then(types::guid);
                let form = (table.metadata_modified_on_column.as_str(), survey::FORM);
                return Err(odd_stamp(table, form, stamp, key.ok_or_else(|| types::shown(id))));
            }
            found.push(InventoryRow {
                key: row.get(0).map_err(read)?,
                modified_on: row.get::<_, Noted>(1).map_err(read)?.0,
                is_there: row.get(2).map_err(read)?,
                is_pending: row.get(3).map_err(read)?,
                is_excluded,
                path,
            });
        }
        Ok(found)
    }

    fn reached(&mut self, table: &TableName, scope: Scope) -> Result<Option<Timestamp>> {
        self.db.query_one(REACHED, (table, scope.business_unit()))
    }

    fn has_unit(&mut self, tables: &[TableConfig], unit: Guid) -> Result<bool> {
        config::knows_unit(self.db, tables, unit)
    }

    fn units(&mut self) -> Result<BTreeSet<Guid>> {
        let mut found = BTreeSet::new();
        for table in config::configured_tables(self.db)?.into_iter().filter(|table| table.is_active) {
            let (Some(units), Some(id)) = (&table.business_unit_table, &table.business_unit_id_column) else {
                continue;
            };
            let (units, id) = (catalog::resolve(self.db, units)?, quote(id));
            let sql = format!("SELECT DISTINCT u.{id} FROM {units} AS u WHERE u.{id} IS NOT NULL");
            found.extend(self.db.query_all(&sql, [], |row| row.get::<_, Guid>(0))?);
        }
        Ok(found)
    }

    fn remains(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<Remains>> {
        let sql = Placeholders::new(self.db, table, &[])?.outside_of_runs(now).fill("inventory_remains", REMAINS)?;
        keys.iter().map(|key| remains_of(self.db, &sql, table, scope, now, *key)).collect()
    }

    fn parents(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<ParentRow>> {
        let script = "inventory_parents";
        let sql = inventory_sql(self.db, (table, now), "p", (script, PARENTS))?;
        let (mut found, read) = (Vec::new(), |error| failed("read the inventory", error).table(&table.name));
        for key in keys {
            let parameters: Parameters = vec![
                ("@Key", bytes(Some(*key))),
                ("@BusinessUnitId", bytes(scope.business_unit())),
                ("@Scope", Value::Text(scope.to_string())),
                ("@TableName", Value::Text(table.name.to_string())),
                ("@ExcludedStreamId", bytes(table.excluded_stream_id)),
            ];
            let mut statement = template::prepare_script(self.db, script, &sql, &parameters)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().map_err(read)? {
                found.push(ParentRow {
                    child: *key,
                    key: row.get(0).map_err(read)?,
                    is_in_scope: row.get(1).map_err(read)?,
                    modified_on: row.get::<_, Noted>(2).map_err(read)?.0,
                    is_coming: row.get(3).map_err(read)?,
                    is_excluded: row.get(4).map_err(read)?,
                    path: path_bytes(row.get_ref(5).map_err(read)?),
                });
            }
        }
        Ok(found)
    }

    fn whole_table(&mut self, table: &TableConfig, now: Timestamp) -> Result<WholeTable> {
        let sql = Placeholders::new(self.db, table, &[])?.outside_of_runs(now).fill("inventory_whole", WHOLE)?;
        self.db.query_row(&sql, (&table.name, now), |row| {
            Ok(WholeTable {
                without_metadata: row.get(0)?,
                logged_deletions: row.get(1)?,
                future_deletions: row.get(2)?,
            })
        })
    }

    fn unfit_deletion(
        &mut self,
        table: &TableConfig,
        scope: Scope,
        again: Option<Timestamp>,
        key: SqlType,
    ) -> Result<Option<(i64, Guid)>> {
        let broken = |error| failed("look at the deletion log", error).table(&table.name);
        let mut statement = self.db.cached(DUE_DELETIONS).map_err(broken)?;
        let asked = (&table.name, scope.to_string(), scope.business_unit(), again);
        let mut rows = statement.query(asked).map_err(broken)?;
        while let Some(row) = rows.next().map_err(broken)? {
            let id = row.get_ref(1).map_err(broken)?.as_blob().ok().and_then(types::guid);
            if let Some(id) = id.filter(|id| !table.key_type.fits(*id, key)) {
                return Ok(Some((row.get(0).map_err(broken)?, id)));
            }
        }
        Ok(None)
    }

    fn source_content(
        &mut self,
        table: &TableConfig,
        columns: &[Column],
        keys: &[Guid],
    ) -> Result<Vec<Option<Vec<Option<Sha256>>>>> {
        let (source, key_column) = (catalog::resolve(self.db, &table.source)?, quote(&table.key_column));
        let is_there = format!("SELECT EXISTS (SELECT 1 FROM {source} WHERE {key_column} = ?1)");
        let mut found = Vec::new();
        for key in keys {
            let hash = |column: &Column| {
                large::content_sha256(
                    self.db,
                    &table.source,
                    RowKey::new(&table.key_column, table.key_type, *key),
                    column,
                )
            };
            let row: bool = self.db.query_one(&is_there, [KeyValue(table.key_type, *key)])?;
            found.push(row.then(|| columns.iter().map(hash).collect::<Result<_>>()).transpose()?);
        }
        Ok(found)
    }
}

/// The bytes of a path, as a bundle has them.
fn path_bytes(path: ValueRef<'_>) -> Option<Vec<u8>> {
    match path {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
        ValueRef::Integer(key) => Some(key.to_be_bytes().to_vec()),
        _ => None,
    }
}

/// A script with the names of a table, and the path of its rows under this alias.
fn inventory_sql(
    db: &Database,
    (table, now): (&TableConfig, Timestamp),
    alias: &str,
    (script, text): (&str, &str),
) -> Result<String> {
    let path = table.place_column().map_or("NULL".to_owned(), |path| format!("{alias}.{}", quote(path)));
    Placeholders::new(db, table, &[])?.outside_of_runs(now).with("Path", path).fill(script, text)
}

fn remains_of(
    db: &Database,
    sql: &str,
    table: &TableConfig,
    scope: Scope,
    now: Timestamp,
    key: Guid,
) -> Result<Remains> {
    let parameters: Parameters = vec![
        ("@TableName", Value::Text(table.name.to_string())),
        ("@Key", bytes(Some(key))),
        ("@BusinessUnitId", bytes(scope.business_unit())),
        ("@Scope", Value::Text(scope.to_string())),
        ("@Latest", Value::Text(now.latest_reported().to_string())),
        ("@ExcludedStreamId", bytes(table.excluded_stream_id)),
    ];
    let read = |error| failed("read the inventory", error).table(&table.name);
    let mut statement = template::prepare_script(db, "inventory_remains", sql, &parameters)?;
    let mut rows = statement.raw_query();
    let row = rows.next().map_err(read)?.ok_or_else(|| Error::internal("the source did not answer for a key"))?;
    let stamp = row.get_ref(1).map_err(read)?;
    if !is_stamp_or_null(stamp) && !row.get::<_, bool>(9).map_err(read)? {
        return Err(odd_stamp(table, (&table.metadata_modified_on_column, survey::FORM), stamp, Ok(key)));
    }
    let is_odd = |at| row.get_ref(at).map(|value| !is_stamp_or_null(value)).map_err(read);
    if table.include_deletions && (is_odd(3)? || is_odd(4)?) {
        survey::check_deletions(db, table, scope)?;
    }
    remains_in(row).map_err(read)
}

fn remains_in(row: &Row<'_>) -> rusqlite::Result<Remains> {
    let time = |at| row.get::<_, Noted>(at).map(|noted| noted.0);
    let flagged = Flagged { on: time(7)?, is_pending: row.get(8)? };
    Ok(Remains {
        is_there: row.get(0)?,
        modified_on: time(1)?,
        is_handed: row.get(2)?,
        deleted_on: time(3)?,
        left_on: time(4)?,
        reported_on: time(5)?,
        is_excluded: row.get(9)?,
        flagged: row.get::<_, bool>(6)?.then_some(flagged),
    })
}
