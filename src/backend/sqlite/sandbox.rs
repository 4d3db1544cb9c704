//! Building and looking at an embedded instance by hand.
//!
//! Values without bound go through SQLite's incremental I/O in blocks
//! (<https://www.sqlite.org/c3ref/blob_open.html>); nothing here holds more than a page of rows.

use super::catalog::{self, create_table_sql};
use super::database::Database;
use super::errors::failed;
use super::key_id::{self, KeyValue, RowKey};
use super::large::{self, copy_all};
use super::session::Session;
use super::sql::quote;
use super::{rowid, types};
use crate::backend::{Sandbox, TableScan};
use crate::error::Result;
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::slice::ReadLimits;
use rusqlite::OptionalExtension as _;
use rusqlite::ToSql as _;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::io::{Read, Write};

impl Sandbox for Session {
    fn create_database(&mut self, name: &str) -> Result<()> {
        self.database.attach(name)
    }

    fn create_table(&mut self, table: &TableName, columns: &[Column], key: &str, indexes: &[&[&str]]) -> Result<()> {
        let sql = create_table_sql(&self.database.quoted(table), columns, key);
        let schema = self.database.schema_of(&table.db);
        self.database
            .transact("create a table", |db| {
                db.execute(&sql, [])?;
                for (nth, index) in indexes.iter().enumerate() {
                    let name = quote(&format!("IX_{}_{}", table.table, nth + 1));
                    let over: Vec<String> = index.iter().map(|column| quote(column)).collect();
                    let on = quote(&table.table);
                    db.execute(&format!("CREATE INDEX {schema}.{name} ON {on} ({})", over.join(", ")), [])?;
                }
                Ok(())
            })
            .map_err(|error| error.table(table))
    }

