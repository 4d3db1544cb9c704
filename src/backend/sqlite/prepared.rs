//! A configured table made ready for a run: its scripts filled once, so that a batch resolves
//! no names.

use super::config;
use super::database::Database;
use super::template::{self, Parameters, Placeholders};
use super::value_check::ValueCheck;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Scope, Step, TableRun};
use crate::model::table::TableConfig;
use crate::model::time::{TICKS_PER_MICROSECOND, Timestamp};
use crate::scripts;
use crate::scripts::statement::statement;
use rusqlite::types::Value;
use std::collections::HashMap;
use std::rc::Rc;

const SQL: &str = include_str!("../../../sql/sqlite/prepared.sql");
const BATCH_PARENTS: &str = statement(SQL, "batch_parents");
const BATCH_KEYS: &str = statement(SQL, "batch_keys");
const BATCH_ANCESTORS: &str = statement(SQL, "batch_ancestors");
const BATCH_STATES: &str = statement(SQL, "batch_states");

/// See the module's text.
pub(super) struct Prepared {
    pub(super) config: TableConfig,
    pub(super) placeholders: Placeholders,
    /// Name and text, as of those below.
    pub(super) window_queue: (String, String),
    pub(super) missing_parents: Option<(String, String)>,
    /// Those of steps 1, 2 and 3; a flat table has step 1 alone.
    pub(super) steps: Vec<(String, String)>,
    /// Whether each of the steps has the template that it was shipped with.
    ours: Vec<bool>,
    pub(super) batch_keys: String,
    pub(super) batch_ancestors: String,
    pub(super) batch_parents: Option<String>,
    pub(super) batch_states: String,
    pub(super) values: ValueCheck,
}

/// The values of a script's parameters.
pub(super) struct Given {
    pub(super) run_id: Guid,
    pub(super) previous_run_id: Option<Guid>,
    pub(super) scope: Scope,
    pub(super) window: (Timestamp, Timestamp),
    pub(super) run_start: Timestamp,
    pub(super) now: Timestamp,
    pub(super) batch_size: u32,
    pub(super) step: u8,
}

impl Prepared {
    /// Every parameter that a script may name.
    pub(super) fn parameters(&self, given: &Given) -> Parameters {
        let guid = |id: Option<Guid>| id.map_or(Value::Null, |id| Value::Blob(id.as_bytes().to_vec()));
        let time = |at: Timestamp| Value::Text(at.to_string());
        vec![
            ("@BatchSize", Value::Integer(given.batch_size.into())),
            ("@ExcludedStreamId", guid(self.config.excluded_stream_id)),
            ("@WindowStart", time(given.window.0)),
            ("@WindowEnd", time(given.window.1)),
            ("@BusinessUnitId", guid(given.scope.business_unit())),
            ("@Scope", Value::Text(given.scope.to_string())),
            ("@RunId", guid(Some(given.run_id))),
            ("@PreviousRunId", guid(given.previous_run_id)),
            ("@TableName", Value::Text(self.config.name.to_string())),
            ("@RunStart", time(given.run_start)),
            ("@BeforeRunStart", time(given.run_start.plus_ticks(-TICKS_PER_MICROSECOND))),
            ("@Latest", time(given.run_start.latest_reported())),
            ("@Now", time(given.now)),
            ("@Step", Value::Integer(given.step.into())),
        ]
    }

    /// Whether a step has the template that it was shipped with.
    pub(super) fn is_ours(&self, step: Step) -> bool {
        self.ours.get(usize::from(step.number()) - 1).is_some_and(|is_ours| *is_ours)
    }

    /// Fills a script of ours and runs it. Returns the rows that it changed.
    pub(super) fn run_filled(&self, db: &Database, name: &str, text: &str, parameters: &Parameters) -> Result<u64> {
        let sql = self.placeholders.fill(name, text)?;
        template::run_script(db, name, &sql, parameters)
    }

    /// The quoted slice table.
    pub(super) fn target(&self) -> Result<String> {
        self.placeholders.fill("TargetTable", "{TargetTable}")
    }
}

/// What is ready, by table.
#[derive(Default)]
pub(super) struct PreparedTables(HashMap<TableName, Rc<Prepared>>);

impl PreparedTables {
    /// Reads scripts and catalog, and keeps the result for the batches to come.
    pub(super) fn prepare(&mut self, db: &mut Database, config: &TableConfig) -> Result<Rc<Prepared>> {
        let placeholders = config::placeholders(db, config)?;
        self.prepare_scripts(db, config, placeholders)
    }

