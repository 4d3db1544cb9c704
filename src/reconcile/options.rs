//! What is asked of a reconciliation, and what it answers.

use crate::bundle::Identities;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

/// Findings of each kind of a table that are kept; all are counted.
const MOST_OF_A_KIND: u64 = 20;

/// See [`reconcile`](super::reconcile).
#[derive(Clone, Debug, Default)]
pub struct ReconcileOptions {
    /// One table; all active ones, if `None`.
    pub table: Option<TableName>,
    /// The rows of one business unit alone, and the bundles of runs for it beside those over all units.
    pub unit: Option<Guid>,
    /// Whether content hashes are compared, for blobs that changed without a new ModifiedOn.
    pub content: bool,
    /// Whether what is missing, older, moved or of another content becomes pending for the next run.
    pub pend: bool,
    /// Whether what is gone or out of scope is written to the deletion log.
    pub log_deletions: bool,
    /// What opens encrypted archives.
    pub identities: Identities,
}

/// How the source and the bundles can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A row that was due is in no bundle.
    Missing,
    /// The bundles have an earlier ModifiedOn.
    Older,
    /// The row lies under another path.
    Moved,
    /// The row has another content under the same ModifiedOn.
    OtherContent,
    /// The bundles say that the row was deleted, later than it was modified.
    Buried,
    /// The bundles have the row, and the source has it no more.
    Gone,
    /// The source has the row still, out of the scope in which it was sent.
    OutOfScope,
    /// The bundles have a later ModifiedOn than the source.
    StampedBack,
    /// A row without ModifiedOn, which no window takes.
    NullModifiedOn,
    /// A row whose ModifiedOn lies in the future, which no window takes until then.
    FutureModifiedOn,
}

impl FindingKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Moved => "moved",
            Self::OtherContent => "other-content",
            Self::Buried => "buried",
            Self::Gone => "gone",
            Self::OutOfScope => "out-of-scope",
            Self::StampedBack => "stamped-back",
            Self::NullModifiedOn => "null-modified-on",
            Self::FutureModifiedOn => "future-modified-on",
        }
    }

    /// Whether a consumer of the bundles has something wrong because of it; else it is worth knowing.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::StampedBack | Self::NullModifiedOn | Self::FutureModifiedOn)
    }

    /// Whether a run that takes the row once more mends it.
    pub fn can_be_pended(self) -> bool {
        matches!(self, Self::Missing | Self::Older | Self::Moved | Self::OtherContent)
    }

    /// Whether a logged deletion mends it.
    pub fn can_be_deleted(self) -> bool {
        matches!(self, Self::Gone | Self::OutOfScope)
    }

    /// What to do.
    pub fn what_to_do(self) -> &'static str {
        match self {
            Self::Missing | Self::Older | Self::Moved | Self::OtherContent => {
                "--pend has the next run take these rows once more"
            }
            Self::Buried => "the deletion log names rows that stand; a new ModifiedOn brings them back",
            Self::Gone | Self::OutOfScope => "--log-deletions writes them to the deletion log for the next run",
            Self::StampedBack => "ModifiedOn was set back; consumers keep the later version",
            Self::NullModifiedOn | Self::FutureModifiedOn => "correct ModifiedOn at the source, or exclude the keys",
        }
    }
}

/// One row in which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How.
    pub kind: FindingKind,
    /// The row.
    pub key: Guid,
    /// ModifiedOn at the source, in the table's clock.
    pub at_source: Option<Timestamp>,
    /// ModifiedOn, or DeletedOn, of the latest version in the bundles.
    pub in_bundles: Option<Timestamp>,
}

/// What was found of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: TableName,
    /// Rows before this are due; none are, before the first completed run.
    pub reached: Option<Timestamp>,
    /// Bundles that hold something of it.
    pub bundles: u64,
    /// Keys in scope that were looked at.
    pub keys: u64,
    /// Of them, keys of which the bundles have the source's version.
    pub equal: u64,
    /// Keys that are not due yet.
    pub not_due: u64,
    /// Keys that wait for the next run already.
    pub pending: u64,
    /// Keys that are never captured.
    pub excluded: u64,
    /// Keys whose deletion is logged already, for the next run.
    pub logged: u64,
    /// How often each kind was found.
    pub counts: BTreeMap<FindingKind, u64>,
    /// The first twenty of each kind.
    pub findings: Vec<Finding>,
    /// Keys that were made pending.
    pub pended: u64,
    /// Deletions that were logged.
    pub deletions: u64,
}

impl TableReport {
    pub(super) fn new(table: &TableName, reached: Option<Timestamp>) -> Self {
        Self {
            table: table.clone(),
            reached,
            bundles: 0,
            keys: 0,
            equal: 0,
            not_due: 0,
            pending: 0,
            excluded: 0,
            logged: 0,
            counts: BTreeMap::new(),
            findings: Vec::new(),
            pended: 0,
            deletions: 0,
        }
    }

    /// Whether a consumer of the bundles has nothing wrong.
    pub fn is_good(&self) -> bool {
        !self.counts.keys().any(|kind| kind.is_wrong())
    }

    pub(super) fn note(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST_OF_A_KIND {
            self.findings.push(finding);
        }
    }
}
