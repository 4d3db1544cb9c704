//! What the job database says: runs, watermarks, what is pending, and what is kept.

use super::page::Part;
use crate::backend::{Backend, Retention};
use crate::chain::duration;
use crate::cli::json::utc;
use crate::cli::look::Appearance;
use crate::cli::out::Tone;
use crate::cli::prune::{kept_text, pruned_table};
use crate::cli::render::counted;
use crate::cli::status;
use crate::cli::summary::tone_of;
use crate::cli::table::{TableCell, TextTable, ago, plain, prose};
use crate::error::Result;
use crate::model::run::{Run, Status};
use serde_json::json;

const LATEST_RUNS: u32 = 200;

/// Runs with their durations and errors.
///
/// # Errors
/// Database.
pub fn runs(backend: &mut dyn Backend, look: &Appearance) -> Result<Part> {
    let mut part = Part::new("Runs");
    let runs = backend.recent_runs(LATEST_RUNS)?;
    if let Some(newest) = runs.first() {
        let started: String = newest.started_at.utc.to_string().chars().take(19).collect();
        let text = format!(
            "the newest run started {started}Z, {}: {}",
            look.age(newest.started_at.utc),
            newest.status.as_str()
        );
        part.facts.push(text.clone());
        if tone_of(newest.status) == Tone::Bad {
            let why = newest.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            part.found.push((Tone::Bad, format!("{text}{why}")));
        }
    }
    let failed = runs.iter().filter(|run| run.status != Status::Completed).count() as u64;
    part.json =
        json!({"runs": runs.len(), "not_completed": failed, "newest": runs.first().map(|run| run.status.as_str())});
    part.html.line(
        Tone::Plain,
        &format!(
            "{}, the latest {LATEST_RUNS} at most; {failed} not completed",
            counted(runs.len() as u64, "run", "runs")
        ),
    );
    part.html.table("Runs, newest first", &runs_table(&runs), look);
    Ok(part)
}

fn runs_table(runs: &[Run]) -> TextTable {
    let mut table = TextTable::new([
        ago("Started"),
        plain("Status"),
        plain("Duration"),
        plain("Scope"),
        plain("RunType").if_room(),
        plain("RequestedBy").if_room(),
        plain("RunId"),
        prose("ErrorMessage"),
    ]);
    for run in runs {
        let took = run.completed_at.map(|at| duration(at.ticks() - run.started_at.utc.ticks()));
        table.push([
            utc(Some(run.started_at.utc)).into(),
            TableCell::toned(tone_of(run.status), run.status.as_str()),
            took.into(),
            run.scope.to_string().into(),
            run.run_type.clone().into(),
            run.requested_by.clone().into(),
            run.id.to_string().into(),
            run.error.clone().into(),
        ]);
    }
    table
}

/// What somebody or something still waits for.
///
/// # Errors
/// Database.
pub fn pending(backend: &mut dyn Backend, look: &Appearance) -> Result<Part> {
    let mut part = Part::new("What is pending");
    if let Err(error) = backend.check_server() {
        part.found.push((Tone::Bad, error.what().to_owned()));
    }
    let lists = [
        (
            "Slices that are not packed yet: the next run of the same tables and units packs them",
            status::unpacked(backend)?,
        ),
        (
            "Bundles that are not shipped yet: the next run --ship of the same tables and units ships them",
            status::unshipped(backend)?,
        ),
        ("Pending keys: they wait for their blobs, and for a run of the scope", status::pending(backend)?),
    ];
    for (caption, table) in lists {
        let (what, rest) = caption.split_once(':').unwrap_or((caption, ""));
        match table.len() {
            0 => part.html.line(Tone::Plain, &format!("{what}: none")),
            count => {
                part.found.push((Tone::Care, format!("{what}: {count};{rest}")));
                part.html.table(caption, &table, look);
            }
        }
    }
    for unknown in backend.unknown_names()? {
        part.found.push((Tone::Care, format!("{} {}", unknown.finding(), unknown.what_to_do())));
    }
    part.html.table("Watermarks and leases", &status::watermarks(backend)?, look);
    let units = status::unit_watermarks(backend)?;
    if !units.is_empty() {
        part.html.table("Watermarks of business units", &units, look);
    }
    Ok(part)
}

/// What pruning would remove. Nothing is changed; a login that may not even ask is told so.
pub fn retention(backend: &mut dyn Backend, retention: &Retention, look: &Appearance) -> Part {
    let mut part = Part::new("Retention");
    match backend.prune(retention, true) {
        Ok(pruned) => {
            part.html.line(Tone::Plain, &format!("What blobdelta prune would remove now; {}", kept_text(retention)));
            part.html.table("Rows of the job database", &pruned_table(&pruned), look);
        }
        Err(error) => part.html.line(Tone::Care, &format!("What pruning would remove could not be asked: {error}")),
    }
    part
}
