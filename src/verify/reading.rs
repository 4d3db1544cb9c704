//! Reading parts of a bundle as rows.
//!
//! A part is hashed right before it is opened, every time, so that what is decoded are the
//! bytes that were checked.

use crate::bundle::{Bundle, FileInfo, PartRead, PartReader};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use crate::monitor::Monitor;
use std::sync::Arc;

/// The rows of one part, batch by batch.
pub(super) struct Rows {
    reader: PartReader,
    plan: Arc<ColumnPlan>,
}

/// Opens a part with the columns of `plan`, all of them or some of the part's.
///
/// # Errors
/// Verification; Io.
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
    let reader = bundle.open_part(checked, &read)?;
    if is_whole {
        plan.check_schema(reader.schema())?;
    }
    Ok(Rows { reader, plan: plan.clone() })
}

impl Rows {
    /// The next batch.
    ///
    /// # Errors
    /// As [`open`].
    pub(super) fn next(&mut self) -> Result<Option<BatchRows>> {
        let batch = self.reader.next().transpose()?;
        batch.map(|batch| BatchRows::new(self.plan.clone(), batch)).transpose()
    }
}
