//! [`PartRows`]: the rows of a part whose hash was checked, batch by batch.

use super::columns::PartColumns;
use crate::bundle::{Bundle, CheckedFile, PartReader};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// See the module's text. Each batch is decoded when it is asked for.
pub struct PartRows {
    reader: PartReader,
    plan: Arc<ColumnPlan>,
}

impl PartRows {
    /// Opens a part.
    ///
    /// # Errors
    /// Verification: as [`Bundle::open_part`], or its columns are not those that it should have.
    pub fn open(bundle: &Bundle, file: CheckedFile, columns: &PartColumns) -> Result<Self> {
        let path = file.path().to_owned();
        let reader = bundle.open_part(file, &columns.read())?;
        if columns.are_all {
            columns.plan.check_schema(reader.schema()).map_err(|error| error.file(path))?;
        }
        Ok(Self { reader, plan: Arc::clone(&columns.plan) })
    }

    /// Those of each row group, in order, to be read side by side; of a part of which nothing was read yet.
    pub fn by_row_group(&self) -> impl Iterator<Item = Self> {
        self.reader.by_row_group().map(|reader| Self { reader, plan: Arc::clone(&self.plan) })
    }

    /// What its row groups inflate to, those that were read already aside.
    pub fn inflated_bytes(&self) -> u64 {
        self.reader.inflated_bytes()
    }

    /// Goes through all batches; the next is decoded on another thread meanwhile, so that two are in memory.
    ///
    /// # Errors
    /// Verification; what `work` says, after which nothing more is read.
    pub fn each(self, work: impl FnMut(BatchRows) -> Result<()>) -> Result<()> {
        self.each_made(Ok, work)
    }

    /// The same, where the thread that decodes also makes something of each batch.
    ///
    /// # Errors
    /// As [`PartRows::each`], and what `make` says.
    pub fn each_made<T: Send>(
        self,
        mut make: impl FnMut(BatchRows) -> Result<T> + Send,
        mut work: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let (decoded, batches) = sync_channel(0);
            scope.spawn(move || self.into_iter().try_for_each(|rows| decoded.send(rows.and_then(&mut make))));
            batches.into_iter().try_for_each(|batch| work(batch?))
        })
    }
}

impl Iterator for PartRows {
    type Item = Result<BatchRows>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.and_then(|batch| BatchRows::new(Arc::clone(&self.plan), batch)))
    }
}

/// How many rows at the beginning of a part are still to be left out.
pub struct RowsToSkip(pub u64);

impl RowsToSkip {
    /// What is left of the next batch; nothing, if all of it is left out.
    pub fn rest_of(&mut self, rows: BatchRows) -> Option<BatchRows> {
        let count = rows.batch().num_rows();
        let skipped = usize::try_from(self.0).unwrap_or(usize::MAX).min(count);
        self.0 -= skipped as u64;
        (skipped < count).then(|| rows.from_row(skipped))
    }
}
