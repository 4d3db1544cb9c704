//! `BlobDeltaTableConfig`, and what a configured table needs in the catalog.

use super::database::Database;
use super::errors::failed;
use super::sql::{filled, quote};
use super::template::Placeholders;
use super::{catalog, filter, types, unique};
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::column::{Column, DELTA_COLUMNS, delta_columns, is_delta};
use crate::model::drift::SchemaDrift;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::max_window::MaxWindow;
use crate::model::name::{TableName, join_names, parse_names};
use crate::model::sqltype::SqlType;
use crate::model::stamp::Stamps;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;
use rusqlite::{Row, named_params};

const SQL: &str = include_str!("../../../sql/sqlite/config.sql");
const SELECT: &str = statement(SQL, "select");
const UPSERT: &str = statement(SQL, "upsert");
const CREATE_SLICE: &str = statement(SQL, "create_slice");

/// Every table that the configuration names: database, schema, name.
pub(super) const NAMED_TABLES: &str = statement(SQL, "named_tables");

pub(super) fn configured_tables(db: &Database) -> Result<Vec<TableConfig>> {
    db.query_all(SELECT, [], |row| Ok(read(row)))?.into_iter().collect()
}

/// Within a transaction.
pub(super) fn write_config(db: &Database, table: &TableConfig) -> Result<()> {
    let units = table.business_unit_table.as_ref();
    db.execute(
        UPSERT,
        named_params! {
            ":name": table.name, ":sd": table.source.db, ":ss": table.source.schema, ":st": table.source.table,
            ":td": table.target.db, ":ts": table.target.schema, ":tt": table.target.table,
            ":md": table.metadata.db, ":ms": table.metadata.schema, ":mt": table.metadata.table,
            ":id": table.metadata_id_column, ":modified": table.metadata_modified_on_column,
            ":created": table.metadata_created_on_column,
            ":unit": table.metadata_business_unit_column,
            ":ud": units.map(|units| &units.db), ":us": units.map(|units| &units.schema),
            ":ut": units.map(|units| &units.table), ":uid": table.business_unit_id_column,
            ":key": table.key_column, ":path": table.path_column, ":parent": table.parent_path_column,
            ":buffer": table.safety_buffer_minutes, ":baseline": table.initial_baseline,
            ":utc": table.clock == ClockKind::Utc, ":excluded": table.excluded_stream_id,
            ":active": table.is_active, ":deletions": table.include_deletions, ":bundle": table.require_bundle,
            ":absent": table.accepted_absent_percent, ":orphan": table.accepted_orphan_percent,
            ":filter": table.metadata_filter, ":flag": table.deleted_when,
            ":left": table.accepted_left_percent, ":standing": table.accepted_standing_percent,
            ":drift": table.schema_drift.as_str(),
            ":keys": table.key_type.name(), ":omit": table.omit_known_content,
            ":most": table.max_window.map(|most| most.to_string()),
            ":meta": (!table.metadata_columns.is_empty()).then(|| join_names(&table.metadata_columns)),
            ":without": (!table.excluded_columns.is_empty()).then(|| join_names(&table.excluded_columns)),
        },
    )?;
    db.execute("INSERT OR IGNORE INTO BlobDeltaHighWatermark (TableName) VALUES (?1)", [&table.name])?;
    Ok(())
}

