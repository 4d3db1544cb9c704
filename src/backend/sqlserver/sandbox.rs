//! [`Sandbox`] on a server: tables made, filled and looked at by hand.

use super::database::Database;
use super::insert::{insert, push_value};
use super::key_id::key_value;
use super::large::{self, ValuePlace};
use super::reading::Reading;
use super::session::Session;
use super::sql::SqlParameter;
use super::sql::{Sql, literal, quote, quoted};
use super::values::RowFields;
use super::{catalog, page};
use crate::backend::sandbox::{Sandbox, TableScan};
use crate::error::{Error, Kind, Result};
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::{TableName, check_identifier};
use crate::model::slice::{ReadLimits, SlicePosition};
use crate::model::sqltype::SqlType;
use crate::scripts;
use std::io::{Read, Write};
use tiberius::ColumnData;

impl Sandbox for Session {
    fn create_database(&mut self, name: &str) -> Result<()> {
        check_identifier(name)?;
        if catalog::has_database(&mut self.database.client, name)? {
            return Ok(());
        }
        self.database.client.batch("create a database", &format!("CREATE DATABASE {}", quote(name)))
    }

    fn create_table(&mut self, table: &TableName, columns: &[Column], key: &str, indexes: &[&[&str]]) -> Result<()> {
        self.database.cursor = None;
        self.engine.known.columns.remove(table);
        self.source_columns.remove(table);
        let made =
            in_database(&mut self.database, &table.db, "create a table", &create_sql(table, columns, key, indexes));
        made.map_err(|error| error.table(table))
    }

