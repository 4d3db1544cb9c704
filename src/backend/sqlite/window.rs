//! The window of a table run: rule 1, and where `MaxWindow` cuts it.

use super::database::Database;
use super::prepared::Prepared;
use super::reported::first;
use super::sql::Noted;
use super::template::Parameters;
use crate::error::{Error, Kind, Result};
use crate::model::clock::ServerTime;
use crate::model::id::Guid;
use crate::model::max_window::MaxWindow;
use crate::model::run::{Run, RunRequest, Scope};
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::window::{Continued, Cut, Window, WindowInputs};
use crate::scripts::statement::statement;
use rusqlite::types::Value;

const SQL: &str = include_str!("../../../sql/sqlite/window.sql");
const WATERMARK: &str = statement(SQL, "watermark");
const UNIT_WATERMARK: &str = statement(SQL, "unit_watermark");
const COMPLETED: &str = statement(SQL, "completed");
const FIRST_STAMP: &str = statement(SQL, "first_stamp");
const STAMP_BEHIND: &str = statement(SQL, "stamp_behind");
const NEXT_STAMP: &str = statement(SQL, "next_stamp");
const ROWS_OF_WINDOW: &str = statement(SQL, "rows_of_window");

/// A plan looks for so many ends of windows at most: each may be a scan.
const MOST_ENDS: usize = 10;

/// What a window is asked for with.
pub(super) struct Asked {
    pub(super) started: ServerTime,
    pub(super) scope: Scope,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    continues: Option<Guid>,
}

impl Asked {
    pub(super) fn of_run(run: &Run) -> Self {
        let Run { from, until, continues, .. } = *run;
        Self { started: run.started_at, scope: run.scope, from, until, continues }
    }

    pub(super) fn of_request(request: &RunRequest, started: ServerTime) -> Self {
        let RunRequest { from, until, continues, .. } = *request;
        Self { started, scope: request.scope, from, until, continues }
    }
}

/// What a table run that begins now is computed from.
pub(super) struct Beginning {
    pub(super) window: Window,
    pub(super) cut: Cut,
    pub(super) watermark: Option<Timestamp>,
    pub(super) previous_run_id: Option<Guid>,
    /// What was logged since then, UTC, is reported again.
    pub(super) deletions_from: Option<Timestamp>,
    /// Rule 4: what is stamped from here on until the start of the run is held back.
    pub(super) held_from: Timestamp,
    /// Where no run before has been.
    pub(super) fresh: Timestamp,
}

impl Beginning {
    /// Rule 4: rows behind a window that was cut are not held back: the next one takes them.
    pub(super) fn holds_back(&self) -> bool {
        self.window.end >= self.cut.goal
    }
}

