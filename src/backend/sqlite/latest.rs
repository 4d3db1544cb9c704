//! Versions that bundles hold, in a temporary file.

use super::temporary;
use crate::backend::latest::{LatestIndex, LatestVersion};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::slice::DeletionReason;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const SCHEMA: &str = include_str!("../../../sql/sqlite/latest_schema.sql");
const UPSERT: &str = include_str!("../../../sql/sqlite/latest_upsert.sql");

/// See [`LatestIndex`].
pub struct LatestStore {
    connection: Connection,
}

fn failed(error: rusqlite::Error) -> Error {
    temporary::failed("reconciliation", error)
}

impl LatestStore {
    pub(in crate::backend) fn open() -> Result<Self> {
        let connection = temporary::open(SCHEMA, temporary::CACHE_BYTES).map_err(failed)?;
        Ok(Self { connection })
    }
}

/// Of a key: 0 a row, 1 that it left its scope, 2 that it was deleted.
fn reason(kept: u8) -> Option<DeletionReason> {
    match kept {
        0 => None,
        1 => Some(DeletionReason::LeftScope),
        _ => Some(DeletionReason::Deleted),
    }
}

/// From the column of `Modified` on.
fn latest(row: &Row<'_>, at: usize) -> rusqlite::Result<LatestVersion> {
    let digest = |at| row.get::<_, Option<[u8; 32]>>(at).map(|bytes| bytes.map(Sha256::from_bytes));
    let version = Version {
        modified_on: Timestamp::from_ticks(row.get(at)?),
        tombstone: reason(row.get(at + 1)?),
        run_started_at: Timestamp::from_ticks(row.get(at + 2)?).unwrap_or(Timestamp::MIN),
        run_id: row.get(at + 3)?,
    };
    let (path, content) = (digest(at + 6)?, digest(at + 7)?);
    let (is_ancestor, unit, parent_key) = (row.get(at + 4)?, row.get(at + 5)?, row.get(at + 8)?);
    Ok(LatestVersion { version, is_ancestor, unit, path, parent_key, content })
}

impl LatestIndex for LatestStore {
    fn upsert(&mut self, key: Guid, latest: &LatestVersion) -> Result<()> {
        let LatestVersion { version, is_ancestor, unit, path, parent_key, content } = latest;
        let mut upsert = self.connection.prepare_cached(UPSERT).map_err(failed)?;
        let row = params![
            key,
            version.modified_on.map_or(-1, Timestamp::ticks),
            version.tombstone.map_or(0, |reason| if reason == DeletionReason::Deleted { 2 } else { 1 }),
            version.run_started_at.ticks(),
            version.run_id,
            is_ancestor,
            unit,
            path.as_ref().map(|digest| digest.as_bytes().as_slice()),
            content.as_ref().map(|digest| digest.as_bytes().as_slice()),
            parent_key,
        ];
        upsert.execute(row).map(drop).map_err(failed)
    }

    fn match_key(&mut self, key: Guid) -> Result<Option<LatestVersion>> {
        let matched = "UPDATE latest SET Matched = 1 WHERE Key = ?1
                   RETURNING Modified, Tombstone, Started, Run, IsAncestor, Unit, Path, Content, ParentKey";
        let mut matched = self.connection.prepare_cached(matched).map_err(failed)?;
        matched.query_row([key], |row| latest(row, 0)).optional().map_err(failed)
    }

    fn get(&mut self, key: Guid) -> Result<Option<LatestVersion>> {
        let get = "SELECT Modified, Tombstone, Started, Run, IsAncestor, Unit, Path, Content, ParentKey FROM latest WHERE Key = ?1";
        let mut get = self.connection.prepare_cached(get).map_err(failed)?;
        get.query_row([key], |row| latest(row, 0)).optional().map_err(failed)
    }

    fn visit(&mut self, key: Guid) -> Result<bool> {
        let visit = "INSERT OR IGNORE INTO visited (Key) VALUES (?1)";
        let mut visit = self.connection.prepare_cached(visit).map_err(failed)?;
        visit.execute([key]).map(|added| added > 0).map_err(failed)
    }

    fn unmatched(&mut self, after: Option<Guid>, most: u32) -> Result<Vec<(Guid, LatestVersion)>> {
        let ask =
            "SELECT Key, Modified, Tombstone, Started, Run, IsAncestor, Unit, Path, Content, ParentKey FROM latest
                   WHERE Key > coalesce(?1, x'') AND NOT Matched AND NOT Tombstone ORDER BY Key LIMIT ?2";
        let mut ask = self.connection.prepare_cached(ask).map_err(failed)?;
        let rows = ask.query_map((after, most), |row| Ok((row.get(0)?, latest(row, 1)?))).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}