/// Checks the configuration against the catalog. Returns those of the source's columns that are carried.
pub(super) fn check_config(db: &Database, table: &TableConfig) -> Result<Vec<Column>> {
    table.check()?;
    let source = catalog::source_columns(db, table).map_err(|error| error.table(&table.name))?;
    let metadata = catalog::table_columns(db, &table.metadata).map_err(|error| error.table(&table.name))?;
    let at = |error: Error, name: &str| error.table(&table.name).column(name);
    let key = found(&source, &table.key_column, "KeyColumn").map_err(|error| at(error, &table.key_column))?;
    let key_type = KeyType::check(key.sql_type, &key.name).map_err(|error| error.table(&table.name))?;
    for (path, setting) in [(&table.path_column, "PathColumn"), (&table.parent_path_column, "ParentPathColumn")] {
        let Some(path) = path else { continue };
        let column = found(&source, path, setting).map_err(|error| at(error, path))?;
        if !is_path_type(column.sql_type) {
            let text = format!("a path column cannot be {}", column.sql_type);
            let hint = "use hierarchyid, a binary type, uniqueidentifier or an integer";
            return Err(at(Error::config(text).hint(hint), path));
        }
    }
    let id = found(&metadata, &table.metadata_id_column, "MetadataIdColumn")
        .map_err(|error| at(error, &table.metadata_id_column))?;
    // A column without a type of its own may hold uniqueidentifiers; whether it does is asked of its values.
    let fits = match (KeyType::of(id.sql_type), key_type) {
        (Some(id_type), _) => id_type == key_type,
        (None, KeyType::UniqueIdentifier) => true,
        (None, KeyType::Integer | KeyType::Binary(_)) => false,
    };
    if !fits {
        let text = format!("the keys of the metadata are {}, and those of the source {}", id.sql_type, key.sql_type);
        return Err(at(
            Error::config(text).hint("set MetadataIdColumn to the column that holds the keys of the source"),
            &id.name,
        ));
    }
    Stamps::find(table, &metadata)?;
    if let Some(unit) = &table.metadata_business_unit_column {
        let column = found(&metadata, unit, "MetadataBusinessUnitCol").map_err(|error| at(error, unit))?;
        check_unit_type(column, "MetadataBusinessUnitCol").map_err(|error| at(error, unit))?;
    }
    if let (Some(units), Some(id)) = (&table.business_unit_table, &table.business_unit_id_column) {
        let columns = catalog::table_columns(db, units).map_err(|error| error.table(&table.name))?;
        let column = found(&columns, id, "BusinessUnitIdColumn").map_err(|error| at(error, id))?;
        check_unit_type(column, "BusinessUnitIdColumn").map_err(|error| at(error, id))?;
    }
    if let Some(clash) = source.iter().find(|column| is_delta(&column.name)) {
        let text = "the source has a column of a name that the slice needs for itself";
        return Err(at(Error::config(text).hint("names that begin with Delta are the engine's"), &clash.name));
    }
    filter::filter_condition(db, table, "m")?;
    filter::deleted_condition(db, table, "m")?;
    Ok(source)
}

/// What the keys of a source are.
pub(super) fn key_type(table: &TableConfig, source: &[Column]) -> Result<KeyType> {
    let key = found(source, &table.key_column, "KeyColumn").map_err(|error| error.table(&table.name))?;
    KeyType::check(key.sql_type, &key.name).map_err(|error| error.table(&table.name))
}

/// The columns of the slice that come from the source as it is now, checked against both tables.
pub(super) fn carried_columns(db: &Database, table: &TableConfig) -> Result<Vec<Column>> {
    let source = check_config(db, table)?;
    let key = found(&source, &table.key_column, "KeyColumn").map_err(|error| error.table(&table.name))?;
    table.check_key_type(key.sql_type)?;
    let slice = catalog::slice_columns(db, table).map_err(|error| error.table(&table.name))?;
    if !slice.iter().any(|column| is_delta(&column.name)) {
        let text = format!("{} is no slice of ours, it has none of its columns", table.target);
        return Err(Error::config(text)
            .table(&table.name)
            .hint("give the slice another TargetTable with `table set`, or rename that table"));
    }
    for (name, _, _) in DELTA_COLUMNS {
        found(&slice, name, "the slice table").map_err(|error| error.table(&table.name).column(name))?;
    }
    let is_there = |column: &Column| source.iter().any(|from| from.name.eq_ignore_ascii_case(&column.name));
    let carried: Vec<Column> = slice.into_iter().filter(|column| !is_delta(&column.name) && is_there(column)).collect();
    for needed in [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()] {
        let Some(needed) = needed else { continue };
        found(&carried, needed, "the slice table").map_err(|error| error.table(&table.name).column(needed))?;
    }
    if !unique::is_unique(db, &table.target, &table.key_column)? {
        let text = format!("the slice table {} was made for another key column", table.target);
        return Err(Error::config(text)
            .table(&table.name)
            .column(&table.key_column)
            .hint("`blobdelta deploy` makes it again, when what it holds is packed"));
    }
    Ok(carried)
}

