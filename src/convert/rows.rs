//! [`BatchRows`]: the rows of a record batch as cells again.
//!
//! A batch comes from a bundle, so it is hostile until checked: its schema against the plan when
//! it arrives, each cell against its column's type when it is asked for.

use super::plan::{ColumnPlan, PlannedColumn};
use super::{binary, guid, numbers, text, times};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::{DELTA_MODIFIED_ON, DELTA_REASON};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::slice::DeletionReason;
use crate::model::time::Timestamp;
use crate::model::value_range;
use crate::model::version::Version;
use arrow::array::{Array, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `blob/`, 64 digits, `.zst`.
const REFERENCE_BYTES: usize = 73;

/// A value of a batch that lies in `blob/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeRef {
    /// Its row.
    pub row: usize,
    /// Its column among [`ColumnPlan::columns`].
    pub column: usize,
    /// `blob/<sha256>.zst`, as the row says; not checked, but never longer than one byte more.
    pub reference: String,
}

/// What is known of a value in `blob/`.
enum Supplied {
    Bytes(Vec<u8>),
    Size(u64),
}

/// See the module's text.
pub struct BatchRows {
    plan: Arc<ColumnPlan>,
    batch: RecordBatch,
    supplied: BTreeMap<(usize, usize), Supplied>,
}

impl BatchRows {
    /// Takes a batch with all fields of the plan, in its order.
    ///
    /// # Errors
    /// Verification: fields that are not those of the plan.
    pub fn new(plan: Arc<ColumnPlan>, batch: RecordBatch) -> Result<Self> {
        plan.check_schema(&batch.schema())?;
        Ok(Self { plan, batch, supplied: BTreeMap::new() })
    }

    /// The plan.
    pub fn plan(&self) -> &ColumnPlan {
        &self.plan
    }

    /// The plan, where the rows are of no more use.
    pub(super) fn into_plan(self) -> Arc<ColumnPlan> {
        self.plan
    }

    /// The batch.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The rows from one on.
    pub fn from_row(self, first: usize) -> Self {
        let batch = self.batch.slice(first, self.batch.num_rows() - first);
        let supplied = self.supplied.into_iter();
        let supplied = supplied.filter_map(|((row, column), what)| Some(((row.checked_sub(first)?, column), what)));
        Self { plan: self.plan, batch, supplied: supplied.collect() }
    }

    /// The first rows and the rest.
    pub fn split(self, at: usize) -> (Self, Self) {
        let (first, rest) = self.supplied.into_iter().partition(|((row, _), _)| *row < at);
        let moved = |rest: BTreeMap<(usize, usize), Supplied>| {
            rest.into_iter().map(|((row, column), what)| ((row - at, column), what)).collect()
        };
        let (plan, batch) = (self.plan, self.batch);
        let rows = batch.num_rows();
        (
            Self { plan: Arc::clone(&plan), batch: batch.slice(0, at), supplied: first },
            Self { plan, batch: batch.slice(at, rows - at), supplied: moved(rest) },
        )
    }

    /// The rows that are marked, of a batch of which nothing was supplied.
    ///
    /// # Errors
    /// Internal, if it cannot be filtered.
    pub fn filtered(self, marked: &BooleanArray) -> Result<Self> {
        let batch = filter_record_batch(&self.batch, marked);
        let batch = batch.map_err(|error| Error::internal("a batch cannot be filtered").caused_by(error))?;
        Ok(Self { plan: self.plan, batch, supplied: BTreeMap::new() })
    }

    /// The key of a row.
    ///
    /// # Errors
    /// Verification: NULL.
    pub fn key(&self, row: usize) -> Result<Guid> {
        let key = self.plan.key();
        self.id(row, key)?.ok_or_else(|| self.bad(row, key, "NULL in a column that does not take it".to_owned()))
    }

    /// The id of a row's own key, or of another one's in a column of the same type; `None` for NULL.
    ///
    /// # Errors
    /// Verification: a value that does not fit its column.
    pub fn id(&self, row: usize, column: usize) -> Result<Option<Guid>> {
        let (cell, key_type) = (self.decoded(row, column)?, self.plan.key_type());
        match key_type.id(cell) {
            // A binary of another length than keys have: taken for NULL, it would be a row without a parent.
            None if cell != Cell::Null => Err(self.bad(row, column, format!("it is no {key_type}, as keys are"))),
            id => Ok(id),
        }
    }

    /// The keys of all rows.
    ///
    /// # Errors
    /// Verification: NULL.
    pub fn keys(&self) -> Result<Vec<Guid>> {
        (0..self.rows()).map(|row| self.key(row)).collect()
    }

