//! [`BatchBuilder`]: cells in, record batches out.
//!
//! One builder serves one table from its first batch to its last. Blob values are hashed when a batch
//! is sealed, which may be on another thread than that which reads. A value over the inline limit ([`Cell::Large`]) leaves a slot: whoever
//! reads it into `blob/` names the file and its hash before the batch can be finished.

use super::encode::Encoder;
use super::plan::ColumnPlan;
use super::{binary, guid, numbers, text, times};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, CellSink};
use crate::model::column::DELTA_MODIFIED_ON;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::sqltype::SqlType;
use crate::model::time::Timestamp;
use crate::model::value_range;
use arrow::array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryBuilder, RecordBatch, StringBuilder,
};
use arrow::compute::nullif;
use std::sync::Arc;

const SHA256_BYTES: i32 = 32;
/// What a cell of fixed width is counted as.
const FIXED_CELL_BYTES: u64 = 16;

/// The run that the rows carry (rule 14).
#[derive(Clone, Copy, Debug)]
pub struct RunStamp {
    /// When it started, UTC.
    pub started_at: Timestamp,
    /// The run.
    pub run_id: Guid,
}

/// A value that lies in `blob/`, or shall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSlot {
    /// Its row in the batch.
    pub row: usize,
    /// Its column among [`ColumnPlan::columns`].
    pub column: usize,
    /// The key of the row.
    pub key: Guid,
    /// How many bytes the backend said it has.
    pub bytes: u64,
}

/// Key and stamp of a row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHead {
    /// Its key.
    pub key: Guid,
    /// Its `DeltaModifiedOn`.
    pub modified_on: Option<Timestamp>,
}

/// The companions that hash and place one large column.
#[derive(Default)]
struct Large {
    /// Of values in `blob/`; the others are hashed last.
    hashes: Vec<Option<Sha256>>,
    /// Bytes of values in `blob/`.
    sizes: Vec<u64>,
    references: Vec<Option<String>>,
}

