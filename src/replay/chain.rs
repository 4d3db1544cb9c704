//! The order of bundles, and what is missing between them (rule 16).

use crate::backend::AppliedBundle;
use crate::bundle::{Bundle, TableInfo};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

/// Why a bundle does not follow what the target has of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// The chain ends before the bundle's window starts.
    Missing { end: Timestamp, start: Timestamp },
    /// It names a bundle before it that was never applied here.
    Foreign { previous: Sha256 },
    /// The target has bundles of this source.
    OtherSource { source_id: Guid },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { end, start } => {
                write!(f, "bundles of this chain are missing: it ends at {end}, and this one starts at {start}")
            }
            Self::Foreign { previous } => {
                write!(f, "this bundle follows one with the root digest {previous}, which was never applied here")
            }
            Self::OtherSource { source_id } => {
                write!(f, "the target has rows of another source, {source_id}, under the same name")
            }
        }
    }
}

/// A window of a chain, and whose it is.
pub(super) struct Link<'b> {
    pub(super) chain: ChainId,
    pub(super) table: &'b TableInfo,
    pub(super) bundle: &'b Bundle,
    /// What the target had of the table before this replay.
    pub(super) applied: Vec<AppliedBundle>,
}

/// What is known of a table while links are gone through.
#[derive(Default)]
struct Known {
    ends: BTreeMap<ChainId, Timestamp>,
    roots: BTreeSet<Sha256>,
    sources: BTreeSet<Guid>,
}

/// Holds each bundle against what the target has and against the bundles before it. A chain may
/// start anywhere, and a bundle that is older than what was applied may come late. Says for each
/// link what is wrong with it.
pub(super) fn gaps(links: &[Link<'_>]) -> Vec<Option<Gap>> {
    let mut order: Vec<usize> = (0..links.len()).collect();
    order.sort_by_key(|nth| (&links[*nth].chain, links[*nth].table.window.start));
    let mut tables: BTreeMap<&TableName, Known> = BTreeMap::new();
    let mut gaps = vec![None; links.len()];
    for nth in order {
        let link = &links[nth];
        let known = tables.entry(&link.table.name).or_insert_with(|| Known::before(link));
        gaps[nth] = known.gap(link);
        known.take(link);
    }
    gaps
}

/// # Errors
/// ChainGap, for the first link with one.
pub(super) fn refuse(links: &[Link<'_>], gaps: &[Option<Gap>]) -> Result<()> {
    let Some((link, gap)) = links.iter().zip(gaps).find_map(|(link, gap)| Some((link, gap.as_ref()?))) else {
        return Ok(());
    };
    let hint = match gap {
        Gap::Missing { .. } => "replay the bundles between as well, or allow the gap",
        Gap::Foreign { .. } => {
            "replay that bundle too; if the source was set back to an earlier state, replay into a new database; or \
             allow the gap"
        }
        Gap::OtherSource { .. } => "replay into another database, or allow it if both are one table by intention",
    };
    let error = Error::new(Kind::ChainGap, gap.to_string());
    Err(error.table(&link.table.name).file(link.bundle.path()).hint(hint))
}

impl Known {
    fn before(link: &Link<'_>) -> Self {
        let mut known = Self::default();
        for applied in &link.applied {
            known.roots.insert(applied.root_sha256);
            if let Some((_, end)) = applied.window {
                known.sources.insert(applied.source_id);
                let chain = (applied.source_id, link.table.name.clone(), applied.scope.clone());
                known.reach(chain, end);
            }
        }
        known
    }

    fn reach(&mut self, chain: ChainId, end: Timestamp) {
        let known = self.ends.entry(chain).or_insert(end);
        *known = (*known).max(end);
    }

    fn gap(&self, link: &Link<'_>) -> Option<Gap> {
        if self.roots.contains(&link.bundle.root_sha256()) {
            return None;
        }
        let window = &link.table.window;
        let source_id = link.chain.0;
        if !self.sources.contains(&source_id)
            && let Some(other) = self.sources.first()
        {
            return Some(Gap::OtherSource { source_id: *other });
        }
        let end = *self.ends.get(&link.chain)?;
        if end < window.start {
            return Some(Gap::Missing { end, start: window.start });
        }
        let previous = link.table.previous?.root_sha256;
        let mut inputs = link.bundle.manifest().inputs.iter();
        let follows = self.roots.contains(&previous) || inputs.any(|input| self.roots.contains(input));
        (window.end > end && !follows).then_some(Gap::Foreign { previous })
    }

    fn take(&mut self, link: &Link<'_>) {
        self.sources.insert(link.chain.0);
        self.roots.insert(link.bundle.root_sha256());
        self.roots.extend(&link.bundle.manifest().inputs);
        self.reach(link.chain.clone(), link.table.window.end);
    }
}

/// What the target notes of a bundle once it is applied: itself, and what was compacted into it.
pub(super) fn noted(bundle: &Bundle, table: &TableInfo, gap: Option<&Gap>) -> Vec<AppliedBundle> {
    let (source_id, _, scope) = chain_of(bundle, table);
    let whole = AppliedBundle {
        source_id,
        scope,
        root_sha256: bundle.root_sha256(),
        window: Some((table.window.start, table.window.end)),
        gap: gap.map(Gap::to_string),
        within: None,
    };
    let within = |input: &Sha256| AppliedBundle {
        root_sha256: *input,
        window: None,
        gap: None,
        within: Some(bundle.root_sha256()),
        ..whole.clone()
    };
    let inputs: Vec<AppliedBundle> = bundle.manifest().inputs.iter().map(within).collect();
    std::iter::once(whole.clone()).chain(inputs).collect()
}
