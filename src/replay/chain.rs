//! The order of bundles, and gaps between them (rule 16).

use crate::bundle::{Bundle, TableInfo};
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A chain: the bundles of one table and scope of one source.
pub(super) type ChainId = (Guid, TableName, String);

/// The chain that a table of a bundle belongs to.
pub(super) fn chain_of(bundle: &Bundle, table: &TableInfo) -> ChainId {
    (bundle.manifest().run.source_id, table.name.clone(), table.scope.0.to_string())
}

/// Sorts bundles so that each chain is applied by window, and drops a bundle that is named twice.
pub(super) fn order(bundles: Vec<Bundle>) -> Vec<Bundle> {
    let mut seen = BTreeSet::new();
    let mut bundles: Vec<Bundle> = bundles.into_iter().filter(|bundle| seen.insert(bundle.root_sha256())).collect();
    let rank = |bundle: &Bundle| {
        let run = &bundle.manifest().run;
        let start = bundle.manifest().tables.iter().map(|table| table.window.start).min();
        (run.source_id, start, run.started_at, run.run_id, run.pack_number)
    };
    bundles.sort_by_key(rank);
    bundles
}

/// A window of a chain, and whose it is.
pub(super) struct Link<'b> {
    /// The chain.
    pub chain: ChainId,
    /// The table of the bundle.
    pub table: &'b TableInfo,
    /// The bundle.
    pub bundle: &'b Bundle,
    /// Where the target's chain ends before this replay.
    pub standing: Option<Timestamp>,
}

/// Holds each chain's windows against what the target has, and against each other. A chain may
/// start anywhere, and a bundle may be older than what was applied.
///
/// # Errors
/// ChainGap, naming both ends.
pub(super) fn check_gaps(links: &mut [Link<'_>]) -> Result<()> {
    links.sort_by(|a, b| (&a.chain, a.table.window.start).cmp(&(&b.chain, b.table.window.start)));
    let mut ends: BTreeMap<&ChainId, Timestamp> = BTreeMap::new();
    for Link { chain, table, bundle, standing } in links.iter() {
        let window = &table.window;
        let end = ends.get(chain).copied().or(*standing);
        if let Some(end) = end.filter(|end| *end < window.start) {
            let start = window.start;
            return Err(Error::new(
                Kind::ChainGap,
                format!("bundles of this chain are missing: it ends at {end}, and this one starts at {start}"),
            )
            .table(&table.name)
            .file(bundle.path())
            .hint("replay the bundles between as well, or allow the gap"));
        }
        ends.insert(chain, end.map_or(window.end, |end| end.max(window.end)));
    }
    Ok(())
}
