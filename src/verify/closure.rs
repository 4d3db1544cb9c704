//! What needs all keys of a table: one row a key, every parent there or listed, a parent above its child. Key, paths and
//! depth alone are read, once.

use super::finding::{Finding, VerifyReport};
use super::reading::Checked;
use super::rows::keep_going;
use crate::bundle::{FileRole, TableInfo};
use crate::conform::{Closure, Deviation};
use crate::error::{Kind, Result};
use crate::model::column::{DELTA_DEPTH, DELTA_PARENT_KEY};
use crate::monitor::{Monitor, Silent};
use crate::rows::PartColumns;

/// Checks one table whose rows could be read to the end; so many keys are held in memory, at most.
pub(super) fn check(
    files: &Checked<'_>,
    table: &TableInfo,
    keys_in_memory: usize,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut closure = Closure::holding(table, keys_in_memory);
    let absent = PartColumns::all(table, FileRole::AbsentParents)?;
    let names = [table.parent_path_column.as_deref(), Some(DELTA_DEPTH), Some(DELTA_PARENT_KEY)];
    let small = PartColumns::of_rows(table, |name| names.contains(&Some(name)))?;
    let mut is_undecoded = false;
    for (role, columns) in [(FileRole::AbsentParents, &absent), (FileRole::Rows, &small)] {
        for file in table.files_of(role) {
            let is_absent = role == FileRole::AbsentParents;
            let read = files.open(file, columns, &Silent).and_then(|rows| {
                rows.each(|batch| {
                    monitor.check()?;
                    let held = {
                        let note = &mut add(report, table, &file.path);
                        if is_absent { closure.absent(&batch, note) } else { closure.rows(&batch, note) }
                    };
                    // What cannot be decoded is a finding of the pass before.
                    let is_known =
                        held.as_ref().is_err_and(|error| error.kind() == Kind::Verification) && !report.is_good();
                    is_undecoded |= is_known;
                    held.or_else(|error| if is_known { Ok(()) } else { Err(error) })?;
                    report.check_hope()
                })
            });
            if !keep_going(read, file, report)? || is_undecoded {
                return Ok(());
            }
        }
    }
    let whole = table.data_path();
    closure.finish(&mut add(report, table, &whole))
}

/// Adds what deviates; of a parent it is said of all of the table, because it may stand in another part than its child.
fn add<'r>(report: &'r mut VerifyReport, table: &TableInfo, file: &'r str) -> impl FnMut(Deviation, String) + 'r {
    let whole = table.data_path();
    move |deviation, detail| {
        let file = if deviation == Deviation::WrongDepth { &whole } else { file };
        report.add(Finding::new(deviation.into(), Some(file), detail));
    }
}
