//! Where the demo is run, and when.
//!
//! An embedded instance takes a clock, so the full load plays weeks ago. A server has its own:
//! there everything plays now, with a safety buffer of nothing, and stamps a millionth of a second
//! apart.

use super::names;
use super::options::{DemoOptions, Folders};
use crate::backend::{Connection, OpenOptions, Sandbox};
use crate::durable::Local;
use crate::engine::{self, PackOptions, RunOptions, RunReport};
use crate::error::{Error, Kind, Result};
use crate::model::clock::{Clock, ManualClock, SystemClock};
use crate::model::name::TableName;
use crate::model::run::{RunRequest, Scope, Status};
use crate::model::table::TableConfig;
use crate::model::time::{TICKS_PER_DAY, TICKS_PER_SECOND, Timestamp};
use crate::monitor::Monitor;
use std::path::Path;
use std::sync::Arc;

/// Runs are so far apart; the last one plays now.
const WEEK_TICKS: i64 = 7 * TICKS_PER_DAY;
/// Changes begin so long before their run, one after the other so far apart.
const CHANGES_TICKS: i64 = -6 * TICKS_PER_DAY;
const CHANGE_STEP_TICKS: i64 = 97 * TICKS_PER_SECOND + 1;
/// Deletions are logged so long before their run.
const DELETIONS_TICKS: i64 = -3 * TICKS_PER_DAY;
/// On a server: two millionths, because not every server keeps the seventh digit.
const SERVER_STEP_TICKS: i64 = 20;

/// See the module's text.
pub(super) struct DemoStage {
    connection: Connection,
    clock: Option<Arc<ManualClock>>,
    target: Connection,
    weeks: u32,
    omits_known_content: bool,
    /// The database to replay into; that of the source, if `None`.
    pub(super) target_database: Option<String>,
}

/// Stamps of changes: from when, and how far apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    pub(super) start: Timestamp,
    pub(super) step_ticks: i64,
}

impl DemoStage {
    pub(super) fn new(options: &DemoOptions, folders: &Folders) -> Self {
        match &options.into {
            Some(connection) => Self {
                connection: connection.clone(),
                clock: None,
                target: connection.clone(),
                weeks: options.weeks,
                omits_known_content: options.omit_known_content,
                target_database: Some(names::REPLAYED.into()),
            },
            None => Self {
                connection: Connection::Embedded(folders.source.clone()),
                clock: Some(Arc::new(ManualClock::at(SystemClock.now().utc))),
                target: Connection::Embedded(folders.target.clone()),
                weeks: options.weeks,
                omits_known_content: options.omit_known_content,
                target_database: None,
            },
        }
    }

    /// The source, at real time.
    pub(super) fn open(&self) -> Result<Box<dyn Sandbox>> {
        self.open_under(Arc::new(SystemClock))
    }

    /// The source at the time of the full load, and what time that is.
    pub(super) fn open_in_the_past(&self) -> Result<(Box<dyn Sandbox>, Timestamp)> {
        let Some(clock) = &self.clock else {
            let mut source = self.open()?;
            let now = source.now()?.utc;
            return Ok((source, now));
        };
        let now = SystemClock.now().utc;
        clock.set(self.run_at(0, now));
        Ok((self.open_under(clock.clone())?, now))
    }

    /// When the run after so many weeks plays on an embedded instance.
    fn run_at(&self, week: u32, now: Timestamp) -> Timestamp {
        now.plus_ticks(-i64::from(self.weeks.saturating_sub(week)) * WEEK_TICKS)
    }

    /// Whether the demo plays on a server.
    pub(super) fn is_server(&self) -> bool {
        self.clock.is_none()
    }

    /// A session in no database of the demo's.
    pub(super) fn open_outside(&self) -> Result<Box<dyn Sandbox>> {
        self.connection.open_sandbox(&OpenOptions { main_database: "master".into(), ..OpenOptions::default() })
    }

    /// The server, by another login.
    pub(super) fn as_login(&self, user: &str, password: &str) -> Option<Connection> {
        self.connection.as_login(user, password)
    }

