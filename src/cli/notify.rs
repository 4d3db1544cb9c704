//! `--notify` and `--ping`: how a run began and ended, told by HTTP.
//!
//! Whatever happens on the way is a warning, and never changes how the command ends.

use super::answer::Answer;
use super::config::profile_in_use;
use super::exit::Exit;
use super::json::{error_object, utc};
use super::out::{Tone, clean, json as one_line, print_line};
use super::render::exit_of;
use super::signals;
use crate::error::{Error, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::time::Timestamp;
use crate::store::{HookLimits, HookUrl};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Usually; and where the operator wants to stop.
const LIMITS: HookLimits = HookLimits { tries: 4, total: Duration::from_secs(25) };
const LIMITS_IN_HASTE: HookLimits = HookLimits { tries: 1, total: Duration::from_secs(2) };
/// Letters of a text for people.
const MAX_TEXT: usize = 2000;

/// Who is told of a run.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct NotifyArgs {
    /// Tell this URL by HTTPS how the run ended, as a JSON document; may be repeated. Write @FILE to read the URL from
    /// the first line of a file: a URL that lets everybody post is a secret. A hook that fails is a warning
    #[arg(long, value_name = "URL", env = "BLOBDELTA_NOTIFY", hide_env_values = true, value_delimiter = ' ')]
    notify: Vec<String>,
    /// When to call --notify
    #[arg(long, value_name = "EVENTS", value_enum, value_delimiter = ',', default_values_t = [NotifyEvent::Success, NotifyEvent::Failure])]
    notify_on: Vec<NotifyEvent>,
    /// Tell a dead man's switch: URL/start before the run, URL after it, URL/fail if it failed. Write @FILE as for
    /// --notify
    #[arg(long, value_name = "URL", env = "BLOBDELTA_PING", hide_env_values = true)]
    ping: Option<String>,
    /// Whether the hooks are those of one business unit, and are told numbers alone: a message may name what is another's.
    #[arg(skip)]
    is_of_unit: bool,
}

/// What a hook is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NotifyEvent {
    /// A run begins
    Start,
    /// It ended with exit code 0
    Success,
    /// It ended in any other way
    Failure,
}

impl NotifyEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl NotifyArgs {
    /// The hooks of one business unit.
    pub fn of_unit(notify: Vec<String>, ping: Option<String>) -> Self {
        let notify_on = vec![NotifyEvent::Success, NotifyEvent::Failure];
        Self { notify, notify_on, ping, is_of_unit: true }
    }

    /// Whether anybody is told.
    pub fn is_empty(&self) -> bool {
        self.notify.is_empty() && self.ping.is_none()
    }

    /// Does the work, and tells how it began and ended.
    ///
    /// # Errors
    /// Those of the work.
    pub fn around(&self, what: &str, work: impl FnOnce() -> Result<Answer>) -> Result<Answer> {
        if self.is_empty() {
            return work();
        }
        let began = SystemClock.now().utc;
        self.tell(NotifyEvent::Start, &self.document(NotifyEvent::Start, what, began, None));
        let result = work();
        let exit = result.as_ref().map_or_else(exit_of, |answer| answer.exit);
        let event = if exit == Exit::Done { NotifyEvent::Success } else { NotifyEvent::Failure };
        self.tell(event, &self.document(event, what, began, Some(&result)));
        result
    }

    fn tell(&self, event: NotifyEvent, document: &Value) {
        let text = one_line(document);
        for hook in self.notify.iter().filter(|_| self.notify_on.contains(&event)) {
            warn(read(hook).and_then(|hook| hook.post(&text, limits())));
        }
        if let Some(hook) = &self.ping {
            let told = read(hook).and_then(|hook| {
                let hook = match event {
                    NotifyEvent::Start => hook.below("start"),
                    NotifyEvent::Success => hook,
                    NotifyEvent::Failure => hook.below("fail"),
                };
                hook.post(&text, limits())
            });
            warn(told);
        }
    }

