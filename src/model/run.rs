//! Runs, table runs, and what they leave to be told.

use super::clock::ServerTime;
use super::destination::Destination;
use super::drift::SchemaChange;
use super::id::Guid;
use super::name::TableName;
use super::time::Timestamp;
use super::window::{Cut, Window};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Whose rows a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every business unit in scope.
    All,
    /// One of them.
    BusinessUnit(Guid),
}

impl Scope {
    /// The unit, if it is one.
    pub fn business_unit(self) -> Option<Guid> {
        match self {
            Self::All => None,
            Self::BusinessUnit(unit) => Some(unit),
        }
    }

    /// From its text: `all`, or a GUID as this crate spells it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::All);
        }
        Guid::parse(text).ok().filter(|unit| unit.to_string().eq_ignore_ascii_case(text)).map(Self::BusinessUnit)
    }
}

impl From<Option<Guid>> for Scope {
    fn from(unit: Option<Guid>) -> Self {
        unit.map_or(Self::All, Self::BusinessUnit)
    }
}

/// From `all`, or a unit's GUID.
impl std::str::FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "all" { Ok(Self::All) } else { Guid::parse(text).map(Self::BusinessUnit) }
    }
}

/// `all`, or the unit's GUID.
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::BusinessUnit(unit) => unit.fmt(f),
        }
    }
}

/// Which tables and whose rows a run takes. What a run left is settled by a run of the same selection
/// (rules 17 and 18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// One table, or all active ones.
    pub table: Option<TableName>,
    /// Whose rows.
    pub scope: Scope,
}

/// `all active tables, all business units`.
impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.table {
            None => f.write_str("all active tables, ")?,
            Some(table) => write!(f, "the table {table}, ")?,
        }
        match self.scope {
            Scope::All => f.write_str("all business units"),
            Scope::BusinessUnit(unit) => write!(f, "the business unit {unit}"),
        }
    }
}

/// The three steps of a table run, with the numbers that `BlobDeltaRunStep` has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// 1: rows without a parent.
    Roots,
    /// 2: ancestors that the slice lacks.
    MissingParents,
    /// 3: rows with a parent.
    Children,
}

impl Step {
    /// Its number in `BlobDeltaRunStep.StepNumber` and `DeltaStep`.
    pub fn number(self) -> u8 {
        match self {
            Self::Roots => 1,
            Self::MissingParents => 2,
            Self::Children => 3,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roots => "Roots",
            Self::MissingParents => "MissingParents",
            Self::Children => "Children",
        }
    }
}

/// How a run, or its part for one table, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are explained in the rules 2, 8, 11 and 19")]
pub enum Status {
    Waiting,
    Running,
    Completed,
    Failed,
    Blocked,
    Superseded,
    GivenUp,
}

impl Status {
    /// Its text in the job database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Blocked => "Blocked",
            Self::Superseded => "Superseded",
            Self::GivenUp => "GivenUp",
        }
    }

    /// From its text in the job database.
    pub fn parse(text: &str) -> Option<Self> {
        use Status::{Blocked, Completed, Failed, GivenUp, Running, Superseded, Waiting};
        [Waiting, Running, Completed, Failed, Blocked, Superseded, GivenUp]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Who asks, for `BlobDeltaRun.RequestedBy`.
    pub requested_by: String,
    /// One table, or all active ones.
    pub table: Option<TableName>,
    /// Whose rows.
    pub scope: Scope,
    /// Rows a batch at most, 1 to 1,000,000; without it, what suits the kind of instance.
    pub batch_size: Option<u32>,
    /// `MAXDOP` of the statements that scan, where the server has it.
    pub max_dop: u16,
    /// Sets the start of the windows back to here, in the clock of each table.
    pub from: Option<Timestamp>,
    /// Ends the windows here, if they would end later; in the clock of each table.
    pub until: Option<Timestamp>,
    /// The run whose windows `MaxWindow` had cut: this one takes the next window of each of its tables that was cut.
    pub continues: Option<Guid>,
}

impl RunRequest {
    /// Which tables and whose rows.
    pub fn selection(&self) -> Selection {
        Selection { table: self.table.clone(), scope: self.scope }
    }
}

/// A row of `BlobDeltaRun`.
#[derive(Clone, Debug)]
pub struct Run {
    /// The run.
    pub id: Guid,
    /// `AllTables` or `SingleTable`.
    pub run_type: String,
    /// Who asked.
    pub requested_by: String,
    /// The database server's clock, read once.
    pub started_at: ServerTime,
    /// UTC; `None` while it runs, and after a crash.
    pub completed_at: Option<Timestamp>,
    /// How it stands.
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    /// Whose rows.
    pub scope: Scope,
    /// The table of a `SingleTable` run.
    pub table: Option<TableName>,
    /// Rows a batch.
    pub batch_size: u32,
    /// `MAXDOP`.
    pub max_dop: u16,
    /// `--from`.
    pub from: Option<Timestamp>,
    /// `--until`.
    pub until: Option<Timestamp>,
    /// The run that this one goes on from.
    pub continues: Option<Guid>,
    /// Who is at it: 1 for the session that started it, one more for each that resumed it. The job database takes
    /// nothing from an earlier one (rule 8).
    pub attempt: u32,
    /// Rule 18: where its bundle goes, and how it is sealed; `None` for a run without a bundle.
    pub destination: Option<Destination>,
}

