//! [`Stream`]: what is kept of one bundle, row by row, in the order in which it stands there.

use super::places::KeptPlaces;
use crate::backend::{Kept, Versions};
use crate::bundle::{FileInfo, FileRole};
use crate::conform::TableWalk;
use crate::convert::{BatchRows, ColumnPlan, adapt};
use crate::error::{Error, Result};
use crate::known::{KnownValues, pieces};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{Column, DELTA_DEPTH};
use crate::model::key::path_order;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, PartRows, TableRows};
use arrow::array::{Array, ArrayRef, BooleanArray, Int16Array, RecordBatch};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a row stands among all rows of a table: depth, path, and what its key is sorted by.
pub(super) type Position = (i64, Vec<u8>, [u8; 16]);

/// See the module's text.
pub(super) struct Stream<'b> {
    source: TableRows<'b>,
    kept: Kept,
    /// The bundle's own columns.
    columns: PartColumns,
    /// Of the columns of all bundles.
    to: Arc<ColumnPlan>,
    files: VecDeque<&'b FileInfo>,
    reader: Option<PartRows>,
    /// The place of the next row that the reader gives.
    at: u64,
    /// As many rows as its files have, and how many of them were told to be gone through.
    all_rows: u64,
    reported_rows: u64,
    places: KeptPlaces,
    /// Rows that are kept, and are to be given next; they may still leave values out.
    pieces: VecDeque<BatchRows>,
    batch: Option<(BatchRows, usize)>,
    walk: TableWalk<'b>,
}

impl<'b> Stream<'b> {
    pub(super) fn new(source: TableRows<'b>, kept: Kept, to: Arc<ColumnPlan>, batch_bytes: u64) -> Result<Self> {
        let role = if kept.tombstones { FileRole::Tombstones } else { FileRole::Rows };
        let TableRows { bundle, table } = source;
        Ok(Self {
            source,
            kept,
            columns: PartColumns { batch_bytes, ..PartColumns::all(table, role)? },
            to,
            files: table.files_of(role).collect(),
            reader: None,
            at: 0,
            all_rows: table.files_of(role).filter_map(|file| file.rows).sum(),
            reported_rows: 0,
            places: KeptPlaces::of(kept),
            pieces: VecDeque::new(),
            batch: None,
            walk: TableWalk::of_some(bundle, table),
        })
    }