    fn insert(&mut self, table: &TableName, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> Result<()> {
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        let placeholders = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({placeholders})", self.database.quoted(table), names.join(", "));
        self.database
            .transact("insert rows", |db| {
                let mut statement = db.cached(&sql).map_err(|error| failed("insert rows", error))?;
                for row in rows {
                    for (nth, (column, cell)) in columns.iter().zip(row).enumerate() {
                        let value = types::stored(column.sql_type, *cell);
                        statement.raw_bind_parameter(nth + 1, value).map_err(|error| failed("bind a value", error))?;
                    }
                    statement.raw_execute().map_err(|error| failed("insert a row", error))?;
                }
                Ok(())
            })
            .map_err(|error| error.table(table))
    }

    fn update(&mut self, table: &TableName, key: (&str, Guid), values: &[(&Column, Cell<'_>)]) -> Result<bool> {
        let sets: Vec<String> = values.iter().map(|(column, _)| format!("{} = ?", quote(&column.name))).collect();
        let sql = format!("UPDATE {} SET {} WHERE {} = ?", self.database.quoted(table), sets.join(", "), quote(key.0));
        self.database
            .transact("update a row", |db| {
                let stored = values.iter().map(|(column, cell)| types::stored(column.sql_type, *cell));
                let key = row_key(db, table, key)?;
                let parameters = rusqlite::params_from_iter(stored.chain(key.key.to_sql()));
                Ok(db.execute(&sql, parameters)? > 0)
            })
            .map_err(|error| error.table(table).key(key.1))
    }

    fn delete(&mut self, table: &TableName, key: (&str, Guid)) -> Result<bool> {
        let sql = format!("DELETE FROM {} WHERE {} = ?1", self.database.quoted(table), quote(key.0));
        self.database
            .transact("delete a row", |db| Ok(db.execute(&sql, [row_key(db, table, key)?.key])? > 0))
            .map_err(|error| error.table(table).key(key.1))
    }

    fn columns(&mut self, table: &TableName) -> Result<Vec<Column>> {
        catalog::table_columns(&self.database, table)
    }

    fn scan_page(
        &mut self,
        TableScan { table, columns, key }: TableScan<'_>,
        after: Option<Guid>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<Guid>> {
        let key_type = row_key(&self.database, table, (key, Guid::from_bytes([0; 16])))?.key.0;
        let sql = scan_sql(&catalog::resolve(&self.database, table)?, columns, (key, key_type));
        let after = after.map(|after| KeyValue(key_type, after));
        let read = |error| failed("read a table", error).table(table);
        let mut statement = self.database.cached(&sql).map_err(read)?;
        let mut rows = statement
            .query((after, i64::try_from(limits.inline_bytes).unwrap_or(i64::MAX), limits.rows))
            .map_err(read)?;
        let (mut last, mut bytes) = (None, 0_u64);
        while let Some(row) = rows.next().map_err(read)? {
            last = key_id::id_of(key_type, row.get_ref(0).map_err(read)?);
            for (nth, column) in columns.iter().enumerate() {
                let value = row.get_ref(1 + 2 * nth).map_err(read)?;
                let size: Option<i64> = row.get(2 + 2 * nth).map_err(read)?;
                let cell = match (value, size) {
                    (ValueRef::Null, Some(size)) => Cell::Large(size.unsigned_abs()),
                    (value, _) => types::cell_of(column.sql_type, value).map_err(|error| error.column(&column.name))?,
                };
                bytes = bytes.saturating_add(size_of_cell(cell));
                sink.cell(nth, cell)?;
            }
            sink.end_row()?;
            if bytes >= limits.bytes {
                break;
            }
        }
        Ok(last)
    }

    fn read_value(&mut self, table: &TableName, key: (&str, Guid), column: &str, out: &mut dyn Write) -> Result<u64> {
        large::copy_value(&self.database, table, row_key(&self.database, table, key)?, column, out)
    }

    fn write_value(
        &mut self,
        table: &TableName,
        key: (&str, Guid),
        column: &Column,
        bytes: u64,
        from: &mut dyn Read,
    ) -> Result<()> {
        let value = if types::declared(column.sql_type).ends_with("TEXT") { "CAST(?1 AS TEXT)" } else { "?1" };
        let sql = format!(
            "UPDATE {} SET {} = {value} WHERE {} = ?2",
            self.database.quoted(table),
            quote(&column.name),
            quote(key.0)
        );
        self.database
            .transact("write a value", |db| {
                let key = row_key(db, table, key)?;
                let in_chunks = rowid::needs_whole(db, table)?.is_none();
                let Some(row) = rowid::row_id(db, table, key)?.filter(|_| in_chunks) else {
                    let mut whole = Vec::new();
                    copy_all(from, bytes, &mut whole)?;
                    return db.execute(&sql, (whole, key.key)).map(drop);
                };
                db.execute(&sql, (ToSqlOutput::ZeroBlob(bytes), key.key))?;
                large::fill_blob(db, table, &column.name, row, bytes, from)
            })
            .map_err(|error| error.table(table).key(key.1).column(&column.name))
    }

    fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.database.execute_batch(sql).map_err(|error| failed("run a script", error))
    }

    fn ask(&mut self, sql: &str) -> Result<Option<String>> {
        let asked = self.database.connection.query_row(sql, (), |row| row.get(0)).optional();
        Ok(asked.map_err(|error| failed("ask the instance", error))?.flatten())
    }
}

/// The row of a key by its id.
fn row_key<'k>(db: &Database, table: &TableName, (column, id): (&'k str, Guid)) -> Result<RowKey<'k>> {
    let columns = catalog::table_columns(db, table)?;
    let found = columns.iter().find(|found| found.name == column);
    let key_type = found.and_then(|found| KeyType::of(found.sql_type)).unwrap_or(KeyType::UniqueIdentifier);
    Ok(RowKey::new(column, key_type, id))
}

fn scan_sql(quoted: &str, columns: &[Column], (key, key_type): (&str, KeyType)) -> String {
    let mut select = quote(key);
    for column in columns {
        let name = quote(&column.name);
        let pair = if column.sql_type.is_large() {
            format!(", CASE WHEN octet_length({name}) <= ?2 THEN {name} END, octet_length({name})")
        } else {
            format!(", {name}, NULL")
        };
        select.push_str(&pair);
    }
    let key = quote(key);
    let least = key_id::least(key_type);
    format!("SELECT {select} FROM {quoted} WHERE {key} > coalesce(?1, {least}) ORDER BY {key} LIMIT ?3")
}

