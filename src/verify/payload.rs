//! Payload files: their hashes, and the footers of parts against the manifest: rows, row groups and
//! columns.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use super::reading::Checked;
use crate::bundle::{CheckedFile, FileInfo, FileRole, TableInfo};
use crate::error::{Kind, Result};
use crate::monitor::Monitor;
use crate::rows::{PartColumns, PartRows};
use std::collections::BTreeMap;

/// Files that are open at a time.
const FILES_AT_ONCE: usize = 64;

/// Hashes every file, up to `threads` side by side, and opens the parts whose hash is right, one after the
/// other. Files that were found wrong before are left alone.
pub(super) fn check(
    files: &mut Checked<'_>,
    threads: usize,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let bundle = files.bundle;
    for table in &bundle.manifest().tables {
        let roles = [FileRole::Rows, FileRole::Tombstones, FileRole::AbsentParents];
        let columns = roles.map(|role| Ok((role, PartColumns::all(table, role)?)));
        let columns: Result<BTreeMap<FileRole, PartColumns>> = columns.into_iter().collect();
        if let Err(error) = &columns {
            report.add(Finding::of(K::BadManifest, Some(&table.data_path()), error));
        }
        let due: Vec<&FileInfo> = table.files.iter().filter(|file| !report.blames(&file.path)).collect();
        for some in due.chunks(FILES_AT_ONCE) {
            for (file, checked) in some.iter().zip(bundle.check_files(some, threads, monitor)) {
                check_file(files, (table, columns.as_ref().ok()), (file, checked), report)?;
            }
        }
    }
    Ok(())
}

fn check_file(
    files: &mut Checked<'_>,
    (table, columns): (&TableInfo, Option<&BTreeMap<FileRole, PartColumns>>),
    (file, checked): (&FileInfo, Result<CheckedFile>),
    report: &mut VerifyReport,
) -> Result<()> {
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) if error.kind() == Kind::Cancelled => return Err(error),
        Err(error) => {
            report.add(Finding::of(K::ChangedPayloadFile, Some(&file.path), &error));
            return Ok(());
        }
    };
    report.bytes += file.bytes;
    files.keep(file, &checked);
    if let Some(columns) = columns.and_then(|columns| columns.get(&file.role))
        && let Err(error) = PartRows::open(files.bundle, checked, columns)
    {
        report.add(Finding::of(K::BadPart, Some(&file.path), &error.table(&table.name)));
    }
    Ok(())
}