/// The whole window; [`cut`] cuts it.
pub(super) fn begin(db: &Database, asked: &Asked, prepared: &Prepared) -> Result<Beginning> {
    let table = &prepared.config;
    type Mark = (Option<Timestamp>, Option<Guid>);
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mark: Option<Mark> = match asked.scope {
        Scope::All => db.query_optional(WATERMARK, [&table.name], read)?,
        // Rule 12: a unit has a watermark of its own.
        Scope::BusinessUnit(unit) => db.query_optional(UNIT_WATERMARK, (&table.name, unit), read)?,
    };
    let (watermark, last) = mark.unwrap_or_default();
    // Two runs may have started at one moment of the clock: what moved the watermark last is the run before.
    type Completed = (Option<Timestamp>, Option<Timestamp>);
    let completed: Option<Completed> =
        db.query_optional(COMPLETED, (last, &table.name, asked.scope.to_string()), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let continues = match (asked.continues, completed) {
        (None, _) => None,
        (Some(before), Some((Some(end), Some(goal)))) if last == Some(before) => Some(Continued { end, goal }),
        (Some(before), _) => return Err(taken_since(before, last)),
    };
    // Windows that went back in time and did not come to their end are behind the watermark: any run takes what they left.
    let left_at = match completed {
        Some((Some(end), Some(goal))) if end < goal && Some(end) < watermark => Some(end),
        _ => None,
    };
    let from = asked.from.into_iter().chain(left_at).min();
    let inputs = WindowInputs {
        run_start: asked.started.of(table.clock),
        last_high_water: watermark,
        initial_baseline: table.initial_baseline,
        from,
        until: asked.until,
        continues,
        buffer_minutes: table.safety_buffer_minutes,
        // An embedded instance cannot look into other sessions: the manifest says lag_only.
        oldest_open_transaction: None,
        clock: table.clock,
        in_days: prepared.placeholders.stamps().in_days(),
    };
    inputs.check_until()?;
    let window = Window::compute(&inputs);
    Ok(Beginning {
        window,
        cut: Cut { goal: window.end, one_stamp_rows: None },
        watermark,
        previous_run_id: last.filter(|_| completed.is_some()),
        deletions_from: from.map(|from| table.clock.not_after_utc(from)),
        held_from: inputs.latest(),
        fresh: inputs.fresh().min(window.end),
    })
}

fn taken_since(before: Guid, last: Option<Guid>) -> Error {
    let by = last.map_or("nobody".to_owned(), |last| format!("run {last}"));
    Error::new(
        Kind::Superseded,
        format!("this run goes on where run {before} ended, and {by} was there last; nothing was written"),
    )
    .hint("start a new run, with --from if it should cover time again")
}

/// Cuts the window of a table run by `MaxWindow`.
pub(super) fn cut(
    db: &Database,
    prepared: &Prepared,
    beginning: &mut Beginning,
    parameters: &Parameters,
) -> Result<()> {
    let (end, one_stamp_rows) = next_end(db, prepared, (beginning.fresh, beginning.window.end), parameters)?;
    beginning.window.end = end;
    beginning.cut.one_stamp_rows = one_stamp_rows;
    Ok(())
}

/// Where the first windows of a run would end, and whether there are more.
pub(super) fn ends(
    db: &Database,
    prepared: &Prepared,
    beginning: &Beginning,
    parameters: &Parameters,
) -> Result<(Vec<Timestamp>, bool)> {
    let (mut fresh, goal, mut ends) = (beginning.fresh, beginning.cut.goal, Vec::new());
    loop {
        fresh = next_end(db, prepared, (fresh, goal), parameters)?.0;
        ends.push(fresh);
        if fresh >= goal || ends.len() == MOST_ENDS {
            return Ok((ends, fresh < goal));
        }
    }
}

/// Where the next window ends of what is fresh, and how many rows its one stamp has, if they alone are more than it may have.
fn next_end(
    db: &Database,
    prepared: &Prepared,
    (fresh, goal): (Timestamp, Timestamp),
    parameters: &Parameters,
) -> Result<(Timestamp, Option<u64>)> {
    let Some(most) = prepared.config.max_window.filter(|_| fresh < goal) else { return Ok((goal, None)) };
    let stamps = FreshStamps { db, prepared, parameters, goal };
    let (end, rows) = stamps.end_of(most, fresh)?;
    // Behind the last row nothing is left to cut.
    Ok(if end < goal && stamps.first_from(end)?.is_some() { (end, rows) } else { (goal, rows) })
}

/// The stamps in scope that a run may take. One that is none is not seen here: the run fails of it.
struct FreshStamps<'a> {
    db: &'a Database,
    prepared: &'a Prepared,
    parameters: &'a Parameters,
    goal: Timestamp,
}

impl FreshStamps<'_> {
    fn end_of(&self, most: MaxWindow, fresh: Timestamp) -> Result<(Timestamp, Option<u64>)> {
        let in_days = self.prepared.placeholders.stamps().in_days();
        // What a column of dates has is at the end of its day.
        let day_of = |at: Timestamp| if in_days { at.midnight() } else { at };
        let Some(earliest) = self.first_from(fresh)? else { return Ok((self.goal, None)) };
        let most = match most {
            MaxWindow::Days(days) => {
                return Ok((day_of(earliest).plus_ticks(i64::from(days) * TICKS_PER_DAY).min(self.goal), None));
            }
            MaxWindow::Rows(rows) => Value::Integer(rows.into()),
        };
        let within = self.between(fresh, self.goal, ("@MaxRows", most));
        let Some(behind) = self.stamp("stamp_behind", STAMP_BEHIND, &within)?.map(day_of) else {
            return Ok((self.goal, None));
        };
        if behind > earliest {
            return Ok((behind, None));
        }
        let next = match in_days {
            true => Some(earliest.midnight().plus_ticks(TICKS_PER_DAY)),
            false => {
                self.stamp("next_stamp", NEXT_STAMP, &self.between(fresh, self.goal, ("@After", time(earliest))))?
            }
        };
        let end = next.map_or(self.goal, |next| next.min(self.goal));
        let within = self.between(fresh, end, ("@After", Value::Null));
        let rows = first::<u64>(self.db, self.prepared, "rows_of_window", ROWS_OF_WINDOW, &within)?;
        Ok((end, rows))
    }

    /// The first one from a time on.
    fn first_from(&self, from: Timestamp) -> Result<Option<Timestamp>> {
        self.stamp("first_stamp", FIRST_STAMP, &self.between(from, self.goal, ("@After", Value::Null)))
    }

    fn stamp(&self, name: &str, text: &str, parameters: &Parameters) -> Result<Option<Timestamp>> {
        let found = first::<Noted>(self.db, self.prepared, name, text, parameters)?;
        Ok(found.and_then(|found| found.0))
    }

    fn between(&self, start: Timestamp, end: Timestamp, more: (&'static str, Value)) -> Parameters {
        let mut own = self.parameters.clone();
        own.retain(|(name, _)| !matches!(*name, "@WindowStart" | "@WindowEnd"));
        own.extend([("@WindowStart", time(start)), ("@WindowEnd", time(end)), more]);
        own
    }
}

fn time(at: Timestamp) -> Value {
    Value::Text(at.to_string())
}
