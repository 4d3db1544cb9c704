//! What a server has, tried out: one step for each thing that not every server has, or that is its own way of doing it.
//!
//! Nothing asks a server what it is. The first batch of a step's script uses what the step needs; where the server says that it
//! has no such thing, or that this login may not, the step is told as "not on this server" with the server's own words.
//! Any other error is a failure. Everything lies in databases of the demo's own, which are dropped at its end.

mod actions;
mod clear;
mod ground;
mod hidden;
mod outcome;
mod steps;

pub(super) use clear::{check_free, clear};
pub use outcome::{ServerReport, StepOutcome, StepResult};
pub(super) use steps::run_steps;
