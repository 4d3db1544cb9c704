//! The records of runs.

use super::database::Database;
use crate::error::{Error, Result};
use crate::model::clock::ServerTime;
use crate::model::destination::{BundleForm, Destination, Seal};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Run, Status};
use crate::scripts::statement::statement;
use rusqlite::Row;

const SQL: &str = include_str!("../../../sql/sqlite/runs.sql");
const WRITE_DESTINATION: &str = statement(SQL, "write_destination");
const OPEN_WINDOWS: &str = statement(SQL, "open_windows");
const SELECT_RUN: &str = statement(SQL, "select_run");

/// Within a transaction.
pub(super) fn write_destination(db: &Database, run: Guid, recorded: &Destination) -> Result<()> {
    db.execute(
        WRITE_DESTINATION,
        (
            run,
            &recorded.out_folder,
            &recorded.ship_to,
            &recorded.seal.signed_by,
            recorded.seal.recipients_text(),
            recorded.form.as_str(),
        ),
    )?;
    Ok(())
}

pub(super) fn run(db: &Database, id: Guid) -> Result<Run> {
    let found = db.query_optional(&format!("{SELECT_RUN} WHERE RunId = ?1"), [id], read_run)?;
    found.ok_or_else(|| Error::usage("there is no such run").run(id).hint("status lists the runs"))
}

pub(super) fn recent(db: &Database, limit: u32) -> Result<Vec<Run>> {
    db.query_all(&format!("{SELECT_RUN} ORDER BY RunStartedAt DESC, RunId LIMIT ?1"), [limit], read_run)
}

/// The tables of a run whose windows were cut, and that nothing has taken since.
pub(super) fn open_windows(db: &Database, id: Guid) -> Result<Vec<TableName>> {
    db.query_all(OPEN_WINDOWS, [id], |row| row.get(0))
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let status: String = row.get(6)?;
    Ok(Run {
        id: row.get(0)?,
        run_type: row.get(1)?,
        requested_by: row.get(2)?,
        started_at: ServerTime { utc: row.get(3)?, local: row.get(4)? },
        completed_at: row.get(5)?,
        status: Status::parse(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        error: row.get(7)?,
        table: row.get(8)?,
        scope: row.get::<_, Option<Guid>>(9)?.into(),
        batch_size: row.get(10)?,
        max_dop: row.get(11)?,
        from: row.get(12)?,
        attempt: row.get(13)?,
        destination: read_destination(row)?,
        until: row.get(19)?,
        continues: row.get(20)?,
    })
}

fn read_destination(row: &Row<'_>) -> rusqlite::Result<Option<Destination>> {
    let (out_folder, form): (Option<String>, Option<String>) = (row.get(14)?, row.get(18)?);
    let (Some(out_folder), Some(form)) = (out_folder, form) else { return Ok(None) };
    Ok(Some(Destination {
        out_folder,
        ship_to: row.get(15)?,
        form: BundleForm::parse(&form).ok_or(rusqlite::Error::InvalidQuery)?,
        seal: Seal {
            signed_by: row.get(16)?,
            encrypted_to: Seal::recipients_of(row.get::<_, Option<String>>(17)?.as_deref()),
        },
    }))
}