pub(super) fn placeholders(db: &Database, table: &TableConfig) -> Result<Placeholders> {
    Placeholders::new(db, table, &carried_columns(db, table)?).map_err(|error| error.table(&table.name))
}

/// Creates the slice table from the source's columns. Within a transaction.
pub(super) fn create_slice_table(db: &Database, table: &TableConfig, source: &[Column]) -> Result<()> {
    let source = table.slice_columns(source);
    // Large columns stand last: SQLite has to walk through a value to reach what lies behind it.
    let (mut large, small): (Vec<&Column>, Vec<&Column>) = source.iter().partition(|column| column.sql_type.is_large());
    // Behind the zeros that stand for values of the source is nothing that is written with them.
    large.sort_by_key(|column| table.metadata_column_of(&column.name).is_none());
    let key = found(&source, &table.key_column, "KeyColumn").map_err(|error| error.table(&table.name))?;
    let delta = delta_columns(key.sql_type);
    let line = |column: &Column| {
        let null = if column.nullable { "NULL" } else { "NOT NULL" };
        format!("{} {} {null}", quote(&column.name), quote(&types::declared(column.sql_type)))
    };
    let lines: Vec<String> = small.into_iter().chain(&delta).chain(large).map(line).collect();
    let (schema, name) = (db.schema_of(&table.target.db), quote(&table.target.table));
    let sql = filled(
        CREATE_SLICE,
        &[
            ("Schema", &schema),
            ("Name", &name),
            ("Columns", &lines.join(",\n    ")),
            ("Index", &quote(&format!("UX_Key_{}", table.target.table))),
            ("Key", &quote(&table.key_column)),
        ],
    );
    let made = db.execute_batch(&sql);
    made.map_err(|error| failed("create the slice table", error).table(&table.name))?;
    create_order_index(db, table)
}

/// The index that covers everything that is asked about a slice, so that no blob is read for it.
/// Does nothing if it is there.
pub(super) fn create_order_index(db: &Database, table: &TableConfig) -> Result<()> {
    let tree = [&table.path_column, &Some(table.key_column.clone()), &table.parent_path_column];
    let tree: Vec<String> = tree.into_iter().flatten().map(|column| quote(column)).collect();
    let sql = format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} (DeltaDepth, {}, DeltaParentKey, DeltaStep, DeltaEarly, DeltaModifiedOn)",
        order_index(db, table),
        quote(&table.target.table),
        tree.join(", "),
    );
    db.execute(&sql, []).map(drop).map_err(|error| error.table(&table.name))
}

/// Keys come in their own order, which is none in this index: a batch of a large table would change most of
/// its pages, and write each twice. So it is made anew when the slice is full.
pub(super) fn drop_order_index(db: &Database, table: &TableConfig) -> Result<()> {
    db.execute(&format!("DROP INDEX IF EXISTS {}", order_index(db, table)), []).map(drop)
}

fn order_index(db: &Database, table: &TableConfig) -> String {
    format!("{}.{}", db.schema_of(&table.target.db), quote(&format!("IX_Order_{}", table.target.table)))
}

/// A column without a type of its own may hold units; whether it does is asked of its values.
fn check_unit_type(column: &Column, setting: &str) -> Result<()> {
    match column.sql_type {
        SqlType::UniqueIdentifier | SqlType::VarBinary(None) => Ok(()),
        other => Err(Error::config(format!("{setting} is {other}, and has to be uniqueidentifier"))
            .hint("name the uniqueidentifier of the unit, or leave both columns of business units empty: then all rows are in scope")),
    }
}

fn is_path_type(sql_type: SqlType) -> bool {
    use SqlType::{Binary, HierarchyId, VarBinary};
    matches!(sql_type, HierarchyId | Binary(_) | VarBinary(Some(_))) || KeyType::of(sql_type).is_some()
}

