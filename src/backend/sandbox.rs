//! Building and looking at an instance by hand: what the demo and the scenarios need, on either
//! kind of instance.

use super::Backend;
use crate::error::Result;
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::ReadLimits;
use std::io::{Read, Write};

/// Bytes of a page of a table that is read whole.
const SCAN_BYTES: u64 = 8 << 20;

/// A reading of a table in the order of its keys.
#[derive(Clone, Copy, Debug)]
pub struct TableScan<'a> {
    /// The table.
    pub table: &'a TableName,
    /// The columns that are read.
    pub columns: &'a [Column],
    /// Its key.
    pub key: &'a str,
}

/// See the module's text. It is a backend too; what runs in production asks for no more than that.
pub trait Sandbox: Backend {
    /// Creates a database if it is not there.
    ///
    /// # Errors
    /// Database.
    fn create_database(&mut self, name: &str) -> Result<()>;

    /// Creates a table with a primary key, and an index over each list of columns.
    ///
    /// # Errors
    /// Database.
    fn create_table(&mut self, table: &TableName, columns: &[Column], key: &str, indexes: &[&[&str]]) -> Result<()>;

    /// Inserts rows in one transaction. Every row has one cell a column, in their order.
    ///
    /// # Errors
    /// Database.
    fn insert(&mut self, table: &TableName, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> Result<()>;

    /// Sets columns of the row with this key. Returns whether there was one.
    ///
    /// # Errors
    /// Database.
    fn update(&mut self, table: &TableName, key: (&str, Guid), values: &[(&Column, Cell<'_>)]) -> Result<bool>;

    /// Deletes the row with this key. Returns whether there was one.
    ///
    /// # Errors
    /// Database.
    fn delete(&mut self, table: &TableName, key: (&str, Guid)) -> Result<bool>;

    /// The columns of any table.
    ///
    /// # Errors
    /// Config: no such table.
    fn columns(&mut self, table: &TableName) -> Result<Vec<Column>>;

    /// Reads these columns of all rows, by key in RFC order.
    ///
    /// # Errors
    /// Database.
    fn scan(&mut self, table: &TableName, columns: &[Column], key: &str, sink: &mut dyn CellSink) -> Result<()> {
        let limits = ReadLimits { bytes: SCAN_BYTES, rows: u32::MAX, inline_bytes: i64::MAX as u64 };
        let mut after = None;
        loop {
            after = self.scan_page(TableScan { table, columns, key }, after, limits, sink)?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads these columns of rows after a key, by key in RFC order, until a limit is reached.
    /// Returns the last row's key, `None` if there was no row. Values over `limits.inline_bytes`
    /// come as [`Cell::Large`].
    ///
    /// # Errors
    /// Database.
    fn scan_page(
        &mut self,
        scan: TableScan<'_>,
        after: Option<Guid>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<Guid>>;

    /// Reads one value of the row with this key, in chunks. Returns its bytes.
    ///
    /// # Errors
    /// Database, if there is no such row or the value is NULL; Io of the writer.
    fn read_value(&mut self, table: &TableName, key: (&str, Guid), column: &str, out: &mut dyn Write) -> Result<u64>;

    /// Sets one value of the row with this key to the `bytes` bytes of `from`, in chunks, in one
    /// transaction.
    ///
    /// # Errors
    /// Database, if there is no such row; Io, if `from` fails or has not exactly so many bytes.
    fn write_value(
        &mut self,
        table: &TableName,
        key: (&str, Guid),
        column: &Column,
        bytes: u64,
        from: &mut dyn Read,
    ) -> Result<()>;

    /// Runs statements of the server's own dialect.
    ///
    /// # Errors
    /// Database.
    fn execute_script(&mut self, sql: &str) -> Result<()>;

    /// Runs a batch of the server's own dialect, and gives the first value of its last result, which has to be a text;
    /// `None` if that is NULL or there is no row.
    ///
    /// # Errors
    /// Database.
    fn ask(&mut self, sql: &str) -> Result<Option<String>>;
}
