//! Which table a replay writes, whatever name leads there: spellings that the server's collation takes for one, synonyms.

use super::client::Client;
use super::sql::{Sql, filled, quote};
use super::values::RowFields;
use crate::backend::check_target;
use crate::backend::resolved::{ITS_NAME, Inside, OTHER_DATABASE, never};
use crate::error::Result;
use crate::model::name::TableName;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/resolved.sql");
const DATABASE: &str = statement(SQL, "database");
const TABLE: &str = statement(SQL, "table");

/// See [`Target::resolve_target`](crate::backend::Target::resolve_target).
pub(super) fn target(client: &mut Client, asked: TableName) -> Result<TableName> {
    check_target(&asked)?;
    let doing = "look up the target's database";
    let Some(row) = client.unit(|client| client.row(doing, Sql::new(DATABASE).with(&*asked.db)))? else {
        return Ok(asked);
    };
    let fields = RowFields::of(&row);
    if fields.must(1, RowFields::number)? != 0 {
        return Err(never(&asked, "a database of the server, or the job database", OTHER_DATABASE));
    }
    let found = TableName { db: spelled(asked.db, fields.must(0, RowFields::text)?), ..asked };
    check_target(&found)?;
    let sql = Sql::new(filled(TABLE, &[("Db", &quote(&found.db))])).with(&*found.schema).with(&*found.table);
    let Some(row) = client.unit(|client| client.row("look up the target", sql.clone()))? else { return Ok(found) };
    let fields = RowFields::of(&row);
    let is_there = |at: usize| Ok(fields.must(at, RowFields::number)? > 0);
    Inside { is_job_database: is_there(0)?, is_slice_database: is_there(1)? }.check(&found)?;
    let (Some(schema), Some(table), Some(kind)) = (fields.text(2)?, fields.text(3)?, fields.text(4)?) else {
        return Ok(found);
    };
    let found = TableName { schema: spelled(found.schema, schema), table: spelled(found.table, table), ..found };
    check_target(&found)?;
    match kind {
        "U" => Ok(found),
        "V" => Err(never(&found, "a view", ITS_NAME)),
        "SN" => Err(never(&found, "whatever a synonym stands for", ITS_NAME)),
        _ => Err(never(&found, "something that is no table", ITS_NAME)),
    }
}

/// The server's name, where it is not the one that was asked for in another case: there are servers that keep all names
/// in lower case.
fn spelled(asked: String, found: &str) -> String {
    if asked.eq_ignore_ascii_case(found) { asked } else { found.to_owned() }
}
