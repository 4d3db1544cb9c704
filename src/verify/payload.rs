//! Payload files: their hashes, and the footers of parts against the manifest: rows, row groups and
//! columns.

use super::finding::{Finding, FindingKind as K, Report};
use super::rows::data_path;
use crate::bundle::{Bundle, FileInfo, FileRole, PartRead, TableInfo};
use crate::convert::ColumnPlan;
use crate::error::{Kind, Result};
use crate::monitor::Monitor;

/// Hashes every file, and opens the parts whose hash is right. Files that were found wrong
/// before are left alone.
pub(super) fn check(bundle: &Bundle, report: &mut Report, monitor: &dyn Monitor) -> Result<()> {
    for table in &bundle.manifest().tables {
        let plans = Plans::of(table);
        if let Err(error) = &plans {
            report.add(Finding::of(K::BadManifest, Some(&data_path(table)), error));
        }
        for file in &table.files {
            if !report.blames(&file.path) {
                check_file(bundle, plans.as_ref().ok(), file, report, monitor)?;
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
    bundle: &Bundle,
    plans: Option<&Plans<'_>>,
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
    let Some(plans) = plans else { return Ok(()) };
    let plan = match file.role {
        FileRole::Rows => &plans.rows,
        FileRole::Tombstones => &plans.tombstones,
        FileRole::AbsentParents => &plans.absent_parents,
        FileRole::Blob => return Ok(()),
    };
    let part = bundle.open_part(checked, &PartRead::default());
    if let Err(error) = part.and_then(|part| plan.check_schema(part.schema())) {
        report.add(Finding::of(K::BadPart, Some(&file.path), &error.table(&plans.table.name)));
    }
    Ok(())
}
