//! [`PartColumns`]: which columns of a part are read, and how much of it at once.

use crate::bundle::{FileRole, PartRead, TableInfo};
use crate::convert::ColumnPlan;
use crate::error::{Error, Result};
use crate::model::column::DELTA_COLUMNS;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct PartColumns {
    /// The columns.
    pub plan: Arc<ColumnPlan>,
    /// Whether the part has no others.
    pub are_all: bool,
    /// About how many bytes a batch has.
    pub batch_bytes: u64,
}

impl PartColumns {
    /// All columns of a table's parts of one role.
    ///
    /// # Errors
    /// As [`ColumnPlan::rows`]; Verification: a type that no bundle can carry; Internal: values in `blob/` have no columns.
    pub fn all(table: &TableInfo, role: FileRole) -> Result<Self> {
        let plan = match role {
            FileRole::Rows => ColumnPlan::rows(&table.model_columns()?, &table.key_column)?,
            FileRole::Tombstones => ColumnPlan::tombstones(&table.key()?)?,
            FileRole::AbsentParents => ColumnPlan::absent_parents(&table.key()?)?,
            FileRole::Blob => return Err(Error::internal("a value in blob/ was to be read as rows")),
        };
        Ok(Self { plan: Arc::new(plan), are_all: true, batch_bytes: PartRead::default().batch_bytes })
    }

    /// Those of the columns of a table's rows that `is_wanted` names; its key is always among them.
    ///
    /// # Errors
    /// As [`PartColumns::all`].
    pub fn of_rows(table: &TableInfo, is_wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut columns = table.model_columns()?;
        columns.retain(|column| column.name == table.key_column || is_wanted(&column.name));
        Ok(Self::some(Arc::new(ColumnPlan::rows(&columns, &table.key_column)?)))
    }

    /// The columns that rows are held against each other by, and none of values: key, paths, and the format's own.
    ///
    /// # Errors
    /// As [`PartColumns::all`].
    pub fn without_values(table: &TableInfo) -> Result<Self> {
        let paths = [table.path_column.as_deref(), table.parent_path_column.as_deref()];
        Self::of_rows(table, |name| paths.contains(&Some(name)) || DELTA_COLUMNS.iter().any(|(own, ..)| *own == name))
    }

    /// Those of a plan, of parts that may have more.
    pub fn some(plan: Arc<ColumnPlan>) -> Self {
        Self { plan, are_all: false, batch_bytes: PartRead::default().batch_bytes }
    }

    /// The fields that are read of a part.
    pub(super) fn read(&self) -> PartRead {
        let names = || self.plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        PartRead { columns: (!self.are_all).then(names), batch_bytes: self.batch_bytes }
    }
}
