//! How long work reports what it does, and hears that it should stop.
//!
//! The library never prints. It tells a [`Monitor`], and asks it between batches and between
//! blocks whether to go on.

use crate::error::{Error, Kind, Result};
use crate::model::name::TableName;
use crate::model::run::{Step, TableCounts};
use crate::model::window::Window;
use std::path::Path;

/// Something that happened. New variants may come; a monitor ignores what it does not know.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run has its number, or was taken up again.
    RunStarted {
        /// The run.
        run: crate::model::id::Guid,
        /// Tables that it will take.
        tables: usize,
    },
    /// A table's window is known and its keys are queued.
    TableStarted {
        /// The table.
        table: &'a TableName,
        /// Its window.
        window: &'a Window,
        /// Keys to go through.
        keys: u64,
        /// Of them, keys that an earlier session of this run went through.
        ended: u64,
    },
    /// A batch was committed.
    Batch {
        /// The table.
        table: &'a TableName,
        /// Its step.
        step: Step,
        /// Its number in the step, from 1.
        number: u32,
        /// Keys that it went through.
        keys: u64,
        /// Rows that it copied.
        rows: u64,
    },
    /// A slice is complete.
    TableFinished {
        /// The table.
        table: &'a TableName,
        /// What there is to tell.
        counts: &'a TableCounts,
    },
    /// A table failed; the run goes on.
    TableFailed {
        /// The table.
        table: &'a TableName,
        /// Why.
        error: &'a Error,
    },
    /// Work over a known amount begins: packing, verifying, replaying.
    WorkStarted {
        /// An infinitive: `pack`, `verify`, `replay`.
        what: &'a str,
        /// What it is done to.
        name: &'a str,
        /// Rows, where they are known.
        rows: Option<u64>,
        /// Bytes, where they are known.
        bytes: Option<u64>,
    },
    /// More of it is done: of the rows and bytes that were announced, all in the end, and none twice.
    WorkDone {
        /// Rows since the last event.
        rows: u64,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// It has ended.
    WorkFinished,
    /// A bundle stands under its final name.
    Published {
        /// Where.
        path: &'a Path,
    },
    /// Something that nobody may overlook, though the work goes on.
    Warning(&'a str),
    /// Something that a person may like to know.
    Note(&'a str),
}

/// Takes events; shared between threads.
pub trait Monitor: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);

    /// Whether the operator asked to stop.
    fn cancelled(&self) -> bool {
        false
    }

    /// An error if the operator asked to stop.
    ///
    /// # Errors
    /// Cancelled.
    fn check(&self) -> Result<()> {
        if !self.cancelled() {
            return Ok(());
        }
        Err(Error::new(Kind::Cancelled, "stopped as asked; what was committed stands")
            .hint("call it again; a run goes on with --resume"))
    }
}

/// For a part of work whose amount was not announced: what it does is not counted, everything else is reported.
pub struct Uncounted<'a>(pub &'a dyn Monitor);

impl Monitor for Uncounted<'_> {
    fn event(&self, event: Event<'_>) {
        if !matches!(event, Event::WorkDone { .. }) {
            self.0.event(event);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Ignores everything.
#[derive(Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn event(&self, _: Event<'_>) {}
}
