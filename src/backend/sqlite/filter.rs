//! A table's `MetadataFilter` as a condition of SQL.

use super::session::{Session, quote};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::filter::MetadataFilter;
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;

impl Session {
    /// Whether a row of the metadata table, AS m, counts; `(1)` where the table has no filter.
    ///
    /// # Errors
    /// Config, for a column that is not there, or a value that its type cannot have.
    pub(super) fn filter_condition(&self, table: &TableConfig) -> Result<String> {
        let Some(text) = &table.metadata_filter else { return Ok("(1)".into()) };
        let at = |error: Error| error.table(&table.name).column("MetadataFilter");
        let filter = MetadataFilter::parse(text).map_err(at)?;
        let columns = self.table_columns(&table.metadata)?;
        let column =
            columns.iter().find(|column| column.name.eq_ignore_ascii_case(&filter.column)).ok_or_else(|| {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                at(Error::config(format!("the metadata table has no column {}", filter.column))
                    .hint(format!("it has: {}", names.join(", "))))
            })?;
        let values =
            filter.values.iter().map(|value| literal(column, value)).collect::<Result<Vec<_>>>().map_err(at)?;
        Ok(format!("(m.{} IN ({}))", quote(&column.name), values.join(", ")))
    }
}

/// The one place where a value of a configuration becomes SQL.
fn literal(column: &Column, value: &str) -> Result<String> {
    let wrong = || Error::config(format!("{value:?} is no value of the column {}, {}", column.name, column.sql_type));
    let integer = |least: i64, most: i64| {
        let found = value.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
        found.map(|number| number.to_string()).ok_or_else(wrong)
    };
    match column.sql_type {
        SqlType::Bit => match value.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok("1".into()),
            "0" | "false" => Ok("0".into()),
            _ => Err(wrong()),
        },
        SqlType::TinyInt => integer(0, u8::MAX.into()),
        SqlType::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => integer(i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => integer(i64::MIN, i64::MAX),
        SqlType::UniqueIdentifier => {
            let key = Guid::parse(value).map_err(|_| wrong())?;
            Ok(format!("x'{}'", key.to_string().replace('-', "")))
        }
        SqlType::Char(_) | SqlType::NChar(_) | SqlType::VarChar(Some(_)) | SqlType::NVarChar(Some(_)) => {
            if value.contains('\0') { Err(wrong()) } else { Ok(format!("'{}'", value.replace('\'', "''"))) }
        }
        other => Err(Error::config(format!("a filter cannot be of the column {}, {other}", column.name))
            .hint("it can be of whole numbers, bit, texts with a length and uniqueidentifier")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_more_than_a_value() {
        let of = |sql_type| Column::new("c", sql_type, true);
        assert_eq!(literal(&of(SqlType::NVarChar(Some(9))), "it's') OR 1 --").unwrap(), "'it''s'') OR 1 --'");
        assert_eq!(literal(&of(SqlType::TinyInt), "255").unwrap(), "255");
        assert_eq!(literal(&of(SqlType::Bit), "True").unwrap(), "1");
        for (sql_type, value) in [
            (SqlType::TinyInt, "256"),
            (SqlType::Int, "1 OR 1"),
            (SqlType::Bit, "2"),
            (SqlType::UniqueIdentifier, "x"),
            (SqlType::NVarChar(Some(9)), "a\0b"),
            (SqlType::VarBinary(Some(9)), "1"),
            (SqlType::NVarChar(None), "a"),
        ] {
            assert!(literal(&of(sql_type), value).is_err(), "{sql_type} {value:?}");
        }
    }
}
