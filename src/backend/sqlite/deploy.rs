//! `deploy`: the job database and the marker rows of the slices.

use super::database::{Database, JOB_DATABASE};
use super::errors::failed;
use super::sql::filled;
use super::{catalog, config, drift, servers};
use crate::backend::jobs::DeployStep;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;
use crate::scripts::{self, Script};
use rusqlite::ToSql;

const SQL: &str = include_str!("../../../sql/sqlite/deploy.sql");
const NOTE_SCRIPT: &str = statement(SQL, "note_script");
const SEED_STEP: &str = statement(SQL, "seed_step");
const SEED_QUEUE: &str = statement(SQL, "seed_queue");
const ADD_MARKER: &str = statement(SQL, "add_marker");
const HAS_OTHER_KEYS: &str = statement(SQL, "has_other_keys");
const NOTE_KEY_TYPE: &str = statement(SQL, "note_key_type");

pub(super) fn deploy_all(db: &mut Database) -> Result<Vec<DeployStep>> {
    if !db.options.main_database.eq_ignore_ascii_case(JOB_DATABASE) {
        return Err(Error::internal("a job database is deployed in its own session"));
    }
    let servers = servers::read_servers(db)?;
    if !servers.known.is_empty() {
        servers.check()?;
    }
    let mut steps = Vec::new();
    for script in scripts::SQLITE_DEPLOY {
        steps.push(db.transact("deploy a script", |db| apply_script(db, &script))?);
    }
    let renewed = db.transact("deploy the templates", |db| {
        seed_templates(db)?;
        renew_templates(db)
    })?;
    if !renewed.is_empty() {
        let outcome = format!("replaced, for nobody had changed them: {}", renewed.join(", "));
        steps.push(DeployStep { name: "templates".into(), outcome, needs_attention: false });
    }
    db.execute("INSERT OR IGNORE INTO BlobDeltaSource (OnlyRow, SourceId) VALUES (1, ?1)", [Guid::random()])?;
    servers::note_server(db)?;
    for table in config::configured_tables(db)? {
        steps.push(deploy_slice(db, &table));
    }
    Ok(steps)
}

fn applied_version(db: &Database, script: &Script) -> Result<Option<u32>> {
    let has_versions: bool =
        db.query_one("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'BlobDeltaSchemaVersion')", [])?;
    match has_versions {
        true => {
            db.query_optional("SELECT Version FROM BlobDeltaSchemaVersion WHERE Script = ?1", [script.name], |row| {
                row.get(0)
            })
        }
        false => Ok(None),
    }
}

/// An older job database lacks what a run would need at its end, so it is refused at the beginning.
pub(super) fn check_versions(db: &Database) -> Result<()> {
    for script in scripts::SQLITE_DEPLOY {
        script.check_applied(applied_version(db, &script)?)?;
    }
    Ok(())
}

fn apply_script(db: &Database, script: &Script) -> Result<DeployStep> {
    let applied = applied_version(db, script)?;
    script.check_upgrade(applied)?;
    db.execute_batch(script.text).map_err(|error| failed("apply a script", error).file(script.name))?;
    db.execute(
        NOTE_SCRIPT,
        (script.name, script.version, Sha256::of(script.text.as_bytes()).to_string(), db.server_time().utc),
    )?;
    let outcome = match applied {
        None => "applied",
        Some(applied) if applied < script.version => "upgraded",
        Some(_) => "applied again, nothing changed",
    };
    Ok(DeployStep { name: script.name.into(), outcome: outcome.into(), needs_attention: false })
}

/// Shared templates that are not there yet; what an operator changed is left alone.
fn seed_templates(db: &Database) -> Result<()> {
    for (step, name, text) in scripts::SQLITE_STEP_TEMPLATES {
        db.execute(SEED_STEP, (step, name, text))?;
    }
    for (queue, text) in scripts::SQLITE_QUEUE_TEMPLATES {
        db.execute(SEED_QUEUE, (queue, text))?;
    }
    Ok(())
}

