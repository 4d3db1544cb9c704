//! The effective stamp ([`crate::model::stamp`]) of a row of the metadata AS m, for statements that belong to no run. Runs have
//! it from `ufn_BlobDelta_StampSql`, which whoever reconciles may not call.

use super::catalog;
use super::database::Database;
use super::sql::quote;
use crate::error::Result;
use crate::model::stamp::{StampColumn, StampKind, Stamps};
use crate::model::table::TableConfig;
use crate::model::time::{TICKS_PER_MICROSECOND, Timestamp};

/// The stamp as a `datetime2(7)`, at this time in the table's clock.
pub(super) fn value_at(db: &mut Database, table: &TableConfig, now: Timestamp) -> Result<String> {
    let stamps = Stamps::find(table, &catalog::columns(&mut db.client, &table.metadata)?)?;
    Ok(first_of(stamps.columns().map(|column| value_of(column, now)).collect()))
}

/// By which the rows of one key are ordered, of a row of the metadata under this alias. The stamp, but that one of today is the end
/// of its day.
pub(super) fn order(db: &mut Database, table: &TableConfig, alias: &str) -> Result<String> {
    let stamps = Stamps::find(table, &catalog::columns(&mut db.client, &table.metadata)?)?;
    Ok(first_of(stamps.columns().map(|column| plain(column, alias)).collect()))
}

fn first_of(values: Vec<String>) -> String {
    match values.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(", ")),
    }
}

/// With no regard to today.
fn plain(column: &StampColumn, alias: &str) -> String {
    let name = format!("{alias}.{}", quote(&column.name));
    match column.kind {
        StampKind::PointInTime => name,
        StampKind::Instant => format!("CONVERT(datetime2(7), SWITCHOFFSET({name}, '+00:00'))"),
        StampKind::Day => {
            format!("DATEADD(microsecond, 999999, DATEADD(second, 86399, CONVERT(datetime2(7), {name})))")
        }
    }
}

fn value_of(column: &StampColumn, now: Timestamp) -> String {
    let end = plain(column, "m");
    if column.kind != StampKind::Day {
        return end;
    }
    let (today, before) = (now.midnight(), now.plus_ticks(-TICKS_PER_MICROSECOND));
    let name = format!("m.{}", quote(&column.name));
    format!("CASE WHEN {name} = CONVERT(date, '{today}') THEN CONVERT(datetime2(7), '{before}') ELSE {end} END")
}
