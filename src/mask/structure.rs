//! What of a table is structure, and so may stay unnamed in a policy.

use super::column::is_text;
use crate::bundle::TableInfo;
use crate::model::column::{Column, is_delta};
use crate::model::sqltype::SqlType;

/// Whether a column is: keys and paths that are no texts, flags, our own.
pub(super) fn is_structure(table: &TableInfo, column: &Column) -> bool {
    let places = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
    let is_place = places.into_iter().flatten().any(|place| *place == column.name);
    is_delta(&column.name) || column.sql_type == SqlType::Bit || (is_place && !is_text(column.sql_type))
}