    /// What a hook is told. `text` is for people, and the name that chat services give to the text of a message.
    fn document(&self, event: NotifyEvent, what: &str, began: Timestamp, result: Option<&Result<Answer>>) -> Value {
        let host = host();
        let mut document = json!({
            "event": event.name(),
            "command": what,
            "host": host,
            "profile": profile_in_use(),
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": utc(Some(began)),
        });
        let Some(result) = result else {
            document["text"] = format!("{what} on {host} began").into();
            return document;
        };
        let exit = result.as_ref().map_or_else(exit_of, |answer| answer.exit);
        document["ended_at"] = utc(Some(SystemClock.now().utc));
        document["exit_code"] = exit.code().into();
        let lines = match result {
            _ if self.is_of_unit => Vec::new(),
            Ok(answer) => {
                for key in ["bundles", "shipments", "unshipped", "go_on_with"] {
                    document[key] = answer.json[key].clone();
                }
                document["units"] = units(&answer.json["units"]);
                what_failed(&answer.json)
            }
            Err(error) => {
                document["error"] = error_object(error);
                vec![error.to_string()]
            }
        };
        if let Ok(answer) = result {
            document["run"] = answer.json["run"]["RunId"].clone();
            document["tables"] = tables(&answer.json["tables"], self.is_of_unit);
        }
        let ended = match exit {
            Exit::Done => "succeeded".to_owned(),
            _ => format!("failed (exit code {})", exit.code()),
        };
        let text = std::iter::once(format!("{what} on {host} {ended}")).chain(lines).collect::<Vec<_>>().join("\n");
        document["text"] = text.chars().take(MAX_TEXT).collect::<String>().into();
        document
    }
}

fn limits() -> HookLimits {
    if signals::asked_to_stop() { LIMITS_IN_HASTE } else { LIMITS }
}

/// The URL itself, or that in a file.
fn read(hook: &str) -> Result<HookUrl> {
    let Some(file) = hook.strip_prefix('@').map(Path::new) else { return HookUrl::parse(hook) };
    let text = std::fs::read_to_string(file).map_err(|error| Error::io("read the URL of a hook in", file, error))?;
    HookUrl::parse(text.lines().next().unwrap_or_default()).map_err(|error| error.file(file))
}

fn warn(told: Result<()>) {
    if let Err(error) = told {
        print_line(Tone::Care, "warning:", &format!(" nobody was told by a hook: {}", clean(&error.to_string())));
    }
}

/// The name of this machine.
fn host() -> String {
    let named = std::env::var("COMPUTERNAME").ok();
    let named = named.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    named
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this machine".to_owned())
}

/// Of each table what became of it; without messages for a unit's hook.
fn tables(tables: &Value, is_brief: bool) -> Value {
    let one = |table: &Value| {
        let error = if is_brief { Value::Null } else { table["error"].clone() };
        json!({"table": table["table"], "status": table["status"], "counts": table["counts"], "error": error})
    };
    tables.as_array().map(|tables| tables.iter().map(one).collect()).unwrap_or_default()
}

/// Of each unit what became of its run.
fn units(units: &Value) -> Value {
    let one = |unit: &Value| {
        json!({"business_unit": unit["business_unit"], "exit_code": unit["exit_code"],
            "run": unit["run"]["RunId"], "error": unit["error"]})
    };
    units.as_array().map(|units| units.iter().map(one).collect()).unwrap_or_default()
}

/// A line for each thing that went wrong, with what to do.
fn what_failed(answer: &Value) -> Vec<String> {
    let line = |subject: &Value, error: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let hint = text(&error["hint"]).map(|hint| format!("; {hint}")).unwrap_or_default();
        text(&error["what"]).map(|what| format!("{}: {what}{hint}", subject.as_str().unwrap_or("shipping")))
    };
    let of = |list: &Value, name: &str| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|one| line(&one[name], &one["error"])).collect()
    };
    let mut lines = of(&answer["tables"], "table");
    lines.extend(of(&answer["shipments"], "bundle"));
    lines.extend(of(&answer["units"], "business_unit"));
    lines.extend(line(&Value::Null, &answer["shipping_error"]));
    lines
}
