//! The second pass: streams side by side, into one order.

use super::stream::{Position, Stream};
use crate::backend::Versions;
use crate::bundle::{FileInfo, PartWriter, TableStage};
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::known::{Holders, KnownValues};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_EARLY, DELTA_MODIFIED_ON, DELTA_STEP};
use crate::model::run::{Step, TableCounts};
use crate::model::time::Timestamp;
use crate::monitor::Monitor;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Writes what the streams keep, and counts it by step.
pub(super) struct Merge<'m, 'b> {
    pub(super) streams: Vec<Stream<'b>>,
    pub(super) versions: &'m mut dyn Versions,
    /// What bundles leave out that are merged, and where it lies.
    pub(super) known: &'m mut KnownValues<'b, 'b>,
    pub(super) holders: &'b Holders<'b>,
    pub(super) window_start: Timestamp,
    pub(super) monitor: &'m dyn Monitor,
    pub(super) counts: TableCounts,
    pub(super) last: Option<Position>,
}

impl Merge<'_, '_> {
    /// Writes all of it; values in `blob/` come along.
    pub(super) fn write(&mut self, stage: &mut TableStage, mut parts: PartWriter) -> Result<Vec<FileInfo>> {
        let mut heads = BinaryHeap::new();
        for nth in 0..self.streams.len() {
            self.load(nth, stage)?;
            self.push_head(nth, &mut heads)?;
        }
        while let Some(Reverse((_, nth))) = heads.pop() {
            let bound = heads.peek().map(|Reverse((position, _))| position);
            let rows = self.take_run(nth, bound)?;
            self.emit(nth, rows, &mut parts)?;
            if !self.streams[nth].skip(rows) {
                self.load(nth, stage)?;
            }
            self.push_head(nth, &mut heads)?;
        }
        parts.finish()
    }

    fn push_head(&self, nth: usize, heads: &mut BinaryHeap<Reverse<(Position, usize)>>) -> Result<()> {
        let stream = &self.streams[nth];
        if let Some((_, row)) = stream.current() {
            heads.push(Reverse((stream.position(row)?, nth)));
        }
        Ok(())
    }

    /// Loads the next batch of a stream, and takes its large values along.
    fn load(&mut self, nth: usize, stage: &mut TableStage) -> Result<()> {
        let stream = &mut self.streams[nth];
        stream.next_batch((self.versions, self.known), self.monitor)?;
        let source = stream.source();
        let Some((batch, _)) = stream.current() else { return Ok(()) };
        for large in batch.large_refs()? {
            let holder = self.holders.holder_of(source, &large.reference);
            stage.adopt_blob(holder.bundle, holder.blob_file(&large.reference)?, self.monitor)?;
        }
        Ok(())
    }

    /// How many rows of a stream stand before all others.
    fn take_run(&mut self, nth: usize, bound: Option<&Position>) -> Result<usize> {
        let stream = &self.streams[nth];
        let Some((batch, first)) = stream.current() else { return Ok(0) };
        let mut row = first;
        while row < batch.rows() {
            let position = stream.position(row)?;
            if bound.is_some_and(|bound| position > *bound) {
                break;
            }
            if self.last.as_ref().is_some_and(|last| *last >= position) {
                return Err(Error::verification("the rows of a bundle do not stand in their order")
                    .file(stream.source().bundle.path())
                    .hint("verify the bundle with --deep; do not use it"));
            }
            self.last = Some(position);
            row += 1;
        }
        Ok(row - first)
    }

    fn emit(&mut self, nth: usize, rows: usize, parts: &mut PartWriter) -> Result<()> {
        let Some((batch, first)) = self.streams[nth].current() else { return Ok(()) };
        for row in first..first + rows {
            count(&mut self.counts, batch, row, self.window_start)?;
        }
        parts.write(&batch.batch().slice(first, rows))?;
        Ok(())
    }
}

/// Counts a row as the manifest of a delta would.
fn count(counts: &mut TableCounts, batch: &BatchRows, row: usize, window_start: Timestamp) -> Result<()> {
    let cell = |name: &str| batch.plan().index_of(name).map(|column| batch.cell(row, column)).transpose();
    let Some(step) = cell(DELTA_STEP)? else {
        counts.tombstones += 1;
        return Ok(());
    };
    let is_early = cell(DELTA_EARLY)? == Some(Cell::Bool(true));
    let is_parent = step == Cell::Int(i64::from(Step::MissingParents.number()));
    match step {
        _ if is_parent => counts.missing_parents += 1,
        Cell::Int(step) if step == i64::from(Step::Roots.number()) => counts.roots += 1,
        Cell::Int(step) if step == i64::from(Step::Children.number()) => counts.children += 1,
        _ => return Err(Error::verification("a row is of no step").column(DELTA_STEP)),
    }
    let is_before = match cell(DELTA_MODIFIED_ON)? {
        Some(Cell::DateTime(at)) => at < window_start,
        _ => true,
    };
    counts.early += u64::from(is_early);
    counts.late += u64::from(is_before && !is_early && !is_parent);
    Ok(())
}
