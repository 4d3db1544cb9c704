//! Planned versions of keys in a temporary file.

use super::temporary;
use crate::backend::existing::{ExistingEntry, ExistingVersions};
use crate::backend::planned_versions::PlannedVersions;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use rusqlite::{Connection, Row, params};

const SCHEMA: &str = include_str!("../../../sql/sqlite/planned_versions_schema.sql");

/// See [`PlannedVersions`].
pub struct PlannedVersionStore {
    connection: Connection,
}

fn failed(error: rusqlite::Error) -> Error {
    temporary::failed("plan", error)
}

impl PlannedVersionStore {
    pub(in crate::backend) fn open() -> Result<Self> {
        let connection = temporary::open(SCHEMA, temporary::CACHE_BYTES).map_err(failed)?;
        Ok(Self { connection })
    }
}

/// How an entry is kept: its kind, its scope or nothing, and whether it is a part.
fn kept(entry: ExistingEntry) -> (u8, Option<Scope>, bool) {
    match entry {
        ExistingEntry::Row(scope, is_part) => (0, scope, is_part),
        ExistingEntry::Deleted => (1, None, false),
        ExistingEntry::Left(scope) => (2, Some(scope), false),
        ExistingEntry::Other(scope, is_part) => (3, Some(scope), is_part),
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(ExistingEntry, Version)> {
    let scope: Option<Scope> = row.get(1)?;
    let entry = match (row.get::<_, u8>(0)?, scope) {
        (0, scope) => ExistingEntry::Row(scope, row.get(5)?),
        (2, Some(scope)) => ExistingEntry::Left(scope),
        (3, Some(scope)) => ExistingEntry::Other(scope, row.get(5)?),
        _ => ExistingEntry::Deleted,
    };
    let modified_on = row.get::<_, Option<i64>>(2)?.and_then(Timestamp::from_ticks);
    let run_started_at = Timestamp::from_ticks(row.get(3)?).unwrap_or(Timestamp::MIN);
    Ok((entry, Version { modified_on, tombstone: None, run_started_at, run_id: row.get(4)? }))
}

impl PlannedVersions for PlannedVersionStore {
    fn get(&mut self, key: Guid) -> Result<Option<ExistingVersions>> {
        let ask = "SELECT Kind, nullif(Scope, ''), Modified, Started, Run, IsPart FROM planned WHERE Key = ?1";
        let mut ask = self.connection.prepare_cached(ask).map_err(failed)?;
        let mut existing = ExistingVersions::default();
        let mut is_known = false;
        for found in ask.query_map([key], entry).map_err(failed)? {
            let (entry, version) = found.map_err(failed)?;
            existing.put(entry, version);
            is_known = true;
        }
        Ok(is_known.then_some(existing))
    }

    fn put(&mut self, key: Guid, existing: &ExistingVersions) -> Result<()> {
        let mut forget = self.connection.prepare_cached("DELETE FROM planned WHERE Key = ?1").map_err(failed)?;
        forget.execute([key]).map_err(failed)?;
        let put = "INSERT INTO planned VALUES (?1, ?2, coalesce(?3, ''), ?4, ?5, ?6, ?7)";
        let mut put = self.connection.prepare_cached(put).map_err(failed)?;
        for (entry, version) in existing.entries() {
            let (kind, scope, is_part) = kept(entry);
            let modified = version.modified_on.map(Timestamp::ticks);
            let values = params![key, kind, scope, modified, version.run_started_at.ticks(), version.run_id, is_part];
            put.execute(values).map_err(failed)?;
        }
        Ok(())
    }
}
