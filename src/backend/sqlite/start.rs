//! Starting runs and table runs: scope, clock, window, emptying, queueing.

use super::database::Database;
use super::engine::Engine;
use super::errors::failed;
use super::lease::Lease;
use super::prepared::{Given, Prepared};
use super::sql::{filled, to_json};
use super::template::{self, Parameters};
use super::window::{self, Asked, Beginning};
use super::{ancestors, asked, config, drift, marker, reported, runs, scope, survey};
use crate::error::{Error, Result};
use crate::model::clock::{ClockKind, ServerTime};
use crate::model::destination::pack_command;
use crate::model::drift::{SchemaDrift, refused};
use crate::model::id::Guid;
use crate::model::run::{Fence, Run, RunRequest, Scope, TableCounts, TablePlan, TableRun};
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::types::Value;
use std::rc::Rc;

const SQL: &str = include_str!("../../../sql/sqlite/start.sql");
const LAST_THAT_BINDS: &str = statement(SQL, "last_that_binds");
const HELD_BACK: &str = statement(SQL, "held_back");
const BEGIN_SLICE: &str = statement(SQL, "begin_slice");
const BEGIN_TABLE: &str = statement(SQL, "begin_table");
const NEXT_IN_QUEUE: &str = statement(SQL, "next_in_queue");
const DROP_HELD_BACK: &str = statement(SQL, "drop_held_back");
const LEFT_AGAIN: &str = statement(SQL, "left_again");
const QUEUED: &str = statement(SQL, "queued");
const NEW_UNITS: &str = statement(SQL, "new_units");

/// From so many keys on, an index is made faster at the end than key by key.
const MANY_KEYS: u64 = 10_000;

/// The tables that a request means, checked as far as can be without touching them.
pub(super) fn requested_tables(db: &Database, request: &RunRequest) -> Result<Vec<TableConfig>> {
    if request.batch_size.is_some_and(|rows| !(1..=1_000_000).contains(&rows)) {
        return Err(Error::usage("the batch size has to be between 1 and 1,000,000 rows"));
    }
    let all = config::configured_tables(db)?;
    let known: Vec<String> = all.iter().map(|table| table.name.to_string()).collect();
    let is_any_active = all.iter().any(|table| table.is_active);
    let chosen: Vec<TableConfig> = match &request.table {
        Some(name) => all.into_iter().filter(|table| table.name == *name).collect(),
        None => all.into_iter().filter(|table| table.is_active && table.has_scope(request.scope)).collect(),
    };
    if let (true, Some(name)) = (chosen.is_empty(), &request.table) {
        let hint = format!("configured are: {}", if known.is_empty() { "none".into() } else { known.join(", ") });
        return Err(Error::config("this table is not configured").table(name).hint(hint));
    }
    if let Some(before) = request.continues {
        let open = runs::open_windows(db, before)?;
        let chosen: Vec<TableConfig> = chosen.into_iter().filter(|table| open.contains(&table.name)).collect();
        return match chosen.is_empty() {
            false => Ok(chosen),
            true => {
                Err(Error::usage("no table of this run has a window that goes on").run(before).hint("start a new run"))
            }
        };
    }
    if chosen.is_empty() && is_any_active {
        return Err(Error::config(format!("no active table has business units, so no run for {}", request.scope))
            .hint("set MetadataBusinessUnitCol of the tables that have, with `table set`"));
    }
    if chosen.is_empty() {
        return Err(Error::config("no active table is configured").hint("add one with `table add`"));
    }
    if let (Some(_), Some(table)) = (&request.table, chosen.first()) {
        scope::check_scope(request.scope, table)?;
    }
    if let Scope::BusinessUnit(unit) = request.scope {
        check_unit(db, &chosen, unit)?;
    }
    Ok(chosen)
}

fn check_unit(db: &Database, tables: &[TableConfig], unit: Guid) -> Result<()> {
    match config::knows_unit(db, tables, unit)? {
        true => Ok(()),
        false => Err(Error::config(format!("no configured table has the business unit {unit} in its scope"))
            .hint("look the unit up in the table of business units")),
    }
}

