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
    let values: Vec<String> = stamps.columns().map(|column| value_of(column, now)).collect();
    Ok(match values.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(", ")),
    })
}

fn value_of(column: &StampColumn, now: Timestamp) -> String {
    let name = format!("m.{}", quote(&column.name));
    match column.kind {
        StampKind::PointInTime => name,
        StampKind::Instant => format!("CONVERT(datetime2(7), SWITCHOFFSET({name}, '+00:00'))"),
        StampKind::Day => {
            let before = now.plus_ticks(-TICKS_PER_MICROSECOND);
            let end = format!("DATEADD(microsecond, 999999, DATEADD(second, 86399, CONVERT(datetime2(7), {name})))");
            let (today, before) = (now.midnight(), format!("CONVERT(datetime2(7), '{before}')"));
            format!("CASE WHEN {name} = CONVERT(date, '{today}') THEN {before} ELSE {end} END")
        }
    }
}
