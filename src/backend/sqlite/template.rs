//! Filling and running scripts: placeholders take quoted identifiers, parameters take values.

use super::chunks::{self, ChunkedColumns, large_bytes};
use super::database::Database;
use super::errors::failed;
use super::sql::{filled, quote};
use super::{catalog, filter, key_id, rowid, stamp};
use crate::error::{Error, Kind, Result};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use crate::model::stamp::Stamps;
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::time::Timestamp;
use crate::scripts;
use crate::scripts::statement::statement;
use rusqlite::types::Value;
use std::collections::BTreeMap;

const SQL: &str = include_str!("../../../sql/sqlite/template.sql");
const IN_UNITS: &str = statement(SQL, "in_units");
const IS_DELETED: &str = statement(SQL, "is_deleted");
const OF_METADATA: &str = statement(SQL, "of_metadata");
const STEP_SCRIPT: &str = statement(SQL, "step_script");
const QUEUE_SCRIPT: &str = statement(SQL, "queue_script");
const BATCH_TABLES: &str = statement(SQL, "batch_tables");

/// What may stand in braces in a script, for one table.
pub(super) struct Placeholders {
    table: TableName,
    values: BTreeMap<&'static str, Option<String>>,
    chunked: ChunkedColumns,
    stamps: Stamps,
}

