//! Whose server the target of a replay stands on.

use super::catalog;
use super::database::{Database, JOB_DATABASE};
use super::sql::Sql;
use super::values::RowFields;
use crate::backend::JobDatabase;
use crate::error::{Kind, Result};
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/job_databases.sql");
const WHOSE: &str = statement(SQL, "whose");

/// The job database of this server, if there is one.
pub(super) fn job_databases(db: &mut Database) -> Result<Vec<JobDatabase>> {
    if !db.client.unit(|client| catalog::has_database(client, JOB_DATABASE))? {
        return Ok(Vec::new());
    }
    // What this login may not see it cannot be asked for in one statement with what it may.
    let asked = db.client.unit(|client| client.rows("ask whose server this is", Sql::new(WHOSE)));
    let rows = match asked {
        Ok(rows) if !rows.is_empty() => rows,
        Err(error) if error.kind() == Kind::Cancelled => return Err(error),
        _ => return Ok(vec![JobDatabase { is_hidden: true, ..JobDatabase::default() }]),
    };
    let mut found = JobDatabase::default();
    for row in &rows {
        let fields = RowFields::of(row);
        found.source_id = Some(fields.must(0, RowFields::guid)?);
        if let (Some(db), Some(schema), Some(table)) = (fields.text(1)?, fields.text(2)?, fields.text(3)?) {
            found.tables.push([db, schema, table].map(str::to_owned));
        }
    }
    Ok(vec![found])
}
