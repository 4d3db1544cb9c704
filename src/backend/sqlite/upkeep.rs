//! [`Upkeep`] on the embedded instance.

use super::database::Database;
use super::engine::Engine;
use super::errors::failed;
use super::sql::quote;
use super::{catalog, config, deletion_script, drift, marker, prune, samples, servers, start};
use crate::backend::deletion_script::DeletionSource;
use crate::backend::jobs::Jobs as _;
use crate::backend::prune::{PrunedTable, Retention};
use crate::backend::upkeep::{Advice, BackupRecord, Severity, Upkeep, template_advice};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::drift::{SchemaDrift, listed};
use crate::model::name::TableName;
use crate::model::run::Fence;
use crate::model::table::TableConfig;
use crate::scripts;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/upkeep.sql");
const TEMPLATES: &str = statement(SQL, "templates");
const HAS_INDEX: &str = statement(SQL, "has_index");

impl Upkeep for Engine<'_> {
    fn limit_memory(&mut self, bytes: u64) -> Result<()> {
        // Of all connections of this process, which has one instance; what they hold already is given back
        // (<https://www.sqlite.org/malloc.html#_setting_memory_usage_limits>).
        self.db
            .execute_batch(&format!("PRAGMA soft_heap_limit = {bytes}; PRAGMA shrink_memory;"))
            .map_err(|error| failed("limit the memory of an instance", error))
    }

    fn doctor(&mut self) -> Result<Vec<Advice>> {
        let mut found = vec![server_advice(self.db)?, clock_advice(self.db)?];
        found.extend(template_advices(self.db)?);
        found.extend(open_files(self.db));
        for table in self.tables()? {
            found.extend(drift_advice(self.db, &table));
            found.extend(table_advice(self, &table));
        }
        Ok(found)
    }

    fn look_at_data(&mut self, table: &TableConfig) -> Result<Vec<Advice>> {
        let prepared = self.state.prepared.prepare(self.db, table)?;
        samples::data_advice(self.db, &prepared)
    }

    fn deletion_script(&mut self, table: &TableConfig, from: &DeletionSource) -> Result<String> {
        config::check_config(self.db, table)?;
        deletion_script::script(self.db, table, from)
    }

    fn check_backup(&mut self, _: &[String], _: &str) -> Result<()> {
        Err(Error::config("an embedded instance has no BACKUP").file(&self.db.folder).hint(
            "leave --backup-slice out: the slice is a SQLite file of its own, which can be copied when no run is at work",
        ))
    }

    fn backup(&mut self, _: &[Fence], _: &str, _: &str, _: &mut dyn FnMut(u8)) -> Result<BackupRecord> {
        self.check_backup(&[], "")?;
        Err(Error::internal("an embedded instance was asked for a backup"))
    }

    fn prune(&mut self, retention: &Retention, plan: bool) -> Result<Vec<PrunedTable>> {
        self.source_id()?;
        if !plan {
            self.check_server()?;
        }
        prune::prune_job_database(self.db, retention, plan)
    }
}

fn advice(severity: Severity, subject: impl ToString, finding: impl Into<String>, what_to_do: Option<&str>) -> Advice {
    let what_to_do = what_to_do.map(str::to_owned);
    Advice { severity, subject: subject.to_string(), finding: finding.into(), what_to_do }
}

/// Rule 24. What else is wrong with the table is said elsewhere.
fn drift_advice(db: &Database, table: &TableConfig) -> Option<Advice> {
    let changes = drift::slice_drift(db, table).ok().filter(|changes| !changes.is_empty())?;
    let finding = format!("the source's columns are not those of the slice: {}", listed(&changes));
    let (severity, to_do) = match table.schema_drift {
        SchemaDrift::Carry => (
            Severity::Warning,
            "nothing, if it is meant: the next run carries it; what is to be left out goes into ExcludedColumns",
        ),
        SchemaDrift::Refuse => (
            Severity::Error,
            "SchemaDrift is Refuse, so the next run fails: `blobdelta table refresh` has the slice follow once; what is to \
             be left out goes into ExcludedColumns",
        ),
    };
    Some(advice(severity, &table.name, finding, Some(to_do)))
}

fn server_advice(db: &Database) -> Result<Advice> {
    let servers = servers::read_servers(db)?;
    Ok(match servers.check() {
        Ok(()) => advice(Severity::Ok, "server", format!("the job database knows {}", servers.here), None),
        Err(error) => advice(Severity::Error, "server", error.what(), error.what_to_do()),
    })
}

fn clock_advice(db: &Database) -> Result<Advice> {
    let now = db.server_time().utc;
    let last = start::last_that_binds(db, None)?.map(|(_, started)| started);
    Ok(match last {
        Some(last) if last > now => advice(
            Severity::Error,
            "clock",
            format!("it says {}, before the last run's start {}", now.rfc3339_utc(), last.rfc3339_utc()),
            Some("set the machine's clock right; a window computed from it would lose changes"),
        ),
        _ => advice(Severity::Ok, "clock", now.rfc3339_utc(), None),
    })
}

