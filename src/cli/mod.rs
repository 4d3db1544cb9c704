//! The command line: the only module that prints, parses arguments and knows exit codes.
//!
//! A command opens what it needs, calls the library and gives back one [`answer::Answer`]; this
//! module prints it as text or as one JSON document. Progress goes to stderr.

mod access;
mod again;
mod allocator;
mod answer;
mod app;
mod archive;
mod args;
mod bandwidth;
mod bundles;
mod chain;
mod compact;
mod config;
mod demo;
mod deploy;
mod doctor;
mod each_unit;
mod erase;
mod exit;
mod fields;
mod folders;
mod help;
mod inspect;
mod instance;
mod json;
mod key;
mod login;
mod look;
mod mask;
mod metrics;
mod notify;
mod out;
mod pack;
mod progress;
mod prune;
mod prune_destination;
mod rate;
mod receive;
mod reconcile;
mod render;
mod replay;
mod report;
mod report_args;
mod run;
mod run_args;
mod runs;
mod samples;
mod ship;
mod shipping;
mod sign;
mod signals;
mod status;
mod summary;
mod table;
mod table_args;
mod tables;
mod text;
mod unit_places;
mod unpack;
mod verify;
mod version;
mod waiver;
mod wrap;

pub use app::{command, main};
