//! [`RowSorter`]: rows into another order, more of them than fit into memory.
//!
//! Rows come in the order of a table, and keep what of it the [`SortedWithin`] says: of rows of one depth, or of one depth and
//! path, which stand together, the order is new. So no more is held than such rows are. Where they are many, they lie in a temporary file,
//! in runs that are sorted each (`runs`), and are merged.

use super::picked::{PickedRows, SortMemory, TakeRows};
use super::place::RowPlace;
use super::runs::Runs;
use crate::error::Result;
use arrow::array::RecordBatch;

/// Rows that may change places with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortedWithin {
    /// None: the order stays.
    Nothing,
    /// Those of one depth and path.
    Path,
    /// Those of one depth.
    Depth,
}

/// See the module's text.
pub struct RowSorter {
    within: SortedWithin,
    memory: SortMemory,
    held: HeldRows,
    runs: Option<Runs>,
}

impl RowSorter {
    /// Without rows.
    pub fn new(within: SortedWithin, memory: SortMemory) -> Self {
        Self { within, memory, held: HeldRows::default(), runs: None }
    }

    /// Takes the next rows, of which `place` says where each is to stand, and gives those that nothing can come before any more.
    ///
    /// # Errors
    /// Database: the temporary file failed; what `place` and `take` say.
    pub fn push(
        &mut self,
        batch: RecordBatch,
        place: impl Fn(usize) -> Result<RowPlace>,
        take: TakeRows<'_>,
    ) -> Result<()> {
        if self.within == SortedWithin::Nothing {
            return take(batch);
        }
        let places = (0..batch.num_rows()).map(place).collect::<Result<Vec<_>>>()?;
        let Some(last) = places.last().cloned() else { return Ok(()) };
        // From here on others may come between.
        let open = places.iter().rposition(|place| !self.are_together(place, &last)).map_or(0, |at| at + 1);
        let is_complete = |held: &RowPlace| !self.are_together(held, &last);
        if open > 0 || self.held.last().is_some_and(is_complete) {
            self.held.add(batch.slice(0, open), &places[..open]);
            self.flush(take)?;
        }
        self.held.add(batch.slice(open, batch.num_rows() - open), &places[open..]);
        if self.held.bytes > self.memory.run_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// Gives what is left: all rows came.
    ///
    /// # Errors
    /// As [`RowSorter::push`].
    pub fn finish(mut self, take: TakeRows<'_>) -> Result<()> {
        self.flush(take)
    }

    fn are_together(&self, one: &RowPlace, other: &RowPlace) -> bool {
        one.depth == other.depth && (self.within != SortedWithin::Path || one.path == other.path)
    }

    fn flush(&mut self, take: TakeRows<'_>) -> Result<()> {
        if self.runs.is_none() {
            return std::mem::take(&mut self.held).sorted(self.memory.chunk_bytes, &mut |rows, _| take(rows));
        }
        self.spill()?;
        self.runs.take().map_or(Ok(()), |runs| runs.merged(take))
    }

    fn spill(&mut self) -> Result<()> {
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::new(self.memory)),
        };
        let mut run = runs.begin()?;
        std::mem::take(&mut self.held)
            .sorted(self.memory.chunk_bytes, &mut |rows, places| run.write(&rows, &places))?;
        run.finish();
        Ok(())
    }
}

/// Rows in memory, in the order in which they came.
#[derive(Default)]
struct HeldRows {
    batches: Vec<RecordBatch>,
    /// Of each row its place, the batch, and the row of it.
    rows: Vec<(RowPlace, usize, usize)>,
    bytes: u64,
}

impl HeldRows {
    fn add(&mut self, batch: RecordBatch, places: &[RowPlace]) {
        if places.is_empty() {
            return;
        }
        let nth = self.batches.len();
        self.rows.extend(places.iter().cloned().enumerate().map(|(row, place)| (place, nth, row)));
        // A slice holds all of what it was cut from.
        self.bytes += batch.get_array_memory_size() as u64;
        self.batches.push(batch);
    }

    fn last(&self) -> Option<&RowPlace> {
        self.rows.last().map(|(place, ..)| place)
    }

