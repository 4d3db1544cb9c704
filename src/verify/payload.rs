//! Payload files: their hashes, and the footers of parts against the manifest: rows, row groups and
//! columns.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use super::reading::Checked;
use super::rows::data_path;
use crate::bundle::{CheckedFile, FileInfo, FileRole, PartRead, TableInfo};
use crate::convert::ColumnPlan;
use crate::error::{Kind, Result};
use crate::monitor::Monitor;

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
        let plans = Plans::of(table);
        if let Err(error) = &plans {
            report.add(Finding::of(K::BadManifest, Some(&data_path(table)), error));
        }
        let due: Vec<&FileInfo> = table.files.iter().filter(|file| !report.blames(&file.path)).collect();
        for some in due.chunks(FILES_AT_ONCE) {
            for (file, checked) in some.iter().zip(bundle.check_files(some, threads, monitor)) {
                check_file(files, plans.as_ref().ok(), file, checked, report)?;
            }
        }
    }
    Ok(())
}

/// What the parts of a table hold, by their roles.
struct Plans<'a> {
    table: &'a TableInfo,
    rows: ColumnPlan,
    tombstones: ColumnPlan,
    absent_parents: ColumnPlan,
}

impl<'a> Plans<'a> {
    fn of(table: &'a TableInfo) -> Result<Self> {
        Ok(Self {
            table,
            rows: ColumnPlan::rows(&table.model_columns()?, &table.key_column)?,
            tombstones: ColumnPlan::tombstones(&table.key_column)?,
            absent_parents: ColumnPlan::absent_parents()?,
        })
    }
}

fn check_file(
    files: &mut Checked<'_>,
    plans: Option<&Plans<'_>>,
    file: &FileInfo,
    checked: Result<CheckedFile>,
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
    let Some(plans) = plans else { return Ok(()) };
    let plan = match file.role {
        FileRole::Rows => &plans.rows,
        FileRole::Tombstones => &plans.tombstones,
        FileRole::AbsentParents => &plans.absent_parents,
        FileRole::Blob => return Ok(()),
    };
    let part = files.bundle.open_part(checked, &PartRead::default());
    if let Err(error) = part.and_then(|part| plan.check_schema(part.schema())) {
        report.add(Finding::of(K::BadPart, Some(&file.path), &error.table(&plans.table.name)));
    }
    Ok(())
}
