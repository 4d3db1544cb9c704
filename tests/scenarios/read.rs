//! What stands in a slice, read back.

use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::id::Guid;
use blobdelta::model::key::KeyType;
use blobdelta::model::time::Timestamp;
use std::collections::BTreeMap;

/// The columns that are looked at, in the order in which [`Rows`] takes them.
pub const COLUMNS: [&str; 8] =
    ["stream_id", "file_stream", "DeltaModifiedOn", "DeltaStep", "DeltaDepth", "DeltaParentKey", "DeltaEarly", "name"];

/// A row of a slice, as far as the scenarios look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceRow {
    pub bytes: Option<Vec<u8>>,
    pub modified: Option<Timestamp>,
    pub step: i64,
    pub depth: i64,
    pub parent: Option<Guid>,
    pub early: bool,
    pub name: String,
}

/// The id of a key of whatever type; none of NULL.
pub fn id(key: Cell<'_>) -> Option<Guid> {
    let key_type = match key {
        Cell::Guid(_) => KeyType::UniqueIdentifier,
        Cell::Int(_) => KeyType::Integer,
        Cell::Bytes(bytes) => KeyType::Binary(bytes.len().try_into().unwrap()),
        _ => return None,
    };
    key_type.id(key)
}

/// Takes rows of [`COLUMNS`].
#[derive(Default)]
pub struct Rows {
    pub done: BTreeMap<Guid, SliceRow>,
    key: Option<Guid>,
    row: Option<SliceRow>,
}

impl CellSink for Rows {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        let row = self.row.get_or_insert_default();
        match (column, cell) {
            (0, key) => self.key = id(key),
            (1, Cell::Bytes(bytes)) => row.bytes = Some(bytes.to_vec()),
            (2, Cell::DateTime(at)) => row.modified = Some(at),
            (3, Cell::Int(step)) => row.step = step,
            (4, Cell::Int(depth)) => row.depth = depth,
            (5, parent) => row.parent = id(parent),
            (6, Cell::Bool(early)) => row.early = early,
            (7, Cell::Text(name)) => row.name = name.to_owned(),
            (_, Cell::Null) => {}
            other => panic!("unexpected cell {other:?}"),
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.done.insert(self.key.take().unwrap(), self.row.take().unwrap());
        Ok(())
    }
}

/// Counts rows.
#[derive(Default)]
pub struct Count(pub u64);

impl CellSink for Count {
    fn cell(&mut self, _: usize, _: Cell<'_>) -> Result<()> {
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.0 += 1;
        Ok(())
    }
}
