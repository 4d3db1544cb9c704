//! What a table's `MetadataFilter` and `DeletedWhen` say of a row of the metadata, as conditions of SQL for either kind of instance.

use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::filter::{ConditionKind, MetadataCondition};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;

/// How an instance writes what a condition is made of.
pub(super) struct Dialect {
    /// A column of what stands under an alias, quoted.
    pub(super) column: fn(&str, &str) -> String,
    /// A uniqueidentifier.
    pub(super) guid: fn(Guid) -> String,
    /// What stands before the quotes of a text.
    pub(super) text: &'static str,
}

/// What one of the two says of a row of the metadata table under this alias, `None` where the table has none; `columns` are
/// the metadata table's.
///
/// # Errors
/// Config, for a column that is not there, or a value that its type cannot have.
pub(super) fn condition(
    table: &TableConfig,
    kind: ConditionKind,
    columns: &[Column],
    (dialect, alias): (&Dialect, &str),
) -> Result<Option<String>> {
    let Some(text) = table.condition(kind) else { return Ok(None) };
    condition_of(kind, text, (&table.metadata, columns), (dialect, alias))
        .map(Some)
        .map_err(|error| error.table(&table.name))
}

/// What a condition says of a row of a table that has these columns, under this alias.
///
/// # Errors
/// As [`condition`].
pub(super) fn condition_of(
    kind: ConditionKind,
    text: &str,
    (of, columns): (&TableName, &[Column]),
    (dialect, alias): (&Dialect, &str),
) -> Result<String> {
    let setting = kind.setting();
    let at = |error: Error| error.column(setting);
    let condition = MetadataCondition::parse(kind, text)?;
    let column =
        columns.iter().find(|column| column.name.eq_ignore_ascii_case(&condition.column)).ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let correct = if kind == ConditionKind::When { "correct it" } else { "correct it with `table set`" };
            at(Error::config(format!("{setting} names the column {}, which {of} does not have", condition.column))
                .hint(format!("{correct}; the table has: {}", names.join(", "))))
        })?;
    let name = (dialect.column)(alias, &column.name);
    let Some(values) = &condition.values else { return Ok(format!("({name} IS NOT NULL)")) };
    let values = values.iter().map(|value| literal(column, value, dialect));
    let values = values.collect::<Result<Vec<_>>>().map_err(at)?;
    Ok(format!("({name} IN ({}))", values.join(", ")))
}

/// The one place where a value of a configuration becomes SQL.
fn literal(column: &Column, value: &str, dialect: &Dialect) -> Result<String> {
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
        SqlType::UniqueIdentifier => Guid::parse(value).map(dialect.guid).map_err(|_| wrong()),
        SqlType::Char(most) | SqlType::NChar(most) | SqlType::VarChar(Some(most)) | SqlType::NVarChar(Some(most)) => {
            if value.contains('\0') || value.encode_utf16().count() > usize::from(most) {
                return Err(wrong());
            }
            Ok(format!("{}'{}'", dialect.text, value.replace('\'', "''")))
        }
        other => Err(Error::config(format!("no value can be asked for of the column {}, {other}", column.name))
            .hint("it can be of whole numbers, bit, texts with a length and uniqueidentifier; of any other, COLUMN IS NOT NULL can be asked for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_more_than_a_value() {
        let dialect =
            Dialect { column: |alias, name| format!("{alias}.[{name}]"), guid: |guid| format!("'{guid}'"), text: "N" };
        let of = |sql_type, value| literal(&Column::new("c", sql_type, true), value, &dialect);
        let text = SqlType::NVarChar(Some(20));
        assert_eq!(of(text, "it's') OR 1 --").unwrap(), "N'it''s'') OR 1 --'");
        assert_eq!(of(SqlType::TinyInt, "255").unwrap(), "255");
        assert_eq!(of(SqlType::Bit, "True").unwrap(), "1");
        for (sql_type, value) in [
            (SqlType::TinyInt, "256"),
            (SqlType::Int, "1 OR 1"),
            (SqlType::Bit, "2"),
            (SqlType::UniqueIdentifier, "x"),
            (text, "a\0b"),
            (SqlType::NVarChar(Some(2)), "abc"),
            (SqlType::VarBinary(Some(9)), "1"),
            (SqlType::NVarChar(None), "a"),
        ] {
            assert!(of(sql_type, value).is_err(), "{sql_type} {value:?}");
        }
    }
}
