//! The order of checks.

use super::finding::{Finding, FindingKind as K, FindingSeverity, VerifyLevel, VerifyReport};
use super::reading::Checked;
use super::{closure, payload, rows, structure};
use crate::bundle::layout::TAG_LIST;
use crate::bundle::{Access, Bundle, Container, failed_text, threads};
use crate::error::{Error, Kind, Result};
use crate::monitor::{Event, Monitor};
use std::path::Path;

/// How a verification is made.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How far it goes.
    pub level: VerifyLevel,
    /// What opens an encrypted archive, and who has to vouch for the bundle.
    pub access: Access,
    /// Keys that are held in memory, at most, with more of them in a temporary file; a million take some 40 MB.
    pub keys_in_memory: usize,
    /// Files that are hashed, and row groups that are decoded, at once, at most.
    pub threads: usize,
}

impl VerifyOptions {
    /// As far as `level` says, and the defaults.
    pub fn new(level: VerifyLevel) -> Self {
        Self { level, access: Access::default(), keys_in_memory: 1_000_000, threads: threads() }
    }
}

/// Verifies one bundle, as far as `level` says; see [`verify_with`].
///
/// # Errors
/// As [`verify_with`].
pub fn verify(path: &Path, level: VerifyLevel, monitor: &dyn Monitor) -> Result<VerifyReport> {
    verify_with(path, &VerifyOptions::new(level), monitor)
}

/// Verifies one bundle, folder or archive: set of files → signature and
/// root digest, if asked for → lists and tag files → manifest → sizes →
/// hashes → footers → rows. What is wrong with the bundle is in the report, never an error.
///
/// # Errors
/// Usage, if there is no such bundle, or no identity opens it; Io, if it cannot be listed;
/// Cancelled.
pub fn verify_with(path: &Path, options: &VerifyOptions, monitor: &dyn Monitor) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let container = match Container::open(path, &options.access) {
        Ok(container) => container,
        Err(error) if error.kind() == Kind::Verification => {
            let file = error.place().file.as_deref().filter(|file| Path::new(file) != path).map(str::to_owned);
            report.add(Finding::of(K::BadArchive, file.as_deref(), &error));
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    if !structure::check(&container, &mut report)? {
        return Ok(report);
    }
    let bundle = match Bundle::open_in(container) {
        Ok(bundle) => bundle,
        Err(error) => {
            report.add(Finding::of(K::BadManifest, None, &error));
            return Ok(report);
        }
    };
    // What was opened is what was signed: the list was read a second time.
    if report.root_sha256 != Some(bundle.root_sha256()) {
        report.add(Finding::new(K::ChangedTagFile, Some(TAG_LIST), "it changed while the bundle was verified"));
        return Ok(report);
    }
    report.left_out = bundle.manifest().left_out();
    if let Some(failed) = failed_text(bundle.manifest()) {
        report.add(Finding { severity: FindingSeverity::Notice, ..Finding::new(K::FailedTables, None, failed) });
    }
    if options.level == VerifyLevel::Quick {
        return Ok(report);
    }
    check_payload(&bundle, options, &mut report, monitor)?;
    Ok(report)
}

/// Looks at all of a bundle that is open, as [`verify_with`] does at the deep level, and ends at what is wrong: before anything that
/// nobody reads row by row follows from it. What is read of it afterwards is held against the same lists.
///
/// # Errors
/// Verification, with the first thing that is wrong; Io, where that is that not all could be read; Cancelled.
pub fn require_good(bundle: &Bundle, monitor: &dyn Monitor) -> Result<()> {
    bundle.check_file_set()?;
    let mut report = VerifyReport::default();
    check_payload(bundle, &VerifyOptions::new(VerifyLevel::Deep), &mut report, monitor)?;
    let is_unread = report.is_unread();
    let Some(finding) = report.findings.into_iter().find(|finding| finding.severity == FindingSeverity::Error) else {
        return Ok(());
    };
    let kind = if is_unread { Kind::Io } else { Kind::Verification };
    let path = bundle.path();
    Err(Error::new(kind, format!("this bundle is not good: {}", finding.detail))
        .file(finding.file.map_or_else(|| path.to_owned(), |file| path.join(file)))
        .hint(format!("`blobdelta verify --deep {}` says all that is wrong; do not use it", path.display())))
}

fn check_payload(
    bundle: &Bundle,
    options: &VerifyOptions,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let files = || bundle.manifest().tables.iter().flat_map(|table| &table.files);
    let name = bundle.path().file_name().unwrap_or_default().to_string_lossy();
    let bytes = files().map(|file| file.bytes).sum();
    monitor.event(Event::WorkStarted { what: "verify", name: &name, rows: None, bytes: Some(bytes) });
    let mut checked = Checked::new(bundle);
    let done = payload::check(&mut checked, options.threads, report, monitor);
    monitor.event(Event::WorkFinished);
    done?;
    if options.level == VerifyLevel::Deep {
        let rows = files().filter_map(|file| file.rows).sum();
        monitor.event(Event::WorkStarted { what: "verify rows of", name: &name, rows: Some(rows), bytes: None });
        let done = check_rows(&checked, options, report, monitor);
        monitor.event(Event::WorkFinished);
        done?;
    }
    Ok(())
}

/// Every row of the tables whose files are whole.
fn check_rows(
    checked: &Checked<'_>,
    options: &VerifyOptions,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    for table in &checked.bundle.manifest().tables {
        // A table without a plan cannot be read; one with a broken file would give a finding for every row that is not there.
        if report.blames(&table.data_path()) || table.files.iter().any(|file| report.blames(&file.path)) {
            continue;
        }
        if rows::check(checked, table, options.threads.max(1), report, monitor)? {
            closure::check(checked, table, options.keys_in_memory, report, monitor)?;
        }
    }
    Ok(())
}
