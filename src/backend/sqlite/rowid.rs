//! Rows by SQLite's rowid, and what is read and written by it.
//!
//! A column may bear any of the rowid's three names, in any case, and that name then means the column
//! (<https://www.sqlite.org/lang_createtable.html#rowid>). So the name is asked for here, and written down nowhere else.

use super::catalog;
use super::database::Database;
use super::key_id::RowKey;
use super::sql::quote;
use crate::backend::obstacles::words;
use crate::error::{Error, Kind, Result};
use crate::model::name::TableName;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/rowid.sql");
const HAS_ROWID: &str = statement(SQL, "has_rowid");

const NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];
const INDEX_COLUMNS: &str = statement(SQL, "index_columns");

/// A name of a table's rowid that no column has taken. There is none for a view, for a table without rowid, and
/// where columns have taken all three.
pub(super) fn rowid_of(db: &Database, table: &TableName) -> Result<Option<&'static str>> {
    let of = (&table.table, db.schema_name(&table.db));
    if !db.query_one::<bool>(HAS_ROWID, of)? {
        return Ok(None);
    }
    let columns = db.query_all("SELECT name FROM pragma_table_xinfo(?1, ?2)", of, |row| row.get(0))?;
    let is_taken = |name: &&str| columns.iter().any(|column: &String| column.eq_ignore_ascii_case(name));
    Ok(NAMES.into_iter().find(|name| !is_taken(name)))
}

/// The rowid of the row of a key, where rows of the table have rowids that can be named.
pub(super) fn row_id(db: &Database, table: &TableName, key: RowKey<'_>) -> Result<Option<i64>> {
    let Some(rowid) = rowid_of(db, table)? else { return Ok(None) };
    let sql = format!("SELECT {rowid} FROM {} WHERE {} = ?1", db.quoted(table), quote(key.column));
    let found = db.query_optional(&sql, [key.key], |row| row.get(0))?;
    found.map(Some).ok_or_else(|| Error::new(Kind::Database, "there is no row with this key"))
}

/// Whether SQLite can open a table's values one by one: it does not where columns are computed.
pub(super) fn opens_blobs(db: &Database, table: &TableName) -> Result<bool> {
    let computed = "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1, ?2) WHERE hidden >= 2)";
    Ok(rowid_of(db, table)?.is_some() && !db.query_one::<bool>(computed, (&table.table, db.schema_name(&table.db)))?)
}

/// What keeps a large value of a table from being written in chunks: whatever looks at a row would see the zeros
/// that stand there first, and SQLite opens no value that an index is made of.
pub(super) fn needs_whole(db: &Database, table: &TableName) -> Result<Option<String>> {
    if !opens_blobs(db, table)? {
        return Ok(Some("SQLite opens no single values in a table without a rowid or with computed columns".into()));
    }
    let of = (&table.table, db.schema_name(&table.db));
    let schema = db.schema_of(&table.db);
    let sql = format!("SELECT type, name, sql FROM {schema}.sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE");
    let made = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    for (kind, name, sql) in db.query_all::<(String, String, Option<String>)>(&sql, [of.0], made)? {
        if kind == "trigger" {
            return Ok(Some(format!("the trigger {name} sees each row as it is written")));
        }
        if kind == "table" && words(&sql.unwrap_or_default()).iter().any(|word| word == "CHECK") {
            return Ok(Some(format!("a CHECK constraint of {name} sees each row as it is written")));
        }
    }
    let columns = catalog::table_columns(db, table)?;
    let is_large =
        |name: &str| columns.iter().any(|column| column.sql_type.is_large() && column.name.eq_ignore_ascii_case(name));
    let column = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let indexed = db.query_all::<(String, bool, i64, Option<String>)>(INDEX_COLUMNS, of, column)?;
    let made_of = indexed
        .into_iter()
        .find(|(_, is_partial, number, name)| *is_partial || *number == -2 || name.as_deref().is_some_and(is_large));
    Ok(made_of.map(|(index, ..)| format!("the index {index} may be made of it")))
}
