//! One replay, from bundles to report.

use super::chain::{Renoted, settle};
use super::guard;
use super::known::LaterRows;
use super::options::{BundleOutcome, ReplayOptions, ReplayReport, TableReplayOutcome};
use super::work::{InspectedTargets, OpenedBundles, TableWork};
use super::{scopes, whole};
use crate::backend::Backend;
use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::known::Holders;
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A batch has one part of so many of a replay's memory: one is applied and one waits while the next is made,
/// in pages and then in columns.
const BATCH_ONE_OF: u64 = 6;
/// The same where batches share transactions: what stays small stays in memory that is used again.
const SHARING_BATCH_ONE_OF: u64 = 32;

/// Applies bundles in the order of their links and runs, each once. Everything that can be refused is
/// refused before anything is written: a bundle that cannot be opened, a gap, a target that does not fit, the
/// source. A replay that fails takes back tables, ledgers and databases that it made and nothing came into.
///
/// # Errors
/// Verification, with the file, for a bundle that is not what it says, or links that lead in a circle;
/// ChainGap; Config, for a target that does not fit; Usage, without bundles; Cancelled.
pub fn replay(
    bundles: &[PathBuf],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<ReplayReport> {
    let opened = OpenedBundles::open(bundles, &options.access, monitor);
    let done = opened.and_then(|opened| apply_all(&opened, backend, options, monitor));
    keep_or_take_back(done, backend, monitor)
}

impl OpenedBundles {
    /// See [`replay()`].
    ///
    /// # Errors
    /// As [`replay()`].
    pub fn replay(
        &self,
        backend: &mut dyn Backend,
        options: &ReplayOptions,
        monitor: &dyn Monitor,
    ) -> Result<ReplayReport> {
        let done = apply_all(self, backend, options, monitor);
        keep_or_take_back(done, backend, monitor)
    }
}

/// What was made stays where a replay came to its end.
fn keep_or_take_back<T>(done: Result<T>, backend: &mut dyn Backend, monitor: &dyn Monitor) -> Result<T> {
    match &done {
        Ok(_) => backend.keep_targets(),
        Err(_) => {
            if let Err(error) = backend.take_back_targets() {
                monitor.event(Event::Note(&format!("what this replay had made is still there: {error}")));
            }
        }
    }
    done
}

fn apply_all(
    opened: &OpenedBundles,
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<ReplayReport> {
    let holders = Holders::of(&opened.0);
    let mut works = opened.works(backend, options)?;
    let renoted = inspect_targets(&mut works, backend, options)?;
    let scopes = scopes::report(&works, backend, monitor)?;
    backend.limit_memory(options.memory.databases())?;
    let one_of = if backend.shares_transactions() { SHARING_BATCH_ONE_OF } else { BATCH_ONE_OF };
    let mut inspected = InspectedTargets::new();
    for work in &mut works {
        work.applier.batch_bytes = options.memory.pipeline() / one_of;
        let spec = work.applier.spec();
        let (compatibility, noted) = inspected.of(spec, || {
            let compatibility = backend.prepare_target(spec, options.create)?;
            Ok((compatibility, backend.applied_bundles(spec)?))
        })?;
        work.settle_columns(&noted, &compatibility, options)?;
        work.applier.compatibility = compatibility;
    }
    let mut report = Outcomes::default();
    let mut from = 0;
    for now in works.chunk_by(|one, next| std::ptr::eq(one.bundle, next.bundle)) {
        from += now.len();
        let later: Vec<LaterRows<'_>> =
            works[from..].iter().map(|work| LaterRows { source: work.source(), spec: work.spec() }).collect();
        report.add(now[0].bundle, apply_tables(now, (&holders, &later), backend, monitor)?);
    }
    for bundle in &opened.0 {
        report.add(bundle, Vec::new());
    }
    for Renoted { spec, root, gap } in renoted {
        backend.note_gap(&spec, root, gap.as_deref())?;
    }
    Ok(ReplayReport { scopes, ..report.0 })
}

/// Holds what comes against what stands, and changes nothing: each work gets its fit, where its target is
/// there, and its gap.
///
/// # Errors
/// Config: a target that does not fit, is not there and may not be created, or is the source; ChainGap.
pub(super) fn inspect_targets(
    works: &mut [TableWork<'_>],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
) -> Result<Vec<Renoted>> {
    let mut inspected = InspectedTargets::new();
    for work in works.iter_mut() {
        let spec = work.applier.spec();
        work.compatibility = inspected.of(spec, || backend.inspect_target(spec))?;
        whole::check(work, backend, options)?;
        if work.compatibility.is_none() && !options.create {
            return Err(Error::config(format!("there is no table {}", spec.target))
                .hint("create it, or have it created with --create"));
        }
    }
    guard::check(works, backend, options)?;
    settle(works, backend, options)
}

/// Tables of one bundle that stand in a row.
fn apply_tables<'b>(
    works: &[TableWork<'b>],
    (holders, later): (&'b Holders<'b>, &[LaterRows<'_>]),
    backend: &mut dyn Backend,
    monitor: &dyn Monitor,
) -> Result<Vec<TableReplayOutcome>> {
    let bundle = works[0].bundle;
    let due = works.iter().map(|work| work.rows_due(backend)).collect::<Result<Vec<_>>>();
    let due = due.map_err(|error| error.file(bundle.path()))?;
    monitor.event(Event::WorkStarted {
        what: "replay",
        name: &bundle.path().file_name().unwrap_or_default().to_string_lossy(),
        rows: Some(due.into_iter().sum()),
        bytes: None,
    });
    let found = works.iter().map(|work| work.find_known((holders, later), backend, monitor));
    let mut found = match found.collect::<Result<Vec<_>>>() {
        Ok(found) => found,
        Err(error) => {
            monitor.event(Event::WorkFinished);
            return Err(error);
        }
    };
    backend.begin_commit_group();
    let works = works.iter().zip(&mut found);
    let tables = works.map(|(work, found)| work.apply(found, backend, monitor)).collect::<Result<Vec<_>>>();
    // Whatever ended it: batches that were applied are whole.
    let settled = backend.end_commit_group();
    let tables = tables.and_then(|tables| settled.map(|()| tables));
    monitor.event(Event::WorkFinished);
    tables.map_err(|error| error.file(bundle.path()))
}

/// What was done, a bundle at the place of the first of its tables.
#[derive(Default)]
struct Outcomes(ReplayReport, BTreeMap<Sha256, usize>);

impl Outcomes {
    fn add(&mut self, bundle: &Bundle, tables: Vec<TableReplayOutcome>) {
        let Self(ReplayReport { bundles, .. }, places) = self;
        let root_sha256 = bundle.root_sha256();
        let place = *places.entry(root_sha256).or_insert_with(|| {
            bundles.push(BundleOutcome { path: bundle.path().to_owned(), root_sha256, tables: Vec::new() });
            bundles.len() - 1
        });
        bundles[place].tables.extend(tables);
    }
}
