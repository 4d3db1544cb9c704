//! [`SourceTable`]: whose rows bundles are of.

use crate::backend::AppliedBundle;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use std::fmt;

/// A table of a source, as its bundles name both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceTable {
    /// The source.
    pub source_id: Guid,
    /// The configured table.
    pub table: TableName,
}

impl SourceTable {
    /// Parses `GUID/Database.schema.Table`.
    ///
    /// # Errors
    /// Usage: neither.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(source, table)| {
            Some(Self { source_id: Guid::parse(source).ok()?, table: TableName::parse(table).ok()? })
        });
        parts.ok_or_else(|| {
            Error::usage(format!("{text:.200?} names no table of a source"))
                .hint("write the source's id, a slash and the table: GUID/Database.schema.Table")
        })
    }
}

impl fmt::Display for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source_id, self.table)
    }
}

impl From<&AppliedBundle> for SourceTable {
    fn from(applied: &AppliedBundle) -> Self {
        Self { source_id: applied.source_id, table: applied.table.clone() }
    }
}
