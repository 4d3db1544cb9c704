//! [`Sandbox`] on a server.

use super::session::{Session, unfinished};
use crate::backend::sandbox::Sandbox;
use crate::error::Result;
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::ReadLimits;
use std::io::{Read, Write};

impl Sandbox for Session {
    fn create_database(&mut self, _name: &str) -> Result<()> {
        Err(unfinished())
    }
    fn create_table(
        &mut self,
        _table: &TableName,
        _columns: &[Column],
        _key: &str,
        _indexes: &[&[&str]],
    ) -> Result<()> {
        Err(unfinished())
    }
    fn insert(&mut self, _table: &TableName, _columns: &[Column], _rows: &[Vec<Cell<'_>>]) -> Result<()> {
        Err(unfinished())
    }
    fn update(&mut self, _table: &TableName, _key: (&str, Guid), _values: &[(&Column, Cell<'_>)]) -> Result<bool> {
        Err(unfinished())
    }
    fn delete(&mut self, _table: &TableName, _key: (&str, Guid)) -> Result<bool> {
        Err(unfinished())
    }
    fn columns(&mut self, _table: &TableName) -> Result<Vec<Column>> {
        Err(unfinished())
    }
    fn scan(&mut self, _table: &TableName, _columns: &[Column], _key: &str, _sink: &mut dyn CellSink) -> Result<()> {
        Err(unfinished())
    }
    fn scan_page(
        &mut self,
        _table: &TableName,
        _columns: &[Column],
        _key: &str,
        _after: Option<Guid>,
        _limits: ReadLimits,
        _sink: &mut dyn CellSink,
    ) -> Result<Option<Guid>> {
        Err(unfinished())
    }
    fn read_value(
        &mut self,
        _table: &TableName,
        _key: (&str, Guid),
        _column: &str,
        _out: &mut dyn Write,
    ) -> Result<u64> {
        Err(unfinished())
    }
    fn write_value(
        &mut self,
        _table: &TableName,
        _key: (&str, Guid),
        _column: &Column,
        _bytes: u64,
        _from: &mut dyn Read,
    ) -> Result<()> {
        Err(unfinished())
    }
    fn execute_script(&mut self, _sql: &str) -> Result<()> {
        Err(unfinished())
    }
}
