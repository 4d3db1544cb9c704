//! [`RowPlace`]: where a row stands among all rows of a table.

use crate::backend::SortKey;
use crate::bundle::TableInfo;
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_DEPTH;
use crate::model::key::path_order;

/// What rows are ordered by: depth, path, key. Tombstones and absent parents are ordered by their keys alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPlace {
    /// Number of ancestors.
    pub depth: i64,
    /// The bytes that its path is compared by.
    pub path: Vec<u8>,
    /// What its key is sorted by.
    pub key: SortKey,
}

impl RowPlace {
    /// Where a row of a batch stands.
    ///
    /// # Errors
    /// Verification: a row without depth or key.
    pub fn of(rows: &BatchRows, row: usize, table: &TableInfo) -> Result<Self> {
        let key = rows.plan().key_type().sort_key(table.key_order, rows.key(row)?);
        let cell = |name: &str| rows.plan().index_of(name).map(|column| rows.cell(row, column)).transpose();
        let depth = match cell(DELTA_DEPTH)? {
            None => return Ok(Self { depth: 0, path: Vec::new(), key }),
            Some(Cell::Int(depth)) => depth,
            Some(_) => return Err(Error::verification("a row has no depth").column(DELTA_DEPTH)),
        };
        let path = table.path_column.as_deref().map(cell).transpose()?.flatten();
        Ok(Self { depth, path: path_order(path, table.key_order).into_owned(), key })
    }

    /// Its bytes, which [`RowPlace::read`] takes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.depth.to_be_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&(self.path.len() as u64).to_be_bytes());
        out.extend_from_slice(&self.path);
    }

    /// Takes one from the front.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let depth = i64::from_be_bytes(*take(bytes)?);
        let key = *take(bytes)?;
        let length = usize::try_from(u64::from_be_bytes(*take(bytes)?)).ok()?;
        let (path, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(Self { depth, path: path.to_vec(), key })
    }
}

fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}
