//! Statements that fill the deletion log of an embedded instance.

use super::catalog;
use super::database::Database;
use super::filter::DIALECT;
use super::sql::{filled, quote};
use crate::backend::deletion_script::DeletionSource;
use crate::error::{Error, Result};
use crate::model::key::{KeyType, LONGEST_BINARY};
use crate::model::stamp::StampKind;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/deletion_script.sql");
const AUDIT_INSERT: &str = statement(SQL, "audit_insert");

/// The script for a table whose configuration was found in the catalog.
pub(super) fn script(db: &Database, table: &TableConfig, from: &DeletionSource) -> Result<String> {
    let DeletionSource::Audit(audit) = from else {
        let text = "a trigger of SQLite writes into its own file alone, and the deletion log lies in another one";
        return Err(Error::config(text).table(&table.name).hint(
            "record deletions in a table of the source, and print the statement that reads it with --audit; or let \
             `blobdelta reconcile --log-deletions` log them",
        ));
    };
    let found = audit.find(table, &catalog::table_columns(db, &audit.table)?, &DIALECT)?;
    let (key, time) = (quote(&found.key), format!("a.{}", quote(&found.deleted_on)));
    let id = match table.key_type {
        KeyType::UniqueIdentifier => format!("a.{key}"),
        KeyType::Integer => format!("unhex(printf('%032X', a.{key}))"),
        KeyType::Binary(length) => {
            let zeros = "00".repeat(usize::from(LONGEST_BINARY.saturating_sub(length)));
            let digits = format!("(hex(a.{key}) || '{zeros}')");
            // The first eight bytes are turned round, as in a uniqueidentifier that a server makes of them.
            let turned = [7, 5, 3, 1, 11, 9, 15, 13].map(|at| format!("substr({digits}, {at}, 2) || "));
            format!("unhex({}substr({digits}, 17))", turned.concat())
        }
    };
    let time = if found.kind == StampKind::Instant { format!("substr({time}, 1, 27)") } else { time };
    Ok(filled(
        AUDIT_INSERT,
        &[
            ("Audit", catalog::resolve(db, &audit.table)?.as_str()),
            ("Name", &format!("'{}'", table.name.to_string().replace('\'', "''"))),
            ("Id", &id),
            ("Key", &key),
            ("DeletedOn", &time),
            ("Condition", found.condition.as_deref().unwrap_or("1")),
        ],
    ))
}
