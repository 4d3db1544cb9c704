//! What the server's catalog says: names as they are spelled there, columns and types, and how
//! it orders keys.
//!
//! Names are asked for as nvarchar: there are servers that send a `sysname` in a code page, with question
//! version columns for what that lacks.

use super::client::Client;
use super::sql::{Sql, filled, quote, quoted};
use super::values::RowFields;
use crate::error::{Error, Result};
use crate::model::column::{Column, DELTA_COLUMNS};
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::scripts::statement::statement;
use std::collections::HashMap;

const SQL: &str = include_str!("../../../sql/sqlserver/catalog.sql");
const IS_LOCKED: &str = statement(SQL, "is_locked");
const FIND_TABLE: &str = statement(SQL, "find_table");
const CONFIGURED_TABLES: &str = statement(SQL, "configured_tables");
const COLUMNS: &str = statement(SQL, "columns");

/// Whether there is such a database, and this login may see it.
pub(super) fn has_database(client: &mut Client, name: &str) -> Result<bool> {
    let sql = Sql::new("SELECT CASE WHEN DB_ID(").bind(name).then(") IS NULL THEN 0 ELSE 1 END");
    let row = client.row("look up a database", sql)?;
    Ok(row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()?.unwrap_or(0) > 0)
}

/// The quoted three-part name of a table or view that is there, as the catalog spells it.
///
/// # Errors
/// Config: no such database or table, or this login may not see it.
pub(super) fn resolve(client: &mut Client, table: &TableName) -> Result<String> {
    find(client, table)?.map(|found| quoted(&found)).ok_or_else(|| missing(table))
}

/// What stands behind a source and its alias: a FileTable is read under locks, or reading fails under
/// READ_COMMITTED_SNAPSHOT; and a view hands its hints on to what lies below it.
pub(super) fn read_hint(client: &mut Client, table: &TableName) -> Result<&'static str> {
    let sql = Sql::new(filled(IS_LOCKED, &[("Db", &quote(&table.db))])).with(&table.schema).with(&table.table);
    let row = client.row("read the catalog", sql)?;
    let is_locked = row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten() == Some(1);
    Ok(if is_locked { "WITH (READCOMMITTEDLOCK)" } else { "" })
}

/// Whether there is such a table or view.
pub(super) fn has_table(client: &mut Client, table: &TableName) -> Result<bool> {
    Ok(find(client, table)?.is_some())
}

fn missing(table: &TableName) -> Error {
    Error::config(format!("there is no table {table}, or this login may not see it"))
        .hint("correct it with `table set`, create it, or grant SELECT on it; a slice table that was dropped is made again by `deploy`")
}

fn find(client: &mut Client, table: &TableName) -> Result<Option<TableName>> {
    if !has_database(client, &table.db)? {
        return Ok(None);
    }
    let sql = Sql::new(filled(FIND_TABLE, &[("Db", &quote(&table.db))])).with(&table.schema).with(&table.table);
    let Some(row) = client.row("read the catalog", sql)? else { return Ok(None) };
    let fields = RowFields::of(&row);
    TableName::new(&table.db, fields.must(0, RowFields::text)?, fields.must(1, RowFields::text)?).map(Some)
}

/// Columns by the schema and the name of their table, as the catalog spells them.
pub(super) type ColumnsByTable = HashMap<(String, String), Vec<Column>>;

