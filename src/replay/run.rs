//! One replay, from bundles to report.

use super::apply::{Applier, target_of};
use super::chain::{Gap, Renoted, settle};
use super::guard;
use super::options::{BundleOutcome, ReplayOptions, ReplayReport, TableOutcome};
use super::{scopes, whole};
use crate::backend::{Backend, TargetFit, TargetSpec, check_target};
use crate::bundle::{Access, Bundle, Container, FileRole, Newest, TableInfo, tell_failed};
use crate::error::{Error, Result};
use crate::links::tables_in_order;
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use crate::monitor::{Event, Monitor};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The bundles that come.
pub(super) struct Opened(Vec<Bundle>);

/// One table of one bundle.
pub(super) struct Work<'b> {
    pub(super) bundle: &'b Bundle,
    pub(super) table: &'b TableInfo,
    pub(super) applier: Applier<'b>,
    /// How the target takes the rows, where it is there and that was asked.
    pub(super) fit: Option<TargetFit>,
    /// What is missing before it.
    pub(super) gap: Option<Gap>,
    /// Whether it is the first of another source than the target's rows, and that is allowed.
    pub(super) is_other_source: bool,
    /// What else there is to tell of its place.
    pub(super) told: Vec<String>,
}

impl Work<'_> {
    /// Shows how far something that reads keys alone is.
    pub(super) fn watched<T>(
        &self,
        what: &'static str,
        monitor: &dyn Monitor,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let rows = self.table.files.iter().filter(|file| matches!(file.role, FileRole::Rows | FileRole::Tombstones));
        let rows = rows.filter_map(|file| file.rows).sum();
        let name = self.bundle.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        monitor.event(Event::WorkStarted { what, name: &name, rows: Some(rows), bytes: None });
        let done = work();
        monitor.event(Event::WorkFinished);
        done.map_err(|error| error.file(self.bundle.path()).table(&self.table.name))
    }

    pub(super) fn spec(&self) -> &TargetSpec {
        self.applier.spec()
    }

    fn apply(&self, backend: &mut dyn Backend, monitor: &dyn Monitor) -> Result<TableOutcome> {
        let done = self.applier.apply(backend, (self.gap.as_ref(), self.is_other_source), monitor)?;
        Ok(TableOutcome { told: self.told.clone(), ..done })
    }
}

impl Opened {
    /// Opens bundles, and checks that their files are those that their lists name.
    pub(super) fn open(bundles: &[PathBuf], options: &ReplayOptions, monitor: &dyn Monitor) -> Result<Self> {
        let bundles = open(bundles, &options.access)?;
        bundles.iter().for_each(|bundle| tell_failed(bundle.path(), bundle.manifest(), monitor));
        bundles.iter().try_for_each(Bundle::check_file_set)?;
        Ok(Self(bundles))
    }

    /// Their tables, in the order in which they are applied (rule 22).
    ///
    /// # Errors
    /// Verification: links that lead in a circle; Config: a name that no catalog could hold, or of what is never a target.
    pub(super) fn works(&self, backend: &mut dyn Backend, options: &ReplayOptions) -> Result<Vec<Work<'_>>> {
        let mut targets: BTreeMap<TableName, TableName> = BTreeMap::new();
        let works = tables_in_order(&self.0)?
            .into_iter()
            .map(|(bundle, table)| {
                let asked = target_of(table, options)?;
                let target = match targets.get(&asked) {
                    Some(target) => target.clone(),
                    None => backend.resolve_target(asked.clone()).map_err(|error| error.file(bundle.path()))?,
                };
                targets.insert(asked, target.clone());
                let applier = Applier::new(bundle, table, target, options)?;
                Ok(Work { bundle, table, applier, fit: None, gap: None, is_other_source: false, told: Vec::new() })
            })
            .collect::<Result<Vec<_>>>()?;
        let deleting = works.iter().filter(|work| work.spec().removes).map(|work| work.spec().target.clone());
        let deleting: BTreeSet<TableName> = deleting.collect();
        let mut works = works;
        for work in &mut works {
            work.applier.removes(deleting.contains(&work.applier.spec().target));
        }
        Ok(works)
    }
}

/// Asks about each target once, and not again for each bundle.
pub(super) struct Fits<T>(BTreeMap<TableName, (TargetSpec, T)>);

