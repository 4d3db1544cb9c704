//! The records of runs.

use super::database::Database;
use super::sql::{Sql, SqlParameter, filled};
use super::values::{RowFields, number_at, table_at, text_at};
use crate::error::{Error, Result};
use crate::model::clock::ServerTime;
use crate::model::destination::{BundleForm, Destination, Seal};
use crate::model::run::{Run, Status};
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/runs.sql");
const RUNS: &str = statement(SQL, "runs");

/// Runs; `rest` is what follows the list of columns, `top` what stands before it.
pub(super) fn read_runs(db: &mut Database, rest: Sql<'_>, top: &str) -> Result<Vec<Run>> {
    let sql = Sql { text: filled(RUNS, &[("Top", top), ("Rest", &rest.text)]), values: rest.values };
    let rows = db.client.unit(|client| client.rows("read the runs", sql.clone()))?;
    rows.iter().map(|row| read_run(&RowFields::of(row))).collect()
}

fn read_run(fields: &RowFields<'_>) -> Result<Run> {
    let status = fields.must(6, RowFields::text)?;
    Ok(Run {
        id: fields.must(0, RowFields::guid)?,
        run_type: text_at(fields, 1)?,
        requested_by: text_at(fields, 2)?,
        started_at: ServerTime { utc: fields.must(3, RowFields::time)?, local: fields.must(4, RowFields::time)? },
        completed_at: fields.time(5)?,
        status: Status::parse(status).ok_or_else(|| Error::internal(format!("a run has the status {status:?}")))?,
        error: fields.text(7)?.map(str::to_owned),
        table: if fields.text(8)?.is_some() { Some(table_at(fields, 8)?) } else { None },
        scope: fields.guid(9)?.into(),
        batch_size: number_at(fields, 10)?,
        max_dop: number_at(fields, 11)?,
        from: fields.time(12)?,
        attempt: number_at(fields, 13)?,
        destination: read_destination(fields)?,
        until: fields.time(19)?,
        continues: fields.guid(20)?,
    })
}

fn read_destination(fields: &RowFields<'_>) -> Result<Option<Destination>> {
    let (Some(out_folder), Some(form)) = (fields.text(14)?, fields.text(18)?) else { return Ok(None) };
    let form =
        BundleForm::parse(form).ok_or_else(|| Error::internal(format!("a run has bundles of the form {form:?}")))?;
    Ok(Some(Destination {
        out_folder: out_folder.to_owned(),
        ship_to: fields.text(15)?.map(str::to_owned),
        form,
        seal: Seal {
            signed_by: fields.text(16)?.map(str::to_owned),
            encrypted_to: Seal::recipients_of(fields.text(17)?),
        },
    }))
}

/// What a run is told of its bundle, as procedures take it.
pub(super) fn destination_inputs(recorded: Option<&Destination>) -> [(&'static str, SqlParameter<'_>); 5] {
    [
        ("OutFolder", recorded.map(|recorded| &recorded.out_folder).into()),
        ("ShipTo", recorded.and_then(|recorded| recorded.ship_to.as_ref()).into()),
        ("SignedBy", recorded.and_then(|recorded| recorded.seal.signed_by.as_ref()).into()),
        ("EncryptedTo", recorded.and_then(|recorded| recorded.seal.recipients_text()).into()),
        ("BundleForm", recorded.map(|recorded| recorded.form.as_str()).into()),
    ]
}
