//! The keys and versions of a part, without its values: what a plan, a check and a reconciliation need.

use super::columns::PartColumns;
use super::part::RowsToSkip;
use super::table::TableRows;
use crate::bundle::{FileInfo, FileRole, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_MODIFIED_ON;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use arrow::array::{Array, AsArray as _, RecordBatch};
use std::ops::Range;
use std::sync::Arc;

/// Rows that are handed on at once.
const MOST: usize = 1024;

/// What of a part is read beside keys and versions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Rows that are left out at its beginning.
    pub from: u64,
    /// Columns by name, none of them of large values; those that the rows do not have are ignored.
    pub columns: &'a [&'a str],
    /// Columns of the rows whose content hashes are read, and what is said of values that are left out, and not their values.
    pub hashed: &'a [&'a str],
}

/// Some rows or tombstones of a part.
pub struct PartKeys<'a> {
    /// Their keys.
    pub keys: Vec<Guid>,
    /// Their versions.
    pub versions: Vec<Version>,
    rows: &'a BatchRows,
    range: Range<usize>,
    /// Of all rows of the batch, those that were left out included.
    said: &'a [SaidOfColumn],
    skipped: usize,
}

/// What rows say of the values of a column.
struct SaidOfColumn {
    hashes: Vec<Option<Sha256>>,
    known: Vec<Option<KnownRef>>,
}

impl PartKeys<'_> {
    /// The content hashes of the n-th row, in the order of the columns that were wanted.
    pub fn hashes(&self, nth: usize) -> Vec<Option<Sha256>> {
        self.said.iter().map(|column| column.hashes[self.skipped + self.range.start + nth]).collect()
    }

    /// What the n-th row says of values that are left out, in the order of the columns that were wanted.
    pub fn known(&self, nth: usize) -> Vec<Option<KnownRef>> {
        self.said.iter().map(|column| column.known[self.skipped + self.range.start + nth]).collect()
    }

    /// Why the n-th tombstone stands.
    ///
    /// # Errors
    /// Verification: a reason that is none; Internal, if these are rows.
    pub fn reason(&self, nth: usize) -> Result<DeletionReason> {
        self.rows.reason(self.range.start + nth)
    }

    /// The id of a key that the n-th row has in a column, such as its parent's.
    ///
    /// # Errors
    /// Verification: a value that does not fit its column.
    pub fn id(&self, nth: usize, column: &str) -> Result<Option<Guid>> {
        self.rows.plan().index_of(column).map_or(Ok(None), |at| self.rows.id(self.range.start + nth, at))
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

impl TableRows<'_> {
    /// Goes through a part of rows or tombstones, a thousand at a time.
    ///
    /// # Errors
    /// Verification; Io; Cancelled; those of `take`.
    pub fn each_key(
        &self,
        file: &FileInfo,
        wanted: Wanted<'_>,
        monitor: &dyn Monitor,
        mut take: impl FnMut(&PartKeys<'_>) -> Result<()>,
    ) -> Result<()> {
        let is_tombstones = file.role == FileRole::Tombstones;
        let columns = match is_tombstones {
            true => PartColumns::all(self.table, file.role)?,
            false => {
                PartColumns::of_rows(self.table, |name| name == DELTA_MODIFIED_ON || wanted.columns.contains(&name))?
            }
        };
        let beside = if is_tombstones { Vec::new() } else { fields_beside(self.table, wanted.hashed)? };
        let mut read = columns.read();
        read.columns.iter_mut().for_each(|names| names.extend(beside.iter().flatten().cloned()));
        let mut skip = RowsToSkip(wanted.from);
        for batch in self.bundle.open_part(self.bundle.check_file(file, monitor)?, &read)? {
            monitor.check()?;
            let (rows, said) = split(&batch?, &columns.plan, &beside)?;
            let all = rows.rows();
            let Some(rows) = skip.rest_of(rows) else { continue };
            for start in (0..rows.rows()).step_by(MOST) {
                let range = start..rows.rows().min(start + MOST);
                let count = range.len() as u64;
                take(&PartKeys {
                    keys: range.clone().map(|row| rows.key(row)).collect::<Result<_>>()?,
                    versions: range.clone().map(|row| rows.version(row, is_tombstones)).collect::<Result<_>>()?,
                    rows: &rows,
                    range,
                    said: &said,
                    skipped: all - rows.rows(),
                })?;
                monitor.event(Event::WorkDone { rows: count, bytes: 0 });
            }
        }
        Ok(())
    }
}

/// The fields with the content hashes of columns, and with what is said of where their values lie.
fn fields_beside(table: &TableInfo, hashed: &[&str]) -> Result<Vec<[String; 2]>> {
    if hashed.is_empty() {
        return Ok(Vec::new());
    }
    // What the fields of a column are called depends on the others.
    let plan = PartColumns::all(table, FileRole::Rows)?.plan;
    let fields = |name: &&str| {
        let [.., hash, reference] = plan.companion_names(plan.index_of(name)?);
        Some([hash?.to_owned(), reference?.to_owned()])
    };
    let none = |name: &str| Error::internal("the table has no content hashes of this column").column(name);
    hashed.iter().map(|name| fields(name).ok_or_else(|| none(name))).collect()
}

/// The fields of the plan, and what is said by column. Fields come in the order of the part.
fn split(
    batch: &RecordBatch,
    plan: &Arc<ColumnPlan>,
    beside: &[[String; 2]],
) -> Result<(BatchRows, Vec<SaidOfColumn>)> {
    let schema = batch.schema();
    let is_beside = |at: &usize| beside.as_flattened().contains(schema.field(*at).name());
    let own: Vec<usize> = (0..batch.num_columns()).filter(|at| !is_beside(at)).collect();
    let bad = |error| Error::verification("the fields of a part cannot be taken apart").caused_by(error);
    let rows = batch.project(&own).map_err(bad)?;
    let said = |[hash, reference]: &[String; 2]| {
        Ok(SaidOfColumn { hashes: hashes_of(batch, hash)?, known: known_of(batch, reference)? })
    };
    let said = beside.iter().map(said).collect::<Result<_>>()?;
    Ok((BatchRows::new(Arc::clone(plan), rows)?, said))
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

fn known_of(batch: &RecordBatch, name: &str) -> Result<Vec<Option<KnownRef>>> {
    let bad = || Error::verification("this field does not hold references").column(name);
    let array = batch.column_by_name(name).and_then(|array| array.as_string_opt::<i32>()).ok_or_else(bad)?;
    Ok(array.iter().map(|text| text.and_then(KnownRef::parse)).collect())
}
