//! What a deployment needs beside its runs: advice, backups of slices, and an end of what is kept.

use crate::backend::deletion_script::DeletionSource;
use crate::backend::prune::{PrunedTable, Retention};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::run::Fence;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, but slowly, or could not be looked at.
    Warning,
    /// Runs will fail or lose their promise.
    Error,
}

impl Severity {
    /// Its name, as the procedure of the doctor writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Warning, Self::Error].into_iter().find(|severity| severity.as_str() == text)
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Advice {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at: a right, a database, a table, an index.
    pub subject: String,
    /// What was found.
    pub finding: String,
    /// What to do, a statement to type where there is one.
    pub what_to_do: Option<String>,
}

/// A slice database that was backed up.
#[derive(Clone, Debug)]
pub struct BackupRecord {
    /// The database.
    pub database: String,
    /// The file, as the server names it; several where it is striped over URLs, each behind a comma.
    pub path: String,
    /// When it began and ended, UTC.
    pub started_at: Timestamp,
    /// See `started_at`.
    pub completed_at: Timestamp,
    /// Bytes of the backup before compression, where the server says so.
    pub bytes: Option<u64>,
    /// Bytes of the file, where the server says so.
    pub file_bytes: Option<u64>,
}

/// See the module's text.
pub trait Upkeep {
    /// Holds no more than about so many bytes from now on, cached or read ahead.
    ///
    /// # Errors
    /// Database.
    fn limit_memory(&mut self, bytes: u64) -> Result<()>;

    /// Looks at rights, settings, indexes, the clock, scripts and marker rows. Changes nothing.
    ///
    /// # Errors
    /// Database, if even looking is not possible.
    fn doctor(&mut self) -> Result<Vec<Advice>>;

    /// Looks at samples of the data of one table: whether its configuration means what it says. Changes nothing.
    ///
    /// # Errors
    /// Config, if the configuration does not fit the catalog; Database.
    fn look_at_data(&mut self, table: &TableConfig) -> Result<Vec<Advice>>;

    /// A script that fills the deletion log where others delete, for whoever administers those tables. Changes nothing.
    ///
    /// # Errors
    /// Config, if the configuration or what is named does not fit the catalog, or this instance has no such trigger; Database.
    fn deletion_script(&mut self, table: &TableConfig, from: &DeletionSource) -> Result<String>;

    /// Whether this instance can back up these databases to a folder or container, and this login may; asked
    /// before a run begins that will want it.
    ///
    /// # Errors
    /// Config, saying why not and what to do instead.
    fn check_backup(&mut self, databases: &[String], place: &str) -> Result<()>;

    /// Backs up a slice database to a file of the server and has the server verify it. Every
    /// table in it must still be held under its fence.
    ///
    /// # Errors
    /// Superseded, before anything is written; Database.
    fn backup(
        &mut self,
        fences: &[Fence],
        database: &str,
        path: &str,
        progress: &mut dyn FnMut(u8),
    ) -> Result<BackupRecord>;

    /// Removes old runs from the job database, and logged deletions that are older than every run
    /// that stays; a row a table. With `plan` nothing is changed. In transactions of bounded size:
    /// what was committed stands, and the next call goes on.
    ///
    /// # Errors
    /// Usage: a retention that keeps nothing; Config: a slice cannot be asked which run it holds;
    /// Database.
    fn prune(&mut self, retention: &Retention, plan: bool) -> Result<Vec<PrunedTable>>;
}

/// What is to be said of a shared template that is, or is not, as this program ships it.
pub(super) fn template_advice(name: &str, shipped: &str, there: Option<&str>) -> Advice {
    let subject = format!("shared script {name}");
    if there == Some(shipped) {
        return Advice { severity: Severity::Ok, subject, finding: "is as it was shipped".into(), what_to_do: None };
    }
    Advice {
        severity: Severity::Warning,
        subject,
        finding: match there {
            Some(text) => format!(
                "is not as this program ships it, and runs of every table without one of its own carry it out; its SHA-256 is {}",
                Sha256::of(text.as_bytes())
            ),
            None => "is not there, so runs of tables without one of their own fail".to_owned(),
        },
        what_to_do: Some("see that whoever changed it may; delete its row and run deploy to have ours back".into()),
    }
}
