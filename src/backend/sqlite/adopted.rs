//! What a job database knows of a chain, and what it takes over of one that it published before it was
//! restored from a backup.

use super::content;
use super::database::Database;
use super::sql::broken;
use crate::backend::servers::{AdoptedBundle, ChainRecord, Handed};
use crate::backend::slices::columns_json;
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::version::Version;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/adopted.sql");
const READ_CHAIN: &str = statement(SQL, "read_chain");
const ADOPT_RUN: &str = statement(SQL, "adopt_run");
const ADOPT_BUNDLE: &str = statement(SQL, "adopt_bundle");
const KEEP: &str = statement(SQL, "keep");

pub(super) fn read_chain(db: &Database, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>> {
    db.query_all(READ_CHAIN, (table, scope.to_string()), |row| {
        Ok(ChainRecord {
            run_id: row.get(0)?,
            run_started_at: row.get(1)?,
            root_sha256: Sha256::parse(&row.get::<_, String>(2)?).map_err(broken)?,
            previous_root_sha256: row
                .get::<_, Option<String>>(3)?
                .map(|text| Sha256::parse(&text).map_err(broken))
                .transpose()?,
            name: row.get(4)?,
        })
    })
}

pub(super) fn adopt_all(db: &Database, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()> {
    let now = db.server_time().utc;
    for one in bundles {
        db.execute(
            ADOPT_RUN,
            (one.run_id, &one.run_type, &one.requested_by, one.run_started_at, table, one.business_unit),
        )?;
        db.execute("DELETE FROM BlobDeltaBundle WHERE RunId = ?1 AND TableName = ?2", (one.run_id, table))?;
        db.execute(
            ADOPT_BUNDLE,
            (
                one.run_id,
                table,
                one.pack_number,
                scope.to_string(),
                one.root_sha256.to_string(),
                one.previous_root_sha256.map(|root| root.to_string()),
                &one.name,
                &one.folder,
                now,
                columns_json(&one.columns)?,
            ),
        )?;
    }
    let Some(last) = bundles.last() else { return Ok(()) };
    // What this job database told since it left that chain is not in it.
    db.execute(
        "DELETE FROM BlobDeltaReportedDeletion WHERE TableName = ?1 AND Scope = ?2 AND IsDeletion",
        (table, scope.to_string()),
    )?;
    // Nor does it know what content that chain has.
    content::forget(db, table, scope)?;
    let lower = "SET LastHighWaterModifiedOn = ?2 WHERE TableName = ?1 AND LastHighWaterModifiedOn > ?2";
    match scope {
        Scope::All => db.execute(&format!("UPDATE BlobDeltaHighWatermark {lower}"), (table, last.watermark))?,
        Scope::BusinessUnit(unit) => db.execute(
            &format!("UPDATE BlobDeltaBusinessUnitWatermark {lower} AND BusinessUnitId = ?3"),
            (table, last.watermark, unit),
        )?,
    };
    Ok(())
}

pub(super) fn keep_adopted(
    db: &Database,
    table: &TableName,
    scope: Scope,
    handed: Handed,
    keys: &[(Guid, Version)],
) -> Result<()> {
    let left = "DELETE FROM BlobDeltaShippedKey WHERE TableName = ?1 AND Scope = ?2 AND stream_id = ?3";
    let scope = scope.to_string();
    for (key, version) in keys {
        match handed {
            Handed::Left => db.execute(left, (table, &scope, key))?,
            Handed::Whole | Handed::WithoutBlob => {
                db.execute(KEEP, (table, &scope, key, version.modified_on, handed == Handed::Whole))?
            }
        };
    }
    Ok(())
}
