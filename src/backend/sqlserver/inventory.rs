//! What the source on a server has.

use super::database::Database;
use super::existing::digest;
use super::key_id;
use super::sql::{Sql, filled, quote};
use super::staging::{self, STAGE};
use super::values::{RowFields, cell_of, of, selected};
use super::{catalog, config, stamp};
use crate::backend::compatibility::named;
use crate::backend::filter::{Dialect, condition};
use crate::backend::inventory::{Flagged, Inventory, InventoryRow, ParentRow, Remains, WholeTable};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::filter::ConditionKind;
use crate::model::id::Guid;
use crate::model::key::{KeyType, place_bytes};
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

const SQL: &str = include_str!("../../../sql/sqlserver/inventory.sql");
const INVENTORY: &str = statement(SQL, "inventory");
pub(super) const DIALECT: Dialect = Dialect { column: of, guid: |guid| format!("'{guid}'"), text: "N" };
const IS_DELETED: &str = statement(SQL, "is_deleted");
const REMAINS: &str = statement(SQL, "remains");
const PARENTS: &str = statement(SQL, "parents");
const WHOLE: &str = statement(SQL, "whole");
const UNFIT_DELETION: &str = statement(SQL, "unfit_deletion");
/// Whether a unit's runs know that they handed a staged key out.
const HANDED_TO_UNIT: &str = statement(SQL, "handed_to_unit");