/// The columns of every source and slice table in a database that is configured in the job database, which is in
/// use: a server takes as long to say it of one table as of all. Left out are those with a type that cannot be carried.
pub(super) fn configured_columns(client: &mut Client, db: &str) -> Result<ColumnsByTable> {
    let rows = client.rows("read the catalog", Sql::new(CONFIGURED_TABLES).with(db))?;
    let numbers = rows.iter().map(|row| RowFields::of(row).number(0)).collect::<Result<Vec<_>>>()?;
    let numbers: Vec<String> = numbers.into_iter().flatten().map(|number| number.to_string()).collect();
    if numbers.is_empty() {
        return Ok(ColumnsByTable::new());
    }
    // By number, because not every server looks names up in one database while it reads the catalog of another.
    let which = format!("o.object_id IN ({})", numbers.join(", "));
    let sql = Sql::new(filled(COLUMNS, &[("Db", &quote(db)), ("Which", &which)]));
    let mut found: HashMap<(String, String), Result<Vec<Column>>> = HashMap::new();
    for row in client.rows("read the catalog", sql)? {
        let fields = RowFields::of(&row);
        let place = (fields.must(8, RowFields::text)?.to_owned(), fields.must(9, RowFields::text)?.to_owned());
        let columns = found.entry(place).or_insert_with(|| Ok(Vec::new()));
        match (&mut *columns, column(&fields)) {
            (Ok(columns), Ok(column)) => columns.push(column),
            (_, Err(error)) => *columns = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }
    Ok(found.into_iter().filter_map(|(place, columns)| columns.ok().map(|columns| (place, columns))).collect())
}

/// The columns of a table or view, in its order. Names that the engine knows are spelled as it
/// spells them, because there are servers that keep all names in lower case.
///
/// # Errors
/// Config: no such table; or a type that cannot be carried, with the column.
pub(super) fn columns(client: &mut Client, table: &TableName) -> Result<Vec<Column>> {
    columns_but(client, table, &[])
}

/// The same without some, of which no type is asked.
pub(super) fn columns_but(client: &mut Client, table: &TableName, without: &[String]) -> Result<Vec<Column>> {
    columns_that(client, table, |name| !without.iter().any(|one| one.eq_ignore_ascii_case(name)))
}

/// The same of some alone, as far as they are there.
pub(super) fn columns_of(client: &mut Client, table: &TableName, names: &[String]) -> Result<Vec<Column>> {
    columns_that(client, table, |name| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
}

fn columns_that(client: &mut Client, table: &TableName, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Column>> {
    if !has_database(client, &table.db)? {
        return Err(missing(table));
    }
    let sql = filled(COLUMNS, &[("Db", &quote(&table.db)), ("Which", "s.name = @P1 AND o.name = @P2")]);
    let sql = Sql::new(sql).with(&table.schema).with(&table.table);
    let rows = client.rows("read the catalog", sql)?;
    if rows.is_empty() {
        return Err(missing(table));
    }
    let mut columns = Vec::new();
    for row in &rows {
        let fields = RowFields::of(row);
        let name = fields.must(0, RowFields::text)?;
        if is_wanted(name) {
            columns.push(column(&fields).map_err(|error| error.table(table))?);
        }
    }
    Ok(columns)
}

fn column(fields: &RowFields<'_>) -> Result<Column> {
    let found = fields.must(0, RowFields::text)?;
    let delta = DELTA_COLUMNS.iter().map(|(name, _, _)| *name).find(|name| name.eq_ignore_ascii_case(found));
    let length = fields.must(2, RowFields::number)?;
    let (precision, scale) = (fields.must(3, RowFields::number)?, fields.must(4, RowFields::number)?);
    let declaration = declaration(fields.must(1, RowFields::text)?, length, precision, scale);
    Ok(Column {
        name: delta.unwrap_or(found).to_owned(),
        sql_type: SqlType::parse(&declaration).map_err(|error| error.column(found))?,
        nullable: fields.must(5, RowFields::number)? != 0,
        computed: fields.must(6, RowFields::number)? != 0,
        collation: fields.text(7)?.map(str::to_owned),
    })
}

/// The declaration of a type, from what `sys.columns` has of it.
fn declaration(name: &str, length: i64, precision: i64, scale: i64) -> String {
    let bounded = |name: &str, length: i64| match length {
        -1 => format!("{name}(max)"),
        length => format!("{name}({length})"),
    };
    match name {
        "varbinary" | "binary" | "varchar" | "char" => bounded(name, length),
        "nvarchar" | "nchar" => bounded(name, if length < 0 { length } else { length / 2 }),
        "decimal" | "numeric" => format!("decimal({precision},{scale})"),
        "datetime2" | "datetimeoffset" | "time" => format!("{name}({scale})"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_come_from_lengths_in_bytes() {
        let cases = [
            (("nvarchar", 510, 0, 0), "nvarchar(255)"),
            (("nvarchar", -1, 0, 0), "nvarchar(max)"),
            (("varbinary", 892, 0, 0), "varbinary(892)"),
            (("numeric", 9, 10, 2), "decimal(10,2)"),
            (("datetime2", 8, 27, 7), "datetime2(7)"),
            (("image", 16, 0, 0), "image"),
        ];
        for ((name, length, precision, scale), expected) in cases {
            assert_eq!(declaration(name, length, precision, scale), expected);
        }
    }
}
