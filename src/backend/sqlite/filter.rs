//! A table's `MetadataFilter` as SQLite reads it.

use super::catalog;
use super::database::Database;
use super::sql::quote;
use crate::backend::filter::{Dialect, condition};
use crate::error::Result;
use crate::model::table::TableConfig;

const DIALECT: Dialect = Dialect {
    always: "(1)",
    column: |name| format!("m.{}", quote(name)),
    guid: |guid| format!("x'{}'", guid.to_string().replace('-', "")),
    text: "",
};

/// Whether a row of the metadata table, AS m, counts; `(1)` where the table has no filter.
///
/// # Errors
/// Config, for a column that is not there, or a value that its type cannot have.
pub(super) fn filter_condition(db: &Database, table: &TableConfig) -> Result<String> {
    let columns =
        if table.metadata_filter.is_some() { catalog::table_columns(db, &table.metadata)? } else { Vec::new() };
    condition(table, &columns, &DIALECT)
}