/// Shared templates, and those that one table has for itself.
fn template_advices(db: &Database) -> Result<Vec<Advice>> {
    let rows: Vec<(Option<String>, String, String)> =
        db.query_all(TEMPLATES, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let steps = scripts::SQLITE_STEP_TEMPLATES.into_iter().map(|(_, name, text)| (name, text));
    let there = |name: &str| {
        let shared = rows.iter().find(|(table, found, _)| table.is_none() && found == name);
        shared.map(|(_, _, text)| text.as_str())
    };
    let shared = steps.chain(scripts::SQLITE_QUEUE_TEMPLATES);
    let mut found: Vec<Advice> = shared.map(|(name, text)| template_advice(name, text, there(name))).collect();
    for (table, name, text) in rows {
        let Some(table) = table else { continue };
        let sha256 = Sha256::of(text.as_bytes());
        let text =
            format!("the script {name} of this table alone stands in place of the shared one; its SHA-256 is {sha256}");
        let todo = "see that it is yours; its row can be deleted";
        found.push(advice(Severity::Warning, table, text, Some(todo)));
    }
    Ok(found)
}

/// Whoever may write the job database may write what a run carries out.
#[cfg(unix)]
fn open_files(db: &Database) -> Option<Advice> {
    use std::os::unix::fs::PermissionsExt as _;
    const GROUP_AND_OTHERS: u32 = 0o022;
    let file = db.folder.join(format!("{}.sqlite", db.options.main_database));
    let mode = std::fs::metadata(&file).ok()?.permissions().mode();
    let text = "other accounts may write the job database, and with it what a run carries out";
    let todo = format!("chmod go-w {}", file.display());
    (mode & GROUP_AND_OTHERS != 0).then(|| advice(Severity::Warning, "rights", text, Some(&todo)))
}

#[cfg(not(unix))]
fn open_files(db: &Database) -> Option<Advice> {
    None
}

fn table_advice(engine: &mut Engine<'_>, table: &TableConfig) -> Vec<Advice> {
    let severity = if table.is_active { Severity::Error } else { Severity::Warning };
    let mut found = Vec::new();
    let placeholders = config::placeholders(engine.db, table);
    let checked =
        placeholders.and_then(|placeholders| engine.state.prepared.prepare_scripts(engine.db, table, placeholders));
    let marker = checked.and_then(|prepared| marker::marker(engine.db, table).map(|marker| (prepared, marker)));
    match marker {
        Ok((prepared, marker)) => {
            let text = format!("configuration, scripts and slice fit; the slice is {}", marker.state.as_str());
            found.push(advice(Severity::Ok, &table.name, text, None));
            found.extend(samples::data_advice(engine.db, &prepared).unwrap_or_else(|error| {
                vec![advice(Severity::Warning, &table.name, error.to_string(), error.what_to_do())]
            }));
        }
        Err(error) => found.push(advice(severity, &table.name, error.to_string(), error.what_to_do())),
    }
    // One index for both columns of a stamp: where the first is NULL, its rows are in the order of the second.
    let wanted = [
        (&table.source, (&table.key_column, None)),
        (&table.metadata, (&table.metadata_modified_on_column, table.metadata_created_on_column.as_ref())),
        (&table.metadata, (&table.metadata_id_column, None)),
    ];
    found.extend(wanted.into_iter().filter_map(|(name, columns)| index_advice(engine.db, table, name, columns)));
    found
}

/// Whether an index begins with a column, and goes on with another.
fn index_advice(
    db: &Database,
    table: &TableConfig,
    name: &TableName,
    (first, second): (&String, Option<&String>),
) -> Option<Advice> {
    let columns: Vec<&str> = std::iter::once(first).chain(second).map(String::as_str).collect();
    if has_index(db, name, first, second) != Ok(false) {
        return None;
    }
    let listed = columns.join(", ");
    if catalog::is_view(db, name).unwrap_or(false) {
        let text =
            format!("{name} is a view, and the indexes below it cannot be looked at here; see that {listed} has one");
        return Some(advice(Severity::Warning, &table.name, text, None));
    }
    let text = format!("no index of {name} begins with {listed}, so every batch reads the whole table");
    let schema = db.schema_of(&name.db);
    let quoted: Vec<String> = columns.iter().map(|column| quote(column)).collect();
    let index = quote(&format!("IX_{}_{}", name.table, columns.join("_")));
    let todo = format!("CREATE INDEX {schema}.{index} ON {} ({})", quote(&name.table), quoted.join(", "));
    Some(advice(Severity::Warning, &table.name, text, Some(&todo)))
}

/// Whether an index begins so; `Err` where the catalog does not say.
fn has_index(db: &Database, table: &TableName, first: &str, second: Option<&String>) -> std::result::Result<bool, ()> {
    db.query_one(HAS_INDEX, (&table.table, db.schema_name(&table.db), first, second)).map_err(drop)
}