    /// Gives all rows in order with their places, so many bytes at once, and at least one row.
    fn sorted(mut self, most_bytes: u64, take: &mut dyn FnMut(RecordBatch, Vec<RowPlace>) -> Result<()>) -> Result<()> {
        if self.rows.is_sorted() && self.batches.len() <= 2 {
            let mut places = self.rows.into_iter().map(|(place, ..)| place);
            return self.batches.into_iter().try_for_each(|batch| {
                let places = places.by_ref().take(batch.num_rows()).collect();
                take(batch, places)
            });
        }
        self.rows.sort_unstable();
        let mut picked = PickedRows::default();
        let mut places = Vec::new();
        for (place, batch, row) in self.rows {
            if picked.bytes >= most_bytes {
                take(picked.finish()?, std::mem::take(&mut places))?;
            }
            picked.add(&self.batches[batch], (batch, 0, 0), row);
            places.push(place);
        }
        if places.is_empty() { Ok(()) } else { take(picked.finish()?, places) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray as _, BinaryArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Depth, path, and what the key is sorted by.
    type Row = (i64, u8, u64);

    fn place((depth, path, key): Row) -> RowPlace {
        let mut sorted_by = [0; 16];
        sorted_by[8..].copy_from_slice(&key.to_be_bytes());
        RowPlace { depth, path: vec![path], key: sorted_by }
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        let schema = Schema::new(vec![field("key", DataType::Int64), field("value", DataType::Binary)]);
        let keys = Int64Array::from_iter_values(rows.iter().map(|(.., key)| i64::try_from(*key).unwrap()));
        // One row takes more than a chunk.
        let values = rows.iter().map(|(.., key)| vec![7_u8; if key % 10 == 0 { 900 } else { 20 }]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys), Arc::new(BinaryArray::from_iter_values(values))])
            .unwrap()
    }

    /// The keys in the order in which they come out, with the most rows that were held.
    fn sorted(rows: &[Row], (batch_rows, within): (usize, SortedWithin), run_bytes: u64) -> Vec<u64> {
        let mut sorter = RowSorter::new(within, SortMemory { run_bytes, chunk_bytes: 300 });
        let mut out = Vec::new();
        let mut take = |batch: RecordBatch| {
            let keys = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
            out.extend(keys.values().iter().map(|key| u64::try_from(*key).unwrap()));
            Ok(())
        };
        for rows in rows.chunks(batch_rows) {
            sorter.push(batch(rows), |row| Ok(place(rows[row])), &mut take).unwrap();
        }
        sorter.finish(&mut take).unwrap();
        out
    }

    proptest! {
        #[test]
        fn rows_come_out_in_order_whether_they_fit_into_memory_or_not(
            mut rows in proptest::collection::vec((0_i64..3, 0_u8..3, 0_u64..10_000), 0..200),
            batch_rows in 1_usize..40,
            run_bytes in prop_oneof![Just(1_u64), Just(5_000), Just(1 << 30)],
        ) {
            for (within, before) in [
                (SortedWithin::Path, (|(depth, path, _): &Row| (*depth, *path)) as fn(&Row) -> (i64, u8)),
                (SortedWithin::Depth, |(depth, ..)| (*depth, 0)),
            ] {
                // They come in the order that stays, and otherwise in none.
                rows.sort_by_key(before);
                let mut due = rows.clone();
                due.sort_by_key(|row| place(*row));
                let due: Vec<u64> = due.into_iter().map(|(.., key)| key).collect();
                prop_assert_eq!(sorted(&rows, (batch_rows, within), run_bytes), due);
            }
        }
    }

    #[test]
    fn more_runs_than_are_read_side_by_side_are_merged_in_turns() {
        let rows: Vec<Row> = (0..600).map(|nth| (0, 0, nth * 7_919 % 601)).collect();
        let keys = sorted(&rows, (5, SortedWithin::Depth), 700);
        assert!(keys.len() == rows.len() && keys.is_sorted());
    }

    #[test]
    fn rows_whose_order_stays_are_not_held() {
        let mut sorter = RowSorter::new(SortedWithin::Path, SortMemory { run_bytes: 1, chunk_bytes: 300 });
        let rows: Vec<Row> = (0..50).map(|nth| (0, nth, nth.into())).collect();
        let mut count = 0;
        sorter
            .push(batch(&rows), |row| Ok(place(rows[row])), &mut |rows| {
                count += rows.num_rows();
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 49, "all but the last, which others may stand beside");
    }
}
