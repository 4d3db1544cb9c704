//! What no window can catch, counted: rule 6, stamps that went back, and what is suspect (rule 21).

use super::database::Database;
use super::errors::failed;
use super::prepared::Prepared;
use super::sql::Noted;
use super::template::{self, Parameters};
use crate::backend::suspect::{FEW, SAMPLE_ROWS, Share, Suspicion};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::run::{Run, TableCounts};
use crate::model::slice::SliceMarker;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::types::{FromSql, Value};

const SQL: &str = include_str!("../../../sql/sqlite/reported.sql");
const REPORTED: &str = statement(SQL, "reported");
const WENT_BACK: &str = statement(SQL, "went_back");
const NEWEST: &str = statement(SQL, "newest");
const SUSPECT_ABSENT: &str = statement(SQL, "suspect_absent");
const SUSPECT_ORPHAN: &str = statement(SQL, "suspect_orphan");
const SUSPECT_LEFT: &str = statement(SQL, "suspect_left");
const DELETIONS: &str = statement(SQL, "deletions");
const SUSPECT_STANDING: &str = statement(SQL, "suspect_standing");
const FLAGGED: &str = statement(SQL, "flagged");
const SUSPECT_FLAGGED: &str = statement(SQL, "suspect_flagged");
const STILL_THERE: &str = statement(SQL, "still_there");
const SAMPLE_ABSENT: &str = statement(SQL, "sample_absent");
const SAMPLE_ORPHAN: &str = statement(SQL, "sample_orphan");

