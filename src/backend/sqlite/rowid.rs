//! Rows by SQLite's rowid, and what is read and written by it.
//!
//! A column may bear any of the rowid's three names, in any case, and that name then means the column
//! (<https://www.sqlite.org/lang_createtable.html#rowid>). So the name is asked for here, and written down nowhere else.

use super::session::{Session, failed, quote};
use crate::backend::obstacles::words;
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use std::io::Write;

const NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];
const INDEX_COLUMNS: &str = include_str!("../../../sql/sqlite/index_columns.sql");

impl Session {
    /// A name of a table's rowid that no column has taken. There is none for a view, for a table without rowid, and
    /// where columns have taken all three.
    pub(super) fn rowid_of(&self, table: &TableName) -> Result<Option<&'static str>> {
        let of = (&table.table, self.schema_name(&table.db));
        let has_rowid = "SELECT coalesce(max(type = 'table' AND NOT wr), 0) FROM pragma_table_list(?1)
                         WHERE schema = ?2 COLLATE NOCASE";
        if !self.query_one::<bool>(has_rowid, of)? {
            return Ok(None);
        }
        let columns = self.query_all("SELECT name FROM pragma_table_xinfo(?1, ?2)", of, |row| row.get(0))?;
        let is_taken = |name: &&str| columns.iter().any(|column: &String| column.eq_ignore_ascii_case(name));
        Ok(NAMES.into_iter().find(|name| !is_taken(name)))
    }

    /// The rowid of the row of a key, where rows of the table have rowids that can be named.
    pub(super) fn row_id(&self, table: &TableName, (column, key): (&str, Guid)) -> Result<Option<i64>> {
        let Some(rowid) = self.rowid_of(table)? else { return Ok(None) };
        let sql = format!("SELECT {rowid} FROM {} WHERE {} = ?1", self.quoted(table), quote(column));
        let found = self.query_optional(&sql, [key], |row| row.get(0))?;
        found.map(Some).ok_or_else(|| Error::new(Kind::Database, "there is no row with this key"))
    }

    /// Whether SQLite can open a table's values one by one: it does not where columns are computed.
    pub(super) fn opens_blobs(&self, table: &TableName) -> Result<bool> {
        Ok(self.rowid_of(table)?.is_some() && !self.table_columns(table)?.iter().any(|column| column.computed))
    }

    /// What keeps a large value of a table from being written in pieces: whatever looks at a row would see the zeros
    /// that stand there first, and SQLite opens no value that an index is made of.
    pub(super) fn needs_whole(&self, table: &TableName) -> Result<Option<String>> {
        if !self.opens_blobs(table)? {
            return Ok(Some(
                "SQLite opens no single values in a table without a rowid or with computed columns".into(),
            ));
        }
        let of = (&table.table, self.schema_name(&table.db));
        let schema = self.schema_of(&table.db);
        let sql = format!("SELECT type, name, sql FROM {schema}.sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE");
        let made = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        for (kind, name, sql) in self.query_all::<(String, String, Option<String>)>(&sql, [of.0], made)? {
            if kind == "trigger" {
                return Ok(Some(format!("the trigger {name} sees each row as it is written")));
            }
            if kind == "table" && words(&sql.unwrap_or_default()).iter().any(|word| word == "CHECK") {
                return Ok(Some(format!("a CHECK constraint of {name} sees each row as it is written")));
            }
        }
        let columns = self.table_columns(table)?;
        let is_large = |name: &str| {
            columns.iter().any(|column| column.sql_type.is_large() && column.name.eq_ignore_ascii_case(name))
        };
        let column = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let indexed = self.query_all::<(String, bool, i64, Option<String>)>(INDEX_COLUMNS, of, column)?;
        let made_of = indexed.into_iter().find(|(_, is_partial, number, name)| {
            *is_partial || *number == -2 || name.as_deref().is_some_and(is_large)
        });
        Ok(made_of.map(|(index, ..)| format!("the index {index} may be made of it")))
    }

    /// Writes out the value of a column in the row of a key, in pieces where SQLite can, else held whole. Returns its
    /// bytes: none, for NULL.
    pub(super) fn copy_value(
        &self,
        table: &TableName,
        key: (&str, Guid),
        column: &str,
        out: &mut dyn Write,
    ) -> Result<u64> {
        let copied = match self.opens_blobs(table)? {
            true => self.copy_in_pieces(table, key, column, out),
            false => self.copy_whole(table, key, column, out),
        };
        copied.map_err(|error| error.table(table).key(key.1).column(column))
    }

    fn copy_in_pieces(&self, table: &TableName, key: (&str, Guid), column: &str, out: &mut dyn Write) -> Result<u64> {
        let row = self.row_id(table, key)?.ok_or_else(|| Error::internal("a row that can be opened has no rowid"))?;
        let mut blob = self.open_blob(table, column, row, true)?;
        let bytes = blob.len() as u64;
        super::sandbox::copy(&mut blob, bytes, out)?;
        Ok(bytes)
    }

    fn copy_whole(&self, table: &TableName, key: (&str, Guid), column: &str, out: &mut dyn Write) -> Result<u64> {
        let sql = format!("SELECT {} FROM {} WHERE {} = ?1", quote(column), self.quoted(table), quote(key.0));
        let unread = |error| failed("read a large value", error);
        let mut found = self.cached(&sql).map_err(unread)?;
        let mut rows = found.query([key.1]).map_err(unread)?;
        let row = rows.next().map_err(unread)?;
        let row = row.ok_or_else(|| Error::new(Kind::Database, "there is no row with this key"))?;
        let value = row.get_ref(0).map_err(unread)?;
        let bytes = value.as_bytes_or_null().map_err(|error| failed("read a large value", error.into()))?;
        let bytes = bytes.unwrap_or_default();
        out.write_all(bytes).map_err(|error| Error::new(Kind::Io, "cannot write a large value").caused_by(error))?;
        Ok(bytes.len() as u64)
    }
}
