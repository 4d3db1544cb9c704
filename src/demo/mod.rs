//! The demo: a source instance built from the files of a real folder, a full load, a week of
//! changes, a delta, and a second instance that must come out equal.
//!
//! It reads the folder and writes nothing but its own. Whatever it proves, it proves with the
//! same calls that the command makes, and the comparison at its end trusts none of them.

mod change;
mod compare;
mod names;
mod narrator;
mod node;
mod options;
mod pages;
mod rows;
mod script;
mod seed;
mod server;
mod stage;
mod walk;

pub use compare::Comparison;
pub use options::{DemoOptions, DemoReport, Pace};
pub use script::run_demo;
pub use server::{ServerReport, StepOutcome, StepResult};
