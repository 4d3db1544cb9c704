//! Known content: what an embedded job database remembers of the values of a chain.

use super::database::Database;
use super::engine::Engine;
use super::marker;
use crate::backend::content::{ComingValue, KnownValue};
use crate::backend::jobs::BundleRecord;
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Fence, Scope};
use crate::model::slice::SliceState;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/content.sql");
const KNOWN: &str = statement(SQL, "known");
const PUT_ASIDE: &str = statement(SQL, "put_aside");
const REMEMBER: &str = statement(SQL, "remember");

/// See [`Slices::known_values`](crate::backend::Slices::known_values).
pub(super) fn known_values(
    engine: &mut Engine<'_>,
    (fence, scope): (&Fence, Scope),
    column: &str,
    keys: &[Guid],
) -> Result<Vec<Option<KnownValue>>> {
    let prepared = engine.state.prepared.of(engine.db, &fence.table)?;
    marker::own_slice(engine.db, &prepared.config, fence, &[SliceState::Complete, SliceState::Packed])?;
    let sql = prepared.placeholders.fill("look up known content", KNOWN)?;
    let scope = scope.to_string();
    let known = |key: &Guid| {
        engine.db.query_optional(&sql, (&fence.table, &scope, column, key), |row| {
            let digest = |at| Ok::<_, rusqlite::Error>(Sha256::from_bytes(row.get::<_, [u8; 32]>(at)?));
            Ok(KnownValue {
                sha256: digest(0)?,
                root_sha256: digest(1)?,
                modified_on: row.get(2)?,
                run_started_at: row.get(3)?,
                run_id: row.get(4)?,
            })
        })
    };
    keys.iter().map(known).collect()
}

/// See [`Slices::put_values_aside`](crate::backend::Slices::put_values_aside).
pub(super) fn put_aside(engine: &mut Engine<'_>, fence: &Fence, column: &str, values: &[ComingValue]) -> Result<()> {
    let lease = engine.state.lease;
    engine.db.transact("put content aside", |db| {
        lease.check_fence(db, fence)?;
        for value in values {
            let sha256 = value.sha256.as_ref().map(|sha256| &sha256.as_bytes()[..]);
            let root = value.root_sha256.as_ref().map(|root| &root.as_bytes()[..]);
            db.execute(PUT_ASIDE, (&fence.table, column, value.key, sha256, root, value.modified_on))?;
        }
        Ok(())
    })
}

/// See [`Slices::clear_values_aside`](crate::backend::Slices::clear_values_aside).
pub(super) fn clear_aside(engine: &mut Engine<'_>, fence: &Fence) -> Result<()> {
    let lease = engine.state.lease;
    engine.db.transact("begin to put content aside", |db| {
        lease.check_fence(db, fence)?;
        clear(db, &fence.table)
    })
}

/// What was put aside for a bundle is known from now on; or nothing is known of its chain any more.
pub(super) fn settle(db: &Database, record: &BundleRecord) -> Result<()> {
    match record.remembers_content {
        true => {
            let root = &record.root_sha256.as_bytes()[..];
            db.execute(REMEMBER, (&record.table, record.scope.to_string(), root, record.run_id))?;
        }
        false => forget(db, &record.table, record.scope)?,
    }
    clear(db, &record.table)
}

/// Forgets all that is known of a chain.
pub(super) fn forget(db: &Database, table: &TableName, scope: Scope) -> Result<()> {
    let sql = "DELETE FROM BlobDeltaKnownContent WHERE TableName = ?1 AND Scope = ?2";
    db.execute(sql, (table, scope.to_string())).map(drop)
}

fn clear(db: &Database, table: &TableName) -> Result<()> {
    db.execute("DELETE FROM BlobDeltaContentAside WHERE TableName = ?1", [table]).map(drop)
}
