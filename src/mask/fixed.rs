//! What `fixed` puts in the place of every value.

use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::column::Column;
use crate::model::decimal;
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::value_range;

/// A value that borrows nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FixedValue {
    Text(String),
    Bytes(Vec<u8>),
    Cell(Cell<'static>),
}

impl FixedValue {
    /// The value that a policy gives for a column.
    ///
    /// # Errors
    /// Config: no value of the column's type.
    pub(super) fn of(value: &toml::Value, column: &Column) -> Result<Self> {
        let text = match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Datetime(at) => Some(at.to_string()),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Float(number) => Some(number.to_string()),
            _ => None,
        };
        let made = match (column.sql_type, value, text) {
            (SqlType::Bit, toml::Value::Boolean(flag), _) => Some(Self::Cell(Cell::Bool(*flag))),
            (sql_type, _, Some(text)) => Self::parse(sql_type, text),
            _ => None,
        };
        let wrong = || Error::config(format!("the fixed value is no value of {}", column.sql_type));
        let made = made.ok_or_else(wrong)?;
        value_range::check_column(column, &made.cell()).map_err(|_| wrong())?;
        Ok(made)
    }

    fn parse(sql_type: SqlType, text: String) -> Option<Self> {
        use SqlType as T;
        let cell = match sql_type {
            T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText | T::Xml => {
                return Some(Self::Text(text));
            }
            T::Binary(_) | T::VarBinary(_) | T::Image => return Some(Self::Bytes(text.into_bytes())),
            T::TinyInt | T::SmallInt | T::Int | T::BigInt => Cell::Int(text.parse().ok()?),
            T::Real | T::Float => Cell::Float(text.parse().ok()?),
            T::Decimal { scale, .. } => Cell::Decimal(decimal::parse(&text, scale).ok()?),
            T::Money | T::SmallMoney => Cell::Decimal(decimal::parse(&text, 4).ok()?),
            T::UniqueIdentifier => Cell::Guid(Guid::parse(&text).ok()?),
            T::Date => Cell::Date(i32::try_from(Timestamp::parse(&text).ok()?.ticks() / TICKS_PER_DAY).ok()?),
            T::DateTime2(_) | T::DateTime | T::SmallDateTime => Cell::DateTime(Timestamp::parse(&text).ok()?),
            T::DateTimeOffset(_) => Cell::DateTimeOffset(Timestamp::parse(&text).ok()?, 0),
            _ => return None,
        };
        Some(Self::Cell(cell))
    }

    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Cell(cell) => *cell,
        }
    }
}
