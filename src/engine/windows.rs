//! Windows of bounded size: a run, and the runs that go on from it where `MaxWindow` cut its windows, each with a slice and a
//! bundle of its own. A slice holds one window at a time, so without bundles there is one window a call.
//!
//! Where it stops, whatever stops it, the next run goes on: at the watermark, or behind it, where windows that went back in time
//! (`from`) did not come to their end.

use super::admission::open_windows;
use super::options::{RunOptions, RunReport};
use super::run::run;
use crate::backend::Backend;
use crate::durable::Disk;
use crate::error::{Error, Result, Unfinished};
use crate::model::id::Guid;
use crate::model::run::{Run, RunRequest, Status};
use crate::monitor::{Event, Monitor};

/// Runs window after window, each of them a run, until every table is where one window would have ended. What is to be done
/// after each, when it holds no lease any more, is done by `after`. The reports are those of the runs, in their order.
///
/// # Errors
/// As [`run`]; of any of the runs.
pub fn run_windows(
    backend: &mut dyn Backend,
    options: &RunOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
    after: &mut dyn FnMut(&mut dyn Backend, &RunReport),
) -> Result<Vec<RunReport>> {
    let mut options = options.clone();
    if let Some(id) = options.resume {
        let resumed = backend.run(id)?;
        // It is done itself, and its windows go on.
        if resumed.status == Status::Completed && !open_windows(backend, &resumed)?.is_empty() {
            options = next_of(&options, &resumed);
        }
    }
    let mut reports: Vec<RunReport> = Vec::new();
    loop {
        let last = reports.last().map(|report| report.run.id);
        let mut report = run(backend, &options, disk, monitor).map_err(|error| goes_on(error, last))?;
        after(backend, &report);
        let completed = |table| report.tables.iter().any(|t| t.table == table && t.status == Status::Completed);
        let open = open_windows(backend, &report.run)?;
        report.open = open.into_iter().filter(|table| completed(table.clone())).collect();
        let run = report.run.clone();
        reports.push(report);
        match reports.last_mut() {
            Some(report) if options.out.is_some() && !report.open.is_empty() => report.open.clear(),
            _ => return Ok(reports),
        }
        monitor.check().map_err(|error| goes_on(error.run(run.id), Some(run.id)))?;
        monitor.event(Event::Note(&format!("run {} took one window of several; the next one follows", run.id)));
        options = next_of(&options, &run);
    }
}

/// The same for the next window.
fn next_of(options: &RunOptions, run: &Run) -> RunOptions {
    let request = RunRequest {
        requested_by: options.request.requested_by.clone(),
        table: run.table.clone(),
        scope: run.scope,
        batch_size: Some(run.batch_size),
        max_dop: run.max_dop,
        from: None,
        until: run.until,
        continues: Some(run.id),
    };
    RunOptions { request, resume: None, take_over: None, ..options.clone() }
}

/// What fails before a window began is gone on with after the window before.
fn goes_on(error: Error, last: Option<Guid>) -> Error {
    match last {
        Some(last) if error.what_is_unfinished().is_none() => error.unfinished(Unfinished::Run(last.to_string())),
        _ => error,
    }
}
