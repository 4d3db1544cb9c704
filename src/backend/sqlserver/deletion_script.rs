//! Triggers and statements that fill the deletion log on a server.

use super::database::Database;
use super::inventory::DIALECT;
use super::sql::{Sql, filled, literal, quote};
use super::values::{RowFields, of};
use super::{catalog, key_id, stamp};
use crate::backend::deletion_script::{AuditTable, DeletionSource, trigger_name};
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::name::TableName;
use crate::model::stamp::StampKind;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/deletion_script.sql");
const SOURCE_TRIGGER: &str = statement(SQL, "source_trigger");
const UNIT_OF_METADATA: &str = statement(SQL, "unit_of_metadata");
const METADATA_TRIGGER: &str = statement(SQL, "metadata_trigger");
const AUDIT_INSERT: &str = statement(SQL, "audit_insert");
const IS_TABLE: &str = statement(SQL, "is_table");

/// The script for a table whose configuration was found in the catalog.
pub(super) fn script(db: &mut Database, table: &TableConfig, from: &DeletionSource) -> Result<String> {
    match from {
        DeletionSource::Source => {
            let unit = unit_of_metadata(db, table)?;
            trigger(db, table, &table.source, (SOURCE_TRIGGER, &unit))
        }
        DeletionSource::Metadata => {
            let unit = &table.metadata_business_unit_column;
            let unit = unit.as_ref().map_or(NO_UNIT.to_owned(), |unit| of("o", unit));
            trigger(db, table, &table.metadata, (METADATA_TRIGGER, &unit))
        }
        DeletionSource::Audit(audit) => audit_insert(db, table, audit),
    }
}

const NO_UNIT: &str = "CONVERT(uniqueidentifier, NULL)";

fn unit_of_metadata(db: &mut Database, table: &TableConfig) -> Result<String> {
    let Some(unit) = table.metadata_business_unit_column.as_ref().filter(|_| table.source != table.metadata) else {
        let own = table.metadata_business_unit_column.as_ref().map(|unit| of("d", unit));
        return Ok(own.unwrap_or_else(|| NO_UNIT.to_owned()));
    };
    Ok(filled(
        UNIT_OF_METADATA,
        &[
            ("Unit", quote(unit).as_str()),
            ("Metadata", &catalog::resolve(&mut db.client, &table.metadata)?),
            ("MetadataIdColumn", &quote(&table.metadata_id_column)),
            ("KeyColumn", &quote(&table.key_column)),
            ("Stamp", &stamp::order(db, table, "m")?),
        ],
    ))
}

fn trigger(db: &mut Database, table: &TableConfig, on: &TableName, (text, unit): (&str, &str)) -> Result<String> {
    let full = catalog::resolve(&mut db.client, on)?;
    let row = db.client.row(
        "look up a table",
        Sql::new(filled(IS_TABLE, &[("Db", &quote(&on.db))])).with(&on.schema).with(&on.table),
    )?;
    if row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()? != Some(1) {
        let text = format!("{on} is a view, and nothing is deleted from it without its own table");
        return Err(Error::config(text).table(&table.name).hint(
            "put a trigger of your own on the table below it, as this command prints one for a table, or log deletions in another way",
        ));
    }
    let local = format!("{}.{}", quote(&on.schema), quote(&on.table));
    let now = if table.clock == ClockKind::Utc { "SYSUTCDATETIME()" } else { "SYSDATETIME()" };
    let text = key_id::with_keys(table.key_type, text);
    Ok(filled(
        &text,
        &[
            ("Db", quote(&on.db).as_str()),
            ("Table", &local),
            ("Full", &full),
            ("Trigger", &format!("{}.{}", quote(&on.schema), quote(&trigger_name(on)))),
            ("Name", &literal(&table.name.to_string())),
            ("KeyColumn", &quote(&table.key_column)),
            ("MetadataIdColumn", &quote(&table.metadata_id_column)),
            ("Now", now),
            ("BusinessUnit", unit),
            ("Stamp", &stamp::order(db, table, "o")?),
        ],
    ))
}

fn audit_insert(db: &mut Database, table: &TableConfig, audit: &AuditTable) -> Result<String> {
    let found = audit.find(table, &catalog::columns(&mut db.client, &audit.table)?, &DIALECT)?;
    let time = of("a", &found.deleted_on);
    let time = match found.kind {
        StampKind::Instant => format!("SWITCHOFFSET({time}, '+00:00')"),
        _ => time,
    };
    let text = key_id::with_keys(table.key_type, AUDIT_INSERT);
    Ok(filled(
        &text,
        &[
            ("Audit", catalog::resolve(&mut db.client, &audit.table)?.as_str()),
            ("Name", &literal(&table.name.to_string())),
            ("Key", &quote(&found.key)),
            ("DeletedOn", &time),
            ("Condition", found.condition.as_deref().unwrap_or("1 = 1")),
        ],
    ))
}
