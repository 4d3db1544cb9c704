//! What became of the steps.

/// Of one server.
#[derive(Clone, Debug, Default)]
pub struct ServerReport {
    /// What it says that it is; nothing depends on it.
    pub version: String,
    /// The steps, in their order.
    pub steps: Vec<StepResult>,
    /// The backup that a step made, by its path on the server.
    pub backup: Option<String>,
    /// What could not be dropped, or was to be kept.
    pub left: Vec<String>,
}

/// A step, and what became of it.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// What was tried.
    pub name: &'static str,
    /// What became of it.
    pub outcome: StepOutcome,
}

/// See [`StepResult`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It did what it has to, and this is by how much.
    Executed(String),
    /// The server has no such thing, or this login may not use it; in the server's words.
    NotHere(String),
    /// It has, and something went wrong.
    Failed {
        /// What was executed.
        statement: String,
        /// The number of the server's error.
        number: Option<u32>,
        /// What it says.
        text: String,
    },
}

/// What a play says.
pub(super) enum Said {
    /// It did what it has to; something about it, or nothing.
    Done(String),
    /// The server lacks something that no script could ask for.
    Lacks(String),
}

impl ServerReport {
    /// Whether a step failed.
    pub fn is_good(&self) -> bool {
        !self.steps.iter().any(|result| matches!(result.outcome, StepOutcome::Failed { .. }))
    }
}

impl std::fmt::Display for StepResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outcome {
            StepOutcome::Executed(figure) => write!(f, "executed            {}: {figure}", self.name),
            StepOutcome::NotHere(why) => write!(f, "not on this server  {}: {why}", self.name),
            StepOutcome::Failed { statement, number, text } => {
                let number = number.map_or(String::new(), |number| format!("error {number}: "));
                write!(f, "FAILED              {}: {number}{text}, at: {statement}", self.name)
            }
        }
    }
}
