//! The nouns of a survey.

use crate::bundle::FailedTable;
use crate::error::Error;
use crate::links::{ChainId, Link, Span};
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::drift::SchemaChange;
use crate::model::run::TableCounts;
use crate::model::time::Timestamp;
use std::path::PathBuf;

/// A bundle that was opened, in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its folder or archive; the first that was found, if it is there in several forms.
    pub path: PathBuf,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// When its run started, UTC.
    pub started_at: Timestamp,
    /// When its run completed, UTC, where that was known at packing.
    pub completed_at: Option<Timestamp>,
    /// Tables of its run that are not in it.
    pub failed: Vec<FailedTable>,
}

/// One table of one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// Which of [`ChainSurvey::members`].
    pub member: usize,
    /// Its place in the chain, as its manifest says it.
    pub link: Link,
    /// Rows of its parts.
    pub rows: u64,
    /// Its tombstones.
    pub tombstones: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// What its manifest tells of the run.
    pub counts: TableCounts,
    /// What changed about the columns since the bundle before it, as its manifest says.
    pub schema_changes: Vec<SchemaChange>,
}

/// In which way a link does not fit; members are those of [`ChainSurvey::members`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// It names a bundle that is not in the chain, and is not the chain's first.
    PreviousIsMissing(Sha256),
    /// It was compacted without a bundle of the chain, which is not here.
    MadeWithout(Sha256),
    /// It says that it is the first of its chain, and there is an older one.
    SecondStart,
    /// Another bundle (which member) names the same one before it.
    Fork(usize),
    /// Its window is read from another clock than the one before, so the two cannot be compared.
    AnotherClock,
    /// Its links lead in a circle.
    Circle,
}

/// A link that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenLink {
    /// Which of [`ChainSurvey::members`].
    pub member: usize,
    /// In which way.
    pub fault: LinkFault,
}

/// All bundles of one chain. It has at least one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Which chain.
    pub id: ChainId,
    /// In the order of their links and runs.
    pub links: Vec<ChainLink>,
    /// The bundle before the first that is here, where the chain does not begin with it: a target that
    /// has never seen it cannot take the first.
    pub begins_after: Option<Sha256>,
    /// Where a window starts after everything before it ended, in order; none touches another.
    pub gaps: Vec<Span>,
    /// What more than one window takes: that is how the safety buffer works, and no fault.
    pub overlaps: Vec<Span>,
    /// Links that do not fit, in their order.
    pub broken_links: Vec<BrokenLink>,
}

impl Chain {
    /// The clock of its windows: that of the last.
    pub fn clock(&self) -> ClockKind {
        self.links.last().map_or(ClockKind::Utc, |link| link.link.window.clock)
    }

    /// The links by window, for drawing: a later one is drawn over what it overlaps.
    pub fn by_window(&self) -> Vec<&ChainLink> {
        let mut links: Vec<&ChainLink> = self.links.iter().collect();
        links.sort_by_key(|link| (link.link.window.start, link.link.window.end));
        links
    }

    /// From the first start to the greatest end.
    pub fn span(&self) -> Span {
        let start = self.links.iter().map(|link| link.link.window.start).min();
        let end = self.links.iter().map(|link| link.link.window.end).max();
        Span { start: start.unwrap_or(Timestamp::MIN), end: end.unwrap_or(Timestamp::MIN) }
    }
}

/// Something that is called a bundle and cannot be opened as one.
#[derive(Debug)]
pub struct BrokenBundle {
    /// Where it stands.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// What was found.
#[derive(Debug, Default)]
pub struct ChainSurvey {
    /// The bundles, each once, in the order in which they were found.
    pub members: Vec<Member>,
    /// Their chains, by table, scope and source.
    pub chains: Vec<Chain>,
    /// What cannot be opened.
    pub broken: Vec<BrokenBundle>,
    /// Encrypted archives of the folders that were looked through, for which no identity was given.
    pub sealed: Vec<PathBuf>,
    /// Bundles that are there in more than one form, counted beyond the first.
    pub copies: u64,
}

impl ChainSurvey {
    /// Whether a chain has a gap.
    pub fn has_gap(&self) -> bool {
        self.chains.iter().any(|chain| !chain.gaps.is_empty())
    }

    /// Whether a link does not fit.
    pub fn has_broken_link(&self) -> bool {
        self.chains.iter().any(|chain| !chain.broken_links.is_empty())
    }
}
