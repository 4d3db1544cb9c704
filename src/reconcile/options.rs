//! What is asked of a reconciliation, and what it answers.

use crate::backend::WholeTable;
use crate::bundle::Access;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::table::TableConfig;
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
    /// Whether what is gone or left the scope is written to the deletion log, each with its reason.
    pub log_deletions: bool,
    /// What opens encrypted archives.
    pub access: Access,
}

/// Why no run tells the receivers of a scope what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReported {
    /// The table's `IncludeDeletions` is 0.
    DeletionsAreOff,
    /// No configured table has this unit in its table of units any more, so its runs are refused.
    UnitIsGone(Guid),
}

/// How the source and the bundles can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// A row that was due is in no bundle, or came without its blob alone.
    Missing,
    /// The bundles have an earlier ModifiedOn.
    Older,
    /// The row lies under another path, or in a folder of another key.
    Moved,
    /// The row has another content under the same ModifiedOn.
    OtherContent,
    /// The bundles say that the row was deleted, later than it was modified.
    Buried,
    /// The bundles have the row, and the source has it no more.
    Gone,
    /// The source has the row still, and not in the scope in which it was sent any more.
    LeftScope,
    /// The bundles have a later ModifiedOn than the source.
    StampedBack,
    /// The same, with another content.
    WentBack,
    /// Deleted by DeletedWhen, and no bundle says so.
    Flagged,
    /// Deleted by DeletedWhen, and its key is excluded, so that no run says so.
    Excluded,
    /// A row without ModifiedOn, which no window takes.
    NullModifiedOn,
    /// A row whose ModifiedOn lies in the future, which no window takes until then.
    FutureModifiedOn,
}

impl DifferenceKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Moved => "moved",
            Self::OtherContent => "other-content",
            Self::Buried => "buried",
            Self::Gone => "gone",
            Self::LeftScope => "left-scope",
            Self::StampedBack => "stamped-back",
            Self::WentBack => "went-back",
            Self::Flagged => "flagged",
            Self::Excluded => "excluded",
            Self::NullModifiedOn => "null-modified-on",
            Self::FutureModifiedOn => "future-modified-on",
        }
    }

    /// Whether a consumer of the bundles has something wrong because of it; else it is worth knowing.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::StampedBack | Self::Excluded | Self::NullModifiedOn | Self::FutureModifiedOn)
    }

    /// Whether a run that takes the key once more mends it.
    pub fn can_be_pended(self) -> bool {
        matches!(self, Self::Missing | Self::Older | Self::Moved | Self::OtherContent | Self::Flagged)
    }

    /// What to do, where the runs of the scope tell what is logged.
    fn what_to_do(self) -> &'static str {
        match self {
            Self::Missing | Self::Older | Self::Moved | Self::OtherContent => {
                "--pend makes the next run copy these rows once more"
            }
            Self::Buried => {
                "the bundles have a later deletion of rows that still exist; with a new ModifiedOn the next run ships them again"
            }
            Self::Gone => {
                "--log-deletions logs them as deleted for the next run; if the source was restored from a backup, correct it first"
            }
            Self::LeftScope => "--log-deletions makes the next run tell the receivers of this scope, and no others",
            Self::StampedBack => {
                "ModifiedOn was set back, or the source was restored; receivers keep the later version, and so keep a row that is \
                 flagged as deleted; --content compares it; with a new ModifiedOn the next run ships what the source has"
            }
            Self::WentBack => {
                "the source went back in time, and receivers keep the later version; give these rows a new ModifiedOn, and the \
                 next run ships them"
            }
            Self::Flagged => {
                "they were flagged without a new ModifiedOn, or before DeletedWhen was set; --pend makes the next run ship their \
                 deletion"
            }
            Self::Excluded => {
                "they are flagged as deleted, but no run ships that, because their keys are excluded; `blobdelta key include` \
                 ends this, and the next run ships their deletion"
            }
            Self::NullModifiedOn | Self::FutureModifiedOn => "correct ModifiedOn at the source, or exclude the keys",
        }
    }
}

/// One row in which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How.
    pub kind: DifferenceKind,
    /// The row.
    pub key: Guid,
    /// ModifiedOn at the source, in the table's clock.
    pub at_source: Option<Timestamp>,
    /// ModifiedOn, or DeletedOn, of the latest version in the bundles.
    pub in_bundles: Option<Timestamp>,
}

/// What was found of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDifferences {
    /// The table.
    pub table: TableName,
    /// What its keys are.
    pub key_type: KeyType,
    /// Rows before this are due; none are, before the first completed run.
    pub reached: Option<Timestamp>,
    /// Bundles that hold something of it.
    pub bundles: u64,
    /// Bundles with a table of this name of another source, which say nothing of this one.
    pub foreign_bundles: u64,
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
    /// Keys whose deletion, or leaving, is logged and not shipped yet: the next run takes it.
    pub logged: u64,
    /// Why no run takes what is logged; then it explains no difference.
    pub not_reported: Option<NotReported>,
    /// How often each kind was found.
    pub counts: BTreeMap<DifferenceKind, u64>,
    /// What no scan of keys finds, of the whole table.
    pub whole: WholeTable,
    /// The first twenty of each kind.
    pub findings: Vec<Difference>,
    /// Keys that were made pending.
    pub pended: u64,
    /// Deletions that were logged.
    pub deletions: u64,
    /// Deletions that were not, for the key column is too narrow for their keys now, and no bundle can have them.
    pub unfit: u64,
}

impl TableDifferences {
    pub(super) fn new(table: &TableConfig, reached: Option<Timestamp>) -> Self {
        Self {
            table: table.name.clone(),
            key_type: table.key_type,
            reached,
            bundles: 0,
            foreign_bundles: 0,
            keys: 0,
            equal: 0,
            not_due: 0,
            pending: 0,
            excluded: 0,
            logged: 0,
            not_reported: None,
            counts: BTreeMap::new(),
            whole: WholeTable::default(),
            findings: Vec::new(),
            pended: 0,
            deletions: 0,
            unfit: 0,
        }
    }

    /// Whether a consumer of the bundles has nothing wrong.
    pub fn is_good(&self) -> bool {
        !self.counts.keys().any(|kind| kind.is_wrong())
    }

    /// What to do about a kind of finding.
    pub fn what_to_do(&self, kind: DifferenceKind) -> String {
        match (kind, self.not_reported) {
            (DifferenceKind::Gone | DifferenceKind::LeftScope, Some(NotReported::UnitIsGone(unit))) => format!(
                "no run tells their receivers, for no configured table has this unit in its table of units any more: put \
                 it back there, `blobdelta run --business-unit {unit}`, and take it out again; what still is the unit's \
                 then stays with them"
            ),
            (DifferenceKind::Gone | DifferenceKind::LeftScope, Some(NotReported::DeletionsAreOff)) => format!(
                "no run tells what is logged of this table: `blobdelta table set {} IncludeDeletions=1`, and \
                 --log-deletions, if the source was not restored",
                self.table.shell_word()
            ),
            _ => kind.what_to_do().to_owned(),
        }
    }

    pub(super) fn note(&mut self, finding: Difference) {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST_OF_A_KIND {
            self.findings.push(finding);
        }
    }
}
