//! `status`: the monitoring queries of the job database, column for column.

use super::again::connected;
use super::answer::Answer;
use super::args::StatusArgs;
use super::deploy::server_object;
use super::json::{table_time, text, utc};
use super::out::clean;
use super::render::error_text;
use super::shipping;
use super::summary::unknown_names;
use super::table::Table;
use crate::backend::{Backend, PackState};
use crate::error::Result;
use crate::model::destination::{Destination, pack_command, waive_command};
use crate::model::id::Guid;
use crate::model::run::Run;
use crate::model::slice::SliceState;
use serde_json::{Value, json};

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
    let (unpacked, owed) = (unpacked(backend)?, owed(backend)?);
    let servers = backend.servers()?;
    let unknown = servers.check().err().map_or(String::new(), |error| format!("{}\n", error_text(&error)));
    let mut text = unknown + &section("Runs, newest first", &runs) + &section("Watermarks and leases", &watermarks);
    if !units.is_empty() {
        text += &section("Watermarks of business units", &units);
    }
    if !pending.is_empty() {
        text += &section("Keys that wait for a run of a scope, until their blobs are there", &pending);
    }
    if !unpacked.is_empty() {
        text += &section(
            "Slices that are complete and not packed; a run of the same tables and units packs them too",
            &unpacked,
        );
    }
    if !owed.is_empty() {
        text += &section(
            "Bundles that are not shipped yet; a `run --ship` of the same tables and units tries again",
            &owed,
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
        "unshipped": owed.json(),
        "server": server_object(&servers),
    });
    Ok(Answer::done(text, json))
}

/// Complete slices that are in no bundle and should be: those of runs that were told to publish one, and of
/// tables that require one.
fn unpacked(backend: &mut dyn Backend) -> Result<Table> {
    let mut table = Table::new(&["TableName", "RunId", "Scope", "PackedBy"]);
    for config in backend.tables()? {
        let Ok(marker) = backend.slice_marker(&config) else { continue };
        let Some(id) = marker.run_id.filter(|_| marker.state == SliceState::Complete) else { continue };
        let told = backend.run(id).ok().and_then(|run| run.destination);
        if told.is_some() || config.requires_bundle() {
            table.push([
                config.name.to_string().into(),
                id.to_string().into(),
                marker.scope.to_string().into(),
                connected(&pack_command(id, told.as_ref())).into(),
            ]);
        }
    }
    Ok(table)
}

fn unit_watermarks(backend: &mut dyn Backend) -> Result<Table> {
    let mut table =
        Table::new(&["TableName", "BusinessUnitId", "LastHighWaterModifiedOn", "LastRunId", "LastRunCompletedAt"]);
    for mark in backend.unit_watermarks()? {
        table.push([
            mark.table.to_string().into(),
            mark.unit.to_string().into(),
            table_time(Some(mark.last_high_water)),
            text(mark.last_run_id),
            utc(mark.last_run_completed_at),
        ]);
    }
    Ok(table)
}

/// Whoever is asked by nobody in particular has an empty scope.
fn pending(backend: &mut dyn Backend) -> Result<Table> {
    let mut table = Table::new(&["TableName", "Scope", "Keys", "Since"]);
    for waiting in backend.pending()? {
        let scope = waiting.scope.map_or_else(String::new, |scope| scope.to_string());
        table.push([waiting.table.to_string().into(), scope.into(), waiting.keys.into(), utc(waiting.since)]);
    }
    Ok(table)
}

