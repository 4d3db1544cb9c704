//! The keys and ranks of a part, without its values: what a plan, a check and a reconciliation need.

use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_MODIFIED_ON;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use arrow::array::{Array, AsArray as _, RecordBatch};
use std::ops::Range;
use std::sync::Arc;

/// Rows that are handed on at once.
const MOST: usize = 1024;

/// What of a part is read beside keys and ranks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Rows that are left out at its beginning.
    pub from: u64,
    /// Columns by name, none of them of large values; those that the rows do not have are ignored.
    pub columns: &'a [&'a str],
    /// Fields that hold content hashes.
    pub hash_fields: &'a [String],
}

/// Some rows or tombstones of a part.
pub struct PartKeys<'a> {
    /// Their keys.
    pub keys: Vec<Guid>,
    /// Their ranks.
    pub versions: Vec<Version>,
    rows: &'a BatchRows,
    range: Range<usize>,
    hashes: &'a [Vec<Option<Sha256>>],
}

impl PartKeys<'_> {
    /// The content hashes of the n-th row, in the order of the fields that were wanted.
    pub fn hashes(&self, nth: usize) -> Vec<Option<Sha256>> {
        self.hashes.iter().map(|column| column[self.range.start + nth]).collect()
    }

    /// Why the n-th tombstone stands.
    ///
    /// # Errors
    /// Verification: a reason that is none; Internal, if these are rows.
    pub fn reason(&self, nth: usize) -> Result<DeletionReason> {
        self.rows.reason(self.range.start + nth)
    }

    /// A value of the n-th row; NULL if there is no such column.
    ///
    /// # Errors
    /// Verification: a value that does not fit its column.
    pub fn cell(&self, nth: usize, column: &str) -> Result<Cell<'_>> {
        match self.rows.plan().index_of(column) {
            Some(at) => self.rows.cell(self.range.start + nth, at),
            None => Ok(Cell::Null),
        }
    }
}

/// Goes through a part, a thousand rows at a time.
///
/// # Errors
/// Verification; Io; Cancelled; those of `take`.
pub fn each_key(
    (bundle, table, file): (&Bundle, &TableInfo, &FileInfo),
    wanted: Wanted<'_>,
    monitor: &dyn Monitor,
    mut take: impl FnMut(&PartKeys<'_>) -> Result<()>,
) -> Result<()> {
    let tombstones = file.role == FileRole::Tombstones;
    let plan = Arc::new(plan(table, tombstones, wanted.columns)?);
    let checked = bundle.check_file(file, monitor)?;
    let schema = plan.schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).chain(wanted.hash_fields.iter().cloned());
    let read = PartRead { columns: Some(names.collect()), ..PartRead::default() };
    let mut skip = usize::try_from(wanted.from).unwrap_or(usize::MAX);
    for batch in bundle.open_part(checked, &read)? {
        monitor.check()?;
        let batch = batch?;
        let skipped = skip.min(batch.num_rows());
        skip -= skipped;
        let batch = batch.slice(skipped, batch.num_rows() - skipped);
        let (rows, hashes) = split(&batch, &plan, wanted.hash_fields)?;
        let rows = BatchRows::new(plan.clone(), rows)?;
        for start in (0..rows.rows()).step_by(MOST) {
            let range = start..rows.rows().min(start + MOST);
            let count = range.len() as u64;
            take(&PartKeys {
                keys: range.clone().map(|row| rows.key(row)).collect::<Result<_>>()?,
                versions: range.clone().map(|row| rows.version(row, tombstones)).collect::<Result<_>>()?,
                rows: &rows,
                range,
                hashes: &hashes,
            })?;
            monitor.event(Event::WorkDone { rows: count, bytes: 0 });
        }
    }
    Ok(())
}

fn plan(table: &TableInfo, tombstones: bool, extra: &[&str]) -> Result<ColumnPlan> {
    if tombstones {
        return ColumnPlan::tombstones(&table.key_column);
    }
    let is_needed = |name: &str| name == DELTA_MODIFIED_ON || name == table.key_column || extra.contains(&name);
    let columns: Vec<_> = table.model_columns()?.into_iter().filter(|column| is_needed(&column.name)).collect();
    ColumnPlan::rows(&columns, &table.key_column)
}

/// The fields of the plan, and the hashes by column. Fields come in the order of the part.
fn split(
    batch: &RecordBatch,
    plan: &ColumnPlan,
    hash_fields: &[String],
) -> Result<(RecordBatch, Vec<Vec<Option<Sha256>>>)> {
    let schema = batch.schema();
    let is_hash = |at: &usize| hash_fields.contains(schema.field(*at).name());
    let own: Vec<usize> = (0..batch.num_columns()).filter(|at| !is_hash(at)).collect();
    let bad = |error| Error::verification("the fields of a part cannot be taken apart").caused_by(error);
    let rows = batch.project(&own).map_err(bad)?;
    plan.check_schema(&rows.schema())?;
    let hashes = hash_fields.iter().map(|name| hashes_of(batch, name)).collect::<Result<_>>()?;
    Ok((rows, hashes))
}

fn hashes_of(batch: &RecordBatch, name: &str) -> Result<Vec<Option<Sha256>>> {
    let bad = || Error::verification("this field does not hold hashes of 32 bytes").column(name);
    let array = batch.column_by_name(name).and_then(|array| array.as_fixed_size_binary_opt()).ok_or_else(bad)?;
    (0..array.len())
        .map(|row| {
            let value = array.is_valid(row).then(|| array.value(row).try_into());
            value.transpose().map(|value| value.map(Sha256::from_bytes)).map_err(|_| bad())
        })
        .collect()
}
