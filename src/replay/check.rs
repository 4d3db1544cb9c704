//! Whether a target holds what bundles say: versions and content hashes compared where the rows are,
//! without moving a value.

use super::options::{CheckFinding, CheckKind, CheckReport, ReplayOptions};
use super::work::{InspectedTargets, OpenedBundles, TableWork};
use crate::backend::{Backend, TargetCompatibility};
use crate::bundle::FileRole;
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::slice::DeletionReason;
use crate::monitor::Monitor;
use crate::rows::{PartKeys, Wanted};
use std::path::PathBuf;

/// Compares a target with bundles that were replayed into it: each row stands with the content
/// that its bundle says, or something later does; no deleted row stands. Nothing is changed.
///
/// # Errors
/// As [`replay`](super::replay), but that gaps do not matter.
pub fn check(
    bundles: &[PathBuf],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<CheckReport> {
    OpenedBundles::open(bundles, &options.access, monitor)?.check(backend, options, monitor)
}

impl OpenedBundles {
    /// See [`check()`].
    ///
    /// # Errors
    /// As [`check()`].
    pub fn check(
        &self,
        backend: &mut dyn Backend,
        options: &ReplayOptions,
        monitor: &dyn Monitor,
    ) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let mut inspected = InspectedTargets::new();
        for mut work in self.works(backend, options)? {
            work.compatibility = inspected.of(work.spec(), || backend.inspect_target(work.spec()))?;
            work.watched(("check", work.rows()), monitor, || check_table(&work, backend, &mut report, monitor))?;
        }
        Ok(report)
    }
}

fn check_table(
    work: &TableWork<'_>,
    backend: &mut dyn Backend,
    report: &mut CheckReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let spec = work.spec();
    let Some(compatibility) = &work.compatibility else {
        return Err(Error::config(format!("there is no table {}", spec.target))
            .hint("replay the bundles first, with --create where it is to be made"));
    };
    let own = work.table.model_columns()?;
    let place = |name: &str| spec.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let is_compared =
        |column: &&Column| column.sql_type.is_large_binary() && !compatibility.skipped.contains(&column.name);
    let compared =
        own.iter().filter(is_compared).filter_map(|column| Some((place(&column.name)?, column.name.as_str())));
    let (places, hashed): (Vec<usize>, Vec<&str>) = compared.unzip();
    let wanted = Wanted { hashed: &hashed, ..Wanted::default() };
    for file in work.table.files_of_versions() {
        work.source().each_key(file, wanted, monitor, |some| match file.role {
            FileRole::Rows => check_rows((work, compatibility), some, &places, backend, report),
            _ => check_tombstones((work, compatibility), some, backend, report),
        })?;
    }
    Ok(())
}

fn check_rows(
    (work, compatibility): (&TableWork<'_>, &TargetCompatibility),
    some: &PartKeys<'_>,
    hashed: &[usize],
    backend: &mut dyn Backend,
    report: &mut CheckReport,
) -> Result<()> {
    let existing = backend.existing(work.spec(), compatibility, &some.keys)?;
    // Content is hashed for those rows alone that stand as they came.
    let same: Vec<usize> =
        (0..some.keys.len()).filter(|nth| existing[*nth].version() == Some(some.versions[*nth])).collect();
    let keys: Vec<_> = same.iter().map(|nth| some.keys[*nth]).collect();
    let content = backend.existing_content(work.spec(), compatibility, hashed, &keys)?;
    let mut content = same.iter().copied().zip(content).peekable();
    for (nth, (key, version)) in some.keys.iter().zip(&some.versions).enumerate() {
        report.rows += 1;
        let there = content.next_if(|(at, _)| *at == nth).and_then(|(_, content)| content);
        let (row, tombstone) = (existing[nth].version(), existing[nth].tombstone(work.spec().scope));
        let mut find = |kind, column: Option<&str>| report.note(CheckFinding::new(kind, work, *key, column));
        match (row, there) {
            (Some(row), _) if row > *version && row.run_id == version.run_id => find(CheckKind::Ahead, None),
            (Some(row), _) if row > *version => report.outranked += 1,
            (Some(row), Some(there)) if row == *version => match first_other(&some.hashes(nth), &there.sha256) {
                Some(other) => find(CheckKind::OtherContent, Some(&work.spec().columns[hashed[other]].name)),
                None => report.equal += 1,
            },
            _ if tombstone.is_some_and(|tombstone| tombstone >= *version) => report.outranked += 1,
            (Some(_), _) => find(CheckKind::Older, None),
            (None, _) => find(CheckKind::Missing, None),
        }
    }
    Ok(())
}

fn first_other(due: &[Option<Sha256>], there: &[Option<Sha256>]) -> Option<usize> {
    (0..due.len()).find(|nth| due[*nth] != there.get(*nth).copied().flatten())
}

fn check_tombstones(
    (work, compatibility): (&TableWork<'_>, &TargetCompatibility),
    some: &PartKeys<'_>,
    backend: &mut dyn Backend,
    report: &mut CheckReport,
) -> Result<()> {
    let existing = backend.existing(work.spec(), compatibility, &some.keys)?;
    let scope = Some(work.spec().scope);
    for (nth, existing) in existing.iter().enumerate() {
        report.tombstones += 1;
        let (key, version) = (&some.keys[nth], &some.versions[nth]);
        // A row of another chain stays where its key left this one.
        let is_concerned = some.reason(nth)? == DeletionReason::Deleted || existing.row_scope == scope;
        if is_concerned && existing.version().is_some_and(|row| *version > row) {
            report.note(CheckFinding::new(CheckKind::NotRemoved, work, *key, None));
        }
    }
    Ok(())
}

impl CheckFinding {
    fn new(kind: CheckKind, work: &TableWork<'_>, key: Guid, column: Option<&str>) -> Self {
        let target = work.spec().target.clone();
        Self {
            kind,
            path: work.bundle.path().to_owned(),
            target,
            key: work.spec().key_type.shown(key),
            column: column.map(str::to_owned),
        }
    }
}
