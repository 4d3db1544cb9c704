//! The configuration file: where it is, what it may say, and how that becomes options of a command.
//!
//! A profile is a set of options under a name. It is read before the arguments are parsed, and its settings are given to
//! the parser as if they had been typed, except those that somebody typed or set in the environment, and those that
//! contradict what somebody typed. So a command knows nothing of profiles.

mod effective;
mod file;
mod merge;
mod parsed;
mod schema;
mod settings;
mod show;

pub use effective::{UnitSection, is_from_profile, profile_in_use, unit_sections};
pub use merge::with_profile;
pub use show::{ConfigCommand, run};
