//! What a command gives back: the same facts as text and as JSON, and the exit code.

use super::exit::Exit;
use super::text::Text;
use serde_json::Value;

/// See the module's text.
#[derive(Debug)]
pub struct Answer {
    /// For people, with a line feed at its end.
    pub text: Text,
    /// Of it, what `--quiet` leaves: what a script goes on with, and what is wrong.
    pub result: Text,
    /// For programs: one document.
    pub json: Value,
    /// How the process ends.
    pub exit: Exit,
}

impl Answer {
    /// An answer of a command that did what was asked, of which a script needs nothing but the exit code.
    pub fn done(text: impl Into<Text>, json: Value) -> Self {
        Self { text: text.into(), result: Text::new(), json, exit: Exit::Done }
    }

    /// An answer that is the very thing that was asked for.
    pub fn shown(text: impl Into<Text>, json: Value) -> Self {
        let text = text.into();
        Self { result: text.clone(), text, json, exit: Exit::Done }
    }

    /// The same, of which a script needs these lines.
    pub fn with_result(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        lines.into_iter().for_each(|line| self.result += &format!("{line}\n"));
        self
    }

    /// The same, with how the process ends.
    pub fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}