impl<T: Clone> Fits<T> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn of(&mut self, spec: &TargetSpec, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some((_, fit)) = self.0.get(&spec.target).filter(|(known, _)| known == spec) {
            return Ok(fit.clone());
        }
        let fit = ask()?;
        self.0.insert(spec.target.clone(), (spec.clone(), fit.clone()));
        Ok(fit)
    }
}

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
    let done = Opened::open(bundles, options, monitor).and_then(|opened| apply_all(&opened, backend, options, monitor));
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
    opened: &Opened,
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<ReplayReport> {
    let mut works = opened.works(backend, options)?;
    let renoted = admit(&mut works, backend, options)?;
    let scopes = scopes::tell(&works, backend, monitor)?;
    backend.limit_memory(options.memory.databases())?;
    let one_of = if backend.shares_transactions() { SHARING_BATCH_ONE_OF } else { BATCH_ONE_OF };
    let mut fits = Fits::new();
    for work in &mut works {
        work.applier.batch_bytes = options.memory.pipeline() / one_of;
        let spec = work.applier.spec();
        work.applier.skipped = fits.of(spec, || backend.prepare_target(spec, options.create))?.skipped;
    }
    let mut report = Outcomes::default();
    for works in works.chunk_by(|one, next| std::ptr::eq(one.bundle, next.bundle)) {
        report.add(works[0].bundle, apply_tables(works, backend, monitor)?);
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
pub(super) fn admit(
    works: &mut [Work<'_>],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
) -> Result<Vec<Renoted>> {
    let mut fits = Fits::new();
    for work in works.iter_mut() {
        let spec = work.applier.spec();
        work.fit = fits.of(spec, || backend.inspect_target(spec))?;
        whole::check(work, backend, options)?;
        if work.fit.is_none() && !options.create {
            return Err(Error::config(format!("there is no table {}", spec.target))
                .hint("create it, or have it created with --create"));
        }
    }
    guard::check(works, backend, options)?;
    settle(works, backend, options)
}

/// Tables of one bundle that stand in a row.
fn apply_tables(works: &[Work<'_>], backend: &mut dyn Backend, monitor: &dyn Monitor) -> Result<Vec<TableOutcome>> {
    let bundle = works[0].bundle;
    let files = || works.iter().flat_map(|work| &work.table.files);
    monitor.event(Event::WorkStarted {
        what: "replay",
        name: &bundle.path().file_name().unwrap_or_default().to_string_lossy(),
        rows: Some(files().filter_map(|file| file.rows).sum()),
        bytes: Some(files().map(|file| file.bytes).sum()),
    });
    backend.begin_series();
    let tables = works.iter().map(|work| work.apply(backend, monitor)).collect::<Result<Vec<_>>>();
    // Whatever ended it: batches that were applied are whole.
    let settled = backend.end_series();
    let tables = tables.and_then(|tables| settled.map(|()| tables));
    monitor.event(Event::WorkFinished);
    tables.map_err(|error| error.file(bundle.path()))
}

/// What was done, a bundle at the place of the first of its tables.
#[derive(Default)]
struct Outcomes(ReplayReport, BTreeMap<Sha256, usize>);

impl Outcomes {
    fn add(&mut self, bundle: &Bundle, tables: Vec<TableOutcome>) {
        let Self(ReplayReport { bundles, .. }, places) = self;
        let root_sha256 = bundle.root_sha256();
        let place = *places.entry(root_sha256).or_insert_with(|| {
            bundles.push(BundleOutcome { path: bundle.path().to_owned(), root_sha256, tables: Vec::new() });
            bundles.len() - 1
        });
        bundles[place].tables.extend(tables);
    }
}

/// The database that a replay of these bundles would write, for opening the target: that of the
/// first table, as it is asked for or as the source has it.
///
/// # Errors
/// As [`replay`], for bundles that cannot be opened, and for a name of what is never a target.
pub fn target_database(bundles: &[PathBuf], options: &ReplayOptions) -> Result<String> {
    let first = open(bundles, &options.access)?.into_iter().find_map(|bundle| {
        let table = bundle.manifest().tables.first()?;
        let target = target_of(table, options).and_then(|target| check_target(&target).map(|()| target.db));
        Some(target.map_err(|error| error.file(bundle.path())))
    });
    first.unwrap_or_else(|| Err(Error::verification("no bundle has a table")))
}

fn open(bundles: &[PathBuf], access: &Access) -> Result<Vec<Bundle>> {
    if bundles.is_empty() {
        return Err(Error::usage("there is no bundle to replay")
            .hint("name at least one folder that ends in .bundle, or archive that ends in .bundle.tar"));
    }
    let bundles: Vec<Bundle> =
        bundles.iter().map(|path| Bundle::open_in(Container::open(path, access)?)).collect::<Result<_>>()?;
    Newest::of(bundles.iter().map(Bundle::manifest)).check(access.not_before)?;
    Ok(bundles)
}
