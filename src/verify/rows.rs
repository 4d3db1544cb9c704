//! The rows of a table: values and their hashes, run, window, counts, total order. Row groups are looked
//! at side by side (`row_group`); what is said of them is put together in their order, so that it does not
//! depend on how many threads there are. What needs all keys is in `closure`.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use super::reading::Checked;
use super::row_group::{RowGroupCheck, RowGroupContext};
use crate::bundle::{Bundle, FileInfo, FileRole, TableInfo};
use crate::conform::{RowPosition, RowRules, RowWalk, Tally, TombstoneRules, TombstoneWalk};
use crate::error::{Kind, Result};
use crate::model::cell::RowSource as _;
use crate::monitor::{Event, Monitor, Uncounted};
use crate::rows::{PartColumns, PartRows};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

/// What the row groups that are looked at together inflate to, at most, where it is not one alone: a
/// reader may hold all of a row group in one batch, beside its pages (values of 30 MiB: 278 MiB in all
/// where this was 128).
const DUE_BYTES: u64 = 96 << 20;
/// A batch of whole rows: its values are still in a core's cache when they are hashed (a deep verification of
/// 2 GiB of blobs on two cores: 1.9 s, and 2.2 where one thread decoded 4 MiB and another hashed them).
const BATCH_BYTES: u64 = 1 << 20;

/// Checks one table whose files are all sound, up to `threads` row groups side by side. Returns whether
/// its rows could be read to the end: what is said of all of them together is of no use otherwise.
pub(super) fn check(
    files: &Checked<'_>,
    table: &TableInfo,
    threads: usize,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let blobs = check_blobs(files.bundle, table, report, monitor)?;
    let columns = PartColumns { batch_bytes: BATCH_BYTES, ..PartColumns::all(table, FileRole::Rows)? };
    let rules = match RowRules::new(files.bundle, table, &columns.plan) {
        Ok(rules) => rules,
        Err(error) => {
            report.add(Finding::of(K::BadManifest, Some(&table.data_path()), &error));
            return Ok(false);
        }
    };
    let look = RowGroupContext { table, columns, rules, blobs, monitor };
    let mut check =
        TableCheck { look: &look, threads, due: Vec::new(), tally: Tally::default(), last: None, broken: None, report };
    for file in table.files_of(FileRole::Rows) {
        check.check_part(files, file)?;
    }
    check.look_at_due()?;
    let is_whole = check.broken.is_none();
    if is_whole {
        check.finish();
    }
    for file in table.files_of(FileRole::Tombstones) {
        let read = tombstones(files, table, file, report, monitor);
        keep_going(read, file, report)?;
    }
    Ok(is_whole)
}

/// A part that cannot be read to its end is a finding; being stopped is not. Returns whether it
/// was read.
pub(super) fn keep_going(read: Result<()>, file: &FileInfo, report: &mut VerifyReport) -> Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == Kind::Cancelled => Err(error),
        Err(error) => {
            report.add(Finding::of(K::BadPart, Some(&file.path), &error));
            Ok(false)
        }
    }
}

