//! What rows are put in order with: [`SortMemory`], and rows of several batches as one.

use crate::error::{Error, Result};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::DataType;

/// Bytes of what is read back of each run.
const CHUNK_BYTES: u64 = 256 << 10;
/// What a value of fixed size takes, about.
const FIXED_BYTES: u64 = 16;

/// What a sorter may take.
#[derive(Clone, Copy, Debug)]
pub struct SortMemory {
    /// Rows in memory, about; and as much again while they are put in order.
    pub run_bytes: u64,
    /// What is read back at once of a run.
    pub chunk_bytes: u64,
}

impl SortMemory {
    /// So many bytes in all.
    pub fn of(bytes: u64) -> Self {
        Self { run_bytes: bytes / 2, chunk_bytes: CHUNK_BYTES }
    }
}

/// Takes rows that are in order.
pub type TakeRows<'t> = &'t mut dyn FnMut(RecordBatch) -> Result<()>;

/// What tells batches apart: for those that were stored, the store, the run, and the chunk of it.
pub(super) type BatchNumber = (usize, u32, u32);

/// Rows of several batches that become one.
#[derive(Default)]
pub(super) struct PickedRows {
    /// Each with the number that it was given.
    batches: Vec<(BatchNumber, RecordBatch)>,
    rows: Vec<(usize, usize)>,
    pub(super) bytes: u64,
}

impl PickedRows {
    /// Adds a row of a batch, which is told from others by a number.
    pub(super) fn add(&mut self, batch: &RecordBatch, number: BatchNumber, row: usize) {
        let at = match self.batches.iter().rposition(|(known, _)| *known == number) {
            Some(at) => at,
            None => {
                self.batches.push((number, batch.clone()));
                self.batches.len() - 1
            }
        };
        self.bytes += bytes_of(batch, row);
        self.rows.push((at, row));
    }

    /// The rows that were added since, as one batch.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let Self { batches, rows, .. } = std::mem::take(self);
        let batches: Vec<&RecordBatch> = batches.iter().map(|(_, batch)| batch).collect();
        let made = interleave_record_batch(&batches, &rows);
        made.map_err(|error| Error::internal("rows cannot be put in order").caused_by(error))
    }
}

/// What a row takes, about.
fn bytes_of(batch: &RecordBatch, row: usize) -> u64 {
    let bytes = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Binary => u64::try_from(column.as_binary::<i32>().value_length(row)).unwrap_or(0),
        DataType::Utf8 => u64::try_from(column.as_string::<i32>().value_length(row)).unwrap_or(0),
        _ => FIXED_BYTES,
    });
    bytes.sum()
}