    /// The run that captured a row.
    ///
    /// # Errors
    /// Verification: NULL; Internal, if the plan has none.
    pub fn run_id(&self, row: usize) -> Result<Guid> {
        self.guid(row, self.plan.columns().len() + 1)
    }

    /// When that run started, UTC.
    ///
    /// # Errors
    /// As [`BatchRows::run_id`].
    pub fn run_started_at(&self, row: usize) -> Result<Timestamp> {
        match self.decoded(row, self.plan.columns().len())? {
            Cell::DateTime(at) => Ok(at),
            _ => Err(Error::verification("a row does not say when its run started")),
        }
    }

    /// The version of a row by rule 14; that of a tombstone if the batch holds tombstones.
    ///
    /// # Errors
    /// Verification: values that no row can have.
    pub fn version(&self, row: usize, tombstone: bool) -> Result<Version> {
        let modified_on = match self.plan.index_of(DELTA_MODIFIED_ON) {
            Some(column) => match self.decoded(row, column)? {
                Cell::DateTime(at) => Some(at),
                _ => None,
            },
            None => return Err(Error::verification("the rows have no such column").column(DELTA_MODIFIED_ON)),
        };
        let tombstone = tombstone.then(|| self.reason(row)).transpose()?;
        Ok(Version { modified_on, tombstone, run_started_at: self.run_started_at(row)?, run_id: self.run_id(row)? })
    }

    /// Why a tombstone stands.
    ///
    /// # Errors
    /// Verification: a reason that is none; Internal, if the batch holds no tombstones.
    pub fn reason(&self, row: usize) -> Result<DeletionReason> {
        let column = self.plan.index_of(DELTA_REASON);
        let column = column.ok_or_else(|| Error::internal("the batch holds no tombstones"))?;
        let known = match self.decoded(row, column)? {
            Cell::Text(text) => DeletionReason::parse(text),
            _ => None,
        };
        known.ok_or_else(|| self.bad(row, column, "neither Deleted nor LeftScope".to_owned()))
    }

    /// The versions of all rows, none a tombstone.
    ///
    /// # Errors
    /// As [`BatchRows::version`].
    pub fn versions(&self) -> Result<Vec<Version>> {
        (0..self.rows()).map(|row| self.version(row, false)).collect()
    }

    /// The content hash that a row gives for a blob column.
    ///
    /// # Errors
    /// Internal, if the column has none.
    pub fn content_sha256(&self, row: usize, column: usize) -> Result<Option<Sha256>> {
        let array = self.companion::<FixedSizeBinaryArray>(column, |planned| planned.content_sha256)?;
        if array.is_null(row) {
            return Ok(None);
        }
        let bytes = array.value(row).try_into();
        bytes.map(|bytes| Some(Sha256::from_bytes(bytes))).map_err(|_| Error::verification("a hash is not 32 bytes"))
    }

    /// Where a row says that the value lies, if not inline. Not checked.
    ///
    /// # Errors
    /// Internal, if the column is not a large one.
    pub fn blob_ref(&self, row: usize, column: usize) -> Result<Option<&str>> {
        let array = self.companion::<StringArray>(column, |planned| planned.blob_ref)?;
        Ok((!array.is_null(row)).then(|| array.value(row)))
    }

    /// What a row says of a value that is left out; `None` for one that is here. Only values with a content hash are left
    /// out.
    ///
    /// # Errors
    /// Internal, if there is no such column.
    pub fn known_ref(&self, row: usize, column: usize) -> Result<Option<KnownRef>> {
        let planned = self.plan.planned().get(column);
        match planned.filter(|planned| planned.content_sha256.is_some() && planned.blob_ref.is_some()) {
            Some(_) => Ok(self.blob_ref(row, column)?.and_then(KnownRef::parse)),
            None => Ok(None),
        }
    }

    /// All values that are left out: row, column, and what is said of them.
    ///
    /// # Errors
    /// None that a checked batch could cause.
    pub fn known_refs(&self) -> Result<Vec<(usize, usize, KnownRef)>> {
        let mut found = Vec::new();
        for column in 0..self.plan.columns().len() {
            for row in 0..self.rows() {
                found.extend(self.known_ref(row, column)?.map(|known| (row, column, known)));
            }
        }
        Ok(found)
    }

    /// All values that lie in `blob/`.
    ///
    /// # Errors
    /// None that a checked batch could cause.
    pub fn large_refs(&self) -> Result<Vec<LargeRef>> {
        let mut found = Vec::new();
        for (column, planned) in self.plan.planned().iter().enumerate() {
            if planned.blob_ref.is_none() {
                continue;
            }
            for row in 0..self.rows() {
                if self.known_ref(row, column)?.is_some() {
                    continue;
                }
                if let Some(reference) = self.blob_ref(row, column)? {
                    // A longer one is none. What comes in a part is not said in full.
                    let reference = reference.chars().take(REFERENCE_BYTES + 1).collect();
                    found.push(LargeRef { row, column, reference });
                }
            }
        }
        Ok(found)
    }

