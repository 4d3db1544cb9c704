//! One replay, from bundles to report.

use super::apply::{Applier, target_of};
use super::chain::{ChainId, Gap, Link, chain_of, gaps, order, refuse};
use super::options::{BundleOutcome, ReplayOptions, ReplayReport};
use crate::backend::{Backend, TargetFit, TargetSpec};
use crate::bundle::{Bundle, Container, FileRole, Identities, TableInfo};
use crate::error::{Error, Result};
use crate::monitor::{Event, Monitor};
use std::path::PathBuf;

/// Bundles in the order in which they are applied.
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
}

impl Opened {
    /// Opens bundles, and checks that their files are those that their lists name.
    pub(super) fn open(bundles: &[PathBuf], options: &ReplayOptions) -> Result<Self> {
        let bundles = order(open(bundles, &options.identities)?);
        bundles.iter().try_for_each(Bundle::check_file_set)?;
        Ok(Self(bundles))
    }

    /// Their tables.
    pub(super) fn works(&self, options: &ReplayOptions) -> Result<Vec<Work<'_>>> {
        let tables = self.0.iter().flat_map(|bundle| bundle.manifest().tables.iter().map(move |table| (bundle, table)));
        tables
            .map(|(bundle, table)| {
                let applier = Applier::new(bundle, table, options)?;
                Ok(Work { bundle, table, applier, fit: None, gap: None })
            })
            .collect()
    }

    /// Finds what is missing before each.
    ///
    /// # Errors
    /// ChainGap, unless it is allowed.
    pub(super) fn settle_gaps(
        works: &mut [Work<'_>],
        backend: &mut dyn Backend,
        options: &ReplayOptions,
    ) -> Result<()> {
        let mut links = Vec::new();
        for Work { bundle, table, applier, .. } in works.iter() {
            let chain: ChainId = chain_of(bundle, table);
            links.push(Link { chain, table, bundle, applied: backend.applied_bundles(applier.spec())? });
        }
        let gaps = gaps(&links);
        if !options.allow_gap {
            refuse(&links, &gaps)?;
        }
        works.iter_mut().zip(gaps).for_each(|(work, gap)| work.gap = gap);
        Ok(())
    }
}

/// A batch has one part of so many of a replay's memory: one is applied and one waits while the next is made,
/// in pages and then in columns.
const BATCH_ONE_OF: u64 = 6;
/// The same where batches share transactions: what stays small stays in memory that is used again.
const SHARING_BATCH_ONE_OF: u64 = 32;

/// Applies bundles in chain order, each once. Everything that can be refused is refused before
/// the first row is written: a bundle that cannot be opened, a gap, a target that does not fit.
///
/// # Errors
/// Verification, with the file, for a bundle that is not what it says; ChainGap; Config, for a
/// target that does not fit; Usage, without bundles; Cancelled.
pub fn replay(
    bundles: &[PathBuf],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<ReplayReport> {
    let opened = Opened::open(bundles, options)?;
    let mut works = opened.works(options)?;
    backend.limit_memory(options.memory.databases())?;
    let one_of = if backend.shares_transactions() { SHARING_BATCH_ONE_OF } else { BATCH_ONE_OF };
    for work in &mut works {
        work.applier.batch_bytes = options.memory.pipeline() / one_of;
        let fit = backend.prepare_target(work.applier.spec(), options.create)?;
        work.applier.skipped = fit.skipped;
    }
    Opened::settle_gaps(&mut works, backend, options)?;
    let mut report = ReplayReport::default();
    let mut works = works.into_iter();
    for bundle in &opened.0 {
        let files = || bundle.manifest().tables.iter().flat_map(|table| &table.files);
        monitor.event(Event::WorkStarted {
            what: "replay",
            name: &bundle.path().file_name().unwrap_or_default().to_string_lossy(),
            rows: Some(files().filter_map(|file| file.rows).sum()),
            bytes: Some(files().map(|file| file.bytes).sum()),
        });
        backend.begin_series();
        let tables = works
            .by_ref()
            .take(bundle.manifest().tables.len())
            .map(|work| work.applier.apply(backend, work.gap.as_ref(), monitor))
            .collect::<Result<Vec<_>>>();
        // Whatever ended it: batches that were applied are whole.
        let settled = backend.end_series();
        let tables = tables.and_then(|tables| settled.map(|()| tables));
        monitor.event(Event::WorkFinished);
        let outcome = BundleOutcome {
            path: bundle.path().to_owned(),
            root_sha256: bundle.root_sha256(),
            tables: tables.map_err(|error| error.file(bundle.path()))?,
        };
        report.bundles.push(outcome);
    }
    Ok(report)
}

/// The database that a replay of these bundles would write, for opening the target: that of the
/// first table, as it is asked for or as the source has it.
///
/// # Errors
/// As [`replay`], for bundles that cannot be opened.
pub fn target_database(bundles: &[PathBuf], options: &ReplayOptions) -> Result<String> {
    let first = open(bundles, &options.identities)?.into_iter().find_map(|bundle| {
        let table = bundle.manifest().tables.first()?;
        Some(target_of(table, options).map(|target| target.db))
    });
    first.unwrap_or_else(|| Err(Error::verification("no bundle has a table")))
}

fn open(bundles: &[PathBuf], identities: &Identities) -> Result<Vec<Bundle>> {
    if bundles.is_empty() {
        return Err(Error::usage("there is no bundle to replay")
            .hint("name at least one folder that ends in .bundle, or archive that ends in .bundle.tar"));
    }
    bundles.iter().map(|path| Bundle::open_in(Container::open(path, identities)?)).collect()
}
