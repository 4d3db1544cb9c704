//! Cells as parameters of a statement.

use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use std::borrow::Cow;
use tiberius::ColumnData;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, DateTimeOffset, Time};

/// A cell as a parameter, without its column: decimals have to come with one ([`param`]).
pub(super) fn bound(cell: Cell<'_>) -> Option<ColumnData<'_>> {
    param(SqlType::Money, cell)
}

/// A cell of a column of this type as a parameter; `None` is NULL.
pub(super) fn param(sql_type: SqlType, cell: Cell<'_>) -> Option<ColumnData<'_>> {
    Some(match cell {
        Cell::Null | Cell::Large(_) => return None,
        Cell::Bool(bit) => ColumnData::Bit(Some(bit)),
        Cell::Int(value) => ColumnData::I64(Some(value)),
        Cell::Float(value) => ColumnData::F64(Some(value)),
        Cell::Decimal(unscaled) => {
            let scale = match sql_type {
                SqlType::Decimal { scale, .. } => scale,
                _ => 4,
            };
            ColumnData::Numeric(Some(Numeric::new_with_scale(unscaled, scale.min(Numeric::MAX_NUMERIC_SCALE))))
        }
        Cell::Text(text) => ColumnData::String(Some(Cow::Borrowed(text))),
        Cell::Bytes(bytes) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
        Cell::Guid(guid) => ColumnData::Guid(Some(uuid::Uuid::from_bytes(*guid.as_bytes()))),
        Cell::Date(days) => ColumnData::Date(Some(Date::new(u32::try_from(days).unwrap_or(0)))),
        Cell::Time(ticks) => ColumnData::Time(Some(time_of(ticks))),
        Cell::DateTime(at) => ColumnData::DateTime2(Some(datetime2(at))),
        Cell::DateTimeOffset(at, minutes) => {
            ColumnData::DateTimeOffset(Some(DateTimeOffset::new(datetime2(at), minutes)))
        }
    })
}

fn time_of(ticks: i64) -> Time {
    Time::new(ticks.rem_euclid(TICKS_PER_DAY).unsigned_abs(), 7)
}

fn datetime2(at: Timestamp) -> DateTime2 {
    let days = u32::try_from(at.ticks() / TICKS_PER_DAY).unwrap_or(0);
    DateTime2::new(Date::new(days), time_of(at.ticks()))
}