fn owed(backend: &mut dyn Backend) -> Result<Table> {
    let mut table =
        Table::new(&["RunId", "PackNumber", "Name", "Folder", "RootSha256", "ShipTo", "ShippedBy", "WaivedBy"]);
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

fn runs(runs: &[Run]) -> Table {
    let mut table = Table::new(&[
        "RunId",
        "RunType",
        "RequestedBy",
        "RunStartedAt",
        "RunCompletedAt",
        "Status",
        "ErrorMessage",
        "Scope",
    ]);
    for run in runs {
        table.push([
            run.id.to_string().into(),
            run.run_type.clone().into(),
            run.requested_by.clone().into(),
            utc(Some(run.started_at.utc)),
            utc(run.completed_at),
            run.status.as_str().into(),
            run.error.clone().into(),
            run.scope.to_string().into(),
        ]);
    }
    table
}

fn watermarks(backend: &mut dyn Backend) -> Result<Table> {
    let mut table = Table::new(&[
        "TableName",
        "LastHighWaterModifiedOn",
        "LastRunId",
        "LastRunCompletedAt",
        "IsInitialFullLoadDone",
        "IsRunning",
        "RunLeaseExpiresAt",
        "LeaseRunId",
        "LeaseEpoch",
    ]);
    for mark in backend.watermarks()? {
        table.push([
            mark.table.to_string().into(),
            table_time(mark.last_high_water),
            text(mark.last_run_id),
            utc(mark.last_run_completed_at),
            mark.is_initial_full_load_done.into(),
            mark.is_running.into(),
            utc(mark.lease_expires_at),
            text(mark.lease_run_id),
            mark.lease_epoch.into(),
        ]);
    }
    Ok(table)
}

fn detail(backend: &mut dyn Backend, id: Guid) -> Result<Answer> {
    let found = backend.run(id)?;
    let run = runs(std::slice::from_ref(&found));
    let told = destination(found.destination.as_ref());
    let mut tables = Table::new(&["TableName", "PackState", "PackedBy"]);
    for (name, state) in backend.run_tables(id)? {
        let command = (state == PackState::Unpacked).then(|| connected(&pack_command(id, found.destination.as_ref())));
        tables.push([name.to_string().into(), pack_state(state), text(command)]);
    }
    let steps = steps(backend, id)?;
    let parents = missing_parents(backend, id)?;
    let bundles = bundles(backend, id)?;
    let text = section("Run", &run)
        + &section("Told of its bundle", &told)
        + &section("Tables", &tables)
        + &section("Batches", &steps)
        + &section("Missing parents", &parents)
        + &section("Bundles", &bundles);
    let json = json!({
        "run": run.json()[0],
        "destination": told.json()[0],
        "tables": tables.json(),
        "steps": steps.json(),
        "missing_parents": parents.json(),
        "bundles": bundles.json(),
    });
    Ok(Answer::done(text, json))
}

fn destination(told: Option<&Destination>) -> Table {
    let mut table = Table::new(&["OutFolder", "ShipTo", "BundleForm", "SignedBy", "EncryptedTo"]);
    if let Some(told) = told {
        table.push([
            told.out_folder.clone().into(),
            told.ship_to.clone().into(),
            told.form.as_str().into(),
            told.seal.signed_by.clone().into(),
            told.seal.recipients_text().into(),
        ]);
    }
    table
}

fn pack_state(state: PackState) -> Value {
    match state {
        PackState::Unpacked => "NotPacked".into(),
        PackState::GivenUp => "GivenUp".into(),
        PackState::Packed(pack) => format!("Packed {pack}").into(),
        PackState::SliceGone => "SliceGone".into(),
        PackState::NotCompleted => "NotCompleted".into(),
    }
}

fn steps(backend: &mut dyn Backend, id: Guid) -> Result<Table> {
    let mut table = Table::new(&[
        "TableName",
        "StepNumber",
        "BatchNumber",
        "RowsProcessed",
        "TotalRowsProcessed",
        "WindowStart",
        "WindowEnd",
        "BatchStartedAt",
        "BatchCompletedAt",
        "Status",
        "ErrorMessage",
    ]);
    for step in backend.run_steps(id)? {
        table.push([
            step.table.to_string().into(),
            step.step.into(),
            step.batch.into(),
            step.rows_processed.into(),
            step.total_rows_processed.into(),
            table_time(step.window_start),
            table_time(step.window_end),
            utc(Some(step.started_at)),
            utc(step.completed_at),
            step.status.into(),
            step.error.into(),
        ]);
    }
    Ok(table)
}

fn missing_parents(backend: &mut dyn Backend, id: Guid) -> Result<Table> {
    let mut table = Table::new(&["RunId", "TableName", "stream_id", "BusinessUnit", "Processed", "CreatedAt"]);
    for parent in backend.missing_parents(id)? {
        table.push([
            id.to_string().into(),
            parent.table.to_string().into(),
            parent.stream_id.to_string().into(),
            text(parent.business_unit),
            parent.processed.into(),
            utc(Some(parent.created_at)),
        ]);
    }
    Ok(table)
}

fn bundles(backend: &mut dyn Backend, id: Guid) -> Result<Table> {
    let mut table =
        Table::new(&["TableName", "PackNumber", "Name", "Folder", "RootSha256", "PublishedAt", "ShipTo", "ShippedAt"]);
    for bundle in backend.bundles(id)? {
        table.push([
            bundle.table.to_string().into(),
            bundle.pack_number.into(),
            bundle.name.into(),
            bundle.folder.into(),
            bundle.root_sha256.to_string().into(),
            utc(Some(bundle.published_at)),
            bundle.ship_to.into(),
            utc(bundle.shipped_at),
        ]);
    }
    Ok(table)
}

fn section(title: &str, table: &Table) -> String {
    if table.is_empty() { format!("{title}: none\n\n") } else { format!("{title}\n{}\n", table.text()) }
}
