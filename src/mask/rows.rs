//! Rows of a batch, masked: on all cores, range by range.

use super::column::ColumnMask;
use super::placeholder::{HEAD_BYTES, file_type};
use super::plan::TableMask;
use super::rule::MaskKind;
use super::secret::MaskSecret;
use super::value::{MadeFrom, MadeValue, MaskContext, Masked};
use crate::bundle::layout::PayloadFile;
use crate::convert::{BatchBuilder, BatchRows, ColumnPlan, RunStamp};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, CellSink as _, RowSource as _};
use crate::model::column::{Column, DELTA_MODIFIED_ON};
use crate::model::sqltype::SqlType;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ranges of a batch. Their number decides what stands together in a file, so it is not that of the cores.
const RANGES: usize = 16;
/// Ranges of fewer rows are not worth a thread.
const LEAST_ROWS: usize = 4;

/// The first bytes of values in `blob/`, by their references.
pub(super) type Heads = BTreeMap<String, Vec<u8>>;

/// Masks the rows of one table.
pub(super) struct RowMasker<'m> {
    pub(super) mask: &'m TableMask,
    pub(super) secret: &'m MaskSecret,
    pub(super) plan: Arc<ColumnPlan>,
    pub(super) inline_bytes: u64,
    pub(super) threads: usize,
    /// Files for whose type there is no placeholder, so far.
    pub(super) untyped: AtomicU64,
}

/// Masked rows, of which values may still have to be put into `blob/`.
pub(super) struct MaskedRows {
    builder: BatchBuilder,
    batch: Option<RecordBatch>,
    pub(super) large: Vec<LargeValue>,
}

/// A value for `blob/`.
pub(super) struct LargeValue {
    /// Of the original.
    pub(super) reference: String,
    pub(super) column: usize,
    pub(super) made: MadeValue,
}

impl MaskedRows {
    /// The batch, once [`MaskedRows::resolve`] was called for each of its large values.
    pub(super) fn finish(mut self) -> Result<RecordBatch> {
        self.batch.map_or_else(|| self.builder.finish(), Ok)
    }

    /// Says where the next large value lies, and what its hash is.
    pub(super) fn resolve(&mut self, reference: &str) -> Result<()> {
        let slot = self.builder.pending_large().first().copied();
        let slot = slot.ok_or_else(|| Error::internal("a large value has no row"))?;
        let sha256 = PayloadFile::sha256_of_reference(reference);
        let sha256 = sha256.ok_or_else(|| Error::internal("a large value was placed under no name of one"))?;
        self.builder.resolve_large(slot, reference, sha256)
    }
}

