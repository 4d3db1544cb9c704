//! Rows as INSERT statements: what the sandbox and small tables need. (Many rows go by bulk load.)
//!
//! A statement a row, so that every value is converted to its own column's type and to nothing
//! that it has in common with other rows; several statements a call, bounded by bytes and by the
//! 2,100 parameters that a call may have.

use super::client::Client;
use super::params::param;
use super::sql::{Sql, SqlParameter, quote};
use super::values::made_variant;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::column::Column;
use crate::model::sqltype::SqlType;
use crate::model::variant::Variant;

/// Of 2,100 (<https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server>),
/// less those that the driver takes.
const MAX_PARAMETERS: usize = 2_000;
/// Bytes of values in one call.
const CALL_BYTES: usize = 4 << 20;
/// Rows in one call: more make a text that takes longer to parse than to run.
const CALL_ROWS: usize = 100;

/// Adds a value of a column of this type.
pub(super) fn push_value<'a>(sql: &mut Sql<'a>, sql_type: SqlType, cell: Cell<'a>) {
    if let (SqlType::Variant, Cell::Text(text)) = (sql_type, cell)
        && let Ok(variant) = Variant::parse(text)
    {
        return push_variant(sql, &variant);
    }
    let value = SqlParameter(param(sql_type, cell));
    let converted = match sql_type {
        SqlType::HierarchyId | SqlType::Geography | SqlType::Geometry => value.0.is_some().then_some(")"),
        // Style 1 keeps text that is white space alone.
        SqlType::Xml => value.0.is_some().then_some(", 1)"),
        _ => None,
    };
    if converted.is_some() {
        sql.push_text(&format!("CONVERT({sql_type}, "));
    }
    sql.push(value);
    sql.push_text(converted.unwrap_or_default());
}

fn push_variant<'a>(sql: &mut Sql<'a>, variant: &Variant<'a>) {
    match variant.bytes() {
        Some(bytes) => {
            sql.push_text(&format!("CONVERT(sql_variant, CONVERT({}, ", variant.base));
            sql.push(SqlParameter(Some(tiberius::ColumnData::Binary(Some(bytes.into())))));
            sql.push_text("))");
        }
        None => {
            sql.values.push(tiberius::ColumnData::String(Some(variant.text.into())));
            sql.push_text(&made_variant(variant, &format!("@P{}", sql.values.len())));
        }
    }
}

/// Inserts rows; the caller has opened the transaction. `table` is quoted.
pub(super) fn insert(client: &mut Client, table: &str, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> Result<()> {
    let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
    let head = format!("INSERT INTO {table} ({}) VALUES (", names.join(", "));
    let mut sql = Sql::default();
    let (mut bytes, mut count) = (0, 0);
    for row in rows {
        sql.push_text(&head);
        for (nth, (column, cell)) in columns.iter().zip(row).enumerate() {
            if nth > 0 {
                sql.push_text(", ");
            }
            push_value(&mut sql, column.sql_type, *cell);
            bytes += match cell {
                Cell::Text(text) => text.len(),
                Cell::Bytes(bytes) => bytes.len(),
                _ => 16,
            };
        }
        sql.push_text(");\n");
        count += 1;
        if bytes >= CALL_BYTES || count >= CALL_ROWS || sql.values.len() + columns.len() > MAX_PARAMETERS {
            client.execute("insert rows", std::mem::take(&mut sql))?;
            (bytes, count) = (0, 0);
        }
    }
    if count > 0 {
        client.execute("insert rows", sql)?;
    }
    Ok(())
}