/// The run that started last, by its own clock, of those by which a later one is bound. A run that completed no table, and
/// has no bundle, moved nothing; but one that is gone on with would.
pub(super) fn last_that_binds(db: &Database, resumed: Option<Guid>) -> Result<Option<(Guid, Timestamp)>> {
    db.query_optional(LAST_THAT_BINDS, [resumed], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Rule 1: a clock that stands before the last run's start by more than the buffer.
pub(super) fn check_clock(db: &Database, tables: &[TableConfig], now: ServerTime, resumed: Option<Guid>) -> Result<()> {
    let last = last_that_binds(db, resumed)?;
    let buffer = tables.iter().map(|table| table.safety_buffer_minutes).min().unwrap_or(0);
    match last {
        Some((run, started)) if now.utc < started.minus_minutes(buffer) => Err(Error::config(format!(
            "the server's clock says {}, but the last run started at {}",
            now.utc.rfc3339_utc(),
            started.rfc3339_utc()
        ))
        .hint(wrong_clock(run, resumed))),
        _ => Ok(()),
    }
}

/// Fills the queue as a run would, counts it, and rolls everything back.
pub(super) fn plan(engine: &mut Engine<'_>, request: &RunRequest, table: &TableConfig) -> Result<TablePlan> {
    let started = engine.db.server_time();
    check_clock(engine.db, std::slice::from_ref(table), started, None)?;
    let prepared = engine.state.prepared.prepare(engine.db, table)?;
    let beginning = window::begin(engine.db, &Asked::of_request(request, started), &prepared)?;
    let marker = marker::marker(engine.db, table);
    let refused = match &marker {
        Err(error) => Some(error.to_string()),
        Ok(marker) if marker.state == SliceState::Complete && table.requires_bundle() => {
            Some("the complete slice of the last run is packed first".into())
        }
        Ok(_) => None,
    };
    let mut parameters = prepared.parameters(&given(Guid::random(), started, request.scope, table.clock, &beginning));
    parameters.push(("@DeletionsFrom", deletions_from(&beginning)));
    let (ends, has_more_ends) = window::ends(engine.db, &prepared, &beginning, &parameters)?;
    let rolled_back = Error::internal("rolled back");
    let mut planned = None;
    let outcome = engine.db.transact("plan", |db| {
        let without_key = survey::survey(db, &prepared, request.scope)?;
        let keys = queue_window(db, &prepared, request.scope, &parameters)?;
        scope::drop_foreign(db, &prepared, request.scope, &parameters)?;
        let suspect = suspects(db, &prepared, &parameters, marker.is_ok()).err().map(|error| error.to_string());
        let mut counts = reported::reported(db, &prepared, &parameters)?;
        hold_back(db, &prepared, &beginning, &parameters)?;
        counts.held_back =
            query_script_u64(db, "SELECT count(*) FROM BlobDeltaHeldBackKey WHERE RunId = @RunId", &parameters)?;
        (counts.pending, counts.pending_since) = asked::pending_keys(db, table, request.scope)?;
        counts.without_key = without_key;
        if marker.is_ok() {
            counts.tombstones = told_deletions(db, &prepared)?;
        }
        planned = Some((keys, counts, suspect));
        Err::<(), Error>(rolled_back)
    });
    let Some((keys, counts, suspect)) = planned else {
        return Err(outcome.err().unwrap_or_else(|| Error::internal("the plan was not made")));
    };
    Ok(TablePlan {
        table: table.name.clone(),
        window: beginning.window,
        ends,
        has_more_ends,
        keys,
        counts,
        refused: refused.or(suspect),
        schema_changes: Vec::new(),
    })
}

/// Takes the slice for a fresh run: computes the window, empties, queues.
pub(super) fn start_fresh(
    engine: &mut Engine<'_>,
    run: &Run,
    prepared: &Rc<Prepared>,
    fence: &Fence,
) -> Result<TableRun> {
    let Engine { db, state } = engine;
    let (lease, table) = (state.lease, &prepared.config);
    let marker = marker::marker(db, table)?;
    if marker.state == SliceState::Complete && table.requires_bundle() {
        let of = marker.run_id.map_or(String::new(), |run| format!(" of run {run}"));
        let command = marker.run_id.map_or(String::new(), |run| format!(": {}", pack_command(run, None)));
        return Err(Error::config(format!("the complete slice{of} is in no bundle yet, and this table requires one"))
            .hint(format!("pack it first{command}")));
    }
    let changes = drift::slice_drift(db, table)?;
    if !changes.is_empty() && table.schema_drift == SchemaDrift::Refuse {
        return Err(refused(&changes));
    }
    let mut beginning = window::begin(db, &Asked::of_run(run), prepared)?;
    let whole = prepared.parameters(&given(run.id, run.started_at, run.scope, table.clock, &beginning));
    window::cut(db, prepared, &mut beginning, &whole)?;
    let (window, cut) = (beginning.window, beginning.cut);
    let parameters = prepared.parameters(&given(run.id, run.started_at, run.scope, table.clock, &beginning));
    let older_now = reported::older_now(db, prepared, run, &marker, &parameters)?;
    let start = TableStart { lease, run, fence, beginning: &beginning };
    start.empty_slice(db, prepared)?;
    let prepared = match changes.is_empty() {
        true => Rc::clone(prepared),
        false => drift::adapt_slice(db, lease, fence, table).and_then(|()| state.prepared.prepare(db, table))?,
    };
    let reported = TableCounts { older_now, ..TableCounts::default() };
    let queued_keys = start.fill_queues(db, &prepared, parameters, reported)?;
    Ok(TableRun {
        fence: fence.clone(),
        window,
        cut,
        scope: run.scope,
        queued_keys,
        ended_keys: 0,
        complete: false,
        took_over: None,
    })
}

/// A table of a run that is started, under its lease.
struct TableStart<'a> {
    lease: Lease,
    run: &'a Run,
    fence: &'a Fence,
    beginning: &'a Beginning,
}

impl TableStart<'_> {
    fn empty_slice(&self, db: &mut Database, prepared: &Prepared) -> Result<()> {
        let Self { lease, run, fence, beginning } = *self;
        let table = &prepared.config;
        let target = prepared.target()?;
        let schema = db.schema_of(&table.target.db);
        db.transact("empty the slice", |db| {
            lease.check_fence(db, fence)?;
            db.execute(
                &filled(BEGIN_SLICE, &[("Schema", &schema)]),
                (
                    &table.target.table,
                    &table.name,
                    run.id,
                    run.started_at.utc,
                    beginning.window.start,
                    beginning.window.end,
                    run.scope.to_string(),
                ),
            )?;
            db.execute(&format!("DELETE FROM {target}"), [])?;
            db.execute(&format!("DELETE FROM {schema}.BlobDeltaDeletion WHERE TableName = ?1"), [&table.name])?;
            empty_queue(db, table)?;
            db.execute(
                BEGIN_TABLE,
                (
                    run.id,
                    &table.name,
                    beginning.window.start,
                    beginning.window.end,
                    table.safety_buffer_minutes,
                    beginning.deletions_from,
                    beginning.previous_run_id,
                    beginning.watermark,
                    beginning.cut.goal,
                    beginning.cut.one_stamp_rows,
                ),
            )?;
            Ok(())
        })
    }

    fn fill_queues(
        &self,
        db: &mut Database,
        prepared: &Prepared,
        mut parameters: Parameters,
        known: TableCounts,
    ) -> Result<u64> {
        let Self { lease, run, fence, beginning } = *self;
        let table = &prepared.config;
        parameters.push(("@DeletionsFrom", deletions_from(beginning)));
        db.transact("queue the window's keys", |db| {
            lease.check_fence(db, fence)?;
            // What runs of this scope before the previous one held back has been looked at. What that one
            // held back stays until the next run: the slice of this one may be given up.
            db.execute(DROP_HELD_BACK, (&table.name, beginning.previous_run_id, run.scope.to_string()))?;
            let without_key = survey::survey(db, prepared, run.scope)?;
            let queued = queue_window(db, prepared, run.scope, &parameters)?;
            reported::suspect_keys(db, prepared, &parameters)?;
            if queued > MANY_KEYS {
                config::drop_order_index(db, table)?;
            }
            hold_back(db, prepared, beginning, &parameters)?;
            reported::report_deletions(db, prepared, &parameters)?;
            if beginning.deletions_from.is_some() {
                prepared.run_filled(db, "left_again", LEFT_AGAIN, &parameters)?;
            }
            reported::suspect_left(db, prepared, &parameters)?;
            ancestors::queue_ancestors(db, prepared, run.scope, &parameters)?;
            let counts = TableCounts {
                without_key,
                older_now: known.older_now,
                went_back_minutes: reported::went_back(db, prepared, run.id, beginning.previous_run_id, &parameters)?,
                ..reported::reported(db, prepared, &parameters)?
            };
            let units = match run.scope {
                Scope::All => new_units(db, prepared, beginning.watermark.is_some())?,
                Scope::BusinessUnit(_) => Vec::new(),
            };
            db.execute(QUEUED, (run.id, &table.name, queued, to_json(&counts)?, to_json(&units)?))?;
            Ok(queued)
        })
    }
}

