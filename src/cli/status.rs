//! `status`: the monitoring queries of the job database, column for column.

use super::again::connected;
use super::answer::Answer;
use super::args::StatusArgs;
use super::deploy::server_object;
use super::json::{table_time, text, utc};
use super::out::{Tone, clean};
use super::render::error_text;
use super::shipping;
use super::summary::{tone_of, unknown_names};
use super::table::{TableCell, TextTable, ago, line, plain, prose, time};
use super::text::Text;
use crate::backend::{Backend, PackState};
use crate::error::Result;
use crate::model::destination::{Destination, pack_command, waive_command};
use crate::model::id::Guid;
use crate::model::run::{Run, Scope};
use crate::model::slice::SliceState;
use serde_json::json;

const LATEST_RUNS: u32 = 50;

/// Shows runs, watermarks and leases, or one run.
///
/// # Errors
/// Usage, if there is no such run; Database.
pub fn run(args: &StatusArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    backend.check_deployed()?;
    match args.run {
        None => overview(backend.as_mut()),
        Some(id) => detail(backend.as_mut(), id),
    }
}

fn overview(backend: &mut dyn Backend) -> Result<Answer> {
    let runs = runs(&backend.recent_runs(LATEST_RUNS)?);
    let watermarks = watermarks(backend)?;
    let (units, pending) = (unit_watermarks(backend)?, pending(backend)?);
    let (unpacked, unshipped) = (unpacked(backend)?, unshipped(backend)?);
    let servers = backend.servers()?;
    let mut text = Text::new();
    if let Err(error) = servers.check() {
        text.append(error_text(&error));
        text += "\n";
    }
    section(&mut text, "Runs, newest first", &runs);
    section(&mut text, "Watermarks and leases", &watermarks);
    if !units.is_empty() {
        section(&mut text, "Watermarks of business units", &units);
    }
    if !pending.is_empty() {
        section(&mut text, "Pending keys: they wait for their blobs, and for a run of the scope", &pending);
    }
    if !unpacked.is_empty() {
        section(
            &mut text,
            "Slices that are not packed yet; the next run of the same tables and units packs them",
            &unpacked,
        );
    }
    if !unshipped.is_empty() {
        section(
            &mut text,
            "Bundles that are not shipped yet; the next `run --ship` of the same tables and units ships them",
            &unshipped,
        );
    }
    let unknown = backend.unknown_names()?;
    for one in &unknown {
        text += &format!("{}\n  {}\n", clean(&one.finding()), one.what_to_do());
    }
    let json = json!({
        "unknown_names": unknown_names(&unknown),
        "runs": runs.json(),
        "watermarks": watermarks.json(),
        "business_unit_watermarks": units.json(),
        "pending": pending.json(),
        "unpacked": unpacked.json(),
        "unshipped": unshipped.json(),
        "server": server_object(&servers),
    });
    Ok(Answer::shown(text, json))
}

/// Complete slices that are in no bundle and should be: those of runs that were told to publish one, and of
/// tables that require one.
pub(super) fn unpacked(backend: &mut dyn Backend) -> Result<TextTable> {
    let mut table = TextTable::new([plain("RunId"), plain("Scope"), line("TableName"), line("PackedBy")]);
    for config in backend.tables()? {
        let Ok(marker) = backend.slice_marker(&config) else { continue };
        let Some(id) = marker.run_id.filter(|_| marker.state == SliceState::Complete) else { continue };
        let recorded = backend.run(id).ok().and_then(|run| run.destination);
        if recorded.is_some() || config.requires_bundle() {
            table.push([
                id.to_string().into(),
                marker.scope.to_string().into(),
                config.name.to_string().into(),
                connected(&pack_command(id, recorded.as_ref())).into(),
            ]);
        }
    }
    Ok(table)
}

pub(super) fn unit_watermarks(backend: &mut dyn Backend) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("BusinessUnitId"),
        time("LastHighWaterModifiedOn"),
        ago("LastRunCompletedAt").if_room(),
        plain("LastRunId").wide(),
        line("TableName"),
    ]);
    for mark in backend.unit_watermarks()? {
        table.push([
            mark.unit.to_string().into(),
            table_time(Some(mark.last_high_water)).into(),
            utc(mark.last_run_completed_at).into(),
            text(mark.last_run_id).into(),
            mark.table.to_string().into(),
        ]);
    }
    Ok(table)
}

