//! The nouns of chains.

use crate::bundle::{Bundle, Missing, TableInfo};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;

/// Rule 16: what links, gaps and compaction never cross.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId {
    /// The configured table. It stands first, so that chains are told by table.
    pub table: TableName,
    /// Whose rows.
    pub scope: Scope,
    /// The job database.
    pub source_id: Guid,
}

/// When a bundle was made, where no link says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunOrder {
    /// When its run started, UTC.
    pub started_at: Timestamp,
    /// The bytes of the RunId, in the order of RFC 9562.
    pub run_id: [u8; 16],
    /// Which pack of the run it is.
    pub pack_number: u32,
}

/// One table of one bundle, as far as its place in a chain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its chain.
    pub chain: ChainId,
    /// The root digest of the bundle.
    pub root: Sha256,
    /// The root digest of the bundle before; none, where it is the first.
    pub previous: Option<Sha256>,
    /// The bundles whose place it takes, if it is a compacted one.
    pub inputs: Vec<Sha256>,
    /// Its window.
    pub window: Window,
    /// What it was compacted without.
    pub missing: Missing,
    /// When it was made.
    pub run_order: RunOrder,
}

impl Link {
    /// The link of a table of a bundle.
    pub fn of(bundle: &Bundle, table: &TableInfo) -> Self {
        let manifest = bundle.manifest();
        let run = &manifest.run;
        Self {
            chain: ChainId { table: table.name.clone(), scope: table.scope.0, source_id: run.source_id },
            root: bundle.root_sha256(),
            previous: table.previous.map(|previous| previous.root_sha256),
            inputs: manifest.inputs.clone(),
            window: table.window.window(),
            missing: table.missing.clone(),
            run_order: RunOrder {
                started_at: run.started_at.0,
                run_id: *run.run_id.as_bytes(),
                pack_number: run.pack_number,
            },
        }
    }

    /// Whether it was made from other bundles.
    pub fn is_compacted(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// The time that it covers, in order: its window, but for what it was compacted without.
    pub(super) fn covered(&self) -> Vec<Span> {
        let Window { start, end, .. } = self.window;
        let mut holes = self.missing.windows.clone();
        holes.sort_by_key(|hole| hole.start);
        let (mut covered, mut from) = (Vec::new(), start);
        for hole in holes {
            if hole.start > from {
                covered.push(Span { start: from, end: hole.start.min(end) });
            }
            from = from.max(hole.end);
        }
        if from < end || covered.is_empty() {
            covered.push(Span { start: from.min(end), end });
        }
        covered
    }
}

/// A half-open stretch of time, in the clock of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Span {
    /// How long it is, in 100 ns.
    pub fn ticks(self) -> i64 {
        self.end.ticks().saturating_sub(self.start.ticks())
    }
}