    /// Supplies the bytes of a value in `blob/`; its cell is then [`Cell::Bytes`] or [`Cell::Text`].
    ///
    /// # Errors
    /// Verification: bytes that are no value of the column, such as text that is not UTF-8.
    pub fn supply(&mut self, large: &LargeRef, bytes: Vec<u8>) -> Result<()> {
        let sql_type = self.plan.planned()[large.column].column.sql_type;
        if !sql_type.is_large_binary() && std::str::from_utf8(&bytes).is_err() {
            return Err(self.bad(large.row, large.column, "a text in blob/ is not UTF-8".to_owned()));
        }
        self.supplied.insert((large.row, large.column), Supplied::Bytes(bytes));
        Ok(())
    }

    /// Says only how many bytes such a value has; its cell is then [`Cell::Large`].
    pub fn supply_size(&mut self, large: &LargeRef, bytes: u64) {
        self.supplied.insert((large.row, large.column), Supplied::Size(bytes));
    }

    fn guid(&self, row: usize, column: usize) -> Result<Guid> {
        match self.decoded(row, column)? {
            Cell::Guid(guid) => Ok(guid),
            _ => Err(self.bad(row, column, "NULL in a column that does not take it".to_owned())),
        }
    }

    fn companion<A: 'static>(&self, column: usize, field: fn(&PlannedColumn) -> Option<usize>) -> Result<&A> {
        let planned = self.plan.planned().get(column);
        let array = planned.and_then(field).map(|field| self.batch.column(field).as_any());
        array
            .and_then(|array| array.downcast_ref::<A>())
            .ok_or_else(|| Error::internal(format!("column {column} of the plan has no such companion")))
    }

    fn decoded(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let planned = self.plan.planned().get(column);
        let planned = planned.ok_or_else(|| Error::internal(format!("the plan has no column {column}")))?;
        let array = self.batch.column(planned.value).as_ref();
        if row >= array.len() {
            return Err(Error::internal(format!("the batch has no row {row}")));
        }
        if array.is_null(row) {
            return self.null(row, column, planned);
        }
        let of = |field: Option<usize>| field.map(|field| self.batch.column(field).as_ref());
        let moments = times::Moments { value: array, ticks: of(planned.ticks), offset: of(planned.offset) };
        let sql_type = planned.column.sql_type;
        let cell = numbers::decode(sql_type, array, row)
            .or_else(|| text::decode(sql_type, array, row))
            .or_else(|| binary::decode(sql_type, array, row))
            .or_else(|| guid::decode(sql_type, array, row))
            .or_else(|| times::decode(sql_type, moments, row));
        let cell = cell.ok_or_else(|| self.bad(row, column, format!("the fields make no value of {sql_type}")))?;
        value_range::check(sql_type, &cell).map_err(|why| self.bad(row, column, why))?;
        Ok(cell)
    }

    fn null(&self, row: usize, column: usize, planned: &PlannedColumn) -> Result<Cell<'_>> {
        match self.supplied.get(&(row, column)) {
            Some(Supplied::Size(bytes)) => return Ok(Cell::Large(*bytes)),
            Some(Supplied::Bytes(bytes)) if planned.column.sql_type.is_large_binary() => {
                return Ok(Cell::Bytes(bytes));
            }
            Some(Supplied::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes);
                return text.map(Cell::Text).map_err(|_| self.bad(row, column, "not UTF-8".to_owned()));
            }
            None => {}
        }
        // Of a value that is left out only this is known.
        if let Some(known) = self.known_ref(row, column)? {
            return Ok(Cell::Large(known.bytes));
        }
        if planned.blob_ref.is_some() && self.blob_ref(row, column)?.is_some() {
            return Err(Error::internal("a value that lies in blob/ was not supplied").column(&planned.column.name));
        }
        if !planned.column.nullable {
            return Err(self.bad(row, column, "NULL in a column that does not take it".to_owned()));
        }
        Ok(Cell::Null)
    }

    fn bad(&self, row: usize, column: usize, why: String) -> Error {
        let error = Error::verification(format!("a value does not fit its column: {why}"));
        let error = error.column(&self.plan.planned()[column].column.name);
        // The key is read only for another column's error, or a bad key would name itself forever.
        if column != self.plan.key()
            && let Ok(Some(key)) = self.id(row, self.plan.key())
        {
            return error.key(self.plan.key_type().shown(key));
        }
        error
    }
}

impl RowSource for BatchRows {
    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        self.decoded(row, column)
    }
}