    /// Fills every script that a run of this table uses, has SQLite read each, and runs none.
    pub(super) fn prepare_scripts(
        &mut self,
        db: &mut Database,
        config: &TableConfig,
        placeholders: Placeholders,
    ) -> Result<Rc<Prepared>> {
        let steps: &[u8] = if config.is_tree() { &[1, 2, 3] } else { &[1] };
        let filled = |(name, text): (String, String)| {
            let text = placeholders.fill(&name, &text)?;
            Ok((name, text))
        };
        let queues: &[&str] = if config.is_tree() { &["WindowQueue", "MissingParents"] } else { &["WindowQueue"] };
        let queues =
            queues.iter().map(|name| template::queue_script(db, &config.name, name)).collect::<Result<Vec<_>>>()?;
        let is_ours = |(_, text): &(String, String)| scripts::SQLITE_QUEUE_TEMPLATES.iter().any(|ours| ours.1 == text);
        if !queues.iter().all(is_ours) {
            index_queue(db)?;
        }
        let mut queues = queues.into_iter().map(filled);
        let texts =
            steps.iter().map(|step| template::step_script(db, &config.name, *step)).collect::<Result<Vec<_>>>()?;
        let shipped = scripts::SQLITE_STEP_TEMPLATES.iter().map(|(_, _, text)| *text);
        let parents = || placeholders.fill("batch_parents", BATCH_PARENTS);
        let prepared = Prepared {
            window_queue: queues.next().ok_or_else(|| Error::internal("a table has no script for its queue"))??,
            missing_parents: queues.next().transpose()?,
            ours: texts.iter().zip(shipped).map(|((_, text), shipped)| text == shipped).collect(),
            steps: texts.into_iter().map(filled).collect::<Result<_>>()?,
            batch_keys: placeholders.fill("batch_keys", BATCH_KEYS)?,
            batch_ancestors: placeholders.fill("batch_ancestors", BATCH_ANCESTORS)?,
            batch_parents: config.is_tree().then(parents).transpose()?,
            batch_states: placeholders.fill("batch_states", BATCH_STATES)?,
            values: ValueCheck::new(db, config)?,
            config: config.clone(),
            placeholders,
        };
        template::create_batch_tables(db)?;
        for template in std::iter::once(&prepared.window_queue).chain(&prepared.missing_parents).chain(&prepared.steps)
        {
            template::check_template(db, config, template).map_err(|error| error.table(&config.name))?;
        }
        let prepared = Rc::new(prepared);
        self.0.insert(config.name.clone(), Rc::clone(&prepared));
        Ok(prepared)
    }

    /// What [`PreparedTables::prepare`] kept.
    pub(super) fn of(&mut self, db: &mut Database, table: &TableName) -> Result<Rc<Prepared>> {
        if let Some(prepared) = self.0.get(table) {
            return Ok(Rc::clone(prepared));
        }
        let tables = config::configured_tables(db)?;
        let config = tables.into_iter().find(|config| config.name == *table);
        let config = config.ok_or_else(|| Error::config("this table is not configured").table(table))?;
        self.prepare(db, &config)
    }

    /// What was kept of a table is no more so.
    pub(super) fn forget(&mut self, table: &TableName) {
        self.0.remove(table);
    }

    /// The same of all tables.
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }
}

/// Ours queue each key once, and look for none by key. Another's may do either, as they could when the
/// queue still had this index from the beginning.
fn index_queue(db: &mut Database) -> Result<()> {
    const NAME: &str = "UX_BlobDeltaWindowQueue_Key";
    if db.query_one("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?1)", [NAME])? {
        return Ok(());
    }
    let create = format!("CREATE UNIQUE INDEX {NAME} ON BlobDeltaWindowQueue (RunId, TableName, stream_id)");
    db.transact("index the queue", |db| db.execute(&create, []).map(drop))
}

/// The parameters of a table run.
pub(super) fn given(db: &Database, table_run: &TableRun, batch_size: u32, step: u8) -> Result<Given> {
    let (clock, run_id) = (table_run.window.clock, table_run.fence.run_id);
    let (utc, local) =
        db.query_row("SELECT RunStartedAt, RunStartedAtLocal FROM BlobDeltaRun WHERE RunId = ?1", [run_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(Given {
        run_id,
        previous_run_id: None,
        scope: table_run.scope,
        window: (table_run.window.start, table_run.window.end),
        run_start: crate::model::clock::ServerTime { utc, local }.of(clock),
        now: db.server_time().utc,
        batch_size,
        step,
    })
}
