//! Reading the parts of a table, batch by batch, of which only keys, versions and a value are held against the manifest.

use crate::bundle::FileRole;
use crate::conform::check_version;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::known::{KnownValues, pieces};
use crate::model::cell::RowSource as _;
use crate::monitor::{Monitor, Uncounted};
use crate::rows::{PartColumns, TableRows};

/// Gives every batch of a table's rows, with some columns alone.
///
/// # Errors
/// Verification; Io; Cancelled; what `each` gives.
pub(super) fn rows(
    source: TableRows<'_>,
    columns: &PartColumns,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&BatchRows) -> Result<()>,
) -> Result<()> {
    scan(source, (FileRole::Rows, columns), monitor, &mut |rows| each(&rows))
}

/// The same with the values that rows leave out, as far as they were asked for. No more of them are in memory at once than a
/// batch has of others.
///
/// # Errors
/// As [`rows`]; Database: the temporary file failed.
pub(super) fn whole_rows(
    source: TableRows<'_>,
    (columns, known): (&PartColumns, &mut KnownValues<'_, '_>),
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&BatchRows) -> Result<()>,
) -> Result<()> {
    scan(source, (FileRole::Rows, columns), monitor, &mut |rows| {
        if source.table.known_content.is_empty() {
            return each(&rows);
        }
        pieces(rows, columns.batch_bytes)?.into_iter().try_for_each(|piece| each(&known.fill(piece)?))
    })
}

/// The same of its tombstones.
///
/// # Errors
/// As [`rows`].
pub(super) fn tombstones(
    source: TableRows<'_>,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&BatchRows) -> Result<()>,
) -> Result<()> {
    let columns = PartColumns::all(source.table, FileRole::Tombstones)?;
    scan(source, (FileRole::Tombstones, &columns), monitor, &mut |rows| each(&rows))
}

fn scan(
    source: TableRows<'_>,
    (role, columns): (FileRole, &PartColumns),
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(BatchRows) -> Result<()>,
) -> Result<()> {
    let TableRows { bundle, table } = source;
    let scanned = source.each(role, columns, &Uncounted(monitor), |rows| {
        for row in 0..rows.rows() {
            let version = rows.version(row, role == FileRole::Tombstones)?;
            check_version(bundle, table, rows.key(row)?, &version)?;
        }
        each(rows)
    });
    scanned.map_err(|error| error.table(&table.name).file(bundle.path()))
}