/// Shared templates of an earlier version of this program, as it shipped them, become those of this
/// one. Gives their names.
fn renew_templates(db: &Database) -> Result<Vec<&'static str>> {
    let mut renewed = Vec::new();
    for (step, name, text) in scripts::SQLITE_STEP_TEMPLATES {
        let of = ("BlobDeltaStepScript", "StepNumber");
        if renew_template(db, of, step, text)? {
            renewed.push(name);
        }
    }
    for (queue, text) in scripts::SQLITE_QUEUE_TEMPLATES {
        let of = ("BlobDeltaQueuePopulationScript", "QueueName");
        if renew_template(db, of, queue, text)? {
            renewed.push(queue);
        }
    }
    Ok(renewed)
}

fn renew_template(db: &Database, (table, column): (&str, &str), which: impl ToSql + Copy, text: &str) -> Result<bool> {
    let find = format!("SELECT ScriptText FROM {table} WHERE TableName IS NULL AND {column} = ?1");
    let found: Option<String> = db.query_optional(&find, [which], |row| row.get(0))?;
    if found.is_none_or(|found| found == text || !scripts::was_shipped(&found)) {
        return Ok(false);
    }
    let renew = format!("UPDATE {table} SET ScriptText = ?2 WHERE TableName IS NULL AND {column} = ?1");
    Ok(db.execute(&renew, (which, text))? > 0)
}

fn deploy_slice(db: &mut Database, table: &TableConfig) -> DeployStep {
    let name = format!("slice {} of {}", table.target, table.name);
    let made = config::check_config(db, table).and_then(|_| make_slice(db, table));
    let (outcome, needs_attention) = match made {
        Ok(outcome) => (outcome.to_owned(), false),
        Err(_) if !table.is_active => ("not changed: the table is not active".to_owned(), false),
        Err(error) => (format!("not marked: {error}"), true),
    };
    DeployStep { name, outcome, needs_attention }
}

/// What the keys are. What the job database knows of a table goes by their ids, and stays behind where they change.
fn note_key_type(db: &Database, table: &TableConfig) -> Result<()> {
    if db.query_one(HAS_OTHER_KEYS, (&table.name, table.key_type.name()))? {
        return Err(Error::config("the keys are of another type now than those that were captured")
            .table(&table.name)
            .column(&table.key_column)
            .hint(table.begin_another_chain()));
    }
    db.execute(NOTE_KEY_TYPE, (&table.name, table.key_type.name()))?;
    let note = "UPDATE BlobDeltaTableConfig SET KeyType = ?2 WHERE TableName = ?1";
    db.execute(note, (&table.name, table.key_type.name())).map(drop)
}

/// Creates the slice table if it is missing, and marks it if it is empty. A table that holds
/// rows and has no marker row may be anybody's, and is never marked.
pub(super) fn make_slice(db: &mut Database, table: &TableConfig) -> Result<&'static str> {
    let source = config::check_config(db, table)?;
    db.attach(&table.target.db)?;
    let noted = TableConfig { key_type: config::key_type(table, &source)?, ..table.clone() };
    let table = &noted;
    db.transact("make a slice", |db| {
        note_key_type(db, table)?;
        let schema = db.schema_of(&table.target.db);
        let script = filled(scripts::SQLITE_SLICE_SCHEMA, &[("Schema", &schema)]);
        db.connection.execute_batch(&script).map_err(|error| failed("make the slice's marker table", error))?;
        let created = catalog::resolve(db, &table.target).is_err();
        if created {
            config::create_slice_table(db, table, &source)?;
        } else if drift::lacks_place(db, table, &source)? {
            drift::empty_and_remake(db, table, &source)?;
        }
        config::carried_columns(db, table)?;
        let marked: bool = db.query_one(
            &format!("SELECT EXISTS (SELECT 1 FROM {schema}.BlobDeltaSlice WHERE TargetTable = ?1)"),
            [&table.target.table],
        )?;
        if marked {
            return Ok("is marked");
        }
        let target = db.quoted(&table.target);
        if db.query_one(&format!("SELECT EXISTS (SELECT 1 FROM {target})"), [])? {
            return Err(Error::config("the slice table holds rows, and no marker row says that they are ours")
                .table(&table.name)
                .hint("if they can go, empty the table, then run deploy"));
        }
        db.execute(&filled(ADD_MARKER, &[("Schema", &schema)]), (&table.target.table, &table.name))?;
        Ok(if created { "created and marked" } else { "marked" })
    })
}
