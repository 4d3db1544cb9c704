//! What fills the deletion log where others delete: a trigger, or a statement that reads a table of audit records. It is printed
//! for whoever administers those tables, and never sent.

use super::filter::{Dialect, condition_of};
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::column::Column;
use crate::model::filter::ConditionKind;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::stamp::StampKind;
use crate::model::table::TableConfig;

/// Where a deletion is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletionSource {
    /// Rows that are deleted from the source.
    Source,
    /// Rows that are deleted from the metadata.
    Metadata,
    /// Rows of a table of audit records.
    Audit(AuditTable),
}

/// A table in which deletions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTable {
    /// Its name.
    pub table: TableName,
    /// The column that has the key of the row that was deleted.
    pub key_column: String,
    /// The column that has the time of the deletion, in the clock of the configured table.
    pub deleted_on_column: String,
    /// Which of its rows record a deletion, as [`crate::model::filter`] has it; all of them without one.
    pub when: Option<String>,
}

/// What was looked up of an audit table.
pub(super) struct AuditColumns {
    /// The column of keys, as the catalog spells it.
    pub(super) key: String,
    /// That of times.
    pub(super) deleted_on: String,
    /// What that holds: no day.
    pub(super) kind: StampKind,
    /// Which rows AS a record a deletion, `None` for all.
    pub(super) condition: Option<String>,
}

impl AuditTable {
    /// Looks its columns up in those of its table.
    ///
    /// # Errors
    /// Config: a column that is not there, or of a type that it cannot be of.
    pub(super) fn find(&self, table: &TableConfig, columns: &[Column], dialect: &Dialect) -> Result<AuditColumns> {
        let found = |option: &str, name: &str| {
            columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                Error::config(format!("{option} names the column {name}, which {} does not have", self.table))
                    .hint(format!("it has: {}", names.join(", ")))
            })
        };
        let key = found("--key", &self.key_column)?;
        if KeyType::of(key.sql_type) != Some(table.key_type) {
            let text = format!(
                "the keys of {} are {}, and --key {} is {}",
                table.name, table.key_type, key.name, key.sql_type
            );
            return Err(Error::config(text).hint("name the column that has the keys of the source"));
        }
        let time = found("--deleted-on", &self.deleted_on_column)?;
        let kind = StampKind::of(time.sql_type).filter(|kind| *kind != StampKind::Day);
        let kind = kind.filter(|kind| *kind != StampKind::Instant || table.clock == ClockKind::Utc).ok_or_else(|| {
            let text = format!("--deleted-on {} is {}, and cannot be the time of a deletion", time.name, time.sql_type);
            Error::config(text).hint(
                "name a column of datetime2, datetime or smalldatetime in the clock of the table, or of datetimeoffset where \
                 ModifiedOnIsUtc is 1",
            )
        })?;
        let condition = self
            .when
            .as_deref()
            .map(|when| condition_of(ConditionKind::When, when, (&self.table, columns), (dialect, "a")));
        let condition = condition.transpose()?;
        Ok(AuditColumns { key: key.name.clone(), deleted_on: time.name.clone(), kind, condition })
    }
}

/// The name of a trigger: one a table.
pub(super) fn trigger_name(table: &TableName) -> String {
    const MOST_UTF16_UNITS: usize = 128;
    let mut name = "TR_BlobDelta_".to_owned();
    for letter in table.table.chars() {
        if name.encode_utf16().count() + letter.len_utf16() > MOST_UTF16_UNITS {
            break;
        }
        name.push(letter);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_named_after_its_table_as_far_as_names_go() {
        let name = |table: &str| trigger_name(&TableName::new("D", "dbo", table).unwrap());
        assert_eq!(name("Docs"), "TR_BlobDelta_Docs");
        assert_eq!(name(&"ä".repeat(128)).encode_utf16().count(), 128);
    }
}
