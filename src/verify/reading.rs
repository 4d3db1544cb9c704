//! Reading parts of a bundle as rows.
//!
//! Nothing is decoded but through the open file whose bytes were hashed.

use crate::bundle::{Bundle, CheckedFile, FileInfo, FileRole, PartRead, PartReader};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::Result;
use crate::monitor::Monitor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parts that are kept open once they are hashed; others are hashed again whenever they are read.
const MOST_KEPT: usize = 64;

/// A bundle, and those of its parts that were hashed and are still open.
pub(super) struct Checked<'b> {
    pub(super) bundle: &'b Bundle,
    kept: BTreeMap<String, CheckedFile>,
}

impl<'b> Checked<'b> {
    pub(super) fn new(bundle: &'b Bundle) -> Self {
        Self { bundle, kept: BTreeMap::new() }
    }

    /// Keeps a part, if there is room.
    pub(super) fn keep(&mut self, info: &FileInfo, file: &CheckedFile) {
        if info.role != FileRole::Blob && self.kept.len() < MOST_KEPT {
            self.kept.insert(info.path.clone(), file.clone());
        }
    }

    /// Opens a part with the columns of `plan`, all of them or some of the part's.
    ///
    /// # Errors
    /// Verification; Io.
    pub(super) fn open(
        &self,
        file: &FileInfo,
        plan: &Arc<ColumnPlan>,
        is_whole: bool,
        monitor: &dyn Monitor,
    ) -> Result<Rows> {
        let checked = match self.kept.get(&file.path) {
            Some(checked) => checked.clone(),
            None => self.bundle.check_file(file, monitor)?,
        };
        let names = || plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = PartRead { columns: (!is_whole).then(names), ..PartRead::default() };
        let reader = self.bundle.open_part(checked, &read)?;
        if is_whole {
            plan.check_schema(reader.schema())?;
        }
        Ok(Rows { reader, plan: plan.clone() })
    }
}

/// The rows of one part.
pub(super) struct Rows {
    reader: PartReader,
    plan: Arc<ColumnPlan>,
}

impl Rows {
    /// Goes through all batches; the next is decoded meanwhile.
    ///
    /// # Errors
    /// As [`Checked::open`], and what `work` says.
    pub(super) fn each(self, mut work: impl FnMut(BatchRows) -> Result<()>) -> Result<()> {
        let Self { reader, plan } = self;
        reader.each(|batch| work(BatchRows::new(plan.clone(), batch)?))
    }
}
