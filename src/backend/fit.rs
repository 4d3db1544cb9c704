//! Whether a table can take what is replayed into it, decided from columns alone, so that both
//! kinds of instance refuse the same targets. A target that would cut or round a value is
//! refused before anything is written.

use super::target::{DELTA_RUN_ID, DELTA_RUN_STARTED_AT, TargetSpec};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::sqltype::SqlType;

/// Whether this is a column that a target has of its own, filled from the rows' versions.
pub(super) fn is_run_column(name: &str) -> bool {
    [DELTA_RUN_STARTED_AT, DELTA_RUN_ID].iter().any(|run| run.eq_ignore_ascii_case(name))
}

/// The columns that a target needs: those of the rows as plain ones, and the two of the run.
/// Values without bound stand last, where SQLite can write them in pieces.
pub(super) fn target_columns(spec: &TargetSpec) -> Vec<Column> {
    let carried = spec.columns.iter().filter(|column| !is_run_column(&column.name));
    let plain = carried.map(|column| Column { computed: false, ..column.clone() });
    let (large, mut columns): (Vec<Column>, Vec<Column>) = plain.partition(|column| column.sql_type.is_large());
    columns.push(Column::new(DELTA_RUN_STARTED_AT, SqlType::DateTime2(7), true));
    columns.push(Column::new(DELTA_RUN_ID, SqlType::UniqueIdentifier, true));
    columns.extend(large);
    columns
}

/// The column of this name among those that were found.
pub(super) fn named<'c>(found: &'c [Column], name: &str) -> Option<&'c Column> {
    found.iter().find(|there| there.name.eq_ignore_ascii_case(name))
}

/// Holds the columns that were found against [`target_columns`].
///
/// # Errors
/// Config, with the column: it is missing, narrower, computed, or does not take NULL.
pub(super) fn check_columns(found: &[Column], wanted: &[Column], key: &str) -> Result<()> {
    let hint = "add or widen the column in the target, or replay into another database";
    for column in wanted {
        let Some(there) = named(found, &column.name) else {
            return Err(Error::config("the target lacks this column").column(&column.name).hint(hint));
        };
        let needs_null = column.nullable && !column.name.eq_ignore_ascii_case(key);
        let why = if !is_wide_enough(there.sql_type, column.sql_type) {
            format!("the target's column is a {}, and a {} comes", there.sql_type, column.sql_type)
        } else if there.computed || (needs_null && !there.nullable) {
            "the target's column is computed or does not take NULL".to_owned()
        } else {
            continue;
        };
        return Err(Error::config(why).column(&column.name).hint(hint));
    }
    Ok(())
}

/// The key alone must be unique in a target, because a row replaces the row of its key.
pub(super) fn not_unique(spec: &TargetSpec) -> Error {
    Error::config("the key of this target is not unique by itself")
        .table(&spec.target)
        .column(&spec.key_column)
        .hint("make a unique index on the key alone, or replay into another database")
}

fn is_wide_enough(there: SqlType, coming: SqlType) -> bool {
    use SqlType as T;
    let at_least = |there: Option<u16>, coming: Option<u16>| match (there, coming) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(there), Some(coming)) => there >= coming,
    };
    match (there, coming) {
        (T::NVarChar(there), T::NVarChar(coming))
        | (T::VarChar(there), T::VarChar(coming))
        | (T::VarBinary(there), T::VarBinary(coming)) => at_least(there, coming),
        // What a server keeps as plain bytes: a stamp of its own, or a type that it does not have.
        (T::Binary(8), T::RowVersion) | (T::VarBinary(None), T::Geography | T::Geometry) => true,
        (T::VarBinary(there), T::HierarchyId) => at_least(there, Some(892)),
        (T::DateTime2(there), T::DateTime2(coming)) | (T::DateTimeOffset(there), T::DateTimeOffset(coming)) => {
            there >= coming
        }
        (T::BigInt, T::Int | T::SmallInt | T::TinyInt) | (T::Int, T::SmallInt | T::TinyInt) => true,
        (there, coming) => there == coming,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_would_cut_a_value_is_too_narrow() {
        use SqlType as T;
        let wide = [
            (T::NVarChar(None), T::NVarChar(Some(9))),
            (T::VarBinary(Some(892)), T::HierarchyId),
            (T::Binary(8), T::RowVersion),
            (T::BigInt, T::TinyInt),
            (T::DateTime2(7), T::DateTime2(3)),
        ];
        let narrow = [
            (T::NVarChar(Some(8)), T::NVarChar(Some(9))),
            (T::NVarChar(Some(4000)), T::NVarChar(None)),
            (T::VarBinary(Some(891)), T::HierarchyId),
            (T::DateTime2(6), T::DateTime2(7)),
            (T::VarChar(Some(9)), T::NVarChar(Some(9))),
        ];
        assert!(wide.into_iter().all(|(there, coming)| is_wide_enough(there, coming)));
        assert!(!narrow.into_iter().any(|(there, coming)| is_wide_enough(there, coming)));
    }
}
