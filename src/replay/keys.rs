//! The keys and ranks of a part, without its values: what a plan and a check need.

use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::RowSource as _;
use crate::model::column::DELTA_MODIFIED_ON;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use arrow::array::{Array, AsArray as _, RecordBatch};
use std::sync::Arc;

/// Keys that are handed on at once.
const MOST: usize = 1024;

/// Some rows or tombstones of a part.
pub(super) struct Keys {
    pub(super) keys: Vec<Guid>,
    pub(super) versions: Vec<Version>,
    /// By row, the content hash in each of the fields that were asked for.
    pub(super) hashes: Vec<Vec<Option<Sha256>>>,
}

/// Goes through the rows of a part but the first `from`, a thousand at a time. `hash_fields` are
/// fields with content hashes.
///
/// # Errors
/// Verification; Io; Cancelled; those of `take`.
pub(super) fn each(
    (bundle, table, file): (&Bundle, &TableInfo, &FileInfo),
    from: u64,
    hash_fields: &[String],
    monitor: &dyn Monitor,
    mut take: impl FnMut(&Keys) -> Result<()>,
) -> Result<()> {
    let tombstones = file.role == FileRole::Tombstones;
    let plan = Arc::new(plan(table, tombstones)?);
    let checked = bundle.check_file(file, monitor)?;
    let schema = plan.schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).chain(hash_fields.iter().cloned());
    let read = PartRead { columns: Some(names.collect()), ..PartRead::default() };
    let mut skip = usize::try_from(from).unwrap_or(usize::MAX);
    for batch in bundle.open_part(checked, &read)? {
        monitor.check()?;
        let batch = batch?;
        let skipped = skip.min(batch.num_rows());
        skip -= skipped;
        let batch = batch.slice(skipped, batch.num_rows() - skipped);
        let (rows, hashes) = split(&batch, &plan, hash_fields)?;
        let rows = BatchRows::new(plan.clone(), rows)?;
        for start in (0..rows.rows()).step_by(MOST) {
            let some = start..rows.rows().min(start + MOST);
            let count = some.len() as u64;
            take(&Keys {
                keys: some.clone().map(|row| rows.key(row)).collect::<Result<_>>()?,
                versions: some.clone().map(|row| rows.version(row, tombstones)).collect::<Result<_>>()?,
                hashes: some.map(|row| hashes.iter().map(|column| column[row]).collect()).collect(),
            })?;
            monitor.event(Event::WorkDone { rows: count, bytes: 0 });
        }
    }
    Ok(())
}

fn plan(table: &TableInfo, tombstones: bool) -> Result<ColumnPlan> {
    if tombstones {
        return ColumnPlan::tombstones(&table.key_column);
    }
    let is_needed = |name: &str| name == DELTA_MODIFIED_ON || name == table.key_column;
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
