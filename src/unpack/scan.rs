//! Reading the parts of a table, batch by batch, of which only keys, versions and a value are held against the manifest.

use crate::bundle::FileRole;
use crate::conform::check_version;
use crate::convert::BatchRows;
use crate::error::Result;
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
    scan(source, (FileRole::Rows, columns), monitor, each)
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
    scan(source, (FileRole::Tombstones, &columns), monitor, each)
}

fn scan(
    source: TableRows<'_>,
    (role, columns): (FileRole, &PartColumns),
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&BatchRows) -> Result<()>,
) -> Result<()> {
    let TableRows { bundle, table } = source;
    let scanned = source.each(role, columns, &Uncounted(monitor), |rows| {
        for row in 0..rows.rows() {
            let version = rows.version(row, role == FileRole::Tombstones)?;
            check_version(bundle, table, rows.key(row)?, &version)?;
        }
        each(&rows)
    });
    scanned.map_err(|error| error.table(&table.name).file(bundle.path()))
}
