//! Keys of a table, as its manifest says.

use super::manifest::TableInfo;
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::key::{KeyType, ShownKey};

impl TableInfo {
    /// What the keys are, as their column says. A manifest whose keys are of no such type is refused when it is read.
    pub fn key_type(&self) -> KeyType {
        let column = self.columns.iter().find(|column| column.name == self.key_column);
        let sql_type = column.and_then(|column| column.to_column().ok()).map(|column| column.sql_type);
        sql_type.and_then(KeyType::of).unwrap_or(KeyType::UniqueIdentifier)
    }

    /// The key of an id, to be read.
    pub fn shown_key(&self, id: Guid) -> ShownKey {
        self.key_type().shown(id)
    }

    /// The column of the key.
    ///
    /// # Errors
    /// Verification: a type that no bundle can carry, or there is no such column.
    pub fn key(&self) -> Result<Column> {
        let column = self.columns.iter().find(|column| column.name == self.key_column);
        let none = || Error::verification("the table has no such column").column(&self.key_column);
        column.ok_or_else(none)?.to_column()
    }
}
