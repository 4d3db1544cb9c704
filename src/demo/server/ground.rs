//! What the steps play on: a session, and the tables that were carried so far.

use crate::backend::Sandbox;
use crate::demo::stage::DemoStage;
use crate::durable::Local;
use crate::engine::{self, PackOptions, RunOptions, RunReport};
use crate::error::{Error, Kind, Result};
use crate::model::name::TableName;
use crate::model::run::{RunRequest, Scope, Status};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::monitor::Monitor;
use crate::replay::{ReplayOptions, replay};
use crate::scripts;
use crate::verify::{VerifyLevel, verify};
use std::path::PathBuf;

/// The databases of the steps, in the order in which they can be dropped.
pub(super) const DATABASES: [&str; 7] = [
    SOURCE,
    "BlobDeltaDemo_Delta",
    COPY,
    "BlobDeltaDemo_Files",
    "BlobDeltaDemo_Other",
    "BlobDeltaDemo_Restored",
    "BlobDeltaDemo_Applied",
];
/// The sources, but for those that are a database of their own kind.
pub(super) const SOURCE: &str = "BlobDeltaDemo";
/// Where bundles are replayed into.
const COPY: &str = "BlobDeltaDemo_Copy";
/// A login without rights but those of the account that runs.
pub(super) const LOGIN: &str = "BlobDeltaDemo";

/// See the module's text.
pub(super) struct DemoServer<'a> {
    pub(super) stage: &'a DemoStage,
    pub(super) session: Box<dyn Sandbox>,
    /// A folder for bundles.
    pub(super) bundles: PathBuf,
    pub(super) monitor: &'a dyn Monitor,
    /// Tables of which a bundle was made and replayed.
    pub(super) carried: Vec<TableConfig>,
    /// The backup of the slices, once there is one, by its path on the server.
    pub(super) backup: Option<String>,
    pub(super) is_restored: bool,
}

/// A table of the steps that is its own metadata.
pub(super) fn flat(db: &str, table: &str) -> Result<TableConfig> {
    let source = TableName::new(db, "dbo", table)?;
    let mut config = TableConfig::new(source.clone(), source);
    config.target = TableName::new("BlobDeltaDemo_Delta", "dbo", table)?;
    config.metadata_id_column = "stream_id".into();
    config.path_column = None;
    config.parent_path_column = None;
    config.safety_buffer_minutes = 0;
    Ok(config)
}

impl DemoServer<'_> {
    /// Runs a script of the demo.
    pub(super) fn execute(&mut self, script: &str) -> Result<()> {
        scripts::batches(script).iter().try_for_each(|batch| self.session.execute_script(batch.text))
    }

    /// Configures a table, runs it, verifies its bundle and replays it.
    pub(super) fn carry(&mut self, table: TableConfig) -> Result<()> {
        self.session.save_table(&table)?;
        let report = completed(self.run(&table.name, None)?)?;
        for bundle in &report.bundles {
            if !verify(bundle, VerifyLevel::Deep, self.monitor)?.is_good() {
                return Err(Error::verification("a bundle of the demo is not what it has to be").file(bundle));
            }
        }
        let options =
            ReplayOptions { create: true, database: Some(COPY.into()), into_source: true, ..ReplayOptions::default() };
        let mut target = self.stage.open_target(COPY.into())?;
        replay(&report.bundles, &mut *target, &options, self.monitor)?;
        self.carried.push(table);
        Ok(())
    }

    /// Runs one table; `from` sets its window back.
    pub(super) fn run(&mut self, table: &TableName, from: Option<Timestamp>) -> Result<RunReport> {
        run(&mut *self.session, table, from, &self.bundles, self.monitor)
    }

    /// Runs a table once more over all that it has. Gives the rows of its slice.
    pub(super) fn run_whole(&mut self, table: &TableName) -> Result<u64> {
        let report = completed(self.run(table, Some(Timestamp::MIN))?)?;
        Ok(report.tables.iter().filter_map(|table| table.counts.as_ref()).map(|counts| counts.rows()).sum())
    }
}

/// A run of one table, whatever comes of it.
pub(super) fn run(
    session: &mut dyn Sandbox,
    table: &TableName,
    from: Option<Timestamp>,
    bundles: &std::path::Path,
    monitor: &dyn Monitor,
) -> Result<RunReport> {
    let request = RunRequest {
        requested_by: "demo".into(),
        table: Some(table.clone()),
        scope: Scope::All,
        batch_size: None,
        max_dop: 2,
        from,
        until: None,
        continues: None,
    };
    let options = RunOptions {
        request,
        resume: None,
        take_over: None,
        out: Some(bundles.to_owned()),
        backup_slice: None,
        pack: PackOptions::default(),
        lease_seconds: 300,
    };
    engine::run(session, &options, &Local, monitor)
}

/// The report of a run that completed; else why it did not.
pub(super) fn completed(report: RunReport) -> Result<RunReport> {
    if report.run.status == Status::Completed {
        return Ok(report);
    }
    let status = report.run.status.as_str();
    let why = report.tables.into_iter().find_map(|table| table.error);
    Err(why.unwrap_or_else(|| Error::new(Kind::PartlyFailed, format!("the run ended as {status}"))).run(report.run.id))
}

/// Why a run refused its table because of what its configuration says; an error, if it did not.
pub(super) fn refusal(done: Result<RunReport>) -> Result<Error> {
    match done.and_then(completed) {
        Err(error) if error.kind() == Kind::Config => Ok(error),
        Err(error) => Err(error),
        Ok(report) => Err(Error::verification("the run took a table that it has to refuse").run(report.run.id)),
    }
}