impl Run {
    /// Which tables and whose rows.
    pub fn selection(&self) -> Selection {
        Selection { table: self.table.clone(), scope: self.scope }
    }
}

/// Rule 8: who may write. Every write of a table run carries it; a write that finds another
/// pair in `BlobDeltaHighWatermark` changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The configured table.
    pub table: TableName,
    /// The run that holds the lease.
    pub run_id: Guid,
    /// One more at every take or resume.
    pub epoch: i64,
}

/// A table run that holds its lease.
#[derive(Clone, Debug)]
pub struct TableRun {
    /// Who may write.
    pub fence: Fence,
    /// Its window.
    pub window: Window,
    /// What `MaxWindow` made of the window.
    pub cut: Cut,
    /// Whose rows.
    pub scope: Scope,
    /// Keys in the window queue, both steps: the whole of the progress bar.
    pub queued_keys: u64,
    /// Of them, keys that have ended already (a resumed run).
    pub ended_keys: u64,
    /// Whether the slice is complete already (a resumed run).
    pub complete: bool,
    /// The run whose lease was taken over, because the operator says that it is dead.
    pub took_over: Option<Guid>,
}

/// What one batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Keys that ended in this batch, however they ended; 0 says that the step is done.
    pub keys: u64,
    /// Of them, rows that were copied.
    pub rows: u64,
}

/// What a table run leaves to be told: the counts of the manifest and of the summary. All of
/// rule 6 is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableCounts {
    /// Rows of step 1.
    pub roots: u64,
    /// Rows of step 2.
    pub missing_parents: u64,
    /// Rows of step 3.
    pub children: u64,
    /// Rows that rule 4 took before their window.
    pub early: u64,
    /// Rows of steps 1 and 3 that came by `BlobDeltaPendingKey` and lie before the window.
    pub late: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Keys of the window queue whose row was gone.
    pub gone: u64,
    /// Keys that were re-stamped to the window's end or later.
    pub held_back: u64,
    /// Keys that wait for the runs of this scope: their blobs are not there yet, whatever window they are of.
    pub pending: u64,
    /// Since when the first of them waits.
    #[serde(with = "super::time::utc_text", skip_serializing_if = "Option::is_none")]
    pub pending_since: Option<Timestamp>,
    /// Keys in the window that are excluded by name.
    pub excluded: u64,
    /// Keys in the window whose business unit is not in scope.
    pub out_of_scope: u64,
    /// Keys in the window without a business unit.
    pub without_business_unit: u64,
    /// Keys in the window whose business unit is in scope, and that the table's filter alone leaves out.
    pub filtered: u64,
    /// Rows of the source, and of its metadata, that have no key, of the whole tables.
    pub without_key: u64,
    /// Keys in scope that are stamped at the run's start or later, of the whole table.
    pub future: u64,
    /// Rows of the metadata in scope that have no stamp, of the whole table.
    pub without_stamp: u64,
    /// Rows of the slice that a tombstone of the same slice outranks (rule 14).
    pub buried: u64,
    /// Deletions of this table in the log, whatever their time; 0 says that nobody logs any.
    pub logged_deletions: u64,
    /// Of them, those that are dated after the run's start.
    pub future_deletions: u64,
    /// Of those, the ones that are dated more than 24 hours after it, and are told to nobody until that is corrected
    /// (rule 27).
    pub withheld_deletions: u64,
    /// The DeletionId of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld_deletion: Option<i64>,
    /// Rows of the slice before, of its 10,000 that were stamped last, whose stamp in the source is older
    /// now: the source was restored, or stamps were set back.
    pub older_now: u64,
    /// Minutes by which the greatest stamp of the source lies before the one that the run before saw.
    pub went_back_minutes: u64,
}

impl TableCounts {
    /// All rows of the slice.
    pub fn rows(&self) -> u64 {
        self.roots + self.missing_parents + self.children
    }
}

/// `--plan`: what a run would do.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// The table.
    pub table: TableName,
    /// What a run started now would take, in one window or several.
    pub window: Window,
    /// Where the first of its windows would end, as `MaxWindow` cuts them; one, if it cuts none.
    pub ends: Vec<Timestamp>,
    /// Whether more windows follow those.
    pub has_more_ends: bool,
    /// Keys that it would queue.
    pub keys: u64,
    /// Counts that can be known without copying.
    pub counts: TableCounts,
    /// Why the table would be refused or blocked, if it would be.
    pub refused: Option<String>,
    /// Rule 24: what differs between the slice and the source's columns.
    pub schema_changes: Vec<SchemaChange>,
}

/// A parent that the slice lacks because the source has no such row, or it is excluded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsentParent {
    /// The row that names it.
    pub child: Guid,
    /// Its key, where it is known (excluded).
    pub parent: Option<Guid>,
}
