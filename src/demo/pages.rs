//! Reading a table in key order, a page at a time, rows held as owned values.

use crate::backend::{Sandbox, TableScan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::ReadLimits;
use crate::model::time::Timestamp;
use std::collections::VecDeque;

/// Bounds of a page; a value over the inline limit is compared in pieces.
const LIMITS: ReadLimits = ReadLimits { bytes: 8 * 1024 * 1024, rows: 4096, inline_bytes: 4 * 1024 * 1024 };

/// A value that outlives its page.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    /// NULL.
    Null,
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A value of so many bytes that was not read.
    Large(u64),
    /// A GUID.
    Guid(Guid),
    /// A moment.
    DateTime(Timestamp),
    /// Any other; its variant and value as text.
    Other(String),
}

impl OwnedValue {
    fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Text(text) => Self::Text(text.to_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Cell::Large(bytes) => Self::Large(bytes),
            Cell::Guid(guid) => Self::Guid(guid),
            Cell::DateTime(at) => Self::DateTime(at),
            other => Self::Other(format!("{other:?}")),
        }
    }

    /// For people: short, whatever it is.
    pub fn shown(&self) -> String {
        match self {
            Self::Null => "NULL".into(),
            Self::Text(text) => format!("{text:.60?}"),
            Self::Bytes(bytes) if bytes.len() <= 32 => format!("0x{}", hex(bytes)),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::Large(bytes) => format!("{bytes} bytes"),
            Self::Guid(guid) => guid.to_string(),
            Self::DateTime(at) => at.to_string(),
            Self::Other(text) => text.clone(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A row: its key and its values.
#[derive(Clone, Debug)]
pub struct Row {
    /// The key.
    pub key: Guid,
    /// The values of the columns asked for, but the key's.
    pub values: Vec<OwnedValue>,
}

#[derive(Default)]
struct PageSink {
    key: Option<Guid>,
    values: Vec<OwnedValue>,
    rows: VecDeque<Row>,
}

impl CellSink for PageSink {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        match (column, cell) {
            (0, Cell::Guid(key)) => self.key = Some(key),
            _ => self.values.push(OwnedValue::of(cell)),
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let values = std::mem::take(&mut self.values);
        let key = self.key.take().ok_or_else(|| Error::internal("a row came without its key"))?;
        self.rows.push_back(Row { key, values });
        Ok(())
    }
}

/// All rows of a table, by key.
pub struct TablePages<'b> {
    backend: &'b mut dyn Sandbox,
    table: TableName,
    columns: Vec<Column>,
    after: Option<Guid>,
    held: VecDeque<Row>,
    is_at_end: bool,
}

impl<'b> TablePages<'b> {
    /// The first of `columns` is the key.
    pub fn new(backend: &'b mut dyn Sandbox, table: TableName, columns: Vec<Column>) -> Self {
        Self { backend, table, columns, after: None, held: VecDeque::new(), is_at_end: false }
    }

    /// The next row.
    ///
    /// # Errors
    /// Database.
    pub fn next(&mut self) -> Result<Option<Row>> {
        if self.held.is_empty() && !self.is_at_end {
            let mut sink = PageSink::default();
            let scan = TableScan { table: &self.table, columns: &self.columns, key: &self.columns[0].name };
            self.after = self.backend.scan_page(scan, self.after, LIMITS, &mut sink)?;
            self.is_at_end = self.after.is_none();
            self.held = sink.rows;
        }
        Ok(self.held.pop_front())
    }

    /// The hash of one value that was not read.
    ///
    /// # Errors
    /// Database.
    pub fn hash_of(&mut self, key: Guid, column: &str) -> Result<crate::model::digest::Sha256> {
        let mut hashing = Hashing::default();
        self.backend.read_value(&self.table, (&self.columns[0].name, key), column, &mut hashing)?;
        Ok(hashing.0.finish())
    }
}

#[derive(Default)]
struct Hashing(crate::model::digest::Hasher);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