impl RowMasker<'_> {
    /// Masks all rows of a batch; the ranges stand in their order.
    pub(super) fn batch(&self, rows: &BatchRows, heads: &Heads) -> Result<Vec<MaskedRows>> {
        let count = rows.rows().div_ceil(RANGES).max(LEAST_ROWS);
        let ranges = (0..rows.rows()).step_by(count).map(|start| start..rows.rows().min(start + count));
        let ranges: Vec<Range<usize>> = ranges.collect();
        let workers = self.threads.clamp(1, RANGES);
        let work = |worker: usize| {
            let own = ranges.iter().skip(worker).step_by(workers);
            own.map(|range| self.range(rows, range.clone(), heads)).collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let works: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
            let done = works.into_iter().map(|work| work.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let mut done: Vec<_> = done.map(Vec::into_iter).collect();
            (0..ranges.len()).filter_map(|nth| done[nth % workers].next()).collect()
        })
    }

    fn range(&self, rows: &BatchRows, range: Range<usize>, heads: &Heads) -> Result<MaskedRows> {
        let nobody = RunStamp { started_at: rows.run_started_at(range.start)?, run_id: rows.run_id(range.start)? };
        let mut masked =
            MaskedRows { builder: BatchBuilder::new(self.plan.clone(), nobody), batch: None, large: Vec::new() };
        let mut run = None;
        for row in range {
            let id = rows.run_id(row)?;
            let run_id = match run {
                Some((last, masked)) if last == id => masked,
                _ => self.secret.masked_id("run", id),
            };
            run = Some((id, run_id));
            masked.builder.set_run(RunStamp { started_at: rows.run_started_at(row)?, run_id });
            self.row((rows, row), heads, &mut masked)?;
        }
        if masked.large.is_empty() {
            masked.batch = Some(masked.builder.finish()?);
        }
        Ok(masked)
    }

    fn row(&self, (rows, row): (&BatchRows, usize), heads: &Heads, out: &mut MaskedRows) -> Result<()> {
        let key = rows.key(row)?;
        let masks = &self.mask.columns;
        self.check_shifts(rows, row)?;
        let mut values = Vec::with_capacity(masks.len());
        for (column, mask) in masks.iter().enumerate() {
            let cell = rows.cell(row, column)?;
            let large = matches!(cell, Cell::Large(_)).then(|| rows.blob_ref(row, column)).transpose()?.flatten();
            let context = MaskContext {
                key: key.as_bytes(),
                sha256: large.and_then(PayloadFile::sha256_of_reference),
                file_type: match mask.kind {
                    MaskKind::Placeholder => self.file_type((rows, row), mask, (cell, large), heads)?,
                    _ => None,
                },
            };
            values.push((mask.mask(cell, &context)?, large));
        }
        for column in 0..values.len() {
            let size = self.size(column, &values);
            match size.as_ref().unwrap_or(&values[column].0) {
                Masked::Cell(cell) => out.builder.cell(column, *cell)?,
                Masked::Text(text) => out.builder.cell(column, Cell::Text(text))?,
                Masked::Made(_) => {
                    let (value, large) = &mut values[column];
                    let value = std::mem::replace(value, Masked::Cell(Cell::Null));
                    let Masked::Made(made) = value else { continue };
                    self.push_made(column, made, *large, out)?;
                }
            }
        }
        out.builder.end_row()
    }

    /// `DeltaModifiedOn` stays as it is. A date that has the same time, and shares its shift with others, would tell theirs.
    fn check_shifts(&self, rows: &BatchRows, row: usize) -> Result<()> {
        let Some(stamp) = self.columns().iter().position(|column| column.name == DELTA_MODIFIED_ON) else {
            return Ok(());
        };
        let stamp = rows.cell(row, stamp)?;
        for column in self.mask.shifted_alike.iter().copied() {
            if stamp != Cell::Null && rows.cell(row, column)? == stamp {
                let text = "a row has in this column the time of its DeltaModifiedOn, which stays: the shift of all dates of \
                            the row could be computed from it";
                return Err(Error::config(text).column(&self.columns()[column].name).hint(
                    "give the rule of this column a domain of its own, such as domain = \"changed\", so that the other dates \
                     are shifted otherwise; or mask it by keep, null or fixed",
                ));
            }
        }
        Ok(())
    }

    /// Pushes a value that is made: into the row, or to be put into `blob/`.
    fn push_made(&self, column: usize, made: MadeValue, large: Option<&str>, out: &mut MaskedRows) -> Result<()> {
        let needs_original = matches!(made.from, MadeFrom::Original | MadeFrom::Tokens);
        if let Some(reference) = large.filter(|_| needs_original || made.bytes > self.inline_bytes) {
            out.builder.cell(column, Cell::Large(made.bytes))?;
            out.large.push(LargeValue { reference: reference.to_owned(), column, made });
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(made.bytes).unwrap_or(0));
        let written = made.write_to(&mut bytes);
        written.map_err(|error| Error::internal("a mask was not made").caused_by(error))?;
        match self.is_binary(column) {
            true => out.builder.cell(column, Cell::Bytes(&bytes)),
            false => {
                let text = std::str::from_utf8(&bytes);
                let text = text.map_err(|error| Error::internal("a mask is no text").caused_by(error))?;
                out.builder.cell(column, Cell::Text(text))
            }
        }
    }

    fn is_binary(&self, column: usize) -> bool {
        let sql_type = self.columns()[column].sql_type;
        matches!(sql_type, SqlType::VarBinary(_) | SqlType::Binary(_) | SqlType::Image | SqlType::RowVersion)
    }

    fn columns(&self) -> &[Column] {
        self.plan.columns()
    }

    /// The value of a column that says the size of another's masked one. NULL stays NULL.
    fn size<'c>(&self, column: usize, values: &[(Masked<'c>, Option<&str>)]) -> Option<Masked<'c>> {
        let mask = self.mask.columns.get(column).filter(|mask| mask.kind == MaskKind::SizeOf)?;
        if matches!(values[column].0, Masked::Cell(Cell::Null)) {
            return None;
        }
        let bytes = mask.other.and_then(|other| values.get(other)).and_then(|(other, _)| other.bytes());
        let most = match mask.sql_type {
            SqlType::TinyInt => u8::MAX.into(),
            SqlType::SmallInt => i16::MAX.into(),
            SqlType::Int => i32::MAX.into(),
            _ => i64::MAX,
        };
        let size = i64::try_from(bytes.unwrap_or(0)).unwrap_or(i64::MAX).min(most);
        let is_null = bytes.is_none() && self.columns()[column].nullable;
        Some(Masked::Cell(match mask.sql_type {
            _ if is_null => Cell::Null,
            SqlType::Decimal { .. } => Cell::Decimal(size.into()),
            _ => Cell::Int(size),
        }))
    }

    fn file_type(
        &self,
        (rows, row): (&BatchRows, usize),
        mask: &ColumnMask,
        (cell, large): (Cell<'_>, Option<&str>),
        heads: &Heads,
    ) -> Result<Option<super::placeholder::FileType>> {
        let head = match (cell, large) {
            (Cell::Bytes([]) | Cell::Null, _) => return Ok(None),
            (Cell::Bytes(bytes), _) => &bytes[..bytes.len().min(HEAD_BYTES)],
            (_, Some(reference)) => heads.get(reference).map_or(&[][..], Vec::as_slice),
            _ => &[],
        };
        let name = match mask.other.map(|other| rows.cell(row, other)).transpose()? {
            Some(Cell::Text(name)) => Some(name),
            _ => None,
        };
        let found = file_type(name, head);
        if found.is_none() {
            self.untyped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(found)
    }
}
