//! Values that a batch leaves out, put where they belong: the rows are then as if nothing had been left out.

use super::rows::BatchRows;
use crate::error::{Error, Result};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryBuilder, RecordBatch, StringBuilder};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What comes in the place of a value that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilledValue {
    /// The value.
    Bytes(Vec<u8>),
    /// Where it lies: `blob/<sha256>.zst`, of whichever bundle has it.
    Reference(String),
}

impl BatchRows {
    /// Puts values into a column, by row, of a batch of which nothing was supplied.
    ///
    /// # Errors
    /// Internal: a column that has no values which could be left out.
    pub fn filled(self, column: usize, mut values: BTreeMap<usize, FilledValue>) -> Result<Self> {
        let none = || Error::internal("values were to be put into a column that leaves none out");
        let planned = self.plan().planned().get(column).ok_or_else(none)?;
        let (at, beside) = (planned.value, planned.blob_ref.ok_or_else(none)?);
        let there = self.batch().column(at).as_binary_opt::<i32>().ok_or_else(none)?;
        let references = self.batch().column(beside).as_string_opt::<i32>().ok_or_else(none)?;
        let (mut cells, mut beside_cells) = (BinaryBuilder::new(), StringBuilder::new());
        for row in 0..there.len() {
            match values.remove(&row) {
                Some(FilledValue::Bytes(bytes)) => {
                    cells.append_value(bytes);
                    beside_cells.append_null();
                }
                Some(FilledValue::Reference(reference)) => {
                    cells.append_null();
                    beside_cells.append_value(reference);
                }
                None => {
                    cells.append_option(there.is_valid(row).then(|| there.value(row)));
                    beside_cells.append_option(references.is_valid(row).then(|| references.value(row)));
                }
            }
        }
        let mut columns: Vec<ArrayRef> = self.batch().columns().to_vec();
        (columns[at], columns[beside]) = (Arc::new(cells.finish()), Arc::new(beside_cells.finish()));
        let filled = RecordBatch::try_new(self.batch().schema(), columns);
        let filled = filled.map_err(|error| Error::internal("values cannot be put into a batch").caused_by(error))?;
        Self::new(self.into_plan(), filled)
    }
}