/// What may stand behind `@` in a script.
pub(super) type Parameters = Vec<(&'static str, Value)>;

impl Placeholders {
    /// For a table whose names were found in the catalog.
    pub(super) fn new(db: &Database, config: &TableConfig, columns: &[Column]) -> Result<Self> {
        let business_units =
            config.business_unit_table.as_ref().map(|table| catalog::resolve(db, table)).transpose()?;
        let column = |name: &Option<String>| name.as_deref().map(quote);
        let listed = |each: &dyn Fn(&Column) -> String| columns.iter().map(each).collect::<Vec<_>>().join(", ");
        let chunked = chunks::chunked(db, config, columns)?;
        let stamps = Stamps::find(config, &catalog::table_columns(db, &config.metadata)?)?;
        let unit = column(&config.metadata_business_unit_column);
        let filter = filter::filter_condition(db, config, "m")?;
        let metadata = catalog::resolve(db, &config.metadata)?;
        let in_units = in_units(config, business_units.as_deref(), "m");
        let is_deleted = is_deleted(db, config, (&metadata, business_units.as_deref()), &stamps)?;
        let in_scope_or_deleted = format!("({in_units} AND {filter})");
        let in_scope = match &is_deleted {
            Some(is_deleted) => format!("({in_scope_or_deleted} AND NOT {is_deleted})"),
            None => in_scope_or_deleted.clone(),
        };
        let of_metadata =
            |name: &str| metadata_value(config, name, (&metadata, &stamp::value_in_run(&stamps)), &in_scope);
        let value = |column: &Column| match config.metadata_column_of(&column.name) {
            Some(name) => of_metadata(name),
            None => chunked.value(column),
        };
        let ancestor = |column: &Column| match column.sql_type.is_large() {
            true => format!("CASE WHEN NOT f.IsForeign THEN {} END", value(column)),
            false => value(column),
        };
        let mut values = BTreeMap::from([
            ("SourceTable", Some(catalog::resolve(db, &config.source)?)),
            ("TargetTable", Some(catalog::resolve(db, &config.target)?)),
            ("SliceSchema", Some(db.schema_of(&config.target.db))),
            ("MetadataTable", Some(metadata.clone())),
            ("BusinessUnitTable", business_units),
            ("KeyColumn", Some(quote(&config.key_column))),
            ("PlaceColumn", Some(place_column(db, config)?)),
            ("PathColumn", column(&config.path_column)),
            ("ParentPathColumn", column(&config.parent_path_column)),
            ("ParentPath", Some(column(&config.parent_path_column).map_or("NULL".into(), |path| format!("s.{path}")))),
            ("MetadataIdColumn", Some(quote(&config.metadata_id_column))),
            // Where a stamp is more than this column, scripts have to say ModifiedOn.
            ("MetadataModifiedOnCol", stamps.is_plain().then(|| quote(&config.metadata_modified_on_column))),
            ("MetadataBusinessUnitCol", unit.clone()),
            ("BusinessUnitIdColumn", column(&config.business_unit_id_column)),
            ("BusinessUnit", Some(unit.map_or("NULL".into(), |unit| format!("m.{unit}")))),
            ("InScope", Some(in_scope.clone())),
            ("InScopeOrDeleted", Some(in_scope_or_deleted)),
            ("IsDeleted", Some(is_deleted.unwrap_or_else(|| "(0)".to_owned()))),
            ("InUnits", Some(in_units)),
            ("MetadataFilter", Some(filter)),
            ("TargetColumns", Some(listed(&|column| quote(&column.name)))),
            ("SourceColumns", Some(listed(&value))),
            ("AncestorColumns", Some(listed(&ancestor))),
            ("LargeBytes", Some(large_bytes(config, columns))),
            ("IsPiecewise", Some(chunked.condition())),
        ]);
        let of_keys = key_id::placeholders(config.key_type);
        values.extend(of_keys.map(|(name, text)| (name, Some(text))));
        values.extend(stamp::placeholders(&stamps).map(|(name, text)| (name, Some(text))));
        Ok(Self { table: config.name.clone(), values, chunked, stamps })
    }

    /// The columns of the stamp.
    pub(super) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// For statements that belong to no run, at this time in the table's clock.
    pub(super) fn outside_of_runs(self, now: Timestamp) -> Self {
        let stamp = stamp::value_at(&self.stamps, now);
        self.with("ModifiedOn", stamp)
    }

    /// See [`ChunkedColumns`].
    pub(super) fn chunked(&self) -> &ChunkedColumns {
        &self.chunked
    }

    /// The same, with one more name.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.values.insert(name, Some(value));
        self
    }

    /// Replaces every `{Name}`.
    ///
    /// # Errors
    /// Config, for a name that is not known, or that this table's configuration leaves empty.
    pub(super) fn fill(&self, script: &str, text: &str) -> Result<String> {
        let wrong = |what: String| {
            Error::config(what).table(&self.table).script(script).hint("correct the script in the script table")
        };
        let line_at = |rest: &str| line_of(text, text.len() - rest.len());
        let mut filled = String::with_capacity(text.len() * 2);
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let line = line_at(&rest[open..]);
            let Some(length) = rest[open..].find('}') else {
                return Err(wrong(format!(
                    "the script {script} has an opening brace without a closing one in line {line}"
                )));
            };
            let name = &rest[open + 1..open + length];
            filled.push_str(&rest[..open]);
            match self.values.get(name) {
                Some(Some(value)) => filled.push_str(value),
                Some(None) => {
                    return Err(wrong(format!(
                        "the script {script} uses {{{name}}} in line {line}, which the configuration of this table leaves empty"
                    ))
                    .hint(empty_hint(name)));
                }
                None => {
                    let known: Vec<&str> = self.values.keys().copied().collect();
                    return Err(wrong(format!(
                        "the script {script} uses the unknown placeholder {{{name}}} in line {line}"
                    ))
                    .hint(format!("placeholders are: {}", known.join(", "))));
                }
            }
            rest = &rest[open + length + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// Whether a row of the metadata under this alias is of the units of the run.
fn in_units(config: &TableConfig, units: Option<&str>, alias: &str) -> String {
    match (&config.metadata_business_unit_column, units, &config.business_unit_id_column) {
        (Some(unit), Some(units), Some(id)) => {
            let unit = format!("{alias}.{}", quote(unit));
            filled(IN_UNITS, &[("Units", units), ("Id", &quote(id)), ("Unit", &unit)])
        }
        _ => "(@BusinessUnitId IS NULL)".to_owned(),
    }
}

/// Whether the key of a row of the metadata, AS m, is deleted by `DeletedWhen`; `None` where no row is.
fn is_deleted(
    db: &Database,
    config: &TableConfig,
    (metadata, units): (&str, Option<&str>),
    stamps: &Stamps,
) -> Result<Option<String>> {
    let Some(condition) = filter::deleted_condition(db, config, "w")? else { return Ok(None) };
    Ok(Some(filled(
        IS_DELETED,
        &[
            ("Condition", &condition),
            ("MetadataTable", metadata),
            ("Id", &quote(&config.metadata_id_column)),
            ("InUnits", &in_units(config, units, "w")),
            ("Filter", &filter::filter_condition(db, config, "w")?),
            ("Stamp", &stamp::order(stamps, "w")),
        ],
    )))
}

/// The value of a column of the metadata that comes along with the row `s`. Nothing for a row of another unit, of which no row is
/// in scope (rule 7).
fn metadata_value(config: &TableConfig, name: &str, (metadata, stamp): (&str, &str), in_scope: &str) -> String {
    let of_unit = config.metadata_business_unit_column.as_deref();
    let of_unit = of_unit.map_or(String::new(), |unit| format!(" AND m.{} IS f.BusinessUnit", quote(unit)));
    let then: String = config.metadata_columns.iter().map(|name| format!(", m.{} DESC", quote(name))).collect();
    filled(
        OF_METADATA,
        &[
            ("Column", &quote(name)),
            ("MetadataTable", metadata),
            ("Id", &quote(&config.metadata_id_column)),
            ("Key", &quote(&config.key_column)),
            ("InScope", in_scope),
            ("OfUnit", &of_unit),
            ("Stamp", stamp),
            ("Then", &then),
        ],
    )
}

fn empty_hint(name: &str) -> &'static str {
    match name {
        "MetadataModifiedOnCol" => {
            "the stamp of this table is more than that column: write {ModifiedOn} in place of m.{MetadataModifiedOnCol}, and \
             {InWindow} and the like for conditions on it, as the shared scripts do"
        }
        _ => "correct the script in the script table",
    }
}

/// Runs a filled template of a table, which may do what templates may. Returns the rows that it changed.
pub(super) fn run_template(
    db: &Database,
    config: &TableConfig,
    (script, sql): &(String, String),
    parameters: &Parameters,
) -> Result<u64> {
    db.guard.over(db.schema_name(&config.target.db), config, script, || {
        let mut statement = db.prepare(sql).map_err(|error| script_failed(script, error))?;
        bind(&mut statement, script, parameters)?;
        let changed = statement.raw_execute().map_err(|error| script_failed(script, error))?;
        Ok(changed as u64)
    })
}

/// Runs one filled statement of ours with those of the parameters that it names. Returns the rows
/// that it changed.
pub(super) fn run_script(db: &Database, script: &str, sql: &str, parameters: &Parameters) -> Result<u64> {
    let mut statement = prepare_script(db, script, sql, parameters)?;
    let changed = statement.raw_execute().map_err(|error| script_failed(script, error))?;
    Ok(changed as u64)
}

/// Prepares and binds one filled statement; a parameter that is not known is an error.
pub(super) fn prepare_script<'c>(
    db: &'c Database,
    script: &str,
    sql: &str,
    parameters: &Parameters,
) -> Result<rusqlite::CachedStatement<'c>> {
    let mut statement = db.cached(sql).map_err(|error| script_failed(script, error))?;
    bind(&mut statement, script, parameters)?;
    Ok(statement)
}

