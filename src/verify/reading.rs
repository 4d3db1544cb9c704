//! Reading parts of a bundle as rows, each of which is hashed once where there is room to keep it open.

use crate::bundle::{Bundle, CheckedFile, FileInfo, FileRole};
use crate::error::Result;
use crate::monitor::Monitor;
use crate::rows::{PartColumns, PartRows};
use std::collections::BTreeMap;

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

    /// Opens a part.
    ///
    /// # Errors
    /// Verification; Io.
    pub(super) fn open(&self, file: &FileInfo, columns: &PartColumns, monitor: &dyn Monitor) -> Result<PartRows> {
        let checked = match self.kept.get(&file.path) {
            Some(checked) => checked.clone(),
            None => self.bundle.check_file(file, monitor)?,
        };
        PartRows::open(self.bundle, checked, columns)
    }
}
