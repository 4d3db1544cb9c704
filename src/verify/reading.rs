//! Reading parts of a bundle: the one place where a panic of the Parquet reader is caught.
//!
//! A part is hashed right before it is opened, every time, so that what is decoded are the
//! bytes that were checked.

use crate::bundle::{Bundle, FileInfo, PartRead, PartReader};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use arrow::array::RecordBatch;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The rows of one part, batch by batch.
pub(super) struct Rows {
    reader: PartReader,
    plan: Arc<ColumnPlan>,
}

/// Opens a part with the columns of `plan`, all of them or some of the part's.
///
/// # Errors
/// Verification, also for a part that makes the reader panic; Io.
pub(super) fn open(
    bundle: &Bundle,
    file: &FileInfo,
    plan: &Arc<ColumnPlan>,
    is_whole: bool,
    monitor: &dyn Monitor,
) -> Result<Rows> {
    let checked = bundle.check_file(file, monitor)?;
    let names = || plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let read = PartRead { columns: (!is_whole).then(names), ..PartRead::default() };
    let reader = caught(|| bundle.open_part(checked, &read))?;
    Ok(Rows { reader, plan: plan.clone() })
}

impl Rows {
    /// The next batch.
    ///
    /// # Errors
    /// As [`open`].
    pub(super) fn next(&mut self) -> Result<Option<BatchRows>> {
        let batch: Option<RecordBatch> = caught(|| self.reader.next().transpose())?;
        batch.map(|batch| caught(|| BatchRows::new(self.plan.clone(), batch))).transpose()
    }
}

/// Runs what a hostile part may make panic.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Whatever was being decoded is dropped with the error, so no broken state is seen again.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        let what =
            format!("the part cannot be decoded; the reader gave up: {:.200}", text.unwrap_or("no reason given"));
        Err(Error::verification(what))
    })
}
