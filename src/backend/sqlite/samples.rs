//! What the data says of a configuration (rule 21): whether the metadata's ids are the source's keys, parent
//! paths are paths, stamps are stamps and business units are in their table; and what no window will ever take.

use super::database::Database;
use super::prepared::{Given, Prepared};
use super::sql::{filled, quote};
use super::template::Parameters;
use super::{catalog, reported, survey};
use crate::backend::suspect::Suspicion;
use crate::backend::upkeep::{Advice, Severity};
use crate::error::Result;
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/samples.sql");
const SAMPLE_UNITS: &str = statement(SQL, "sample_units");
const ROWS_WITHOUT_METADATA: &str = statement(SQL, "rows_without_metadata");

/// Looks at the data of a table whose configuration fits its catalog.
///
/// # Errors
/// Database.
pub(super) fn data_advice(db: &Database, prepared: &Prepared) -> Result<Vec<Advice>> {
    let config = &prepared.config;
    let severity = if config.is_active { Severity::Error } else { Severity::Warning };
    let parameters = of_all(db, prepared);
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    // A run would fail of these, so that nothing else is to be seen behind them.
    wrong.extend(survey::survey(db, prepared, Scope::All).err());
    wrong.extend(Suspicion::Absent.of_sample(config, reported::sample_keys(db, prepared, &parameters)?));
    if config.is_tree() {
        wrong.extend(Suspicion::Orphan.of_sample(config, reported::sample_tree(db, prepared, &parameters)?));
    }
    for error in &wrong {
        found.push(advice(severity, config, error.to_string(), error.what_to_do()));
    }
    found.extend(units_advice(db, prepared, &parameters)?);
    if wrong.is_empty() {
        found.extend(counted_advice(db, prepared, &parameters)?);
    }
    Ok(found)
}

fn units_advice(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<Option<Advice>> {
    if prepared.config.metadata_business_unit_column.is_none() {
        return Ok(None);
    }
    let of_rows: u64 = reported::first(db, prepared, "sample_units", SAMPLE_UNITS, parameters)?.unwrap_or(0);
    Ok((of_rows > 0).then(|| {
        let text = "no business unit that the metadata names is in the table of business units, so no row is in scope";
        advice(
            Severity::Warning,
            &prepared.config,
            text,
            Some("see MetadataBusinessUnitCol, BusinessUnit and BusinessUnitIdColumn"),
        )
    }))
}

/// What no window will ever take, of the whole table.
fn counted_advice(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<Vec<Advice>> {
    let config = &prepared.config;
    let counts = reported::reported(db, prepared, parameters)?;
    let unknown: u64 =
        reported::first(db, prepared, "without_metadata", &without_metadata(db, config)?, parameters)?.unwrap_or(0);
    let lines = [
        (
            counts.without_stamp,
            "rows of the metadata have no stamp, and no window takes them",
            "stamp them, or leave them out with MetadataFilter",
        ),
        (counts.future, "keys are stamped in the future, and wait until then", "correct their stamps"),
        (
            unknown,
            "blobs of the source have no metadata row, and no window takes them",
            "give them one, or see MetadataIdColumn; a row whose key is NULL needs a key first",
        ),
        (
            counts.future_deletions,
            "logged deletions are dated in the future, and outrank every row until then",
            "correct DeletedOn in BlobDeltaDeletionLog",
        ),
    ];
    let reported = lines.into_iter().filter(|line| line.0 > 0);
    let mut found: Vec<Advice> = reported
        .map(|(count, what, todo)| advice(Severity::Warning, config, format!("{count} {what}"), Some(todo)))
        .collect();
    if config.include_deletions && config.deleted_when.is_none() && counts.logged_deletions == 0 {
        let text = "no deletion of this table is logged: rows that are deleted stay with receivers";
        let todo = "nothing, if no row is ever deleted; else log them, or let `reconcile --log-deletions` do it";
        found.push(advice(Severity::Ok, config, text, Some(todo)));
    }
    Ok(found)
}

/// The parameters of a run over everything that began now.
fn of_all(db: &Database, prepared: &Prepared) -> Parameters {
    let now = db.server_time();
    prepared.parameters(&Given {
        run_id: Guid::from_bytes([0; 16]),
        previous_run_id: None,
        scope: Scope::All,
        window: (Timestamp::MIN, Timestamp::MIN),
        run_start: now.of(prepared.config.clock),
        now: now.utc,
        batch_size: 0,
        step: 0,
    })
}

/// Folders have no metadata in many systems; a row with a value in one of its blob columns should.
fn without_metadata(db: &Database, table: &TableConfig) -> Result<String> {
    let columns = catalog::source_columns(db, table)?;
    let is_own = |column: &&Column| table.metadata_column_of(&column.name).is_none();
    let blobs = columns.iter().filter(is_own).filter(|column| column.sql_type.is_large_binary());
    let any: Vec<String> = blobs.map(|column| format!("s.{} IS NOT NULL", quote(&column.name))).collect();
    let blobs = if any.is_empty() { "1".to_owned() } else { any.join(" OR ") };
    Ok(filled(ROWS_WITHOUT_METADATA, &[("Blobs", &blobs)]))
}

fn advice(severity: Severity, table: &TableConfig, finding: impl Into<String>, what_to_do: Option<&str>) -> Advice {
    let what_to_do = what_to_do.map(str::to_owned);
    Advice { severity, subject: table.name.to_string(), finding: finding.into(), what_to_do }
}
