//! [`Stream`]: what is kept of one bundle, row by row, in the order in which it stands there.

use crate::backend::{Kept, Versions};
use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, PartReader, TableInfo};
use crate::conform::{RowRules, RowWalk, TombstoneRules, TombstoneWalk, first_of};
use crate::convert::{BatchRows, ColumnPlan, adapt};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_DEPTH;
use crate::monitor::{Event, Monitor};
use arrow::array::{Array, ArrayRef, BooleanArray, Int16Array, RecordBatch};
use arrow::compute::filter_record_batch;
use std::collections::VecDeque;
use std::sync::Arc;

/// Places that are asked for at once.
const PLACES: u32 = 16_384;

/// Where a row stands among all rows of a table: depth, path, and what its key is sorted by.
pub(super) type Position = (i64, Vec<u8>, [u8; 16]);

/// See the module's text.
pub(super) struct Stream<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    kept: Kept,
    /// Of the bundle's own columns.
    plan: Arc<ColumnPlan>,
    /// Of the columns of all bundles.
    to: Arc<ColumnPlan>,
    read: PartRead,
    files: VecDeque<&'b FileInfo>,
    reader: Option<PartReader>,
    /// The place of the next row that the reader gives.
    at: u64,
    /// As many rows as its files have, and how many of them were told to be gone through.
    all_rows: u64,
    reported_rows: u64,
    places: VecDeque<u64>,
    asked_from: Option<u64>,
    batch: Option<(BatchRows, usize)>,
    /// How far its rows, or its tombstones, were held against their manifest.
    rows: RowWalk,
    tombstones: TombstoneWalk,
}

impl<'b> Stream<'b> {
    pub(super) fn new(
        (bundle, table): (&'b Bundle, &'b TableInfo),
        kept: Kept,
        to: Arc<ColumnPlan>,
        batch_bytes: u64,
    ) -> Result<Self> {
        let role = if kept.tombstones { FileRole::Tombstones } else { FileRole::Rows };
        let plan = match kept.tombstones {
            true => Arc::clone(&to),
            false => Arc::new(ColumnPlan::rows(&table.model_columns()?, &table.key_column)?),
        };
        Ok(Self {
            bundle,
            table,
            kept,
            plan,
            to,
            read: PartRead { batch_bytes, ..PartRead::default() },
            files: table.files_of(role).collect(),
            reader: None,
            at: 0,
            all_rows: table.files_of(role).filter_map(|file| file.rows).sum(),
            reported_rows: 0,
            places: VecDeque::new(),
            asked_from: Some(0),
            batch: None,
            rows: RowWalk::default(),
            tombstones: TombstoneWalk::default(),
        })
    }

