//! The monitor of the command line: a bar where stderr is a terminal, plain lines elsewhere,
//! JSON lines if asked for. It never touches stdout.

use super::json::error_object;
use super::out::{clean, json, tell_line, tells_a_terminal};
use super::rate::Rate;
use super::render::{counted, number, window, window_bounds};
use super::signals;
use crate::model::clock::{Clock, SystemClock};
use crate::monitor::{Event, Monitor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json as object};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Plain and JSON lines about the same work come no faster than this.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bar,
    Lines,
    Json,
}

/// See the module's text.
pub struct Progress {
    form: Form,
    work: Mutex<Option<Work>>,
}

struct Work {
    name: String,
    rate: Rate,
    started: Instant,
    told: Instant,
    bar: ProgressBar,
}

impl Progress {
    /// JSON lines, or what fits stderr.
    pub fn new(json_lines: bool) -> Self {
        let form = match (json_lines, tells_a_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Bar,
            (false, false) => Form::Lines,
        };
        Self { form, work: Mutex::new(None) }
    }

    /// One line for people, or `event` for programs.
    fn tell(&self, work: Option<&Work>, text: &str, event: Value) {
        match self.form {
            Form::Json => tell_line(&json(&stamped(event))),
            Form::Lines => tell_line(&format!("{}  {}", now(), clean(text))),
            Form::Bar => match work {
                Some(work) => work.bar.suspend(|| tell_line(&clean(text))),
                None => tell_line(&clean(text)),
            },
        }
    }

    fn begin(&self, slot: &mut Option<Work>, name: String, rate: Rate) {
        end(slot);
        let bar = ProgressBar::with_draw_target(Some(1000), self.draw_target());
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(clean(&name));
        *slot = Some(Work { name, rate, started: Instant::now(), told: Instant::now(), bar });
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        if self.form == Form::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }

    fn advance(&self, slot: &mut Option<Work>, rows: u64, bytes: u64) {
        let Some(work) = slot else { return };
        work.rate.rows += rows;
        work.rate.bytes += bytes;
        let elapsed = work.started.elapsed();
        if self.form == Form::Bar {
            work.bar.set_position(work.rate.permille().unwrap_or(0));
            work.bar.set_message(work.rate.line(elapsed));
        } else if work.told.elapsed() >= LINE_EVERY {
            work.told = Instant::now();
            let line = work.rate.line(elapsed);
            let event = object!({
                "event": "progress", "work": work.name, "rows": work.rate.rows_before + work.rate.rows,
                "all_rows": work.rate.all_rows, "bytes": work.rate.bytes, "all_bytes": work.rate.all_bytes,
                "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            });
            self.tell(Some(work), &format!("{}: {line}", work.name), event);
        }
    }
}

fn end(slot: &mut Option<Work>) {
    if let Some(work) = slot.take() {
        work.bar.finish_and_clear();
    }
}

fn now() -> String {
    SystemClock.now().utc.to_naive().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn stamped(mut event: Value) -> Value {
    event["at"] = SystemClock.now().utc.rfc3339_utc().into();
    event
}

impl Monitor for Progress {
    fn event(&self, event: Event<'_>) {
        let mut slot = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::TableStarted { table, keys, ended, .. } => {
                let (text, fields) = described(event);
                self.tell(slot.as_ref(), &text, fields);
                let rate = Rate { all_rows: Some(keys), rows_before: ended, ..Rate::default() };
                self.begin(&mut slot, table.to_string(), rate);
            }
            Event::WorkStarted { what, name, rows, bytes } => {
                let rate = Rate { all_rows: rows, all_bytes: bytes, ..Rate::default() };
                self.begin(&mut slot, format!("{what} {name}"), rate);
            }
            Event::Batch { keys, .. } => self.advance(&mut slot, keys, 0),
            Event::WorkDone { rows, bytes } => self.advance(&mut slot, rows, bytes),
            Event::WorkFinished => end(&mut slot),
            Event::TableFinished { .. } | Event::TableFailed { .. } => {
                end(&mut slot);
                let (text, fields) = described(event);
                self.tell(None, &text, fields);
            }
            Event::RunStarted { .. } | Event::Published { .. } | Event::Warning(_) | Event::Note(_) => {
                let (text, fields) = described(event);
                self.tell(slot.as_ref(), &text, fields);
            }
        }
    }

    fn cancelled(&self) -> bool {
        signals::asked_to_stop()
    }
}

/// An event that is told at once: as text and as fields.
fn described(event: Event<'_>) -> (String, Value) {
    match event {
        Event::RunStarted { run, tables } => {
            let tables_text = counted(u64::try_from(tables).unwrap_or(u64::MAX), "table", "tables");
            (format!("run {run}: {tables_text}"), object!({"event": "run_started", "run": run, "tables": tables}))
        }
        Event::TableStarted { table, window: bounds, keys, ended } => {
            let (start, end) = window_bounds(bounds);
            let more = if ended > 0 { format!(", {} of them ended before", number(ended)) } else { String::new() };
            let text = format!("{table}: window {}, {}{more}", window(bounds), counted(keys, "key", "keys"));
            let fields = object!({"event": "table_started", "table": table, "window_start": start,
                "window_end": end, "keys": keys, "ended": ended});
            (text, fields)
        }
        Event::TableFinished { table, counts } => {
            let text = format!("{table}: slice complete, {}", counted(counts.rows(), "row", "rows"));
            (text, object!({"event": "table_finished", "table": table, "counts": counts}))
        }
        Event::TableFailed { table, error } => (
            format!("{table}: {error}"),
            object!({"event": "table_failed", "table": table, "error": error_object(error)}),
        ),
        Event::Published { path } => {
            let path = path.display().to_string();
            (format!("published {path}"), object!({"event": "published", "path": path}))
        }
        Event::Warning(text) => (format!("warning: {text}"), object!({"event": "warning", "text": text})),
        Event::Note(text) => (text.to_owned(), object!({"event": "note", "text": text})),
        Event::Batch { .. } | Event::WorkStarted { .. } | Event::WorkDone { .. } | Event::WorkFinished => {
            (String::new(), object!({"event": "progress"}))
        }
    }
}