    fn insert(&mut self, table: &TableName, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> Result<()> {
        self.database.cursor = None;
        let name = quoted(table);
        let done = self.database.client.transact("insert rows", |client| insert(client, &name, columns, rows));
        done.map_err(|error| error.table(table))
    }

    fn update(&mut self, table: &TableName, key: (&str, Guid), values: &[(&Column, Cell<'_>)]) -> Result<bool> {
        self.database.cursor = None;
        let mut sql = Sql::new(format!("UPDATE {} SET ", quoted(table)));
        for (nth, (column, cell)) in values.iter().enumerate() {
            sql.push_text(&format!("{}{} = ", if nth > 0 { ", " } else { "" }, quote(&column.name)));
            push_value(&mut sql, column.sql_type, *cell);
        }
        let own = key_of(&mut self.database, table, key);
        let sql = sql.then(&format!(" WHERE {} = ", quote(key.0))).bind(SqlParameter(Some(own.1)));
        let done = self.database.client.unit(|client| client.execute("update a row", sql.clone()));
        Ok(done.map_err(|error| error.table(table).key(key.1))? > 0)
    }

    fn delete(&mut self, table: &TableName, key: (&str, Guid)) -> Result<bool> {
        self.database.cursor = None;
        let own = SqlParameter(Some(key_of(&mut self.database, table, key).1));
        let sql = Sql::new(format!("DELETE FROM {} WHERE {} = ", quoted(table), quote(key.0))).bind(own);
        let done = self.database.client.unit(|client| client.execute("delete a row", sql.clone()));
        Ok(done.map_err(|error| error.table(table).key(key.1))? > 0)
    }

    fn columns(&mut self, table: &TableName) -> Result<Vec<Column>> {
        catalog::columns(&mut self.database.client, table)
    }

    fn scan_page(
        &mut self,
        TableScan { table, columns, key }: TableScan<'_>,
        after: Option<Guid>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<Guid>> {
        let reading = Reading {
            doing: "read a table",
            table: quoted(table),
            fence: None,
            depth: None,
            path: None,
            key_type: columns
                .iter()
                .find(|column| column.name == key)
                .and_then(|key| KeyType::of(key.sql_type))
                .unwrap_or(KeyType::UniqueIdentifier),
            key: key.to_owned(),
            is_by_text: true,
            columns: columns.to_vec(),
            inline_bytes: limits.inline_bytes,
        };
        let after = after.map(|key| SlicePosition { depth: 0, path: Vec::new(), key });
        let last = page::read_page(&mut self.database, reading, after.as_ref(), limits, sink)
            .map_err(|error| error.table(table))?;
        Ok(last.map(|last| last.key))
    }

    fn read_value(&mut self, table: &TableName, key: (&str, Guid), column: &str, out: &mut dyn Write) -> Result<u64> {
        let at = |error: Error| error.table(table).key(key.1).column(column);
        let columns = catalog::columns(&mut self.database.client, table)?;
        let found = columns.iter().find(|found| found.name.eq_ignore_ascii_case(column));
        let found = found.ok_or_else(|| at(Error::new(Kind::Database, "there is no such column")))?;
        let place = ValuePlace::new(quoted(table), key_of(&mut self.database, table, key), &found.name, found.sql_type);
        large::read(&mut self.database.client, &place, out).map_err(at)
    }

    fn write_value(
        &mut self,
        table: &TableName,
        key: (&str, Guid),
        column: &Column,
        bytes: u64,
        from: &mut dyn Read,
    ) -> Result<()> {
        self.database.cursor = None;
        let in_chunks = self.database.abilities()?.has_write;
        let place =
            ValuePlace::new(quoted(table), key_of(&mut self.database, table, key), &column.name, column.sql_type);
        let written = large::write(&mut self.database.client, &place, bytes, from, in_chunks);
        written.map_err(|error| error.table(table).key(key.1).column(&column.name))
    }

    fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.database.cursor = None;
        // It may change anything, so nothing that is known of tables holds.
        self.engine.known.columns.clear();
        self.source_columns.clear();
        self.engine.known.configs.clear();
        self.replay.targets.clear();
        scripts::batches(sql).iter().try_for_each(|batch| self.database.client.batch("run a script", batch.text))
    }

    fn ask(&mut self, sql: &str) -> Result<Option<String>> {
        self.database.cursor = None;
        let row = self.database.client.row("ask the server", Sql::new(sql))?;
        let Some(row) = row else { return Ok(None) };
        Ok(RowFields::of(&row).text(0)?.map(str::to_owned))
    }
}

/// Runs statements in another database, where names of three parts are not taken.
fn in_database(db: &mut Database, name: &str, doing: &str, sql: &str) -> Result<()> {
    let row = db.client.row(doing, Sql::new("SELECT DB_NAME()"))?;
    let home = row.map(|row| RowFields::of(&row).must(0, RowFields::text).map(quote));
    let home = home.transpose()?.unwrap_or_else(|| quote("master"));
    let done = db.client.batch(doing, &format!("USE {}; {sql}", quote(name)));
    let back = db.client.batch(doing, &format!("USE {home}"));
    done.and(back)
}

/// The key of a row as its table has it, by its id; where the table cannot be looked up, the statement says so.
fn key_of<'k>(db: &mut Database, table: &TableName, (name, id): (&'k str, Guid)) -> (&'k str, ColumnData<'static>) {
    let columns = catalog::columns(&mut db.client, table).unwrap_or_default();
    let found = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    (name, key_value(found.and_then(|column| KeyType::of(column.sql_type)).unwrap_or(KeyType::UniqueIdentifier), id))
}

/// `CREATE TABLE` with the key alone unique, and an index over each list.
fn create_sql(table: &TableName, columns: &[Column], key: &str, indexes: &[&[&str]]) -> String {
    let name = format!("{}.{}", quote(&table.schema), quote(&table.table));
    let lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let is_key = column.name.eq_ignore_ascii_case(key);
            let null = if column.nullable && !is_key { "NULL" } else { "NOT NULL" };
            let unique = if is_key { " PRIMARY KEY" } else { "" };
            format!("    {} {} {null}{unique}", quote(&column.name), declared(column.sql_type))
        })
        .collect();
    let mut sql = String::new();
    if !table.schema.eq_ignore_ascii_case("dbo") {
        let create = format!("CREATE SCHEMA {}", quote(&table.schema));
        sql = format!("IF SCHEMA_ID({}) IS NULL EXEC ({});\n", literal(&table.schema), literal(&create));
    }
    sql.push_str(&format!("CREATE TABLE {name} (\n{}\n);\n", lines.join(",\n")));
    for (nth, index) in indexes.iter().enumerate() {
        let over: Vec<String> = index.iter().map(|column| quote(column)).collect();
        sql.push_str(&format!("CREATE INDEX {} ON {name} ({});\n", quote(&format!("IX_{}", nth + 1)), over.join(", ")));
    }
    sql
}

/// The type of a column that is written to: a rowversion would be the server's own.
fn declared(sql_type: SqlType) -> String {
    match sql_type {
        SqlType::RowVersion => "binary(8)".to_owned(),
        other => other.to_string(),
    }
}