/// See the module's text.
pub struct BatchBuilder {
    plan: Arc<ColumnPlan>,
    stamp: RunStamp,
    encoders: Result<Vec<Box<dyn Encoder>>>,
    large: Vec<Large>,
    pending: Vec<LargeSlot>,
    key: Option<Guid>,
    /// Where the stamp stands.
    stamp_column: Option<usize>,
    modified_on: Option<Timestamp>,
    heads: Vec<RowHead>,
    next_column: usize,
    rows: usize,
    bytes: u64,
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new(plan: Arc<ColumnPlan>, stamp: RunStamp) -> Self {
        let encoders = plan.planned().iter().map(|planned| encoder(planned.column.sql_type)).collect();
        let large = plan.planned().iter().map(|_| Large::default()).collect();
        let stamp_column = plan.index_of(DELTA_MODIFIED_ON);
        Self {
            plan,
            stamp,
            encoders,
            large,
            pending: Vec::new(),
            key: None,
            stamp_column,
            modified_on: None,
            heads: Vec::new(),
            next_column: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// Keys and stamps of the rows since the last batch.
    pub fn heads(&self) -> &[RowHead] {
        &self.heads
    }

    /// The rows to come are of this run.
    pub fn set_run(&mut self, stamp: RunStamp) {
        self.stamp = stamp;
    }

    /// Complete rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of the values held, roughly: what a batch is to be kept under 16 MiB by.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Values of this batch that the backend did not read, in row order.
    pub fn pending_large(&self) -> &[LargeSlot] {
        &self.pending
    }

    /// Says where such a value lies: `blob_ref` is `blob/<sha256>.zst`, or says which bundle holds it
    /// ([`KnownRef`]); `sha256` is that of the value.
    ///
    /// # Errors
    /// Internal: a slot that is not pending.
    pub fn resolve_large(&mut self, slot: LargeSlot, blob_ref: &str, sha256: Sha256) -> Result<()> {
        let found = self.pending.iter().position(|pending| *pending == slot);
        let at = found.ok_or_else(|| {
            Error::internal("a large value was placed twice").key(self.plan.key_type().shown(slot.key))
        })?;
        self.pending.remove(at);
        let large = &mut self.large[slot.column];
        large.hashes[slot.row] = Some(sha256);
        large.sizes[slot.row] = slot.bytes;
        large.references[slot.row] = Some(blob_ref.to_owned());
        Ok(())
    }

    /// A whole row.
    ///
    /// # Errors
    /// As [`CellSink::cell`].
    pub fn push_row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        cells.iter().enumerate().try_for_each(|(column, cell)| self.cell(column, *cell))?;
        self.end_row()
    }

    /// The rows since the last batch, hashed; the builder is empty then.
    ///
    /// # Errors
    /// As [`BatchBuilder::take`].
    pub fn finish(&mut self) -> Result<RecordBatch> {
        self.take()?.seal()
    }

    /// The rows since the last batch, to be hashed elsewhere; the builder is empty then. After an error
    /// it is of no more use.
    ///
    /// # Errors
    /// Internal: a row that was not ended, or a large value that was not placed.
    pub fn take(&mut self) -> Result<UnsealedBatch> {
        if let Some(slot) = self.pending.first() {
            let column = &self.plan.columns()[slot.column].name;
            return Err(Error::internal("a large value was not placed in blob/")
                .column(column)
                .key(self.plan.key_type().shown(slot.key)));
        }
        if self.next_column != 0 {
            return Err(Error::internal("a batch was finished in the middle of a row"));
        }
        let mut columns = Vec::with_capacity(self.plan.planned().len());
        for (encoder, large) in encoders(&mut self.encoders)?.iter_mut().zip(&mut self.large) {
            let mut values = Vec::new();
            encoder.finish(&mut values);
            columns.push((values, std::mem::take(large)));
        }
        (self.rows, self.bytes) = (0, 0);
        self.heads.clear();
        Ok(UnsealedBatch { plan: Arc::clone(&self.plan), columns })
    }

    fn push(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        let planned = &self.plan.planned()[column];
        let wrong_value = |why: String| {
            let error = Error::config(format!("a value does not fit its column: {why}")).column(&planned.column.name);
            let error = error.hint("mend the row in the source, or leave it out with `blobdelta key exclude`; a slice that holds it already is made anew by a run");
            match self.key {
                Some(key) => error.key(self.plan.key_type().shown(key)),
                None => error,
            }
        };
        value_range::check_column(&planned.column, &cell).map_err(wrong_value)?;
        if planned.blob_ref.is_some() {
            self.large[column].references.push(None);
            self.large[column].hashes.push(None);
            self.large[column].sizes.push(0);
        }
        self.bytes += match cell {
            Cell::Text(text) => text.len() as u64,
            Cell::Bytes(bytes) => bytes.len() as u64,
            _ => FIXED_CELL_BYTES,
        };
        let pushed = encoders(&mut self.encoders)?[column].push(cell);
        pushed.ok_or_else(|| Error::internal("a cell that fits was not taken").column(&planned.column.name))
    }
}

/// Rows whose blob values are not hashed yet.
pub struct UnsealedBatch {
    plan: Arc<ColumnPlan>,
    /// The arrays of each column, and what is known of those that are in `blob/`.
    columns: Vec<(Vec<ArrayRef>, Large)>,
}

impl UnsealedBatch {
    /// Hashes the values that are not hashed yet.
    ///
    /// # Errors
    /// Internal: columns that do not fit the plan.
    pub fn hash(&mut self) -> Result<()> {
        for (planned, (values, large)) in self.plan.planned().iter().zip(&mut self.columns) {
            let values = values.first().filter(|_| planned.content_sha256.is_some());
            values.map_or(Ok(()), |values| hash_values(values, &mut large.hashes))?;
        }
        Ok(())
    }

    /// Hash and bytes of a value of a column with content hashes, once all were hashed; `None` for NULL.
    ///
    /// # Errors
    /// Internal: a column without content hashes.
    pub fn content(&self, row: usize, column: usize) -> Result<Option<(Sha256, u64)>> {
        let (values, large) = self.hashed(column)?;
        let bytes = if values.is_valid(row) { values.value(row).len() as u64 } else { large.sizes[row] };
        Ok(large.hashes[row].map(|sha256| (sha256, bytes)))
    }

    /// Leaves values of a column out: of each row that of which something is given.
    ///
    /// # Errors
    /// As [`UnsealedBatch::content`].
    pub fn leave_out(&mut self, column: usize, known: &[Option<KnownRef>]) -> Result<()> {
        let is_known: BooleanArray = known.iter().map(|known| Some(known.is_some())).collect();
        let left = nullif(self.hashed(column)?.0, &is_known);
        let (values, large) = &mut self.columns[column];
        values[0] = left.map_err(|error| Error::internal("values cannot be left out of a batch").caused_by(error))?;
        for (reference, known) in large.references.iter_mut().zip(known) {
            if let Some(known) = known {
                *reference = Some(known.to_string());
            }
        }
        Ok(())
    }

