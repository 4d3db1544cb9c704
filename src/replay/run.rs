//! One replay, from bundles to report.

use super::apply::{Applier, target_of};
use super::chain::{Link, chain_of, check_gaps, order};
use super::options::{BundleOutcome, ReplayOptions, ReplayReport};
use crate::backend::Backend;
use crate::bundle::{Bundle, Container, Identities};
use crate::error::{Error, Result};
use crate::monitor::{Event, Monitor};
use std::path::PathBuf;

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
    let bundles = order(open(bundles, &options.identities)?);
    let mut appliers = Vec::new();
    let mut links = Vec::new();
    for bundle in &bundles {
        bundle.check_file_set()?;
        for table in &bundle.manifest().tables {
            let applier = Applier::new(bundle, table, options)?;
            backend.prepare_target(applier.spec(), options.create)?;
            let chain = chain_of(bundle, table);
            let standing = backend.chain_end(applier.spec(), chain.0, &chain.2)?;
            links.push(Link { chain, table, bundle, standing });
            appliers.push(applier);
        }
    }
    if !options.allow_gap {
        check_gaps(&mut links)?;
    }
    let mut report = ReplayReport::default();
    let mut appliers = appliers.into_iter();
    for bundle in &bundles {
        let files = || bundle.manifest().tables.iter().flat_map(|table| &table.files);
        monitor.event(Event::WorkStarted {
            what: "replay",
            name: &bundle.path().file_name().unwrap_or_default().to_string_lossy(),
            rows: Some(files().filter_map(|file| file.rows).sum()),
            bytes: Some(files().map(|file| file.bytes).sum()),
        });
        let tables = appliers
            .by_ref()
            .take(bundle.manifest().tables.len())
            .map(|applier| applier.apply(backend, monitor))
            .collect::<Result<Vec<_>>>();
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