    pub(super) fn bundle(&self) -> &'b Bundle {
        self.bundle
    }

    pub(super) fn table(&self) -> &'b TableInfo {
        self.table
    }

    /// The batch and the row where the stream stands; nothing at its end.
    pub(super) fn current(&self) -> Option<(&BatchRows, usize)> {
        self.batch.as_ref().map(|(batch, row)| (batch, *row))
    }

    /// Goes to the first row, or from the last row of a batch to the next batch.
    ///
    /// # Errors
    /// Verification; Io; Database; Cancelled.
    pub(super) fn next_batch(&mut self, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
        self.batch = None;
        let done = self.fill(versions, monitor);
        if self.batch.is_none() {
            // What stands behind the last row that is kept is not read.
            self.at = self.all_rows;
        }
        monitor.event(Event::WorkDone { rows: self.at.saturating_sub(self.reported_rows), bytes: 0 });
        self.reported_rows = self.at;
        done
    }

    /// Reads on to a batch of which rows are kept, if there is one.
    fn fill(&mut self, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
        while let Some(next) = self.next_place(versions)? {
            monitor.check()?;
            let Some(reader) = &mut self.reader else {
                self.next_file(next, monitor)?;
                continue;
            };
            let Some(batch) = reader.next().transpose().map_err(|error| error.file(self.bundle.path()))? else {
                self.reader = None;
                continue;
            };
            let end = self.at + batch.num_rows() as u64;
            let mask = self.mask(end, versions)?;
            self.at = end;
            if mask.true_count() > 0 {
                let batch = filtered(&batch, &mask)?;
                self.hold(&batch)?;
                let batch = self.shifted(batch)?;
                self.batch = Some((self.adapted(batch)?, 0));
                break;
            }
        }
        Ok(())
    }

    /// Holds rows that are kept against what their manifest says; that they stand in order is seen where they are merged.
    fn hold(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rows = BatchRows::new(self.plan.clone(), batch.clone())?;
        if self.kept.tombstones {
            let rules = TombstoneRules::new(self.bundle, self.table);
            return first_of(self.bundle, |report| {
                (0..rows.rows()).try_for_each(|row| rules.tombstone((&rows, row), &mut self.tombstones, report))
            });
        }
        for large in rows.large_refs()? {
            rows.supply_size(&large, 0);
        }
        let rules = RowRules::new(self.bundle, self.table, &self.plan)?;
        first_of(self.bundle, |report| rules.batch(&rows, &mut self.rows, report))
    }

    /// The batch with the columns of all bundles.
    fn adapted(&self, batch: RecordBatch) -> Result<BatchRows> {
        let rows = BatchRows::new(self.plan.clone(), batch)?;
        if self.to.schema() == self.plan.schema() {
            return Ok(rows);
        }
        let adapted = adapt(&rows, &self.to).map_err(|error| error.file(self.bundle.path()))?;
        BatchRows::new(self.to.clone(), adapted)
    }

    /// Goes `rows` rows on in the batch; whether there is one there.
    pub(super) fn skip(&mut self, rows: usize) -> bool {
        let Some((batch, row)) = &mut self.batch else { return false };
        *row += rows;
        *row < batch.rows()
    }

    /// Where a row of the batch stands.
    ///
    /// # Errors
    /// Verification: a row without depth or key.
    pub(super) fn position(&self, row: usize) -> Result<Position> {
        let Some((batch, _)) = &self.batch else { return Err(Error::internal("a stream was read behind its end")) };
        let key = self.table.key_order.sort_key(batch.key(row)?);
        if self.kept.tombstones {
            return Ok((0, Vec::new(), key));
        }
        let cell = |name: &str| self.to.index_of(name).map(|column| batch.cell(row, column)).transpose();
        let Some(Cell::Int(depth)) = cell(DELTA_DEPTH)? else {
            return Err(Error::verification("a row has no depth").column(DELTA_DEPTH));
        };
        let path = match self.table.path_column.as_deref().map(cell).transpose()?.flatten() {
            Some(Cell::Bytes(path)) => path.to_vec(),
            Some(Cell::Text(path)) => path.as_bytes().to_vec(),
            Some(Cell::Guid(path)) => self.table.key_order.sort_key(path).to_vec(),
            _ => Vec::new(),
        };
        Ok((depth, path, key))
    }

    fn next_place(&mut self, versions: &mut dyn Versions) -> Result<Option<u64>> {
        if let (true, Some(from)) = (self.places.is_empty(), self.asked_from) {
            self.places = versions.places(self.kept, from, PLACES)?.into();
            self.asked_from = self.places.back().filter(|_| self.places.len() == PLACES as usize).map(|last| last + 1);
        }
        Ok(self.places.front().copied())
    }

    /// Opens the next file, or passes by one of which nothing is kept.
    fn next_file(&mut self, next: u64, monitor: &dyn Monitor) -> Result<()> {
        let Some(file) = self.files.pop_front() else {
            return Err(Error::internal("a row that is kept is in no file").file(self.bundle.path()));
        };
        let rows = file.rows.unwrap_or(0);
        if next >= self.at + rows {
            self.at += rows;
            return Ok(());
        }
        let checked = self.bundle.check_file(file, monitor)?;
        self.reader = Some(self.bundle.open_part(checked, &self.read)?);
        Ok(())
    }

    /// Which of the rows up to `end` are kept.
    fn mask(&mut self, end: u64, versions: &mut dyn Versions) -> Result<BooleanArray> {
        let mut mask = Vec::new();
        for place in self.at..end {
            let is_kept = self.next_place(versions)? == Some(place);
            if is_kept {
                self.places.pop_front();
            }
            mask.push(is_kept);
        }
        Ok(BooleanArray::from(mask))
    }

    /// The batch with the depths that its rows have now.
    fn shifted(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let column = self.plan.index_of(DELTA_DEPTH).map(|column| self.plan.planned()[column].value);
        let Some(column) = column.filter(|_| self.kept.shift != 0) else { return Ok(batch) };
        let depths = batch.column(column).as_any().downcast_ref::<Int16Array>();
        let depths = depths.ok_or_else(|| Error::verification("depths are no smallint").column(DELTA_DEPTH))?;
        let shift = i16::try_from(self.kept.shift).unwrap_or(0);
        let shifted: Int16Array = depths.iter().map(|depth| depth.map(|depth| depth.saturating_add(shift))).collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[column] = Arc::new(shifted);
        RecordBatch::try_new(batch.schema(), columns)
            .map_err(|error| Error::internal("a batch cannot be made").caused_by(error))
    }
}

fn filtered(batch: &RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(batch, mask).map_err(|error| Error::internal("a batch cannot be filtered").caused_by(error))
}
