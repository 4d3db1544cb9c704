//! `MetadataColumns`: columns of the metadata that come along with a row, of the metadata row whose stamp counts.
//!
//! A slice and everything behind it has such a column under the name `Meta_<name>`. From there on it is a column like those of
//! the source: it changes, is carried, packed, replayed and compared as they are. It takes NULL, because not every row has
//! metadata, and a row of another unit comes without it (rule 7).

use super::column::{Column, meta_name};
use super::name::{MAX_IDENTIFIER_UTF16_UNITS, TableName};
use super::table::TableConfig;
use crate::error::{Error, Result};

const SETTING: &str = "MetadataColumns";

impl TableConfig {
    /// The column of the metadata that this column of a slice holds; none for a column of the source.
    pub fn metadata_column_of(&self, column: &str) -> Option<&str> {
        let is_it = |name: &&String| meta_name(name).eq_ignore_ascii_case(column);
        self.metadata_columns.iter().find(is_it).map(String::as_str)
    }

    /// The columns of the source with those of the metadata behind them, as a slice has them; `metadata` are all of the
    /// metadata table that are known.
    ///
    /// # Errors
    /// Config: a name that is not there, or that the source has too.
    pub fn with_metadata_columns(&self, mut source: Vec<Column>, metadata: &[Column]) -> Result<Vec<Column>> {
        for name in &self.metadata_columns {
            let own = meta_name(name);
            let exact = metadata.iter().find(|column| column.name == *name);
            let found = exact.or_else(|| metadata.iter().find(|column| column.name.eq_ignore_ascii_case(name)));
            let found = found.ok_or_else(|| no_such_column(&self.metadata, name, metadata))?;
            if source.iter().any(|column| column.name.eq_ignore_ascii_case(&own)) {
                let text = format!(
                    "the source has a column {own}, which is what a slice calls the column {name} of the metadata"
                );
                return Err(Error::config(text).column(SETTING).hint(format!(
                    "rename the column of the source, or take {name} out of MetadataColumns (`table set`)"
                )));
            }
            source.push(Column { name: own, nullable: true, computed: false, ..found.clone() });
        }
        Ok(source)
    }

    /// What can be said of `MetadataColumns` without a catalog.
    pub(super) fn check_metadata_columns(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::config(text).table(&self.name).column(SETTING));
        let names = &self.metadata_columns;
        if !names.is_empty() && self.metadata == self.source {
            return wrong("the source is the metadata table, so that its columns come along by themselves".into());
        }
        for (nth, name) in names.iter().enumerate() {
            if names[..nth].iter().any(|before| before.eq_ignore_ascii_case(name)) {
                return wrong(format!("MetadataColumns names {name} twice"));
            }
            let own = meta_name(name);
            if own.encode_utf16().count() > MAX_IDENTIFIER_UTF16_UNITS {
                return wrong(format!("the name {own} of a column of the slice is longer than 128 characters"));
            }
            if !self.carries(&own) {
                return wrong(format!(
                    "ExcludedColumns leaves out {own}, and MetadataColumns names {name}: take it out of one"
                ));
            }
        }
        Ok(())
    }
}

/// A column that MetadataColumns names and the metadata table does not have.
fn no_such_column(metadata: &TableName, name: &str, columns: &[Column]) -> Error {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let there = if names.is_empty() { String::new() } else { format!("; it has: {}", names.join(", ")) };
    Error::config(format!("MetadataColumns names the column {name}, which {metadata} does not have"))
        .column(SETTING)
        .hint(format!("correct the name, or take it out of MetadataColumns (`table set`){there}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sqltype::SqlType;

    fn config(names: &[&str]) -> TableConfig {
        let parse = |text| TableName::parse(text).unwrap();
        let mut table = TableConfig::new(parse("Db.dbo.T"), parse("Meta.dbo.T"));
        table.metadata_columns = names.iter().map(|name| (*name).to_owned()).collect();
        table
    }

    fn columns(names: &[&str]) -> Vec<Column> {
        names.iter().map(|name| Column::new(name, SqlType::Int, false)).collect()
    }

    #[test]
    fn they_stand_behind_those_of_the_source_by_their_configured_name_and_take_null() {
        let table = config(&["TITLE", "Status"]);
        let all = table.with_metadata_columns(columns(&["Id", "Title"]), &columns(&["Id", "Status", "Title"])).unwrap();
        let names: Vec<&str> = all.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Id", "Title", "Meta_TITLE", "Meta_Status"]);
        assert!(!all[1].nullable && all[2].nullable);
        assert_eq!((table.metadata_column_of("meta_title"), table.metadata_column_of("Title")), (Some("TITLE"), None));
    }

    #[test]
    fn what_cannot_come_along_is_refused_by_name() {
        let unknown = config(&["Owner"]).with_metadata_columns(columns(&["Id"]), &columns(&["Id"])).unwrap_err();
        assert!(unknown.to_string().contains("Owner"), "{unknown}");
        let taken = config(&["a"]).with_metadata_columns(columns(&["META_A"]), &columns(&["a"])).unwrap_err();
        assert!(taken.to_string().contains("Meta_a"), "{taken}");
        assert!(config(&["a", "A"]).check().is_err(), "twice");
        assert!(config(&[&"a".repeat(123)]).check().is_ok());
        assert!(config(&[&"a".repeat(124)]).check().is_err(), "too long");
        let mut excluded = config(&["a"]);
        excluded.excluded_columns = vec!["meta_a".into()];
        assert!(excluded.check().is_err());
        let mut one_table = config(&["a"]);
        one_table.metadata = one_table.source.clone();
        assert!(one_table.check().is_err());
    }
}