pub(super) fn reported(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<TableCounts> {
    let sql = prepared.placeholders.fill("reported", REPORTED)?;
    let mut statement = template::prepare_script(db, "reported", &sql, parameters)?;
    let mut rows = statement.raw_query();
    let failed = |error| failed("count what no window can catch", error);
    let mut counts = TableCounts::default();
    if let Some(row) = rows.next().map_err(failed)? {
        counts.out_of_scope = row.get(0).map_err(failed)?;
        counts.without_business_unit = row.get(1).map_err(failed)?;
        counts.excluded = row.get(2).map_err(failed)?;
        counts.future = row.get(3).map_err(failed)?;
        counts.without_stamp = row.get(4).map_err(failed)?;
        counts.logged_deletions = row.get(5).map_err(failed)?;
        counts.future_deletions = row.get(6).map_err(failed)?;
        counts.withheld_deletions = row.get(7).map_err(failed)?;
        counts.withheld_deletion = row.get(8).map_err(failed)?;
        counts.filtered = row.get(9).map_err(failed)?;
    }
    Ok(counts)
}

/// Rows of the slice before, which is about to be emptied, whose stamp in the source is older now.
pub(super) fn older_now(
    db: &Database,
    prepared: &Prepared,
    run: &Run,
    marker: &SliceMarker,
    parameters: &Parameters,
) -> Result<u64> {
    if marker.run_id.is_none() || marker.scope != run.scope {
        return Ok(0);
    }
    first(db, prepared, "went_back", WENT_BACK, parameters).map(|older| older.unwrap_or(0))
}

/// Notes the greatest stamp of this run; gives by how many minutes it lies before that of the run before.
pub(super) fn went_back(
    db: &Database,
    prepared: &Prepared,
    run_id: Guid,
    previous: Option<Guid>,
    parameters: &Parameters,
) -> Result<u64> {
    const OF_RUN: &str = "SELECT NewestModifiedOn FROM BlobDeltaRunTable WHERE RunId = ?1 AND TableName = ?2";
    let table = &prepared.config.name;
    let newest = first::<Noted>(db, prepared, "newest", NEWEST, parameters)?.and_then(|newest| newest.0);
    db.execute(
        "UPDATE BlobDeltaRunTable SET NewestModifiedOn = ?3 WHERE RunId = ?1 AND TableName = ?2",
        (run_id, table, newest),
    )?;
    let before: Option<Option<Timestamp>> = db.query_optional(OF_RUN, (previous, table), |row| row.get(0))?;
    Ok(match (newest, before.flatten()) {
        (Some(newest), Some(before)) => newest.minutes_before(before),
        _ => 0,
    })
}

/// Rule 21, right after the queue was filled.
pub(super) fn suspect_keys(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    let found = share(db, prepared, "suspect_absent", SUSPECT_ABSENT, parameters)?;
    Suspicion::Absent.judge(&prepared.config, found, || sample_keys(db, prepared, parameters))
}

/// Rule 21, before the slice of a tree completes.
pub(super) fn suspect_tree(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    let found = share(db, prepared, "suspect_orphan", SUSPECT_ORPHAN, parameters)?;
    Suspicion::Orphan.judge(&prepared.config, found, || sample_tree(db, prepared, parameters))
}

/// Rule 21, before receivers are told what left their scope. By what it was handed before this slice.
pub(super) fn suspect_left(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    let found = share(db, prepared, "suspect_left", SUSPECT_LEFT, parameters)?;
    Suspicion::Left.judge_alone(&prepared.config, found)
}

/// Rule 15: what is due is told by this slice, unless it is suspect (rule 21).
pub(super) fn report_deletions(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    let logged = "SELECT EXISTS (SELECT 1 FROM BlobDeltaDeletionLog WHERE TableName = ?1)";
    let config = &prepared.config;
    if config.include_deletions && db.query_one(logged, [&config.name])? {
        prepared.run_filled(db, "deletions", DELETIONS, parameters)?;
        let found = share(db, prepared, "suspect_standing", SUSPECT_STANDING, parameters)?;
        Suspicion::StandingRow.judge_alone(config, found)?;
    }
    if config.deleted_when.is_some() {
        prepared.run_filled(db, "flagged", FLAGGED, parameters)?;
        Suspicion::Flagged.judge_alone(config, flagged(db, prepared, parameters)?)?;
    }
    Ok(())
}

/// Keys of a scope that are deleted by `DeletedWhen` since they were told last. Of the rest no more is counted than decides.
fn flagged(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<Share> {
    let lost = first(db, prepared, "suspect_flagged", SUSPECT_FLAGGED, parameters)?.unwrap_or(0);
    if lost < FEW {
        return Ok(Share::default());
    }
    let most = lost.saturating_mul(100) / u64::from(prepared.config.accepted_left_percent.max(1));
    let mut parameters = parameters.clone();
    parameters.push(("@Limit", Value::Integer(i64::try_from(most).unwrap_or(i64::MAX))));
    let rest = first(db, prepared, "still_there", STILL_THERE, &parameters)?.unwrap_or(0);
    Ok(Share { of: lost + rest, lost })
}

pub(super) fn sample_keys(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<Share> {
    share(db, prepared, "sample_absent", SAMPLE_ABSENT, parameters)
}

pub(super) fn sample_tree(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<Share> {
    share(db, prepared, "sample_orphan", SAMPLE_ORPHAN, parameters)
}

fn share(db: &Database, prepared: &Prepared, name: &str, text: &str, parameters: &Parameters) -> Result<Share> {
    let sql = prepared.placeholders.fill(name, text)?;
    let mut parameters = parameters.clone();
    parameters.push(("@Limit", Value::Integer(SAMPLE_ROWS.into())));
    let mut statement = template::prepare_script(db, name, &sql, &parameters)?;
    let mut rows = statement.raw_query();
    let failed = |error| failed("look for what is suspect", error);
    let row = rows.next().map_err(failed)?;
    row.map_or(Ok(Share::default()), |row| {
        Ok(Share { of: row.get(0).map_err(failed)?, lost: row.get(1).map_err(failed)? })
    })
}

/// The first value that a script gives, if it gives one.
pub(super) fn first<T: FromSql>(
    db: &Database,
    prepared: &Prepared,
    name: &str,
    text: &str,
    parameters: &Parameters,
) -> Result<Option<T>> {
    let sql = prepared.placeholders.fill(name, text)?;
    let mut statement = template::prepare_script(db, name, &sql, parameters)?;
    let mut rows = statement.raw_query();
    let failed = |error| failed("look at the table", error);
    let row = rows.next().map_err(failed)?;
    row.map(|row| row.get(0).map_err(failed)).transpose()
}
