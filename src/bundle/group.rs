//! [`RowGroupEncoder`]: a row group in the making, encoded and compressed on a thread of its own, so that one
//! column of blobs keeps more than one core busy.
//!
//! It holds its batches until they are encoded, which are as many bytes as a row group may have, and
//! the pages that they became.

use super::budget::Making;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::{ParquetError, Result};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// See the module's text. Dropped unfinished, it ends once it has encoded what it was given.
pub(super) struct RowGroupEncoder {
    batches: Sender<RecordBatch>,
    encoder: JoinHandle<Result<Vec<ArrowColumnChunk>>>,
    making: Making,
}

impl RowGroupEncoder {
    /// Begins one of a schema without nested columns: a writer a field.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn begin(schema: SchemaRef, columns: Vec<ArrowColumnWriter>) -> Result<Self> {
        let (batches, coming) = channel();
        let work = move || encode(&schema, columns, &coming);
        let encoder = std::thread::Builder::new().name("encode".to_owned()).spawn(work)?;
        Ok(Self { batches, encoder, making: Making::default() })
    }

    /// What it was given.
    pub(super) fn making(&self) -> &Making {
        &self.making
    }

    /// Takes a batch, with which it is `making`. What goes wrong with it, [`RowGroupEncoder::finish`] says.
    pub(super) fn write(&mut self, batch: &RecordBatch, making: Making) {
        self.making = making;
        // An encoder that has ended has an error to tell.
        let _ = self.batches.send(batch.clone());
    }

    /// Waits until all is encoded.
    ///
    /// # Errors
    /// What encoding says.
    pub(super) fn finish(self) -> Result<Vec<ArrowColumnChunk>> {
        drop(self.batches);
        self.encoder.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn encode(
    schema: &SchemaRef,
    mut columns: Vec<ArrowColumnWriter>,
    batches: &Receiver<RecordBatch>,
) -> Result<Vec<ArrowColumnChunk>> {
    for batch in batches {
        for ((field, array), column) in schema.fields().iter().zip(batch.columns()).zip(&mut columns) {
            let leaves = compute_leaves(field, array)?;
            let [leaf] = &leaves[..] else {
                return Err(ParquetError::General(format!("the column {} is nested", field.name())));
            };
            column.write(leaf)?;
        }
    }
    columns.into_iter().map(ArrowColumnWriter::close).collect()
}