/// Name and text of the template of a step for a table: its own, or the shared one.
pub(super) fn step_script(db: &Database, table: &TableName, step: u8) -> Result<(String, String)> {
    let found = db.query_optional(STEP_SCRIPT, (step, table), |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.ok_or_else(|| no_script(table, &format!("step {step} in BlobDeltaStepScript")))
}

/// Name and text of the template that fills a queue for a table: its own, or the shared one.
pub(super) fn queue_script(db: &Database, table: &TableName, queue: &str) -> Result<(String, String)> {
    let found = db.query_optional(QUEUE_SCRIPT, (queue, table), |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.ok_or_else(|| no_script(table, &format!("{queue} in BlobDeltaQueuePopulationScript")))
}

/// Has SQLite read a filled template, without running it.
pub(super) fn check_template(db: &Database, config: &TableConfig, (script, sql): &(String, String)) -> Result<()> {
    db.guard.over(db.schema_name(&config.target.db), config, script, || {
        db.prepare(sql).map(drop).map_err(|error| script_failed(script, error))
    })
}

/// The templates of a table that are not as some version of this program shipped them.
pub(super) fn scripts_of_others(db: &Database, config: &TableConfig) -> Result<Vec<ChangedScript>> {
    let is_tree = config.is_tree();
    let steps = if is_tree { 1..=3 } else { 1..=1 };
    let mut found = steps.map(|step| step_script(db, &config.name, step)).collect::<Result<Vec<_>>>()?;
    for queue in ["WindowQueue", "MissingParents"].into_iter().take(1 + usize::from(is_tree)) {
        found.push(queue_script(db, &config.name, queue)?);
    }
    let changed = found.into_iter().filter(|(_, text)| !scripts::was_shipped(text));
    Ok(changed.map(|(name, text)| ChangedScript { name, sha256: Sha256::of(text.as_bytes()) }).collect())
}

/// The temporary tables that hold one batch. Outside of transactions: they live as long as
/// the connection.
pub(super) fn create_batch_tables(db: &Database) -> Result<()> {
    db.execute_batch(BATCH_TABLES).map_err(|error| failed("make the batch tables", error))
}

/// Gives a statement those of the parameters that it names.
fn bind(statement: &mut rusqlite::Statement<'_>, script: &str, parameters: &Parameters) -> Result<()> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or("?").to_owned();
        let Some((_, value)) = parameters.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = parameters.iter().map(|(known, _)| *known).collect();
            return Err(Error::config(format!("the script {script} uses the unknown parameter {name}"))
                .script(script)
                .hint(format!("parameters are: {}", known.join(", "))));
        };
        statement.raw_bind_parameter(index, value).map_err(|error| script_failed(script, error))?;
    }
    Ok(())
}

fn no_script(table: &TableName, which: &str) -> Error {
    Error::config(format!("there is no script for {which}"))
        .table(table)
        .hint("run deploy, which puts the shared scripts back")
}

/// SQLite knows the place of an error of syntax, and of no other.
fn script_failed(script: &str, error: rusqlite::Error) -> Error {
    let doing = "run a script";
    let error = match error {
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let line = line_of(&sql, usize::try_from(offset).unwrap_or(0));
            Error::new(Kind::Database, format!("cannot {doing}: {msg} (line {line})"))
        }
        error => failed(doing, error),
    };
    error.script(script)
}

/// The line of a byte, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

/// What stands for the place of a row of the source: its rowid, under a name that no column has taken, or
/// its key where it has none.
fn place_column(db: &Database, table: &TableConfig) -> Result<String> {
    Ok(rowid::rowid_of(db, &table.source)?.map_or_else(|| quote(&table.key_column), str::to_owned))
}
