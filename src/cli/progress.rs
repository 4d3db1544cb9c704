//! The monitor of the command line: a bar where stderr is a terminal, plain lines elsewhere,
//! JSON lines if asked for. It never touches stdout.

use super::args::Verbosity;
use super::json::error_object;
use super::out::{Tone, clean, json, print_line, stderr_is_terminal, stderr_width};
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

/// The bar, how fast it goes, and then at what.
const BAR: &str = "[{bar:20}] {wide_msg}";
/// Columns under which there is no bar beside the numbers.
const ROOM_FOR_A_BAR: usize = 60;

/// How progress is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressForm {
    Bar,
    Lines,
    Json,
}

/// See the module's text.
pub struct Progress {
    form: ProgressForm,
    verbosity: Verbosity,
    work: Mutex<Option<ProgressWork>>,
}

struct ProgressWork {
    name: String,
    rate: Rate,
    started: Instant,
    shown_at: Instant,
    bar: ProgressBar,
}

impl Progress {
    /// JSON lines, or what fits stderr; of either, so much.
    pub fn new(json_lines: bool, verbosity: Verbosity) -> Self {
        let form = match (json_lines, stderr_is_terminal()) {
            (true, _) => ProgressForm::Json,
            (false, true) => ProgressForm::Bar,
            (false, false) => ProgressForm::Lines,
        };
        Self { form, verbosity, work: Mutex::new(None) }
    }

    /// One line for people, or `event` for programs.
    fn show(&self, work: Option<&ProgressWork>, line: &ProgressLine, event: Value) {
        if line.verbosity > self.verbosity {
            return;
        }
        let (head, text) = (line.head, clean(&line.text));
        let space = if head.is_empty() || text.is_empty() { "" } else { " " };
        match self.form {
            ProgressForm::Json => print_line(Tone::Plain, "", &json(&stamped(event))),
            ProgressForm::Lines if head.is_empty() => print_line(Tone::Plain, "", &format!("{}  {text}", now())),
            ProgressForm::Lines => print_line(line.tone, &format!("{}  {head}", now()), &format!("{space}{text}")),
            ProgressForm::Bar => {
                let show = || print_line(line.tone, head, &format!("{space}{text}"));
                work.map_or_else(show, |work| work.bar.suspend(show));
            }
        }
    }

    fn begin(&self, slot: &mut Option<ProgressWork>, name: String, rate: Rate) {
        self.end(slot);
        let bar = ProgressBar::with_draw_target(Some(1000), self.draw_target());
        // A line that is longer than the terminal is cut: it is drawn over and over, and would fill the screen.
        let template = if stderr_width().is_some_and(|width| width < ROOM_FOR_A_BAR) { "{wide_msg}" } else { BAR };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        *slot = Some(ProgressWork { name, rate, started: Instant::now(), shown_at: Instant::now(), bar });
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        if self.form == ProgressForm::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }

    fn advance(&self, slot: &mut Option<ProgressWork>, rows: u64, bytes: u64) {
        let Some(work) = slot else { return };
        work.rate.rows += rows;
        work.rate.bytes += bytes;
        let elapsed = work.started.elapsed();
        if self.form == ProgressForm::Bar {
            work.bar.set_position(work.rate.permille().unwrap_or(0));
            work.bar.set_message(format!("{}  {}", work.rate.line(elapsed), clean(&work.name)));
        } else if work.shown_at.elapsed() >= LINE_EVERY {
            work.shown_at = Instant::now();
            let line = ProgressLine::usual(format!("{}: {}", work.name, work.rate.line(elapsed)));
            self.show(Some(work), &line, work.fields("progress"));
        }
    }

    fn end(&self, slot: &mut Option<ProgressWork>) {
        let Some(work) = slot.take() else { return };
        work.bar.finish_and_clear();
        let text = format!("{}: {}", work.name, work.rate.sum(work.started.elapsed()));
        self.show(None, &ProgressLine::step(text), work.fields("work_finished"));
    }
}

