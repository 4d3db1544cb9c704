//! Keys that an operator spoke of by name: excluded, or asked for.

use super::jobs::WatermarkRecord;
use super::upkeep::{Advice, Severity};
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::slice::{SliceMarker, SliceState};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

/// What was said of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is in `BlobDeltaExcludedKey`: no run takes it.
    Excluded,
    /// It is in `BlobDeltaPendingKey`: the next run takes it, once its row is there.
    Pending,
}

impl KeyState {
    /// For people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Excluded => "Excluded",
            Self::Pending => "Pending",
        }
    }
}

/// A key and what was said of it.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub key: Guid,
    /// What was said.
    pub state: KeyState,
    /// Whose runs it waits for; `None`: everybody's, as an exclusion is.
    pub scope: Option<Scope>,
    /// Why.
    pub reason: String,
    /// When, UTC, where whoever wrote it down wrote a time.
    pub created_at: Option<Timestamp>,
}

/// A name in a table that people fill by hand, of no table that is configured: no run heeds what stands under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The table of the job database.
    pub list: String,
    /// The name, as it stands there.
    pub name: String,
    /// Rows under it.
    pub entries: u64,
}

impl UnknownName {
    /// What is wrong, for people.
    pub fn finding(&self) -> String {
        let (entries, list, name) = (self.entries, &self.list, &self.name);
        format!("{entries} entries of {list} name no configured table: {name}")
    }

    /// What to do.
    pub fn what_to_do(&self) -> &'static str {
        "no run heeds them: write TableName as `blobdelta table list` shows it (Db.schema.table, no brackets or quotes), \
         configure the table, or delete them"
    }

    /// The same for the doctor.
    pub fn advice(&self) -> Advice {
        Advice {
            severity: Severity::Warning,
            subject: format!("names in {}", self.list),
            finding: self.finding(),
            what_to_do: Some(self.what_to_do().into()),
        }
    }
}

/// The tables of the job database whose rows are of one configured table, and go with it. What tells what
/// was done stays: runs, their steps and tables, bundles, what units were handed, and logged deletions.
pub(super) const OF_TABLE: [&str; 11] = [
    "BlobDeltaHeldBackKey",
    "BlobDeltaPendingKey",
    "BlobDeltaExcludedKey",
    "BlobDeltaMissingParentsQueue",
    "BlobDeltaAbsentParent",
    "BlobDeltaWindowQueue",
    "BlobDeltaStepScript",
    "BlobDeltaQueuePopulationScript",
    "BlobDeltaReportedDeletion",
    "BlobDeltaBusinessUnitWatermark",
    "BlobDeltaHighWatermark",
];

/// See the module's text. [`Jobs`](super::Jobs) excludes and asks.
pub trait Keys {
    /// Takes an exclusion back, and has every scope take the key. Says whether it was excluded; if not, nothing changes.
    ///
    /// # Errors
    /// Config, if the table is not configured; Database.
    fn include_key(&mut self, table: &TableName, key: Guid) -> Result<bool>;

    /// The keys of a table that somebody or a run spoke of, the excluded ones first, so many at most; with a scope,
    /// those that are said of it or of every scope.
    ///
    /// # Errors
    /// Config, if the table is not configured; Database.
    fn named_keys(&mut self, table: &TableName, scope: Option<Scope>, limit: u32) -> Result<Vec<KeyRecord>>;

    /// What stands in the tables that people fill by hand under names of tables that are not configured.
    ///
    /// # Errors
    /// Database.
    fn unknown_names(&mut self) -> Result<Vec<UnknownName>>;

    /// Removes a configured table, with its watermarks and with what runs have yet to do for it. Its slice
    /// table is left as it is.
    ///
    /// # Errors
    /// Unless forced: LeaseHeld, while a run holds the table; Config, where its slice is complete and in no
    /// bundle. Config, if it is not configured; Database.
    fn remove_table(&mut self, table: &TableName, force: bool) -> Result<()>;
}

/// Whether a table may be removed.
pub(super) fn check_removal(
    table: &TableConfig,
    mark: Option<&WatermarkRecord>,
    marker: Option<&SliceMarker>,
    now: Timestamp,
) -> Result<()> {
    let forced = format!("; `blobdelta table remove {} --force` removes it all the same", table.name.shell_word());
    let held = mark.filter(|mark| mark.is_running && mark.lease_expires_at.is_some_and(|until| until > now));
    if let Some((run, until)) = held.and_then(|mark| Some((mark.lease_run_id?, mark.lease_expires_at?))) {
        return Err(Error::new(Kind::LeaseHeld, format!("run {run} holds this table until {}", until.rfc3339_utc()))
            .table(&table.name)
            .hint(format!("wait until it has ended{forced}")));
    }
    if let Some(run) = marker.filter(|marker| marker.state == SliceState::Complete).and_then(|marker| marker.run_id) {
        return Err(Error::config(format!("the complete slice of run {run} is in no bundle yet"))
            .table(&table.name)
            .hint(format!("pack it with `blobdelta pack --run {run} --out FOLDER`{forced}")));
    }
    Ok(())
}
