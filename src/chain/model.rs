//! The nouns of a survey.

use crate::error::Error;
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use std::path::PathBuf;

/// A bundle that was opened, in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its folder or archive; the first that was found, if it is there in several forms.
    pub path: PathBuf,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// When its run started, UTC.
    pub run_started_at: Timestamp,
    /// Its run.
    pub run_id: Guid,
    /// Which pack of the run it is.
    pub pack_number: u32,
    /// The deltas whose place it takes, if it is a compacted one.
    pub inputs: Vec<Sha256>,
}

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

/// One table of one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which of [`Survey::members`].
    pub member: usize,
    /// Its window.
    pub window: Window,
    /// The root digest of the bundle before, as its manifest says.
    pub previous: Option<Sha256>,
    /// Whether it was made from other bundles; such a one takes the place of several links.
    pub is_compacted: bool,
    /// Rows of its parts.
    pub rows: u64,
    /// Its tombstones.
    pub tombstones: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// A half-open stretch of time, in the clock of the chain.
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

/// In which way a link does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// It names a bundle that is not in the chain, and is not the chain's first.
    PreviousIsMissing(Sha256),
    /// It says that it is the first of its chain, and there is an older run.
    SecondStart,
    /// Another bundle (which of [`Survey::members`]) names the same one before it.
    Fork(usize),
    /// Its window is read from another clock than the one before, so the two cannot be compared.
    AnotherClock,
}

/// A link that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which of [`Survey::members`].
    pub member: usize,
    /// In which way.
    pub fault: LinkFault,
}

/// All bundles of one chain. It has at least one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Which chain.
    pub id: ChainId,
    /// By window: start, then end, then run.
    pub links: Vec<Link>,
    /// Where a window starts after everything before it ended, in order; none touches another.
    pub gaps: Vec<Span>,
    /// What more than one window takes: that is how the safety buffer works, and no fault.
    pub overlaps: Vec<Span>,
    /// Links that do not fit, by run.
    pub misfits: Vec<Misfit>,
}

impl Chain {
    /// The clock of its windows: that of the last.
    pub fn clock(&self) -> ClockKind {
        self.links.last().map_or(ClockKind::Utc, |link| link.window.clock)
    }

    /// From the first start to the greatest end.
    pub fn span(&self) -> Span {
        let start = self.links.iter().map(|link| link.window.start).min();
        let end = self.links.iter().map(|link| link.window.end).max();
        Span { start: start.unwrap_or(Timestamp::MIN), end: end.unwrap_or(Timestamp::MIN) }
    }
}

/// Something that is called a bundle and cannot be opened as one.
#[derive(Debug)]
pub struct Broken {
    /// Where it stands.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The bundles, each once, in the order in which they were found.
    pub members: Vec<Member>,
    /// Their chains, by table, scope and source.
    pub chains: Vec<Chain>,
    /// What cannot be opened.
    pub broken: Vec<Broken>,
    /// Encrypted archives of the folders that were looked through, for which no identity was given.
    pub sealed: Vec<PathBuf>,
    /// Bundles that are there in more than one form, counted beyond the first.
    pub copies: u64,
}

impl Survey {
    /// Whether a chain has a gap.
    pub fn has_gap(&self) -> bool {
        self.chains.iter().any(|chain| !chain.gaps.is_empty())
    }

    /// Whether a link does not fit.
    pub fn has_misfit(&self) -> bool {
        self.chains.iter().any(|chain| !chain.misfits.is_empty())
    }
}