/// Whoever is asked by nobody in particular has an empty scope.
pub(super) fn pending(backend: &mut dyn Backend) -> Result<TextTable> {
    let mut table = TextTable::new([plain("Keys"), ago("Since"), line("TableName"), line("Scope")]);
    for waiting in backend.pending()? {
        let scope = waiting.scope.map_or_else(String::new, |scope| scope.to_string());
        table.push([waiting.keys.into(), utc(waiting.since).into(), waiting.table.to_string().into(), scope.into()]);
    }
    Ok(table)
}

pub(super) fn unshipped(backend: &mut dyn Backend) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("RunId"),
        plain("PackNumber").if_room(),
        line("Name"),
        line("Folder"),
        line("RootSha256").wide(),
        line("ShipTo"),
        line("ShippedBy"),
        line("WaivedBy"),
    ]);
    for bundle in backend.unshipped()? {
        let command = shipping::command(&bundle);
        table.push([
            bundle.run_id.to_string().into(),
            bundle.pack_number.into(),
            bundle.name.into(),
            bundle.folder.into(),
            bundle.root_sha256.to_string().into(),
            bundle.ship_to.into(),
            command.into(),
            connected(&waive_command(bundle.run_id)).into(),
        ]);
    }
    Ok(table)
}

fn runs(runs: &[Run]) -> TextTable {
    let mut table = TextTable::new([
        plain("RunId"),
        plain("Status"),
        ago("RunStartedAt"),
        plain("RunType").if_room(),
        plain("RequestedBy").if_room(),
        time("RunCompletedAt").if_room(),
        line("Scope"),
        prose("ErrorMessage"),
    ]);
    for run in runs {
        table.push([
            run.id.to_string().into(),
            TableCell::toned(tone_of(run.status), run.status.as_str()),
            utc(Some(run.started_at.utc)).into(),
            run.run_type.clone().into(),
            run.requested_by.clone().into(),
            utc(run.completed_at).into(),
            TableCell::usual_unless(run.scope != Scope::All, run.scope.to_string()),
            run.error.clone().into(),
        ]);
    }
    table
}

pub(super) fn watermarks(backend: &mut dyn Backend) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("TableName"),
        time("LastHighWaterModifiedOn"),
        ago("LastRunCompletedAt").if_room(),
        plain("IsRunning").if_room(),
        ago("RunLeaseExpiresAt").if_room(),
        line("LeaseRunId"),
        plain("LastRunId").wide(),
        plain("IsInitialFullLoadDone").wide(),
        plain("LeaseEpoch").wide(),
    ]);
    for mark in backend.watermarks()? {
        table.push([
            mark.table.to_string().into(),
            table_time(mark.last_high_water).into(),
            utc(mark.last_run_completed_at).into(),
            mark.is_running.into(),
            TableCell::usual_unless(mark.is_running, utc(mark.lease_expires_at)),
            TableCell::usual_unless(mark.is_running, text(mark.lease_run_id)),
            text(mark.last_run_id).into(),
            mark.is_initial_full_load_done.into(),
            mark.lease_epoch.into(),
        ]);
    }
    Ok(table)
}

fn detail(backend: &mut dyn Backend, id: Guid) -> Result<Answer> {
    let found = backend.run(id)?;
    let run = runs(std::slice::from_ref(&found));
    let recorded = destination(found.destination.as_ref());
    let mut tables = TextTable::new([plain("PackState"), plain("TableName"), line("PackedBy")]);
    for (name, state) in backend.run_tables(id)? {
        let command = (state == PackState::Unpacked).then(|| connected(&pack_command(id, found.destination.as_ref())));
        tables.push([pack_state(state), name.to_string().into(), text(command).into()]);
    }
    let steps = steps(backend, id)?;
    let parents = missing_parents(backend, id)?;
    let bundles = bundles(backend, id)?;
    let mut text = Text::new();
    for (title, table) in [
        ("Run", &run),
        ("How its bundle is to be published", &recorded),
        ("Tables", &tables),
        ("Batches", &steps),
        ("Missing parents", &parents),
        ("Bundles", &bundles),
    ] {
        section(&mut text, title, table);
    }
    let json = json!({
        "run": run.json()[0],
        "destination": recorded.json()[0],
        "tables": tables.json(),
        "steps": steps.json(),
        "missing_parents": parents.json(),
        "bundles": bundles.json(),
    });
    Ok(Answer::shown(text, json))
}