    fn hashed(&self, column: usize) -> Result<(&BinaryArray, &Large)> {
        let none = || Error::internal("a column has no content hashes");
        self.plan.planned().get(column).filter(|planned| planned.content_sha256.is_some()).ok_or_else(none)?;
        let (values, large) = self.columns.get(column).ok_or_else(none)?;
        let values = values.first().and_then(|values| values.as_any().downcast_ref::<BinaryArray>());
        Ok((values.ok_or_else(none)?, large))
    }

    /// The batch, with all hashes.
    ///
    /// # Errors
    /// As [`UnsealedBatch::hash`].
    pub fn seal(mut self) -> Result<RecordBatch> {
        self.hash()?;
        let mut arrays = Vec::with_capacity(self.plan.schema().fields().len());
        for (planned, (values, large)) in self.plan.planned().iter().zip(self.columns) {
            arrays.extend(values);
            if planned.content_sha256.is_some() {
                arrays.push(hash_array(&large.hashes)?);
            }
            if planned.blob_ref.is_some() {
                arrays.push(reference_array(&large.references));
            }
        }
        RecordBatch::try_new(self.plan.schema(), arrays)
            .map_err(|error| Error::internal("the columns of a batch do not fit its schema").caused_by(error))
    }
}

impl CellSink for BatchBuilder {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        if column != self.next_column || column >= self.plan.columns().len() {
            let what = format!("cell {column} of a row came where cell {} was due", self.next_column);
            return Err(Error::internal(what));
        }
        self.push(column, cell)?;
        self.next_column += 1;
        if Some(column) == self.stamp_column {
            self.modified_on = if let Cell::DateTime(at) = cell { Some(at) } else { None };
        }
        if column == self.plan.key() {
            self.key = self.plan.key_type().id(cell);
        } else if let Cell::Large(bytes) = cell {
            self.pending.push(LargeSlot { row: self.rows, column, key: Guid::from_bytes([0; 16]), bytes });
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let given = self.plan.columns().len();
        if self.next_column != given {
            return Err(Error::internal(format!("a row ended after {} of {given} cells", self.next_column)));
        }
        if self.plan.has_run() {
            self.push(given, Cell::DateTime(self.stamp.started_at))?;
            self.push(given + 1, Cell::Guid(self.stamp.run_id))?;
        }
        let key = self.key.take().ok_or_else(|| Error::config("a row without a key"))?;
        for slot in self.pending.iter_mut().rev().take_while(|slot| slot.row == self.rows) {
            slot.key = key;
        }
        self.heads.push(RowHead { key, modified_on: self.modified_on.take() });
        self.rows += 1;
        self.next_column = 0;
        Ok(())
    }
}

fn encoders(encoders: &mut Result<Vec<Box<dyn Encoder>>>) -> Result<&mut Vec<Box<dyn Encoder>>> {
    encoders.as_mut().map_err(|error| Error::internal(error.to_string()))
}

/// Fills in what is not known: values that lie in `blob/` are NULL here, and their hashes known.
fn hash_values(values: &ArrayRef, hashes: &mut [Option<Sha256>]) -> Result<()> {
    let values = values.as_any().downcast_ref::<BinaryArray>();
    let values = values.ok_or_else(|| Error::internal("a column with hashes is not of bytes"))?;
    for (value, hash) in values.iter().zip(hashes) {
        *hash = hash.or_else(|| value.map(Sha256::of));
    }
    Ok(())
}

fn hash_array(hashes: &[Option<Sha256>]) -> Result<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(hashes.len(), SHA256_BYTES);
    for hash in hashes {
        match hash {
            Some(hash) => builder
                .append_value(hash.as_bytes())
                .map_err(|error| Error::internal("a hash is not 32 bytes long").caused_by(error))?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn reference_array(references: &[Option<String>]) -> ArrayRef {
    let mut builder = StringBuilder::new();
    references.iter().for_each(|reference| builder.append_option(reference.as_deref()));
    Arc::new(builder.finish())
}

/// The encoder of a type.
pub(super) fn encoder(sql_type: SqlType) -> Result<Box<dyn Encoder>> {
    let families = [numbers::encoder, text::encoder, binary::encoder, guid::encoder, times::encoder];
    let found = families.iter().find_map(|family| family(sql_type));
    found.ok_or_else(|| Error::internal(format!("no encoder for {sql_type}")))
}