/// Rule 4. Behind a window that was cut nothing is held back: the next one takes it.
fn hold_back(db: &Database, prepared: &Prepared, beginning: &Beginning, parameters: &Parameters) -> Result<()> {
    if !beginning.holds_back() {
        return Ok(());
    }
    let mut parameters = parameters.clone();
    parameters.retain(|(name, _)| *name != "@WindowEnd");
    parameters.push(("@WindowEnd", Value::Text(beginning.held_from.to_string())));
    prepared.run_filled(db, "held_back", HELD_BACK, &parameters).map(drop)
}

/// SQLite drops the pages of a table where a DELETE says nothing about its rows, so it is asked first
/// whether another table has any: a few seeks, one for each run and table that the queue holds.
fn empty_queue(db: &Database, table: &TableConfig) -> Result<()> {
    let mut last = (Vec::new(), String::new());
    while let Some(found) =
        db.query_optional(NEXT_IN_QUEUE, (&last.0, &last.1), |row| Ok((row.get(0)?, row.get(1)?)))?
    {
        last = found;
        if !last.1.eq_ignore_ascii_case(&table.name.to_string()) {
            return db.execute("DELETE FROM BlobDeltaWindowQueue WHERE TableName = ?1", [&table.name]).map(drop);
        }
    }
    db.execute("DELETE FROM BlobDeltaWindowQueue", []).map(drop)
}

