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
/// A batch of whole rows: its values are still in a core's cache when they are hashed (a deep verification of
/// 2 GiB of blobs on two cores: 1.9 s, and 2.2 where one thread decoded 4 MiB and another hashed them).
const BATCH_BYTES: u64 = 1 << 20;

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
    ) -> Result<PartRows> {
        let checked = match self.kept.get(&file.path) {
            Some(checked) => checked.clone(),
            None => self.bundle.check_file(file, monitor)?,
        };
        let names = || plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let read = match is_whole {
            true => PartRead { batch_bytes: BATCH_BYTES, ..PartRead::default() },
            false => PartRead { columns: Some(names()), ..PartRead::default() },
        };
        let reader = self.bundle.open_part(checked, &read)?;
        if is_whole {
            plan.check_schema(reader.schema())?;
        }
        Ok(PartRows { reader, plan: plan.clone() })
    }
}

/// The rows of one part, or of one of its row groups.
pub(super) struct PartRows {
    reader: PartReader,
    plan: Arc<ColumnPlan>,
}

impl PartRows {
    /// Those of each row group.
    pub(super) fn by_row_group(&self) -> impl Iterator<Item = Self> {
        self.reader.by_row_group().map(|reader| Self { reader, plan: self.plan.clone() })
    }

    /// What they inflate to.
    pub(super) fn inflated_bytes(&self) -> u64 {
        self.reader.inflated_bytes()
    }

    /// Goes through all batches, each of which is decoded when it is due.
    ///
    /// # Errors
    /// As [`PartRows::each`].
    pub(super) fn each_in_turn(self, mut work: impl FnMut(BatchRows) -> Result<()>) -> Result<()> {
        let Self { mut reader, plan } = self;
        reader.try_for_each(|batch| work(BatchRows::new(plan.clone(), batch?)?))
    }

    /// Goes through all batches; the next is decoded meanwhile.
    ///
    /// # Errors
    /// As [`Checked::open`], and what `work` says.
    pub(super) fn each(self, mut work: impl FnMut(BatchRows) -> Result<()>) -> Result<()> {
        let Self { reader, plan } = self;
        reader.each(|batch| work(BatchRows::new(plan.clone(), batch)?))
    }
}
