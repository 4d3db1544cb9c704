//! A table's `MetadataFilter` and `DeletedWhen` as SQLite reads them.

use super::catalog;
use super::database::Database;
use super::sql::quote;
use crate::backend::filter::{Dialect, condition};
use crate::error::Result;
use crate::model::filter::ConditionKind;
use crate::model::table::TableConfig;

pub(super) const DIALECT: Dialect = Dialect {
    column: |alias, name| format!("{alias}.{}", quote(name)),
    guid: |guid| format!("x'{}'", guid.to_string().replace('-', "")),
    text: "",
};

/// Whether a row of the metadata table under this alias counts; `(1)` where the table has no filter.
///
/// # Errors
/// Config, for a column that is not there, or a value that its type cannot have.
pub(super) fn filter_condition(db: &Database, table: &TableConfig, alias: &str) -> Result<String> {
    Ok(of(db, table, ConditionKind::MetadataFilter, alias)?.unwrap_or_else(|| "(1)".to_owned()))
}

/// Whether it counts as deleted; `None` where rows of this table are not deleted so.
///
/// # Errors
/// As [`filter_condition`].
pub(super) fn deleted_condition(db: &Database, table: &TableConfig, alias: &str) -> Result<Option<String>> {
    of(db, table, ConditionKind::DeletedWhen, alias)
}

fn of(db: &Database, table: &TableConfig, kind: ConditionKind, alias: &str) -> Result<Option<String>> {
    let columns =
        if table.condition(kind).is_some() { catalog::table_columns(db, &table.metadata)? } else { Vec::new() };
    condition(table, kind, &columns, (&DIALECT, alias))
}