fn found<'a>(columns: &'a [Column], name: &str, setting: &str) -> Result<&'a Column> {
    // To SQLite, names are the same in upper and lower case.
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        Error::config(format!("{setting} names a column that is not there"))
            .hint(format!("the table has: {}", names.join(", ")))
    })
}

fn read(row: &Row<'_>) -> Result<TableConfig> {
    let broken = |error: rusqlite::Error| {
        Error::config("a row of BlobDeltaTableConfig cannot be understood")
            .caused_by(error)
            .hint("mend the row with any client of SQLite")
    };
    let text = |at: usize| row.get::<_, String>(at).map_err(broken);
    let optional = |at: usize| row.get::<_, Option<String>>(at).map_err(broken);
    let bit = |at: usize| row.get::<_, bool>(at).map_err(broken);
    let name = |at: usize| TableName::new(&text(at)?, &text(at + 1)?, &text(at + 2)?);
    let table = TableName::parse(&text(0)?)?;
    let table_name = table.clone();
    let units = match (optional(13)?, optional(14)?, optional(15)?) {
        (Some(db), schema, Some(table)) => Some(TableName::new(&db, schema.as_deref().unwrap_or("dbo"), &table)?),
        _ => None,
    };
    let config = TableConfig {
        source: name(1).map_err(|error| error.table(&table))?,
        target: name(4).map_err(|error| error.table(&table))?,
        metadata: name(7).map_err(|error| error.table(&table))?,
        name: table,
        metadata_id_column: text(10)?,
        metadata_modified_on_column: text(11)?,
        metadata_created_on_column: optional(36)?,
        metadata_business_unit_column: optional(12)?,
        business_unit_table: units,
        business_unit_id_column: optional(16)?,
        key_column: text(17)?,
        key_type: KeyType::from_name(&text(35)?).map_err(|error| error.table(&table_name))?,
        path_column: optional(18)?,
        parent_path_column: optional(19)?,
        safety_buffer_minutes: row.get(20).map_err(broken)?,
        initial_baseline: row.get(21).map_err(|error| broken(error).table(&table_name).column("InitialBaseline"))?,
        max_window: optional(39)?
            .as_deref()
            .map(MaxWindow::parse)
            .transpose()
            .map_err(|error| error.table(&table_name))?,
        clock: if bit(22)? { ClockKind::Utc } else { ClockKind::Local },
        excluded_stream_id: row.get(23).map_err(broken)?,
        is_active: bit(24)?,
        include_deletions: bit(25)?,
        omit_known_content: bit(37)?,
        require_bundle: row.get(26).map_err(broken)?,
        accepted_hidden: None,
        accepted_absent_percent: row.get(27).map_err(broken)?,
        accepted_orphan_percent: row.get(28).map_err(broken)?,
        metadata_filter: optional(29)?,
        deleted_when: optional(38)?,
        accepted_left_percent: row.get(30).map_err(broken)?,
        accepted_standing_percent: row.get(31).map_err(broken)?,
        schema_drift: SchemaDrift::parse(&text(32)?).map_err(|error| error.table(&table_name))?,
        excluded_columns: parse_names(&optional(33)?.unwrap_or_default()).map_err(|error| error.table(&table_name))?,
        metadata_columns: parse_names(&optional(34)?.unwrap_or_default()).map_err(|error| error.table(&table_name))?,
    };
    Ok(config.with_one_spelling())
}

/// Whether one of these tables has the unit in its table of units.
pub(super) fn knows_unit(db: &Database, tables: &[TableConfig], unit: Guid) -> Result<bool> {
    for table in tables {
        let (Some(units), Some(id)) = (&table.business_unit_table, &table.business_unit_id_column) else {
            continue;
        };
        let Ok(units) = catalog::resolve(db, units) else { continue };
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {units} WHERE {} = ?1)", quote(id));
        if db.query_one(&sql, [unit])? {
            return Ok(true);
        }
    }
    Ok(false)
}