/// Reads every value in `blob/`, one after the other: what inflates one may take 128 MiB. Returns their
/// references, none used yet.
fn check_blobs(
    bundle: &Bundle,
    table: &TableInfo,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, AtomicBool>> {
    let mut unused = BTreeMap::new();
    for file in table.files_of(FileRole::Blob) {
        match bundle.check_blob(file, &Uncounted(monitor)) {
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            Err(error) => report.add(Finding::of(K::BadBlob, Some(&file.path), &error)),
            Ok(_) => {}
        }
        let reference = file.path.strip_prefix(&format!("{}/", table.data_path())).unwrap_or(&file.path);
        unused.insert(reference.to_owned(), AtomicBool::new(false));
    }
    Ok(unused)
}

/// The row groups of a table, put together in their order.
struct TableCheck<'a> {
    look: &'a RowGroupContext<'a>,
    threads: usize,
    /// Row groups that are looked at together.
    due: Vec<(&'a FileInfo, PartRows)>,
    tally: Tally,
    /// Where the row before stands.
    last: Option<RowPosition>,
    /// The last part that could not be read to its end.
    broken: Option<&'a FileInfo>,
    report: &'a mut VerifyReport,
}

impl<'a> TableCheck<'a> {
    fn check_part(&mut self, files: &Checked<'_>, file: &'a FileInfo) -> Result<()> {
        let hope = self.report.check_hope();
        let rows = match hope.and_then(|()| files.open(file, &self.look.columns, self.look.monitor)) {
            Ok(rows) => rows,
            Err(error) => {
                self.look_at_due()?;
                return self.end(file, Err(error));
            }
        };
        for group in rows.by_row_group() {
            let bytes: u64 = self.due.iter().map(|(_, group)| group.inflated_bytes()).sum();
            if self.due.len() >= self.threads || bytes.saturating_add(group.inflated_bytes()) > DUE_BYTES {
                self.look_at_due()?;
            }
            if self.is_broken(file) {
                break;
            }
            self.due.push((file, group));
        }
        Ok(())
    }

    fn is_broken(&self, file: &FileInfo) -> bool {
        self.broken.is_some_and(|broken| broken.path == file.path)
    }

    fn look_at_due(&mut self) -> Result<()> {
        let look = self.look;
        let due = std::mem::take(&mut self.due);
        let checks = std::thread::scope(|scope| {
            let read = |(file, rows)| (file, scope.spawn(move || RowGroupCheck::of(look, file).read(rows)));
            let at_work: Vec<(&FileInfo, ScopedJoinHandle<'_, _>)> = due.into_iter().map(read).collect();
            let join = |one: ScopedJoinHandle<'_, _>| one.join().unwrap_or_else(|panic| resume_unwind(panic));
            at_work.into_iter().map(|(file, one)| (file, join(one))).collect::<Vec<_>>()
        });
        checks.into_iter().try_for_each(|(file, (check, read))| self.add(file, check, read))
    }

    fn add(&mut self, file: &'a FileInfo, check: RowGroupCheck<'_>, read: Result<()>) -> Result<()> {
        // As if they had been read one after the other.
        if self.is_broken(file) {
            return Ok(());
        }
        let RowWalk { first, last, tally } = check.walk;
        if let (Some(last), Some((first, key))) = (&self.last, &first)
            && last >= first
        {
            self.report.add(Finding::new(
                K::OutOfOrder,
                Some(&file.path),
                RowWalk::out_of_order(self.look.table.shown_key(*key)),
            ));
        }
        self.last = last.or(self.last.take());
        self.tally.add(&tally);
        self.report.absorb_rows(check.report);
        let read = read.and_then(|()| self.report.check_hope());
        self.end(file, read)
    }

    fn end(&mut self, file: &'a FileInfo, read: Result<()>) -> Result<()> {
        if !keep_going(read, file, self.report)? {
            self.broken = Some(file);
        }
        Ok(())
    }

    fn finish(self) {
        let path = self.look.table.data_path();
        self.tally.check(self.look.table, &mut |deviation, detail| {
            self.report.add(Finding::new(deviation.into(), Some(&path), detail));
        });
        for (reference, _) in self.look.blobs.iter().filter(|(_, used)| !used.load(Ordering::Relaxed)) {
            let blob = format!("{path}/{reference}");
            self.report.add(Finding::new(K::UnusedBlob, Some(&blob), "no row names this value"));
        }
    }
}

fn tombstones(
    files: &Checked<'_>,
    table: &TableInfo,
    file: &FileInfo,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let columns = PartColumns { batch_bytes: BATCH_BYTES, ..PartColumns::all(table, FileRole::Tombstones)? };
    let (rules, mut walk) = (TombstoneRules::new(files.bundle, table), TombstoneWalk::default());
    files.open(file, &columns, monitor)?.each(|batch| {
        for row in 0..batch.rows() {
            let looked = rules.tombstone((&batch, row), &mut walk, &mut |deviation, detail| {
                report.add(Finding::new(deviation.into(), Some(&file.path), detail));
            });
            if let Err(error) = looked {
                report.add(Finding::of(K::BadRow, Some(&file.path), &error));
            }
        }
        report.rows += batch.rows() as u64;
        report.check_hope()?;
        monitor.check()?;
        monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
        Ok(())
    })
}
