//! The unique indexes of a target.

use super::database::Database;
use crate::backend::TargetSpec;
use crate::backend::compatibility::not_unique;
use crate::error::Result;
use crate::model::name::TableName;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/unique.sql");
const UNIQUE_INDEXES: &str = statement(SQL, "unique_indexes");
const IS_PRIMARY_KEY: &str = statement(SQL, "is_primary_key");

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

/// Unique indexes of a table, with their columns.
pub(super) fn unique_indexes(db: &Database, table: &TableName) -> Result<Vec<UniqueIndex>> {
    let of = (&table.table, db.schema_name(&table.db));
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

/// Whether a table has a unique index over this column alone, for all of its rows.
pub(super) fn is_unique(db: &Database, table: &TableName, column: &str) -> Result<bool> {
    let is_over = |index: &UniqueIndex| !index.is_partial && index.columns.len() == 1 && index.holds(column);
    // An INTEGER PRIMARY KEY is the rowid, and has no index.
    let of = (&table.table, db.schema_name(&table.db), column);
    Ok(unique_indexes(db, table)?.iter().any(is_over) || db.query_one(IS_PRIMARY_KEY, of)?)
}

/// A row replaces the row of its key, so the key alone must be unique.
pub(super) fn check_unique_key(db: &Database, spec: &TargetSpec) -> Result<()> {
    if is_unique(db, &spec.target, &spec.key_column)? { Ok(()) } else { Err(not_unique(spec)) }
}