/// Serves `Inventory`.
pub struct SourceInventory<'a> {
    pub(super) db: &'a mut Database,
    /// Column lists of source tables.
    pub(super) columns: &'a mut HashMap<TableName, Vec<Column>>,
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
        let path = path_type(self.db, self.columns, table)?;
        let text = inventory_sql(self.db, (table, now), path.as_ref(), unit, after)?;
        let sql = Sql::new(text).with(i64::from(most)).with(&table.name);
        let mut sql = sql.with(never_captured(table)).with(Scope::from(unit).to_string());
        for value in [after, unit].into_iter().flatten() {
            sql = sql.with(value);
        }
        let rows = self.db.client.unit(|client| client.rows("read the inventory", sql.clone()))?;
        rows.iter().map(|row| inventory_row(&RowFields::of(row), path.as_ref())).collect()
    }

    fn reached(&mut self, table: &TableName, scope: Scope) -> Result<Option<Timestamp>> {
        let from = match scope {
            Scope::All => "dbo.BlobDeltaHighWatermark",
            Scope::BusinessUnit(_) => "dbo.BlobDeltaBusinessUnitWatermark",
        };
        let mut sql = Sql::new(format!("SELECT LastHighWaterModifiedOn FROM {from} WHERE TableName = ")).bind(table);
        if let Scope::BusinessUnit(unit) = scope {
            sql = sql.then(" AND BusinessUnitId = ").bind(unit);
        }
        let rows = self.db.client.unit(|client| client.rows("read a watermark", sql.clone()))?;
        let watermarks = rows.iter().map(|row| RowFields::of(row).time(0)).collect::<Result<Vec<_>>>()?;
        Ok(watermarks.into_iter().flatten().max())
    }

    fn has_unit(&mut self, tables: &[TableConfig], unit: Guid) -> Result<bool> {
        for table in tables {
            let (Some(units), Some(id)) = (&table.business_unit_table, &table.business_unit_id_column) else {
                continue;
            };
            let Ok(units) = catalog::resolve(&mut self.db.client, units) else { continue };
            let sql = Sql::new(format!("SELECT COUNT(*) FROM {units} AS u WHERE {} = ", of("u", id))).bind(unit);
            let row = self.db.client.unit(|client| client.row("look for a business unit", sql.clone()))?;
            if row.is_some_and(|row| RowFields::of(&row).number(0).is_ok_and(|count| count > Some(0))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn units(&mut self) -> Result<BTreeSet<Guid>> {
        let mut found = BTreeSet::new();
        for table in config::configured_tables(self.db)?.into_iter().filter(|table| table.is_active) {
            let (Some(units), Some(id)) = (&table.business_unit_table, &table.business_unit_id_column) else {
                continue;
            };
            let (units, id) = (catalog::resolve(&mut self.db.client, units)?, of("u", id));
            let sql = Sql::new(format!("SELECT DISTINCT {id} FROM {units} AS u WHERE {id} IS NOT NULL"));
            let rows = self.db.client.unit(|client| client.rows("read the business units", sql.clone()))?;
            for row in &rows {
                found.extend(RowFields::of(row).guid(0)?);
            }
        }
        Ok(found)
    }

    fn remains(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<Remains>> {
        let text = of_tables(self.db, REMAINS, table, now)?;
        let unit = scope.business_unit();
        let of_scope = if unit.is_some() { "d.BusinessUnit = @P5" } else { "d.BusinessUnit IS NULL" };
        let is_handed = if unit.is_some() { HANDED_TO_UNIT } else { "1 = 1" };
        let unit_parameter = unit.map(|_| "@P5");
        let in_scope_or_deleted = in_scope_or_deleted(self.db, table, unit_parameter, "m")?;
        let is_deleted = is_deleted(self.db, table, unit_parameter)?.unwrap_or_else(|| "0 = 1".to_owned());
        let text = filled(
            &text,
            &[
                ("OfScope", of_scope),
                ("IsHanded", is_handed),
                ("InScopeOrDeleted", &in_scope_or_deleted),
                ("IsDeleted", &is_deleted),
            ],
        );
        let mut sql = Sql::new(text).with(&table.name).with(scope.to_string()).with(now.latest_reported());
        sql = sql.with(never_captured(table));
        if let Some(unit) = unit {
            sql = sql.with(unit);
        }
        let mut found = HashMap::new();
        staging::ask_of_keys(self.db, "look for rows of the source", keys, sql, |key, fields| {
            let is_there = fields.must(1, RowFields::number)? != 0;
            let (modified_on, is_handed) = (fields.time(2)?, fields.must(3, RowFields::number)? != 0);
            let (deleted_on, left_on, reported_on) = (fields.time(4)?, fields.time(5)?, fields.time(6)?);
            let flagged = Flagged { on: fields.time(8)?, is_pending: fields.must(9, RowFields::number)? != 0 };
            let flagged = (fields.must(7, RowFields::number)? != 0).then_some(flagged);
            let is_excluded = fields.must(10, RowFields::number)? != 0;
            found.insert(
                key,
                Remains { is_there, modified_on, is_handed, deleted_on, left_on, reported_on, is_excluded, flagged },
            );
            Ok(())
        })?;
        Ok(keys.iter().map(|key| found.get(key).copied().unwrap_or_default()).collect())
    }

    fn parents(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<ParentRow>> {
        let (Some(path_column), Some(parent_path)) = (&table.path_column, &table.parent_path_column) else {
            return Ok(Vec::new());
        };
        let (path, unit) = (path_type(self.db, self.columns, table)?, scope.business_unit());
        let in_scope = in_scope(self.db, table, unit.map(|_| "@P4"))?;
        let text = of_tables(self.db, PARENTS, table, now)?;
        let text = filled(
            &text,
            &[
                ("PathColumn", quote(path_column).as_str()),
                ("ParentPathColumn", quote(parent_path).as_str()),
                ("InScope", &in_scope),
                ("Path", &path_of(path.as_ref(), "p")),
            ],
        );
        let sql = Sql::new(text).with(&table.name).with(never_captured(table));
        let mut sql = sql.with(scope.to_string());
        if let Some(unit) = unit {
            sql = sql.with(unit);
        }
        let mut found = Vec::new();
        staging::ask_of_keys(self.db, "look for parents", keys, sql, |key, fields| {
            found.push(ParentRow {
                child: key,
                key: fields.must(1, RowFields::guid)?,
                is_in_scope: fields.must(2, RowFields::number)? != 0,
                modified_on: fields.time(3)?,
                is_coming: fields.must(4, RowFields::number)? != 0,
                is_excluded: fields.must(5, RowFields::number)? != 0,
                path: path_bytes(fields, 6, path.as_ref())?,
            });
            Ok(())
        })?;
        Ok(found)
    }

    fn whole_table(&mut self, table: &TableConfig, now: Timestamp) -> Result<WholeTable> {
        let sql = Sql::new(of_tables(self.db, WHOLE, table, now)?).with(&table.name).with(now);
        let row = self.db.client.unit(|client| client.row("count over the whole table", sql.clone()))?;
        let row = row.ok_or_else(|| Error::internal("the server did not count"))?;
        let fields = RowFields::of(&row);
        let count = |at| fields.must(at, RowFields::number).map(i64::unsigned_abs);
        Ok(WholeTable { without_metadata: count(0)?, logged_deletions: count(1)?, future_deletions: count(2)? })
    }

    fn unfit_deletion(
        &mut self,
        table: &TableConfig,
        scope: Scope,
        again: Option<Timestamp>,
        key: SqlType,
    ) -> Result<Option<(i64, Guid)>> {
        let Some((least, most)) = KeyType::least_and_most(key) else { return Ok(None) };
        let text = key_id::with_keys(table.key_type, UNFIT_DELETION);
        let values = vec![
            ("Table", (&table.name).into()),
            ("Scope", scope.to_string().into()),
            ("Unit", scope.business_unit().into()),
            ("Least", least.into()),
            ("Most", most.into()),
            ("Again", again.into()),
        ];
        let sql = Sql::bound(&text, values);
        let row = self.db.client.unit(|client| client.row("look at the deletion log", sql.clone()))?;
        row.map(|row| {
            let fields = RowFields::of(&row);
            Ok((fields.must(0, RowFields::number)?, fields.must(1, RowFields::guid)?))
        })
        .transpose()
    }

    fn source_content(
        &mut self,
        table: &TableConfig,
        columns: &[Column],
        keys: &[Guid],
    ) -> Result<Vec<Option<Vec<Option<Sha256>>>>> {
        let source = catalog::resolve(&mut self.db.client, &table.source)?;
        let hint = catalog::read_hint(&mut self.db.client, &table.source)?;
        let hash =
            |column: &Column| format!(", HASHBYTES('SHA2_256', CONVERT(varbinary(max), {}))", of("t", &column.name));
        let hashes: String = columns.iter().map(hash).collect();
        let (key, sought) = (of("t", &table.key_column), key_id::to_key(table.key_type, "s.k"));
        let sql = Sql::new(format!(
            "SELECT s.n{hashes} FROM {STAGE} AS s INNER JOIN {source} AS t {hint} ON {key} = {sought} ORDER BY s.n"
        ));
        let mut found = HashMap::new();
        staging::ask_of_keys(self.db, "hash what the source has", keys, sql, |key, fields| {
            let hash = |nth: usize| fields.bytes(1 + nth)?.map(digest).transpose();
            found.insert(key, (0..columns.len()).map(hash).collect::<Result<Vec<_>>>()?);
            Ok(())
        })?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }
}

/// The key that is never captured; what no key is where there is none. Zero is the id of an integer, this is of none; where
/// all 16 bytes are the key's, it is one that nobody has.
fn never_captured(table: &TableConfig) -> Guid {
    table.excluded_stream_id.unwrap_or_else(|| match table.key_type {
        KeyType::UniqueIdentifier => Guid::from_bytes([0; 16]),
        KeyType::Integer => Guid::from_bytes([u8::MAX; 16]),
        KeyType::Binary(_) => Guid::random(),
    })
}

/// A script with the names of a table and its metadata.
fn of_tables(db: &mut Database, text: &str, table: &TableConfig, now: Timestamp) -> Result<String> {
    let values = [
        ("SourceTable", &catalog::resolve(&mut db.client, &table.source)?),
        ("MetadataTable", &catalog::resolve(&mut db.client, &table.metadata)?),
        ("SourceHint", &catalog::read_hint(&mut db.client, &table.source)?.to_owned()),
        ("KeyColumn", &quote(&table.key_column)),
        ("MetadataIdColumn", &quote(&table.metadata_id_column)),
        ("ModifiedOn", &stamp::value_at(db, table, now)?),
    ];
    let text = key_id::with_keys(table.key_type, text);
    Ok(filled(&text, &values.map(|(name, value)| (name, value.as_str()))))
}

/// What a condition of a table says of a row of the metadata table under this alias. The procedures read it by themselves; whoever
/// reconciles may not call what they call for it.
fn metadata_condition(
    db: &mut Database,
    table: &TableConfig,
    kind: ConditionKind,
    alias: &str,
) -> Result<Option<String>> {
    let columns = match table.condition(kind) {
        Some(_) => catalog::columns(&mut db.client, &table.metadata)?,
        None => Vec::new(),
    };
    condition(table, kind, &columns, (&DIALECT, alias))
}

fn path_type(
    db: &mut Database,
    columns: &mut HashMap<TableName, Vec<Column>>,
    table: &TableConfig,
) -> Result<Option<Column>> {
    let Some(path) = table.place_column() else { return Ok(None) };
    if !columns.contains_key(&table.source) {
        let found = catalog::columns(&mut db.client, &table.source)?;
        columns.insert(table.source.clone(), found);
    }
    let found = columns.get(&table.source).and_then(|columns| named(columns, path));
    // One that is not there is the server's to tell.
    Ok(Some(found.cloned().unwrap_or_else(|| Column::new(path, SqlType::VarBinary(None), true))))
}

fn inventory_sql(
    db: &mut Database,
    (table, now): (&TableConfig, Timestamp),
    path: Option<&Column>,
    unit: Option<Guid>,
    after: Option<Guid>,
) -> Result<String> {
    let id = of("m", &table.metadata_id_column);
    let behind = key_id::to_key(table.key_type, "@P5");
    let after_text = if after.is_some() { format!("{id} > {behind}") } else { format!("{id} IS NOT NULL") };
    let unit_parameter = if after.is_some() { "@P6" } else { "@P5" };
    let in_scope = in_scope(db, table, unit.map(|_| unit_parameter))?;
    let path = path_of(path, "s");
    let values = [
        ("SourceTable", &catalog::resolve(&mut db.client, &table.source)?),
        ("SourceHint", &catalog::read_hint(&mut db.client, &table.source)?.to_owned()),
        ("MetadataTable", &catalog::resolve(&mut db.client, &table.metadata)?),
        ("KeyColumn", &quote(&table.key_column)),
        ("MetadataIdColumn", &quote(&table.metadata_id_column)),
        ("ModifiedOn", &stamp::value_at(db, table, now)?),
        ("After", &after_text),
        ("InScope", &in_scope),
        ("Path", &path),
    ];
    let text = key_id::with_keys(table.key_type, INVENTORY);
    Ok(filled(&text, &values.map(|(name, value)| (name, value.as_str()))))
}

/// Whether a row of the metadata table, AS m, is in scope; of one business unit, if this parameter names one.
fn in_scope(db: &mut Database, table: &TableConfig, unit: Option<&str>) -> Result<String> {
    let in_scope = in_scope_or_deleted(db, table, unit, "m")?;
    Ok(match is_deleted(db, table, unit)? {
        Some(is_deleted) => format!("{in_scope} AND NOT ({is_deleted})"),
        None => in_scope,
    })
}

/// Whether the key of a row of the metadata table, AS m, is deleted by `DeletedWhen`; `None` where none is.
fn is_deleted(db: &mut Database, table: &TableConfig, unit: Option<&str>) -> Result<Option<String>> {
    let Some(condition) = metadata_condition(db, table, ConditionKind::DeletedWhen, "w")? else { return Ok(None) };
    Ok(Some(filled(
        IS_DELETED,
        &[
            ("Condition", condition.as_str()),
            ("Metadata", &catalog::resolve(&mut db.client, &table.metadata)?),
            ("Id", &quote(&table.metadata_id_column)),
            ("InScopeOrDeleted", &in_scope_or_deleted(db, table, unit, "w")?),
            ("Stamp", &stamp::order(db, table, "w")?),
        ],
    )))
}

/// The same as [`in_scope`] of a row under this alias, whether it is deleted by `DeletedWhen` or not.
fn in_scope_or_deleted(db: &mut Database, table: &TableConfig, unit: Option<&str>, alias: &str) -> Result<String> {
    let filter = metadata_condition(db, table, ConditionKind::MetadataFilter, alias)?;
    let mut in_scope = filter.unwrap_or_else(|| "1 = 1".to_owned());
    if let (Some(units), Some(unit_id), Some(own)) =
        (&table.business_unit_table, &table.business_unit_id_column, &table.metadata_business_unit_column)
    {
        let units = catalog::resolve(&mut db.client, units)?;
        let own = of(alias, own);
        in_scope = format!("{in_scope} AND EXISTS (SELECT 1 FROM {units} AS u WHERE {} = {own})", of("u", unit_id));
        if let Some(unit) = unit {
            in_scope.push_str(&format!(" AND {own} = {unit}"));
        }
    }
    Ok(in_scope)
}

/// The path of a row under this alias.
fn path_of(path: Option<&Column>, alias: &str) -> String {
    path.map_or("NULL".to_owned(), |path| selected(path.sql_type, &of(alias, &path.name)))
}

/// The bytes of a path, as a bundle has them.
fn path_bytes(fields: &RowFields<'_>, at: usize, path: Option<&Column>) -> Result<Option<Vec<u8>>> {
    let path = path.map(|path| cell_of(path.sql_type, fields.data(at)?)).transpose()?;
    Ok(path.and_then(place_bytes).map(Cow::into_owned))
}

fn inventory_row(fields: &RowFields<'_>, path: Option<&Column>) -> Result<InventoryRow> {
    Ok(InventoryRow {
        key: fields.must(0, RowFields::guid)?,
        modified_on: fields.time(1)?,
        is_there: fields.must(2, RowFields::number)? != 0,
        is_pending: fields.must(3, RowFields::number)? != 0,
        is_excluded: fields.must(4, RowFields::number)? != 0,
        path: path_bytes(fields, 5, path)?,
    })
}
