//! `--json`: one document on stdout a command, errors too.

use super::again;
use super::exit::kind_name;
use super::render::{exit_of, reasons};
use crate::error::Error;
use crate::model::time::Timestamp;
use serde_json::{Value, json};

/// `{"error": …}`: everything that the error knows.
pub fn error_document(error: &Error) -> Value {
    json!({ "error": error_object(error) })
}

/// The error without the object around it.
pub fn error_object(error: &Error) -> Value {
    let place = error.place();
    let named = [
        ("run", place.run.clone().map(Value::from)),
        ("table", place.table.clone().map(Value::from)),
        ("step", place.step.map(Value::from)),
        ("script", place.script.clone().map(Value::from)),
        ("column", place.column.clone().map(Value::from)),
        ("key", place.key.clone().map(Value::from)),
        ("file", place.file.clone().map(Value::from)),
    ];
    let place: serde_json::Map<String, Value> =
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    json!({
        "kind": kind_name(error.kind()),
        "what": error.what(),
        "place": place,
        "why": reasons(error),
        "hint": error.what_to_do().map(again::connected_text),
        "go_on_with": error.what_is_unfinished().map(again::command),
        "exit_code": exit_of(error).code(),
    })
}

/// A time of the server's UTC clock.
pub fn utc(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::rfc3339_utc).into()
}

/// A time in a table's own clock: no offset is written, because it may be local time.
pub fn table_time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}

/// Anything that is shown by its text.
pub fn text<T: std::fmt::Display>(value: Option<T>) -> Value {
    value.map(|value| value.to_string()).into()
}
