//! What a command gives back: the same facts as text and as JSON, and the exit code.

use super::exit::Exit;
use serde_json::Value;

/// See the module's text.
#[derive(Debug)]
pub struct Answer {
    /// For people, with a line feed at its end.
    pub text: String,
    /// For programs: one document.
    pub json: Value,
    /// How the process ends.
    pub exit: Exit,
}

impl Answer {
    /// An answer of a command that did what was asked.
    pub fn done(text: String, json: Value) -> Self {
        Self { text, json, exit: Exit::Done }
    }
}
