//! The script templates of tables, and whether they are as they were shipped.

use super::database::Database;
use super::sql::Sql;
use super::values::RowFields;
use crate::backend::upkeep::{Advice, template_advice};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::table::{ChangedScript, TableConfig};
use crate::scripts;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/template.sql");
const CHANGED_SCRIPTS: &str = statement(SQL, "changed_scripts");
const SHARED_TEMPLATES: &str = statement(SQL, "shared_templates");

/// The templates of a table that are not as this program ships them.
pub(super) fn scripts_of_others(db: &mut Database, table: &TableConfig) -> Result<Vec<ChangedScript>> {
    let sql = Sql::new(CHANGED_SCRIPTS).with(&table.name);
    let rows = db.client.unit(|client| client.rows("read the scripts of a table", sql.clone()))?;
    let shipped = scripts::sqlserver_templates();
    let mut found = Vec::new();
    for row in &rows {
        let fields = RowFields::of(row);
        let (name, text) =
            (fields.must(0, RowFields::text)?, fields.text(2)?.unwrap_or_default().replace("\r\n", "\n"));
        if !shipped.iter().any(|(known, ours)| *known == name && *ours == text) {
            let whose = fields.text(1)?.map_or(String::new(), |table| format!(" (of {table} alone)"));
            found.push(ChangedScript { name: format!("{name}{whose}"), sha256: Sha256::of(text.as_bytes()) });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Shared templates that are not as they were shipped.
pub(super) fn changed_templates(db: &mut Database) -> Result<Vec<Advice>> {
    let rows = db.client.rows("read the shared templates", Sql::new(SHARED_TEMPLATES))?;
    let mut found = Vec::new();
    for (name, shipped) in scripts::sqlserver_templates() {
        let mut there = None;
        for row in &rows {
            let fields = RowFields::of(row);
            if fields.text(0)? == Some(name) {
                there = fields.text(1)?.map(|text| text.replace("\r\n", "\n"));
            }
        }
        found.push(template_advice(name, &shipped, there.as_deref()));
    }
    Ok(found)
}
