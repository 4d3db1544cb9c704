//! `deploy`: the scripts of the job database, batch by batch as sqlcmd runs them, and the slices.

use super::database::{Database, JOB_DATABASE};
use super::engine::Engine;
use super::sql::Sql;
use super::values::RowFields;
use super::{catalog, config, servers};
use crate::backend::jobs::DeployStep;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::table::TableConfig;
use crate::scripts::{self, Script};

pub(super) fn deploy_all(engine: &mut Engine<'_>) -> Result<Vec<DeployStep>> {
    if engine.db.options.main_database != JOB_DATABASE {
        return Err(Error::internal("a job database is deployed in its own session"));
    }
    // All versions first: a newer one is refused before anything is changed.
    let mut applied = Vec::new();
    for script in scripts::SQLSERVER_DEPLOY {
        applied.push(applied_version(engine.db, &script)?);
    }
    let servers = servers::read_servers(engine.db)?;
    if !servers.known.is_empty() {
        servers.check()?;
    }
    let mut steps = Vec::new();
    for (script, before) in scripts::SQLSERVER_DEPLOY.iter().zip(applied) {
        steps.push(apply_script(engine.db, script, before)?);
    }
    engine.db.client.use_database(JOB_DATABASE)?;
    engine.state.known.configs.clear();
    for table in config::configured_tables(engine.db)? {
        steps.push(deploy_slice(engine, &table));
    }
    Ok(steps)
}

fn applied_version(db: &mut Database, script: &Script) -> Result<Option<u32>> {
    if !catalog::has_database(&mut db.client, JOB_DATABASE)? {
        return Ok(None);
    }
    db.client.use_database(JOB_DATABASE)?;
    let there = Sql::new("SELECT OBJECT_ID(N'dbo.BlobDeltaSchemaVersion', N'U')");
    let row = db.client.row("look for the versions of the scripts", there)?;
    if row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten().is_none() {
        return Ok(None);
    }
    let sql = Sql::new("SELECT Version FROM dbo.BlobDeltaSchemaVersion WHERE Script = ").bind(script.name);
    let Some(row) = db.client.row("read the version of a script", sql)? else { return Ok(None) };
    let version = u32::try_from(RowFields::of(&row).must(0, RowFields::number)?).unwrap_or(u32::MAX);
    script.check_upgrade(Some(version))?;
    Ok(Some(version))
}

fn apply_script(db: &mut Database, script: &Script, before: Option<u32>) -> Result<DeployStep> {
    for batch in script.batches() {
        db.client.batch("apply a script", batch.text).map_err(|error| {
            let place = format!("{}, batch from line {}", script.name, batch.line);
            let error = error.file(&place);
            if error.what_to_do().is_some() {
                return error;
            }
            error.hint("have the right granted that is missing, then run deploy again: it goes on where it was")
        })?;
    }
    let sha256 = Sha256::of(script.text.as_bytes()).to_string();
    let record = Sql::new("UPDATE dbo.BlobDeltaSchemaVersion SET Sha256 = ")
        .bind(&sha256)
        .then(" WHERE Script = ")
        .bind(script.name);
    if db.client.execute("record a script", record)? != 1 {
        return Err(Error::new(Kind::Internal, "a script did not record its version").file(script.name));
    }
    let outcome = match before {
        None => "applied",
        Some(before) if before < script.version => "upgraded",
        Some(_) => "applied again",
    };
    Ok(DeployStep { name: script.name.into(), outcome: outcome.into(), needs_attention: false })
}

fn deploy_slice(engine: &mut Engine<'_>, table: &TableConfig) -> DeployStep {
    let name = format!("slice {} of {}", table.target, table.name);
    let (outcome, needs_attention) = match make_slice(engine, table) {
        Ok(outcome) => (outcome, false),
        Err(_) if !table.is_active => ("not changed: the table is not active".to_owned(), false),
        Err(error) => (format!("not marked: {error}"), true),
    };
    DeployStep { name, outcome, needs_attention }
}

/// Makes slice database, table and marker row where they are missing.
pub(super) fn make_slice(engine: &mut Engine<'_>, table: &TableConfig) -> Result<String> {
    // What its keys are is looked up with it.
    engine.state.known.configs.remove(&table.name);
    engine.state.known.columns.remove(&table.target);
    engine.state.known.forget_catalogs();
    let row = engine.db.client.unit(|client| {
        let inputs = vec![("TableName", (&table.name).into())];
        client.call("make the slice", "dbo.usp_BlobDelta_MakeSlice", inputs, &[("Outcome", "nvarchar(100)")])
    });
    let row = row.map_err(|error| {
        // The procedure goes to the slice's database. There are servers that stay where it failed.
        if let Some(home) = engine.db.client.database().map(str::to_owned) {
            let _ = engine.db.client.use_database(&home);
        }
        error.table(&table.name)
    })?;
    let outcome = row.map(|row| RowFields::of(&row).text(0).map(|text| text.unwrap_or("made").to_owned()));
    outcome.transpose().map(Option::unwrap_or_default)
}

/// Rule 24: has a slice follow its source whose rows are in a bundle, or that has none, and that no run works on.
pub(super) fn refresh_slice(engine: &mut Engine<'_>, table: &TableConfig) -> Result<()> {
    engine.state.known.columns.remove(&table.target);
    engine.state.known.forget_catalogs();
    let refreshed = engine.db.client.unit(|client| {
        let inputs = vec![("TableName", (&table.name).into())];
        client.call("refresh the slice", "dbo.usp_BlobDelta_RefreshSlice", inputs, &[])
    });
    refreshed.map(drop).map_err(|error| error.table(&table.name))
}
