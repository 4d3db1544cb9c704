//! What the catalog of a database says of its tables.

use super::database::{Database, SCHEMA};
use super::errors::failed;
use super::sql::quote;
use super::types;
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::name::TableName;
use crate::model::table::TableConfig;

/// The quoted name of a table, checked against the catalog.
pub(super) fn resolve(db: &Database, table: &TableName) -> Result<String> {
    let hint = "correct it with `table set`, or create it; a slice table that was dropped is made again by `deploy`";
    let missing = |what: String| Err(Error::config(what).hint(hint));
    if !db.has_database(&table.db) {
        return missing(format!("there is no database {:?} (for {table})", table.db));
    }
    if !table.schema.eq_ignore_ascii_case(SCHEMA) {
        return missing(format!("an embedded database has the schema dbo alone, not {:?} (for {table})", table.schema));
    }
    let found: bool = db.query_one(
        &format!(
            "SELECT EXISTS (SELECT * FROM {}.sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE)",
            db.schema_of(&table.db)
        ),
        [&table.table],
    )?;
    if !found {
        return missing(format!("there is no table {table}"));
    }
    Ok(db.quoted(table))
}

/// The columns of a table that [`resolve`] knows.
pub(super) fn table_columns(db: &Database, table: &TableName) -> Result<Vec<Column>> {
    columns_of(db, table, |_| true)
}

/// Those of the source's columns that are carried, and those of the metadata that come along; of what is left out no type is asked.
pub(super) fn source_columns(db: &Database, table: &TableConfig) -> Result<Vec<Column>> {
    let mut columns = columns_of(db, &table.source, |name| table.carries(name))?;
    table.spell(&mut columns);
    if table.metadata_columns.is_empty() {
        return Ok(columns);
    }
    table.with_metadata_columns(columns, &table_columns(db, &table.metadata)?)
}

/// The columns of a slice table.
pub(super) fn slice_columns(db: &Database, table: &TableConfig) -> Result<Vec<Column>> {
    let mut columns = table_columns(db, &table.target)?;
    table.spell(&mut columns);
    Ok(columns)
}

fn columns_of(db: &Database, table: &TableName, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Column>> {
    resolve(db, table)?;
    let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, ?2) ORDER BY cid";
    let mut statement = db.cached(sql).map_err(|error| failed("read the catalog", error))?;
    let rows = statement
        .query_map([table.table.as_str(), db.schema_name(&table.db)], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, bool>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
            ))
        })
        .map_err(|error| failed("read the catalog", error))?;
    let mut columns = Vec::new();
    for row in rows {
        let (name, declared, not_null, key, hidden) = row.map_err(|error| failed("read the catalog", error))?;
        if !is_wanted(&name) {
            continue;
        }
        let sql_type = types::parse_declared(&declared).map_err(|error| error.table(table).column(&name))?;
        let nullable = !not_null && key == 0;
        columns.push(Column { name, sql_type, nullable, computed: hidden >= 2, collation: None });
    }
    Ok(columns)
}

/// `CREATE TABLE` with the key alone unique; every column is a plain one.
pub(super) fn create_table_sql(quoted: &str, columns: &[Column], key: &str) -> String {
    let lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let is_key = column.name.eq_ignore_ascii_case(key);
            let null = if column.nullable && !is_key { "NULL" } else { "NOT NULL" };
            let unique = if is_key { " PRIMARY KEY" } else { "" };
            format!("    {} {} {null}{unique}", quote(&column.name), quote(&types::declared(column.sql_type)))
        })
        .collect();
    format!("CREATE TABLE {quoted} (\n{}\n)", lines.join(",\n"))
}

/// Whether it is a view.
pub(super) fn is_view(db: &Database, table: &TableName) -> Result<bool> {
    let master = format!("{}.sqlite_master", db.schema_of(&table.db));
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {master} WHERE type = 'view' AND name = ?1 COLLATE NOCASE)");
    db.query_one(&sql, [&table.table])
}