fn destination(recorded: Option<&Destination>) -> TextTable {
    let mut table =
        TextTable::new([plain("BundleForm"), line("OutFolder"), line("ShipTo"), line("SignedBy"), line("EncryptedTo")]);
    if let Some(recorded) = recorded {
        table.push([
            recorded.form.as_str().into(),
            recorded.out_folder.clone().into(),
            recorded.ship_to.clone().into(),
            recorded.seal.signed_by.clone().into(),
            recorded.seal.recipients_text().into(),
        ]);
    }
    table
}

fn pack_state(state: PackState) -> TableCell {
    match state {
        PackState::Unpacked => TableCell::toned(Tone::Care, "NotPacked"),
        PackState::GivenUp => "GivenUp".into(),
        PackState::Packed(pack) => TableCell::toned(Tone::Good, format!("Packed {pack}")),
        PackState::SliceGone => "SliceGone".into(),
        PackState::NotCompleted => TableCell::toned(Tone::Care, "NotCompleted"),
    }
}

fn steps(backend: &mut dyn Backend, id: Guid) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("StepNumber"),
        plain("BatchNumber"),
        plain("RowsProcessed"),
        plain("Status"),
        ago("BatchStartedAt"),
        plain("TableName").if_room(),
        plain("TotalRowsProcessed").wide(),
        time("WindowStart").wide(),
        time("WindowEnd").wide(),
        time("BatchCompletedAt").wide(),
        prose("ErrorMessage"),
    ]);
    for step in backend.run_steps(id)? {
        table.push([
            step.step.into(),
            step.batch.into(),
            step.rows_processed.into(),
            step.status.into(),
            utc(Some(step.started_at)).into(),
            step.table.to_string().into(),
            step.total_rows_processed.into(),
            table_time(step.window_start).into(),
            table_time(step.window_end).into(),
            utc(step.completed_at).into(),
            step.error.into(),
        ]);
    }
    Ok(table)
}

fn missing_parents(backend: &mut dyn Backend, id: Guid) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("stream_id"),
        plain("Processed"),
        ago("CreatedAt"),
        plain("TableName").if_room(),
        line("BusinessUnit"),
        plain("RunId").wide(),
    ]);
    let configured = backend.tables()?;
    for parent in backend.missing_parents(id)? {
        // Of a table that was removed the id alone is known.
        let config = configured.iter().find(|config| config.name == parent.table);
        let key = config.map(|config| config.key_type.shown(parent.stream_id).to_string());
        table.push([
            key.unwrap_or_else(|| parent.stream_id.to_string()).into(),
            parent.processed.into(),
            utc(Some(parent.created_at)).into(),
            parent.table.to_string().into(),
            text(parent.business_unit).into(),
            id.to_string().into(),
        ]);
    }
    Ok(table)
}

fn bundles(backend: &mut dyn Backend, id: Guid) -> Result<TextTable> {
    let mut table = TextTable::new([
        plain("Name"),
        ago("PublishedAt"),
        time("ShippedAt").if_room(),
        plain("PackNumber").wide(),
        line("TableName"),
        line("Folder"),
        line("RootSha256"),
        line("ShipTo"),
    ]);
    for bundle in backend.bundles(id)? {
        table.push([
            bundle.name.into(),
            utc(Some(bundle.published_at)).into(),
            utc(bundle.shipped_at).into(),
            bundle.pack_number.into(),
            bundle.table.to_string().into(),
            bundle.folder.into(),
            bundle.root_sha256.to_string().into(),
            bundle.ship_to.into(),
        ]);
    }
    Ok(table)
}

fn section(text: &mut Text, title: &str, table: &TextTable) {
    text.add(Tone::Head, title);
    if table.is_empty() {
        *text += ": none\n\n";
        return;
    }
    *text += "\n";
    text.table(table);
    *text += "\n";
}
