//! The order of checks.

use super::finding::{Finding, FindingKind as K, Level, Report};
use super::{closure, payload, rows, structure};
use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::monitor::{Event, Monitor};
use std::path::Path;

/// What bounds a verification.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Keys that are held at a time; the default of a million takes some 100 MB.
    pub keys_per_pass: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keys_per_pass: 1_000_000 }
    }
}

/// Verifies one bundle, as far as `level` says: set of files, lists and tag files → manifest →
/// sizes → hashes → footers → rows. What is wrong with the bundle is in the report, never an
/// error.
///
/// # Errors
/// Usage, if there is no such folder; Io, if it cannot be listed; Cancelled.
pub fn verify(path: &Path, level: Level, monitor: &dyn Monitor) -> Result<Report> {
    verify_within(path, level, Limits::default(), monitor)
}

/// [`verify`] within other limits.
///
/// # Errors
/// As [`verify`].
pub fn verify_within(path: &Path, level: Level, limits: Limits, monitor: &dyn Monitor) -> Result<Report> {
    if !path.is_dir() {
        return Err(Error::usage("there is no such bundle: this is not a folder")
            .file(path)
            .hint("name the folder that ends in .bundle"));
    }
    let mut report = Report::default();
    if !structure::check(path, &mut report)? {
        return Ok(report);
    }
    let bundle = match Bundle::open(path) {
        Ok(bundle) => bundle,
        Err(error) => {
            report.add(Finding::of(K::BadManifest, None, &error));
            return Ok(report);
        }
    };
    if level == Level::Quick {
        return Ok(report);
    }
    let files = || bundle.manifest().tables.iter().flat_map(|table| &table.files);
    let is_deep = level == Level::Deep;
    let rounds = if is_deep { 2 } else { 1 };
    monitor.event(Event::WorkStarted {
        what: "verify",
        name: &path.file_name().unwrap_or_default().to_string_lossy(),
        rows: is_deep.then(|| files().filter_map(|file| file.rows).sum()),
        bytes: Some(files().map(|file| file.bytes).sum::<u64>().saturating_mul(rounds)),
    });
    let done = payload::check(&bundle, &mut report, monitor).and_then(|()| {
        for table in bundle.manifest().tables.iter().filter(|_| is_deep) {
            // A table with a broken file would give a finding for every row that is not there.
            if !table.files.iter().any(|file| report.blames(&file.path)) {
                rows::check(&bundle, table, &mut report, monitor)?;
                closure::check(&bundle, table, limits.keys_per_pass, &mut report, monitor)?;
            }
        }
        Ok(())
    });
    monitor.event(Event::WorkFinished);
    done.map(|()| report)
}
