//! Payload files: their hashes, and the footers of parts against the manifest.

use super::finding::{Finding, FindingKind as K, Report};
use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::error::{Kind, Result};
use crate::monitor::Monitor;

/// Hashes every file, and opens the parts whose hash is right. Files that were found wrong
/// before are left alone.
pub(super) fn check(bundle: &Bundle, report: &mut Report, monitor: &dyn Monitor) -> Result<()> {
    for table in &bundle.manifest().tables {
        for file in &table.files {
            if !report.blames(&file.path) {
                check_file(bundle, table, file, report, monitor)?;
            }
        }
    }
    Ok(())
}

fn check_file(
    bundle: &Bundle,
    table: &TableInfo,
    file: &FileInfo,
    report: &mut Report,
    monitor: &dyn Monitor,
) -> Result<()> {
    let checked = match bundle.check_file(file, monitor) {
        Ok(checked) => checked,
        Err(error) if error.kind() == Kind::Cancelled => return Err(error),
        Err(error) => {
            let kind = if error.kind() == Kind::Io { K::Unreadable } else { K::ChangedPayloadFile };
            report.add(Finding::of(kind, Some(&file.path), &error));
            return Ok(());
        }
    };
    report.bytes += file.bytes;
    if file.role == FileRole::Blob {
        return Ok(());
    }
    if let Err(error) = bundle.open_part(checked, &PartRead::default()) {
        report.add(Finding::of(K::BadPart, Some(&file.path), &error.table(&table.name)));
    }
    Ok(())
}
