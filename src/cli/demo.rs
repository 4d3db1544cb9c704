//! `demo`.

use super::answer::Answer;
use super::args::DemoArgs;
use super::exit::Exit;
use super::out;
use super::samples;
use crate::demo::{self, DemoOptions, DemoReport, ServerReport, StepOutcome, StepResult};
use crate::durable::{Disk, Local, remove_tree};
use crate::error::Result;
use crate::monitor::Monitor;
use serde_json::{Value, json};

/// Plays the demo, telling each step as it comes: on stdout, or on stderr with `--json`.
///
/// # Errors
/// As [`demo::run_demo`].
pub fn run(args: &DemoArgs, to_stderr: bool, monitor: &dyn Monitor) -> Result<Answer> {
    let shipped = args.from.is_none() && args.rows.is_none();
    let from = args.from.clone().unwrap_or_else(|| args.dir.join("files"));
    let into = args.into.as_deref().map(|text| args.login.connection(text)).transpose()?;
    let (dir, weeks, keep) = (args.dir.clone(), args.weeks, args.keep);
    let options =
        DemoOptions { from, dir, into, rows: args.rows, weeks, keep, omit_known_content: args.omit_known_content };
    let is_new = args.dir.symlink_metadata().is_err();
    if shipped {
        options.check()?;
        write_samples(&Local, &options)?;
    }
    let result = demo::run_demo(&options, &|line| print_line_to(line, to_stderr), monitor);
    if args.into.is_some() && !args.keep && is_new {
        remove_tree(&Local, &args.dir)?;
    }
    let report = result?;
    let failed = report.server.as_ref().is_some_and(|server| !server.is_good());
    let exit = if failed { Exit::Failed } else { Exit::Done };
    Ok(Answer::done(String::new(), object(&report)).ending(exit))
}

/// A reader that went away does not end the demo.
fn print_line_to(line: &str, to_stderr: bool) {
    match to_stderr {
        true => out::print_line(out::Tone::Plain, "", line),
        false => _ = out::print_plain(&format!("{line}\n")),
    }
}

/// Writes the files that come with this program to where the demo takes them from.
fn write_samples(disk: &dyn Disk, options: &DemoOptions) -> Result<()> {
    if !options.dir.is_dir() {
        disk.create_dir(&options.dir)?;
    }
    samples::write(disk, &options.from)
}

fn object(report: &DemoReport) -> Value {
    let bundles: Vec<String> = report.bundles.iter().map(|path| path.display().to_string()).collect();
    let comparison = report.comparison.as_ref().map(|found| {
        json!({
            "rows_equal": found.due,
            "bytes_equal": found.bytes,
            "ancestors": found.ancestors,
            "absent": found.absent,
            "differences": found.differences,
        })
    });
    let pace = report.pace.map(|pace| {
        json!({
            "batches": pace.batches,
            "first_tenth_micros_a_row": pace.first_micros,
            "last_tenth_micros_a_row": pace.last_micros,
        })
    });
    json!({"bundles": bundles, "comparison": comparison, "pace": pace, "server": report.server.as_ref().map(server)})
}

/// What was tried on a server: what the table of docs/dba.md is made of.
fn server(report: &ServerReport) -> Value {
    let steps: Vec<Value> = report.steps.iter().map(step).collect();
    json!({"version": report.version, "steps": steps, "left": report.left})
}

fn step(result: &StepResult) -> Value {
    match &result.outcome {
        StepOutcome::Executed(figure) => json!({"step": result.name, "outcome": "executed", "figure": figure}),
        StepOutcome::NotHere(why) => json!({"step": result.name, "outcome": "not_on_this_server", "why": why}),
        StepOutcome::Failed { statement, number, text } => json!({
            "step": result.name, "outcome": "failed", "statement": statement, "number": number, "text": text,
        }),
    }
}