/// Rule 21, of what a plan gathered: whatever a run would fail of before it copies anything.
fn suspects(db: &Database, prepared: &Prepared, parameters: &Parameters, has_slice: bool) -> Result<()> {
    reported::suspect_keys(db, prepared, parameters)?;
    if !has_slice {
        return Ok(());
    }
    let (table, schema) = (&prepared.config, db.schema_of(&prepared.config.target.db));
    db.execute(&format!("DELETE FROM {schema}.BlobDeltaDeletion WHERE TableName = ?1"), [&table.name])?;
    reported::report_deletions(db, prepared, parameters)?;
    reported::suspect_left(db, prepared, parameters)
}

/// How many tombstones the slice has.
pub(super) fn told_deletions(db: &Database, prepared: &Prepared) -> Result<u64> {
    let slice = db.schema_of(&prepared.config.target.db);
    let count = format!("SELECT count(*) FROM {slice}.BlobDeltaDeletion WHERE TableName = ?1");
    db.query_one(&count, [&prepared.config.name])
}

/// Rule 12. The first run over all units takes everything, so it has nothing to tell.
fn new_units(db: &Database, prepared: &Prepared, had_watermark: bool) -> Result<Vec<Guid>> {
    if !had_watermark || prepared.config.metadata_business_unit_column.is_none() {
        return Ok(Vec::new());
    }
    let sql = prepared.placeholders.fill("new_units", NEW_UNITS)?;
    let name = Value::Text(prepared.config.name.to_string());
    let mut statement = template::prepare_script(db, "new_units", &sql, &vec![("@TableName", name)])?;
    let mut rows = statement.raw_query();
    let mut units = Vec::new();
    while let Some(row) = rows.next().map_err(|error| failed("read business units", error))? {
        units.push(row.get(0).map_err(|error| failed("read business units", error))?);
    }
    Ok(units)
}

fn queue_window(db: &Database, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<u64> {
    asked::settle_asked(db, prepared, scope, parameters)?;
    template::run_template(db, &prepared.config, &prepared.window_queue, parameters)
}

fn query_script_u64(db: &Database, sql: &str, parameters: &Parameters) -> Result<u64> {
    let mut statement = template::prepare_script(db, "count", sql, parameters)?;
    let mut rows = statement.raw_query();
    let failed = |error| failed("count", error);
    let row = rows.next().map_err(failed)?;
    row.map_or(Ok(0), |row| row.get(0).map_err(failed))
}

fn deletions_from(beginning: &Beginning) -> Value {
    beginning.deletions_from.map_or(Value::Null, |from| Value::Text(from.to_string()))
}

fn given(run_id: Guid, started: ServerTime, scope: Scope, clock: ClockKind, beginning: &Beginning) -> Given {
    Given {
        run_id,
        previous_run_id: beginning.previous_run_id,
        scope,
        window: (beginning.window.start, beginning.window.end),
        run_start: started.of(clock),
        now: started.utc,
        batch_size: 0,
        step: 0,
    }
}

fn wrong_clock(run: Guid, resumed: Option<Guid>) -> String {
    let wrong = "set the server's clock right: a window computed from it would lose changes. If it is right now, and was \
                 wrong in that run,";
    match resumed == Some(run) {
        true => format!("{wrong} start a new run: what that one has yet to take would be taken by the wrong time"),
        false => format!(
            "{wrong} `blobdelta pack --run {run} --give-up` takes that run back, and the next one takes all that it took again"
        ),
    }
}