    /// Moves the instance's clock to the run after so many weeks.
    pub(super) fn go_to_run(&self, week: u32, now: Timestamp) {
        if let Some(clock) = &self.clock {
            clock.set(self.run_at(week, now));
        }
    }

    fn open_under(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Sandbox>> {
        self.connection.open_sandbox(&OpenOptions { clock, create: true, ..OpenOptions::default() })
    }

    /// Opens the target of the replay.
    pub(super) fn open_target(&self, main_database: String) -> Result<Box<dyn Sandbox>> {
        self.target.open_sandbox(&OpenOptions { main_database, create: true, ..OpenOptions::default() })
    }

    /// When the full load plays.
    pub(super) fn first_run(&self, now: Timestamp) -> Timestamp {
        if self.clock.is_some() { self.run_at(0, now) } else { now }
    }

    /// When the changes before a run play; the instance's clock is moved to where they are logged.
    pub(super) fn changes(&self, source: &mut dyn Sandbox, week: u32, now: Timestamp) -> Result<Stamps> {
        match &self.clock {
            Some(clock) => {
                let run = self.run_at(week, now);
                clock.set(run.plus_ticks(DELETIONS_TICKS));
                Ok(Stamps { start: run.plus_ticks(CHANGES_TICKS), step_ticks: CHANGE_STEP_TICKS })
            }
            None => {
                let now = source.now()?.utc;
                let start = now.plus_ticks(SERVER_STEP_TICKS - now.ticks() % SERVER_STEP_TICKS);
                Ok(Stamps { start, step_ticks: SERVER_STEP_TICKS })
            }
        }
    }

    /// How a table is configured here.
    pub(super) fn config(&self, table: usize) -> Result<TableConfig> {
        let mut config = names::config(table)?;
        config.omit_known_content = self.omits_known_content;
        if self.clock.is_none() {
            config.safety_buffer_minutes = 0;
        }
        Ok(config)
    }

    /// The table that a source table is replayed into.
    pub(super) fn target(&self, table: usize) -> Result<TableName> {
        let source = names::source(table)?;
        match &self.target_database {
            Some(database) => TableName::new(database, &source.schema, &source.table),
            None => Ok(source),
        }
    }

    /// What a user writes for it, without secrets.
    pub(super) fn connection(&self) -> String {
        shown(&self.connection)
    }

    /// The same for the target.
    pub(super) fn target_connection(&self) -> String {
        shown(&self.target)
    }

    /// When the full load plays, in words.
    pub(super) fn when(&self) -> String {
        match (&self.clock, self.weeks) {
            (None, _) => "now".into(),
            (Some(_), 1) => "a week ago by the instance's clock".into(),
            (Some(_), weeks) => format!("{weeks} weeks ago by the instance's clock"),
        }
    }
}

fn shown(connection: &Connection) -> String {
    quoted(&connection.to_string())
}

/// Quoted for a shell where it needs to be.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A run over all tables, with bundles.
pub(super) fn run_all(
    backend: &mut dyn Sandbox,
    out: &Path,
    batch_size: Option<u32>,
    monitor: &dyn Monitor,
) -> Result<RunReport> {
    let request = RunRequest {
        requested_by: "demo".into(),
        table: None,
        scope: Scope::All,
        batch_size,
        max_dop: 2,
        from: None,
        until: None,
        continues: None,
    };
    let options = RunOptions {
        request,
        resume: None,
        take_over: None,
        out: Some(out.to_owned()),
        backup_slice: None,
        pack: PackOptions::default(),
        lease_seconds: 300,
    };
    let report = engine::run(backend, &options, &Local, monitor)?;
    match report.run.status {
        Status::Completed => Ok(report),
        status => {
            let why = report.run.error.clone().unwrap_or_else(|| status.as_str().to_owned());
            Err(Error::new(Kind::PartlyFailed, format!("the run did not complete: {why}")).run(report.run.id))
        }
    }
}
