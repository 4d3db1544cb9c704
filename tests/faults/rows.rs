//! What stands in a table: the bytes of each key.

use blobdelta::backend::Sandbox;
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use std::collections::BTreeMap;

/// `file_stream` by `stream_id`; NULL is as nothing.
pub fn rows(backend: &mut dyn Sandbox, table: &TableName) -> BTreeMap<Guid, Vec<u8>> {
    let all = backend.columns(table).unwrap();
    let column = |name: &str| all.iter().find(|column| column.name == name).unwrap().clone();
    let mut seen = Seen::default();
    backend.scan(table, &[column("stream_id"), column("file_stream")], "stream_id", &mut seen).unwrap();
    seen.rows
}

#[derive(Default)]
struct Seen {
    key: Option<Guid>,
    bytes: Vec<u8>,
    rows: BTreeMap<Guid, Vec<u8>>,
}

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        match cell {
            Cell::Guid(key) => self.key = Some(key),
            Cell::Bytes(bytes) => self.bytes = bytes.to_vec(),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.rows.insert(self.key.take().unwrap(), std::mem::take(&mut self.bytes));
        Ok(())
    }
}
