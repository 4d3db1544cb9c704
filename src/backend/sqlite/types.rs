//! How T-SQL values lie in SQLite.
//!
//! | T-SQL | declared as | stored as |
//! |---|---|---|
//! | bit, tinyint … bigint | `int` … | INTEGER |
//! | real, float | `float REAL` | REAL |
//! | decimal, money | `decimal(9,2) TEXT` | decimal text, every digit of the scale |
//! | character types, xml | `nvarchar(255) TEXT` | TEXT |
//! | binary types, rowversion, hierarchyid, geography, geometry | `varbinary(max) BLOB` | BLOB |
//! | uniqueidentifier | `uniqueidentifier BLOB` | 16 bytes in RFC order |
//! | datetime2, datetime, smalldatetime | `datetime2(7) TEXT` | `YYYY-MM-DDTHH:MM:SS.fffffff`, always 27 characters |
//! | date, time | `date TEXT` | `YYYY-MM-DD`, `HH:MM:SS.fffffff` |
//! | datetimeoffset | `datetimeoffset(7) TEXT` | the moment in UTC, 27 characters, then `+HH:MM` |
//!
//! The word after the T-SQL type settles SQLite's affinity
//! (<https://www.sqlite.org/datatype3.html>, section 3.1), without which `1.10` in a decimal
//! column would become a float. One text form a moment, so that text compares as time does.

use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::decimal;
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

/// The storage that keeps a type lossless.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Storage {
    Integer,
    Real,
    Text,
    Blob,
}

fn storage(sql_type: SqlType) -> Storage {
    match sql_type {
        SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Storage::Integer,
        SqlType::Real | SqlType::Float => Storage::Real,
        SqlType::Binary(_)
        | SqlType::VarBinary(_)
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::UniqueIdentifier
        | SqlType::HierarchyId
        | SqlType::Geography
        | SqlType::Geometry => Storage::Blob,
        _ => Storage::Text,
    }
}

/// The declared type for a column of this type.
pub fn declared(sql_type: SqlType) -> String {
    let storage = match storage(sql_type) {
        Storage::Integer => "INTEGER",
        Storage::Real => "REAL",
        Storage::Text => "TEXT",
        Storage::Blob => "BLOB",
    };
    format!("{sql_type} {storage}")
}

/// Whether a column that is declared so keeps what [`stored`] gives for a type, by SQLite's affinities
/// (<https://www.sqlite.org/datatype3.html>, sections 3 and 3.1). Of texts, times are no numbers in any form, and stay what
/// they are; blobs are changed nowhere.
pub(super) fn keeps(declared: &str, coming: SqlType) -> bool {
    use SqlType as T;
    let upper = declared.to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    let is_integer = says(&["INT"]);
    let is_text = !is_integer && says(&["CHAR", "CLOB", "TEXT"]);
    let is_blob = !is_integer && !is_text && (says(&["BLOB"]) || upper.is_empty());
    let is_real = !is_integer && !is_text && !is_blob && says(&["REAL", "FLOA", "DOUB"]);
    match storage(coming) {
        Storage::Blob => true,
        Storage::Integer => !is_text && !is_real,
        Storage::Real => is_real || is_blob,
        Storage::Text => {
            let is_time = matches!(
                coming,
                T::Date | T::Time(_) | T::DateTime | T::DateTime2(_) | T::SmallDateTime | T::DateTimeOffset(_)
            );
            is_text || is_blob || is_time
        }
    }
}

/// The refusal of a column that does not keep what comes, with the statements that mend it.
pub(super) fn changes(table: &str, name: &str, declared: &str, coming: SqlType) -> Error {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (table, old, new) = (quote(table), quote(&format!("{name} before")), quote(name));
    let kept = quote(&self::declared(coming));
    Error::config(format!(
        "the target's column is declared {declared:?}, in which SQLite would change a {coming} that comes"
    ))
    .column(name)
    .hint(format!(
        "declare it with the storage behind its type: ALTER TABLE {table} RENAME COLUMN {new} TO {old}; ALTER TABLE \
         {table} ADD COLUMN {new} {kept}; UPDATE {table} SET {new} = {old}; ALTER TABLE {table} DROP COLUMN {old};"
    ))
}

/// SQL for a value of the storage of a type that no row has.
pub(super) fn random(sql_type: SqlType) -> &'static str {
    match storage(sql_type) {
        Storage::Integer => "random()",
        Storage::Real => "random() * 1.0",
        Storage::Text => "hex(randomblob(16))",
        Storage::Blob => "randomblob(16)",
    }
}

/// The T-SQL type of a declared type; SQLite's own four are understood too.
///
/// # Errors
/// Config: a type that cannot be carried.
pub fn parse_declared(declared: &str) -> Result<SqlType> {
    let text = declared.trim();
    let plain = match text.to_ascii_uppercase().as_str() {
        "INTEGER" => Some(SqlType::BigInt),
        "REAL" => Some(SqlType::Float),
        "BLOB" => Some(SqlType::VarBinary(None)),
        "TEXT" => Some(SqlType::NVarChar(None)),
        _ => None,
    };
    let words = ["INTEGER", "REAL", "BLOB", "TEXT"];
    let body = text.rsplit_once(' ').filter(|(_, last)| words.contains(&last.to_ascii_uppercase().as_str()));
    plain.map_or_else(|| SqlType::parse(body.map_or(text, |(body, _)| body)), Ok)
}