    pub(super) fn source(&self) -> TableRows<'b> {
        self.source
    }

    /// The batch and the row where the stream stands; nothing at its end.
    pub(super) fn current(&self) -> Option<(&BatchRows, usize)> {
        self.batch.as_ref().map(|(batch, row)| (batch, *row))
    }

    /// Goes to the first row, or from the last row of a batch to the next batch.
    ///
    /// # Errors
    /// Verification; Io; Database; Cancelled.
    pub(super) fn next_batch(
        &mut self,
        (versions, known): (&mut dyn Versions, &mut KnownValues<'_, '_>),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        self.batch = None;
        let read = if self.pieces.is_empty() { self.read_on(versions, monitor) } else { Ok(()) };
        let done = read.and_then(|()| {
            if let Some(piece) = self.pieces.pop_front() {
                let rows = self.shifted(self.whole(piece, known)?)?;
                self.batch = Some((self.adapted(rows)?, 0));
            }
            Ok(())
        });
        if self.batch.is_none() {
            // What stands behind the last row that is kept is not read.
            self.at = self.all_rows;
        }
        monitor.event(Event::WorkDone { rows: self.at.saturating_sub(self.reported_rows), bytes: 0 });
        self.reported_rows = self.at;
        done
    }

    /// Reads on to a batch of which rows are kept, if there is one.
    fn read_on(&mut self, versions: &mut dyn Versions, monitor: &dyn Monitor) -> Result<()> {
        while let Some(next) = self.places.next(versions)? {
            monitor.check()?;
            let Some(reader) = &mut self.reader else {
                self.next_file(next, monitor)?;
                continue;
            };
            let Some(batch) = reader.next().transpose().map_err(|error| error.file(self.source.bundle.path()))? else {
                self.reader = None;
                continue;
            };
            let end = self.at + batch.rows() as u64;
            let mask = self.mask(end, versions)?;
            self.at = end;
            if mask.true_count() > 0 {
                let mut batch = batch.filtered(&mask)?;
                self.hold(&mut batch)?;
                self.pieces = pieces(batch, self.columns.batch_bytes)?.into();
                break;
            }
        }
        Ok(())
    }

    /// Holds rows that are kept against what their manifest says; that they stand in order is seen where they are merged.
    fn hold(&mut self, batch: &mut BatchRows) -> Result<()> {
        match self.kept.tombstones {
            true => self.walk.tombstones(batch),
            false => {
                self.source.supply_sizes(batch)?;
                self.walk.rows(batch)
            }
        }
    }

    /// The rows with the values that they leave out.
    fn whole(&self, rows: BatchRows, known: &mut KnownValues<'_, '_>) -> Result<BatchRows> {
        if self.source.table.known_content.is_empty() {
            return Ok(rows);
        }
        let rows = known.fill(rows)?;
        match rows.known_refs()?.is_empty() {
            true => Ok(rows),
            false => Err(Error::internal("a row that is kept leaves out a value that nobody looked for")),
        }
    }

    /// The batch with the columns of all bundles.
    fn adapted(&self, rows: BatchRows) -> Result<BatchRows> {
        if self.to.schema() == self.columns.plan.schema() {
            return Ok(rows);
        }
        let adapted = adapt(&rows, &self.to).map_err(|error| error.file(self.source.bundle.path()))?;
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
        let key_order = self.source.table.key_order;
        let key = batch.plan().key_type().sort_key(key_order, batch.key(row)?);
        if self.kept.tombstones {
            return Ok((0, Vec::new(), key));
        }
        // The last bundle may spell a column otherwise.
        let is_it = |column: &Column, name: &str| column.name.eq_ignore_ascii_case(name);
        let at = |name: &str| self.to.columns().iter().position(|column| is_it(column, name));
        let cell = |name: &str| at(name).map(|column| batch.cell(row, column)).transpose();
        let Some(Cell::Int(depth)) = cell(DELTA_DEPTH)? else {
            return Err(Error::verification("a row has no depth").column(DELTA_DEPTH));
        };
        let path = self.source.table.path_column.as_deref().map(cell).transpose()?.flatten();
        Ok((depth, path_order(path, key_order).into_owned(), key))
    }

    /// Opens the next file, or passes by one of which nothing is kept.
    fn next_file(&mut self, next: u64, monitor: &dyn Monitor) -> Result<()> {
        let Some(file) = self.files.pop_front() else {
            return Err(Error::internal("a row that is kept is in no file").file(self.source.bundle.path()));
        };
        let rows = file.rows.unwrap_or(0);
        if next >= self.at + rows {
            self.at += rows;
            return Ok(());
        }
        self.reader = Some(self.source.open(file, &self.columns, monitor)?);
        Ok(())
    }

    /// Which of the rows up to `end` are kept.
    fn mask(&mut self, end: u64, versions: &mut dyn Versions) -> Result<BooleanArray> {
        let mut mask = Vec::new();
        for place in self.at..end {
            mask.push(self.places.take(place, versions)?);
        }
        Ok(BooleanArray::from(mask))
    }

    /// The batch with the depths that its rows have now.
    fn shifted(&self, rows: BatchRows) -> Result<BatchRows> {
        let column = self.columns.plan.index_of(DELTA_DEPTH).map(|column| self.columns.plan.planned()[column].value);
        let Some(column) = column.filter(|_| self.kept.shift != 0) else { return Ok(rows) };
        let batch = rows.batch();
        let depths = batch.column(column).as_any().downcast_ref::<Int16Array>();
        let depths = depths.ok_or_else(|| Error::verification("depths are no smallint").column(DELTA_DEPTH))?;
        let shift = i16::try_from(self.kept.shift).unwrap_or(0);
        let shifted: Int16Array = depths.iter().map(|depth| depth.map(|depth| depth.saturating_add(shift))).collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[column] = Arc::new(shifted);
        let shifted = RecordBatch::try_new(batch.schema(), columns);
        let shifted = shifted.map_err(|error| Error::internal("a batch cannot be made").caused_by(error))?;
        BatchRows::new(self.columns.plan.clone(), shifted)
    }
}
