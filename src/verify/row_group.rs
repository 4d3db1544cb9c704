//! [`RowGroupCheck`]: the rows of one row group, each decoded once, in order, by one thread that hashes their
//! values while they are in its cache. Holds one batch and two positions.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use crate::bundle::{FileInfo, TableInfo};
use crate::conform::{RowRules, RowWalk};
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::RowSource as _;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, PartRows};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is looked at, and what it is held against.
pub(super) struct RowGroupContext<'a> {
    pub(super) table: &'a TableInfo,
    pub(super) columns: PartColumns,
    pub(super) rules: RowRules<'a>,
    /// Values in `blob/`, and whether a row names them.
    pub(super) blobs: BTreeMap<String, AtomicBool>,
    pub(super) monitor: &'a dyn Monitor,
}

/// One row group, or what could be read of it.
pub(super) struct RowGroupCheck<'a> {
    look: &'a RowGroupContext<'a>,
    file: &'a FileInfo,
    pub(super) walk: RowWalk,
    pub(super) report: VerifyReport,
}

impl<'a> RowGroupCheck<'a> {
    /// Nothing of it yet.
    pub(super) fn of(look: &'a RowGroupContext<'a>, file: &'a FileInfo) -> Self {
        Self { look, file, walk: RowWalk::default(), report: VerifyReport::default() }
    }

    /// Looks at all of its rows, as far as they can be read.
    pub(super) fn read(mut self, mut rows: PartRows) -> (Self, Result<()>) {
        let read = rows.try_for_each(|batch| {
            let mut batch = batch?;
            self.look.monitor.check()?;
            self.place_large(&mut batch)?;
            for row in 0..batch.rows() {
                if let Err(error) = self.check_row(&batch, row) {
                    self.report.add(Finding::of(K::BadRow, Some(&self.file.path), &error));
                }
            }
            self.report.rows += batch.rows() as u64;
            self.report.check_hope()?;
            self.look.monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            Ok(())
        });
        (self, read)
    }

    /// Values in `blob/` were read already; here each row's reference is followed.
    fn place_large(&mut self, batch: &mut BatchRows) -> Result<()> {
        for large in batch.large_refs()? {
            let bytes = self.look.table.blob_file(&large.reference).and_then(|blob| blob.content_bytes);
            match (bytes, self.look.blobs.get(&large.reference)) {
                (Some(_), Some(used)) => used.store(true, Ordering::Relaxed),
                _ => {
                    let detail = format!("a row names {:?}, which is not in the bundle", large.reference);
                    self.report.add(Finding::new(K::BadBlob, Some(&self.file.path), detail));
                }
            }
            batch.supply_size(&large, bytes.unwrap_or(0));
        }
        Ok(())
    }

    fn check_row(&mut self, batch: &BatchRows, row: usize) -> Result<()> {
        for column in 0..self.look.columns.plan.columns().len() {
            batch.cell(row, column)?;
        }
        let (report, file) = (&mut self.report, self.file);
        self.look.rules.row((batch, row), &mut self.walk, &mut |deviation, detail| {
            report.add(Finding::new(deviation.into(), Some(&file.path), detail));
        })
    }
}