/// Reads what SQLite holds as a cell of the column's type.
///
/// # Errors
/// Config: the stored value is not in the one form that the type has.
pub fn cell_of<'a>(sql_type: SqlType, value: ValueRef<'a>) -> Result<Cell<'a>> {
    let wrong_value = || {
        Error::config(format!(
            "a stored value has not the form in which an embedded instance keeps {sql_type}: {}",
            shown(value)
        ))
    };
    match (sql_type, value) {
        (_, ValueRef::Null) => Ok(Cell::Null),
        (SqlType::Bit, ValueRef::Integer(bit @ 0..=1)) => Ok(Cell::Bool(bit == 1)),
        (SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt, ValueRef::Integer(value)) => {
            Ok(Cell::Int(value))
        }
        (SqlType::Real | SqlType::Float, ValueRef::Real(value)) => Ok(Cell::Float(value)),
        (SqlType::UniqueIdentifier, ValueRef::Blob(bytes)) => guid(bytes).map(Cell::Guid).ok_or_else(wrong_value),
        (_, ValueRef::Blob(bytes)) if storage(sql_type) == Storage::Blob => Ok(Cell::Bytes(bytes)),
        (_, ValueRef::Text(bytes)) if storage(sql_type) == Storage::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| wrong_value())?;
            text_cell(sql_type, text).ok_or_else(wrong_value)
        }
        _ => Err(wrong_value()),
    }
}

fn text_cell(sql_type: SqlType, text: &str) -> Option<Cell<'_>> {
    match sql_type {
        SqlType::Decimal { scale, .. } => decimal::parse(text, scale).ok().map(Cell::Decimal),
        SqlType::Money | SqlType::SmallMoney => decimal::parse(text, 4).ok().map(Cell::Decimal),
        SqlType::DateTime2(_) | SqlType::DateTime | SqlType::SmallDateTime => moment(text).map(Cell::DateTime),
        SqlType::Date if text.len() == 10 => {
            let day = moment(&format!("{text}T00:00:00.0000000"))?;
            i32::try_from(day.ticks() / TICKS_PER_DAY).ok().map(Cell::Date)
        }
        SqlType::Time(_) if text.len() == 16 => {
            moment(&format!("0001-01-01T{text}")).map(|time| Cell::Time(time.ticks()))
        }
        SqlType::DateTimeOffset(_) => {
            let (utc, offset) = text.split_at_checked(27)?;
            Some(Cell::DateTimeOffset(moment(utc)?, offset_minutes(offset)?))
        }
        SqlType::Date | SqlType::Time(_) => None,
        _ => Some(Cell::Text(text)),
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse_exact(text.as_bytes())
}

fn offset_minutes(text: &str) -> Option<i16> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [_, h, i, b':', m, n] = text.as_bytes() else { return None };
    let digits = [h, i, m, n].map(|digit| digit.is_ascii_digit().then(|| i16::from(digit - b'0')));
    let [Some(h), Some(i), Some(m), Some(n)] = digits else { return None };
    let (hours, minutes) = (h * 10 + i, m * 10 + n);
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(sign * (hours * 60 + minutes))
}

/// What SQLite shall hold for a cell of the column's type.
pub fn stored<'a>(sql_type: SqlType, cell: Cell<'a>) -> ToSqlOutput<'a> {
    let text = |text: String| ToSqlOutput::Owned(Value::Text(text));
    match cell {
        Cell::Null | Cell::Large(_) => ToSqlOutput::Owned(Value::Null),
        Cell::Bool(bit) => ToSqlOutput::Owned(Value::Integer(bit.into())),
        Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(value)),
        Cell::Float(value) => ToSqlOutput::Owned(Value::Real(value)),
        Cell::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Cell::Guid(guid) => ToSqlOutput::Owned(Value::Blob(guid.as_bytes().to_vec())),
        Cell::Decimal(unscaled) => match sql_type {
            SqlType::Decimal { scale, .. } => text(decimal::format(unscaled, scale)),
            _ => text(decimal::format(unscaled, 4)),
        },
        Cell::DateTime(at) => text(at.to_string()),
        Cell::Date(days) => {
            text(Timestamp::MIN.plus_ticks(i64::from(days) * TICKS_PER_DAY).to_string()[..10].to_owned())
        }
        Cell::Time(ticks) => {
            text(Timestamp::MIN.plus_ticks(ticks.rem_euclid(TICKS_PER_DAY)).to_string()[11..].to_owned())
        }
        Cell::DateTimeOffset(at, minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            text(format!("{at}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
        }
    }
}

/// A GUID from what SQLite holds.
pub fn guid(bytes: &[u8]) -> Option<Guid> {
    bytes.try_into().ok().map(Guid::from_bytes)
}

/// A value for people, short.
pub(super) fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) => format!("{:.60?}", String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Null => "NULL".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_keeps_what_its_affinity_does_not_change() {
        use SqlType as T;
        let decimal = T::Decimal { precision: 28, scale: 4 };
        for own in [decimal, T::Money, T::NVarChar(Some(9)), T::Bit, T::BigInt, T::Float, T::Xml, T::Image, T::Date] {
            assert!(keeps(&declared(own), own), "{own}");
        }
        for (plain, coming) in [
            ("decimal(28,4)", decimal),
            ("money", T::Money),
            ("nvarchar INTEGER", T::NVarChar(None)),
            ("xml", T::Xml),
            ("float INTEGER", T::Float),
            ("bit REAL", T::Bit),
            ("bit TEXT", T::Bit),
        ] {
            assert!(!keeps(plain, coming), "{plain}");
        }
        for (plain, coming) in [
            ("uniqueidentifier", T::UniqueIdentifier),
            ("datetime2(7)", T::DateTime2(7)),
            ("bit", T::Bit),
            ("nvarchar(50)", T::NVarChar(Some(50))),
            ("varbinary(max)", T::VarBinary(None)),
        ] {
            assert!(keeps(plain, coming), "{plain}");
        }
    }
}
