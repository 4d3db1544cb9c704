//! Whether a cell is a value that its column's type can have (rule 19). Checked where a row is copied into a
//! slice that takes other values too, on the way into a bundle, and on the way out of one, by these same lines:
//! what passes once passes everywhere, and nothing that a database could not hold passes at all.

use super::cell::Cell;
use super::column::Column;
use super::sqltype::SqlType;
use super::time::{TICKS_PER_DAY, Timestamp};
use super::variant::Variant;

const MAX_OFFSET_MINUTES: i16 = 14 * 60;
const MAX_HIERARCHYID_BYTES: usize = 892;
const ROWVERSION_BYTES: usize = 8;

/// Whether the column can hold the cell, NULL included; `Err` says in a clause what does not fit.
///
/// # Errors
/// As [`check`].
pub fn check_column(column: &Column, cell: &Cell<'_>) -> Result<(), String> {
    if *cell == Cell::Null && !column.nullable {
        return Err("NULL in a column that does not take it".to_owned());
    }
    check(column.sql_type, cell)
}

/// Whether the cell fits; `Err` says in a clause what does not. NULL fits here: whether the
/// column takes it is for the caller to know.
///
/// # Errors
/// The clause, such as `300 does not fit tinyint`.
pub fn check(sql_type: SqlType, cell: &Cell<'_>) -> Result<(), String> {
    let is_value = match (sql_type, *cell) {
        (_, Cell::Null) | (SqlType::Bit, Cell::Bool(_)) => true,
        (SqlType::UniqueIdentifier, Cell::Guid(_)) => true,
        (_, Cell::Large(_)) => sql_type.is_large(),
        (_, Cell::Int(value)) => is_int_in_range(sql_type, value),
        (SqlType::Real, Cell::Float(value)) => value.is_nan() || f64::from(narrow(value)) == value,
        (SqlType::Float, Cell::Float(_)) => true,
        (_, Cell::Decimal(value)) => is_decimal_in_range(sql_type, value),
        (_, Cell::Text(text)) => is_text_in_range(sql_type, text),
        (_, Cell::Bytes(bytes)) => are_bytes_in_range(sql_type, bytes),
        (SqlType::Date, Cell::Date(days)) => (0..=max_days()).contains(&days),
        (SqlType::Time(scale), Cell::Time(ticks)) => {
            (0..TICKS_PER_DAY).contains(&ticks) && is_scale_in_range(scale, ticks)
        }
        (SqlType::DateTime2(scale), Cell::DateTime(at)) => is_scale_in_range(scale, at.ticks()),
        // Whole microseconds are what the bundle carries; 1/300 s comes in milliseconds.
        (SqlType::DateTime | SqlType::SmallDateTime, Cell::DateTime(at)) => is_scale_in_range(6, at.ticks()),
        (SqlType::DateTimeOffset(scale), Cell::DateTimeOffset(at, minutes)) => {
            minutes.abs() <= MAX_OFFSET_MINUTES && is_scale_in_range(scale, at.ticks())
        }
        _ => false,
    };
    match (is_value, cell) {
        (true, _) => Ok(()),
        (false, Cell::Int(value)) => Err(format!("{value} does not fit {sql_type}")),
        (false, _) => Err(format!("{} is no value of {sql_type}", shown(cell))),
    }
}

/// To a real; exact for a value that came from one.
#[expect(clippy::cast_possible_truncation, reason = "a value that is no real is refused by `check`")]
pub fn narrow(value: f64) -> f32 {
    value as f32
}

fn is_int_in_range(sql_type: SqlType, value: i64) -> bool {
    match sql_type {
        SqlType::TinyInt => u8::try_from(value).is_ok(),
        SqlType::SmallInt => i16::try_from(value).is_ok(),
        SqlType::Int => i32::try_from(value).is_ok(),
        SqlType::BigInt => true,
        _ => false,
    }
}

fn is_decimal_in_range(sql_type: SqlType, value: i128) -> bool {
    match sql_type {
        // Precision is at most 38, and 10^38 fits.
        SqlType::Decimal { precision, .. } => value.unsigned_abs() < 10_u128.pow(precision.into()),
        SqlType::Money => i64::try_from(value).is_ok(),
        SqlType::SmallMoney => i32::try_from(value).is_ok(),
        _ => false,
    }
}

fn is_text_in_range(sql_type: SqlType, text: &str) -> bool {
    let most = |length: u16, units: fn(&str) -> usize| {
        let length = usize::from(length);
        text.len() <= length || units(text) <= length
    };
    match sql_type {
        // A byte of the column's code page holds at most one character.
        SqlType::Char(length) | SqlType::VarChar(Some(length)) => most(length, |text| text.chars().count()),
        SqlType::NChar(length) | SqlType::NVarChar(Some(length)) => most(length, |text| text.encode_utf16().count()),
        SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::Text | SqlType::NText | SqlType::Xml => true,
        SqlType::Variant => Variant::parse(text).is_ok(),
        _ => false,
    }
}

fn are_bytes_in_range(sql_type: SqlType, bytes: &[u8]) -> bool {
    match sql_type {
        SqlType::Binary(length) | SqlType::VarBinary(Some(length)) => bytes.len() <= usize::from(length),
        SqlType::RowVersion => bytes.len() == ROWVERSION_BYTES,
        SqlType::HierarchyId => bytes.len() <= MAX_HIERARCHYID_BYTES,
        SqlType::VarBinary(None) | SqlType::Image | SqlType::Geography | SqlType::Geometry => true,
        _ => false,
    }
}

fn is_scale_in_range(scale: u8, ticks: i64) -> bool {
    ticks % 10_i64.pow(7_u32.saturating_sub(scale.into())) == 0
}

fn max_days() -> i32 {
    i32::try_from(Timestamp::MAX.ticks() / TICKS_PER_DAY).unwrap_or(0)
}

fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => format!("a text of {} bytes", text.len()),
        Cell::Bytes(bytes) => format!("a binary of {} bytes", bytes.len()),
        Cell::Large(bytes) => format!("a large value of {bytes} bytes"),
        other => format!("{other:?}"),
    }
}
