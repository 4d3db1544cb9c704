//! Building and looking at an instance by hand: what the demo and the scenarios need, on either
//! kind of instance.

use crate::error::Result;
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;

/// See the module's text. Nothing of the engine uses it.
pub trait Sandbox {
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
    fn scan(&mut self, table: &TableName, columns: &[Column], key: &str, sink: &mut dyn CellSink) -> Result<()>;

    /// Runs statements of the server's own dialect; for tests.
    ///
    /// # Errors
    /// Database.
    fn execute_script(&mut self, sql: &str) -> Result<()>;
}
