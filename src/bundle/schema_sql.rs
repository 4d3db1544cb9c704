//! The T-SQL text that makes the slice table, so that a bundle can be restored without this
//! program.

use super::manifest::TableInfo;
use crate::error::{Error, Result};
use crate::model::column::{Column, DELTA_RUN_ID, DELTA_RUN_STARTED_AT};
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;

/// An identifier in T-SQL, as `QUOTENAME` writes it.
pub fn quote_tsql(identifier: &str) -> String {
    format!("[{}]", identifier.replace(']', "]]"))
}

/// What `apply_slice.sql` and a replay keep beside the columns of a slice: which run captured a row.
const RUN_COLUMNS: [(&str, SqlType); 2] =
    [(DELTA_RUN_STARTED_AT, SqlType::DateTime2(7)), (DELTA_RUN_ID, SqlType::UniqueIdentifier)];

/// `CREATE TABLE` of a table that takes the rows of a slice: its columns, and those of the run that captured a
/// row, as the parts have them and `apply_slice.sql` needs them. Every column is a plain one: what the source
/// computes or stamps itself is a value here, so `rowversion` is `binary(8)`. The database is left to the reader.
///
/// # Errors
/// Config: a collation that is no name of one.
pub fn create_table(target: &TableName, columns: &[Column], key_column: &str) -> Result<String> {
    let is_there = |name: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let run = RUN_COLUMNS.into_iter().filter(|(name, _)| !is_there(name));
    let run: Vec<Column> = run.map(|(name, sql_type)| Column::new(name, sql_type, true)).collect();
    let mut lines = columns.iter().chain(&run).map(column_line).collect::<Result<Vec<_>>>()?;
    if columns.iter().any(|column| column.name == key_column && !column.nullable) {
        lines.push(format!("    PRIMARY KEY NONCLUSTERED ({})", quote_tsql(key_column)));
    }
    let table = format!("{}.{}", quote_tsql(&target.schema), quote_tsql(&target.table));
    Ok(format!("CREATE TABLE {table} (\n{}\n);\n", lines.join(",\n")))
}

/// Whether a text is the one that makes the table of a manifest. The hash of a schema file says who wrote it, not that it
/// does nothing else, and somebody runs it with their own rights. The lines of the run's columns may be lacking.
///
/// # Errors
/// As [`create_table`].
pub(crate) fn makes(text: &[u8], table: &TableInfo) -> Result<bool> {
    let due = create_table(&table.target, &table.model_columns()?, &table.key_column)?;
    let lines = RUN_COLUMNS.into_iter().map(|(name, sql_type)| column_line(&Column::new(name, sql_type, true)));
    let mut without = due.clone();
    for line in lines {
        without = without.replace(&format!(",\n{}", line?), "");
    }
    Ok([due, without].iter().any(|due| due.as_bytes() == text))
}

fn column_line(column: &Column) -> Result<String> {
    let sql_type = match column.sql_type {
        SqlType::RowVersion => "binary(8)".to_owned(),
        plain => plain.to_string(),
    };
    let collation = match &column.collation {
        Some(name) if is_collation(name) && is_text(column.sql_type) => format!(" COLLATE {name}"),
        Some(name) if !is_collation(name) => {
            let what = format!("{name:.80?} is not the name of a collation");
            return Err(Error::config(what).column(&column.name));
        }
        _ => String::new(),
    };
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    Ok(format!("    {} {sql_type}{collation} {null}", quote_tsql(&column.name)))
}

fn is_collation(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_text(sql_type: SqlType) -> bool {
    use SqlType as T;
    matches!(sql_type, T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_and_collations_checked() {
        let target = TableName::new("Db", "dbo", "a]b").unwrap();
        let key = Column::new("stream_id", SqlType::UniqueIdentifier, false);
        let mut hostile = Column::new("x] int); DROP TABLE t; --", SqlType::NVarChar(Some(9)), true);
        hostile.collation = Some("Latin1_General_100_CI_AS".into());
        let stamp = Column::new("rv", SqlType::RowVersion, false);
        let text = create_table(&target, &[key, hostile.clone(), stamp], "stream_id").unwrap();
        let due = "CREATE TABLE [dbo].[a]]b] (\n    [stream_id] uniqueidentifier NOT NULL,\n    \
                   [x]] int); DROP TABLE t; --] nvarchar(9) COLLATE Latin1_General_100_CI_AS NULL,\n    \
                   [rv] binary(8) NOT NULL,\n    [DeltaRunStartedAt] datetime2(7) NULL,\n    \
                   [DeltaRunId] uniqueidentifier NULL,\n    PRIMARY KEY NONCLUSTERED ([stream_id])\n);\n";
        assert_eq!(text, due);
        let script = include_str!("../../sql/sqlserver/apply_slice.sql");
        for (name, sql_type) in RUN_COLUMNS {
            let asked = format!("N', {name} {sql_type} NULL'");
            assert!(script.contains(&asked), "apply_slice.sql asks for the same: {asked}");
        }
        hostile.collation = Some("x; DROP TABLE t".into());
        assert!(create_table(&target, &[hostile], "stream_id").is_err());
    }
}