fn size_of_cell(cell: Cell<'_>) -> u64 {
    match cell {
        Cell::Text(text) => text.len() as u64,
        Cell::Bytes(bytes) => bytes.len() as u64,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::OpenOptions;
    use crate::error::Kind;
    use crate::model::sqltype::SqlType;

    #[derive(Default)]
    struct ShownCells(Vec<String>);

    impl CellSink for ShownCells {
        fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
            self.0.push(format!("{cell:?}"));
            Ok(())
        }

        fn end_row(&mut self) -> Result<()> {
            self.0.push(";".into());
            Ok(())
        }
    }

    #[test]
    fn rows_go_in_and_come_out_in_pages_with_hostile_names() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let mut session = Session::open(folder.path(), &options).unwrap();
        session.create_database("i]d\"x").unwrap();
        let table = TableName::new("i]d\"x", "dbo", "a\"; DROP").unwrap();
        let columns = [
            Column::new("key", SqlType::UniqueIdentifier, false),
            Column::new("sel\"ect", SqlType::NVarChar(None), true),
            Column::new("blob", SqlType::VarBinary(None), true),
        ];
        session.create_table(&table, &columns, "key", &[&["sel\"ect", "key"]]).unwrap();
        let keys: Vec<Guid> = (0..3).map(|n| Guid::from_bytes([n; 16])).collect();
        let rows: Vec<Vec<Cell<'_>>> =
            keys.iter().rev().map(|key| vec![Cell::Guid(*key), Cell::Text("ä"), Cell::Null]).collect();
        session.insert(&table, &columns, &rows).unwrap();
        let bytes = vec![7; large::BLOCK_BYTES + 1];
        session.write_value(&table, ("key", keys[1]), &columns[2], bytes.len() as u64, &mut &bytes[..]).unwrap();
        assert!(session.write_value(&table, ("key", keys[1]), &columns[2], 5, &mut &bytes[..]).is_err());
        assert!(session.update(&table, ("key", keys[2]), &[(&columns[1], Cell::Null)]).unwrap());
        assert!(session.delete(&table, ("key", keys[0])).unwrap());
        assert!(!session.delete(&table, ("key", keys[0])).unwrap());

        let mut shown = ShownCells::default();
        let limits = ReadLimits { bytes: 1, rows: 9, inline_bytes: 4 };
        let scan = TableScan { table: &table, columns: &columns[1..], key: "key" };
        let after = session.scan_page(scan, None, limits, &mut shown).unwrap();
        assert_eq!(after, Some(keys[1]));
        assert_eq!(shown.0, ["Text(\"ä\")", "Large(262145)", ";"]);
        let mut read = Vec::new();
        session.read_value(&table, ("key", keys[1]), "blob", &mut read).unwrap();
        assert!(read == bytes);
        let mut shown = ShownCells::default();
        session.scan(&table, &columns[1..2], "key", &mut shown).unwrap();
        assert_eq!(shown.0, ["Text(\"ä\")", ";", "Null", ";"]);
    }
    #[test]
    fn values_may_be_as_large_as_a_server_has_them_and_no_larger() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let mut session = Session::open(folder.path(), &options).unwrap();
        let most = session.database.connection.limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH).unwrap();
        assert_eq!(most, i32::MAX, "SQLite was not built as .cargo/config.toml says");
        session.create_database("Db").unwrap();
        let table = TableName::new("Db", "dbo", "T").unwrap();
        let columns =
            [Column::new("key", SqlType::UniqueIdentifier, false), Column::new("blob", SqlType::VarBinary(None), true)];
        session.create_table(&table, &columns, "key", &[]).unwrap();
        let key = Guid::from_bytes([1; 16]);
        session.insert(&table, &columns, &[vec![Cell::Guid(key), Cell::Null]]).unwrap();
        // The row has a key as well.
        for bytes in [i32::MAX as u64, 1 << 31] {
            let refused =
                session.write_value(&table, ("key", key), &columns[1], bytes, &mut std::io::empty()).unwrap_err();
            assert_eq!(refused.kind(), Kind::Config, "{bytes}: {refused}");
        }
    }
}
