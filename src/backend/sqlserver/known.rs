//! What was read of tables and holds until it is written or the next run begins, for methods that are called once a page.

use super::catalog::{self, ColumnsByTable};
use super::client::Client;
use crate::error::Result;
use crate::model::column::Column;
use crate::model::name::TableName;
use crate::model::table::TableConfig;
use std::collections::HashMap;

/// See the module's text.
#[derive(Default)]
pub(super) struct KnownTables {
    /// Configurations by table.
    pub(super) configs: HashMap<TableName, TableConfig>,
    /// Column lists of slice tables.
    pub(super) columns: HashMap<TableName, Vec<Column>>,
    /// What the catalog said of all configured tables of a database since the run began; `None` where one table was
    /// asked for.
    catalogs: HashMap<String, Option<ColumnsByTable>>,
}

impl KnownTables {
    /// Forgets what the catalog said.
    pub(super) fn forget_catalogs(&mut self) {
        self.catalogs.clear();
    }

    /// The columns of a configured source or slice table. From the second in a database on, all are asked for at
    /// once, and are then as they were at that time, until the next run begins. Of those that are left out no type is asked.
    ///
    /// # Errors
    /// As those of [`catalog::columns`].
    pub(super) fn columns_of_run(
        &mut self,
        client: &mut Client,
        table: &TableName,
        without: &[String],
    ) -> Result<Vec<Column>> {
        match self.catalogs.get(&table.db) {
            None => {
                self.catalogs.insert(table.db.clone(), None);
                return catalog::columns_but(client, table, without);
            }
            // What cannot be read at once is told of the table that it is about.
            Some(None) => {
                let found = catalog::configured_columns(client, &table.db).unwrap_or_default();
                self.catalogs.insert(table.db.clone(), Some(found));
            }
            Some(Some(_)) => {}
        }
        let known = self.catalogs.get(&table.db).and_then(Option::as_ref);
        let is_it = |(schema, name): &&(String, String)| {
            schema.eq_ignore_ascii_case(&table.schema) && name.eq_ignore_ascii_case(&table.table)
        };
        let mut spelled = known.into_iter().flat_map(|known| known.keys().filter(is_it));
        match (spelled.next(), spelled.next()) {
            (Some(place), None) => Ok(known.and_then(|known| known.get(place)).cloned().unwrap_or_default()),
            _ => catalog::columns_but(client, table, without),
        }
    }
}