impl ProgressWork {
    fn fields(&self, event: &str) -> Value {
        object!({
            "event": event, "work": self.name, "rows": self.rate.rows_before + self.rate.rows,
            "all_rows": self.rate.all_rows, "bytes": self.rate.bytes, "all_bytes": self.rate.all_bytes,
            "elapsed_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// What is reported, and to whom.
struct ProgressLine {
    verbosity: Verbosity,
    tone: Tone,
    head: &'static str,
    text: String,
}

impl ProgressLine {
    fn usual(text: String) -> Self {
        Self { verbosity: Verbosity::Usual, tone: Tone::Plain, head: "", text }
    }

    fn step(text: String) -> Self {
        Self { verbosity: Verbosity::Everything, ..Self::usual(text) }
    }

    fn warning(tone: Tone, head: &'static str, text: String) -> Self {
        Self { verbosity: Verbosity::Warnings, tone, head, text }
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
        if matches!(event, Event::TableFinished { .. } | Event::TableFailed { .. }) {
            self.end(&mut slot);
        }
        if let Some((line, fields)) = described(event) {
            self.show(slot.as_ref(), &line, fields);
        }
        match event {
            Event::TableStarted { table, keys, ended, .. } => {
                let rate = Rate { all_rows: Some(keys), rows_before: ended, ..Rate::default() };
                self.begin(&mut slot, table.to_string(), rate);
            }
            Event::WorkStarted { what, name, rows, bytes } => {
                let rate = Rate { all_rows: rows, all_bytes: bytes, ..Rate::default() };
                self.begin(&mut slot, format!("{what} {name}"), rate);
            }
            Event::Batch { keys, .. } => self.advance(&mut slot, keys, 0),
            Event::WorkDone { rows, bytes } => self.advance(&mut slot, rows, bytes),
            Event::WorkFinished => self.end(&mut slot),
            _ => {}
        }
    }

    fn cancelled(&self) -> bool {
        signals::asked_to_stop()
    }
}

/// An event that is told at once: as text and as fields.
fn described(event: Event<'_>) -> Option<(ProgressLine, Value)> {
    Some(match event {
        Event::RunStarted { run, tables } => {
            let tables_text = counted(u64::try_from(tables).unwrap_or(u64::MAX), "table", "tables");
            let fields = object!({"event": "run_started", "run": run, "tables": tables});
            (ProgressLine::usual(format!("run {run}: {tables_text}")), fields)
        }
        Event::TableStarted { table, window: bounds, keys, ended } => {
            let (start, end) = window_bounds(bounds);
            let more = if ended > 0 { format!(", {} of them ended before", number(ended)) } else { String::new() };
            let text = format!("{table}: window {}, {}{more}", window(bounds), counted(keys, "key", "keys"));
            let fields = object!({"event": "table_started", "table": table, "window_start": start,
                "window_end": end, "keys": keys, "ended": ended});
            (ProgressLine::usual(text), fields)
        }
        Event::Batch { table, step, number: nth, keys, rows } => {
            let (keys_text, rows_text) = (counted(keys, "key", "keys"), counted(rows, "row", "rows"));
            let text = format!("{table}: {} {}: {keys_text}, {rows_text}", step.name(), number(nth.into()));
            let fields = object!({"event": "batch", "table": table, "step": step.name(), "number": nth,
                "keys": keys, "rows": rows});
            (ProgressLine::step(text), fields)
        }
        Event::TableFinished { table, counts } => {
            let text = format!("{table}: slice complete, {}", counted(counts.rows(), "row", "rows"));
            (ProgressLine::usual(text), object!({"event": "table_finished", "table": table, "counts": counts}))
        }
        Event::TableFailed { table, error } => {
            let fields = object!({"event": "table_failed", "table": table, "error": error_object(error)});
            (ProgressLine::warning(Tone::Bad, "failed:", format!("{table}: {error}")), fields)
        }
        Event::Published { path } => {
            let path = path.display().to_string();
            (ProgressLine::usual(format!("published {path}")), object!({"event": "published", "path": path}))
        }
        Event::Warning(text) => {
            let fields = object!({"event": "warning", "text": text});
            (ProgressLine::warning(Tone::Care, "warning:", text.to_owned()), fields)
        }
        Event::Note(text) => (ProgressLine::usual(text.to_owned()), object!({"event": "note", "text": text})),
        _ => return None,
    })
}
