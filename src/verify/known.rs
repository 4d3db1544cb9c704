//! Over several bundles: whether what one leaves out is held by the bundle that it names.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use super::run::VerifyOptions;
use crate::bundle::{Bundle, Container};
use crate::error::{Error, Result};
use crate::known::{Holders, KnownValues};
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Findings that are told, of all bundles together.
const MOST_FINDINGS: usize = 100;

/// Looks for every value that bundles leave out, in those of them that are named: bytes of that hash and length, under the same key
/// and column, in the same chain. What is wrong comes to the report of the bundle that leaves it out. Returns the root digests of
/// bundles that are named, and are not here.
///
/// Each report is of the bundle at the same place, which was found good at the deep level.
///
/// # Errors
/// Io, or Verification where a bundle changed since it was verified; Database; Cancelled.
pub fn verify_known(
    verified: &mut [(PathBuf, VerifyReport)],
    options: &VerifyOptions,
    monitor: &dyn Monitor,
) -> Result<BTreeSet<Sha256>> {
    let mut bundles = Vec::new();
    for (path, report) in verified.iter() {
        let bundle = Bundle::open_in(Container::open(path, &options.access)?)?;
        if report.root_sha256 != Some(bundle.root_sha256()) {
            return Err(Error::verification("this bundle changed while it was verified").file(path));
        }
        bundles.push(bundle);
    }
    let holders = Holders::of(&bundles);
    let (mut known, mut absent) = (KnownValues::new(&holders, false), BTreeSet::new());
    let work = Event::WorkStarted { what: "look for", name: "known content", rows: None, bytes: None };
    monitor.event(work);
    let sources = bundles.iter().flat_map(|bundle| bundle.manifest().tables.iter().map(move |table| (bundle, table)));
    for (bundle, table) in sources {
        let source = TableRows { bundle, table };
        absent.extend(holders.absent(source));
        known.need_all(source, monitor, |_, _| Ok(true)).map_err(|error| error.file(bundle.path()))?;
    }
    known.find(false, monitor)?;
    monitor.event(Event::WorkFinished);
    for unfound in known.unfound(MOST_FINDINGS, true)? {
        let Some(nth) = bundles.iter().position(|bundle| bundle.path() == unfound.path) else { continue };
        let key = bundles[nth].manifest().table(&unfound.table).map(|table| table.shown_key(unfound.key).to_string());
        let detail = format!(
            "{}: column {}, key {}: the value is left out, and the bundle {} has none of this hash and of {} bytes there",
            unfound.table,
            unfound.column,
            key.unwrap_or_default(),
            unfound.known.root_sha256,
            unfound.known.bytes
        );
        verified[nth].1.add(Finding::new(K::BadKnownContent, None, detail));
    }
    Ok(absent)
}
