//! The unique indexes of a target.

use super::database::Database;
use crate::backend::TargetSpec;
use crate::backend::compatibility::not_unique;
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/unique.sql");
const UNIQUE_INDEXES: &str = statement(SQL, "unique_indexes");

/// A unique index.
pub(super) struct UniqueIndex {
    pub(super) name: String,
    pub(super) is_partial: bool,
    /// Its columns; nothing for an expression.
    pub(super) columns: Vec<Option<String>>,
}

impl UniqueIndex {
    /// Whether it is over this column.
    pub(super) fn holds(&self, column: &str) -> bool {
        self.columns.iter().flatten().any(|name| name.eq_ignore_ascii_case(column))
    }
}

/// Unique indexes of the target, with their columns.
pub(super) fn unique_indexes(db: &Database, spec: &TargetSpec) -> Result<Vec<UniqueIndex>> {
    let of = (&spec.target.table, db.schema_name(&spec.target.db));
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    let columns = db.query_all(UNIQUE_INDEXES, of, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
    })?;
    for (name, column, is_partial) in columns {
        match indexes.last_mut().filter(|last| last.name == name) {
            Some(last) => last.columns.push(column),
            None => indexes.push(UniqueIndex { name, is_partial, columns: vec![column] }),
        }
    }
    Ok(indexes)
}

/// A row replaces the row of its key, so the key alone must be unique.
pub(super) fn check_unique_key(db: &Database, spec: &TargetSpec) -> Result<()> {
    let is_key = |index: &UniqueIndex| !index.is_partial && index.columns.len() == 1 && index.holds(&spec.key_column);
    let unique = unique_indexes(db, spec)?.iter().any(is_key);
    if unique { Ok(()) } else { Err(not_unique(spec)) }
}
