//! The binary, called as a user calls it: exit codes, one clear error a mistake, one JSON document
//! a command, and nothing left behind by what was refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archives;
mod attacks;
mod bundles;
mod chains;
mod commands;
#[cfg(unix)]
mod configured;
mod copies;
mod demo;
mod embedded;
mod erased;
mod integers;
mod leftovers;
mod man;
mod masked;
mod measured;
mod memory;
#[cfg(unix)]
mod modes;
#[cfg(unix)]
mod notified;
mod pages;
mod planned;
#[cfg(unix)]
mod readme;
mod reconciled;
mod refusals;
mod replays;
mod reports;
mod shipping;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod units;
mod unpacked;
mod whole_demo;
mod windowed;
mod world;
