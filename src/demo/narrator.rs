//! [`Narrator`]: what the demo says while it is run.

/// Tells the person who watches.
pub(super) struct Narrator<'a> {
    narrator: &'a dyn Fn(&str),
}

impl<'a> Narrator<'a> {
    pub(super) fn new(narrator: &'a dyn Fn(&str)) -> Self {
        Self { narrator }
    }

    pub(super) fn say(&self, text: impl AsRef<str>) {
        (self.narrator)(text.as_ref());
    }

    /// A step, and the command that does it.
    pub(super) fn step(&self, number: u8, text: &str, command: &str) {
        self.say(format!("\n{number}. {text}"));
        if !command.is_empty() {
            self.say(format!("   $ {command}"));
        }
    }
}
