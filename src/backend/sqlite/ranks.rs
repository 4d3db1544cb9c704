//! Ranks of keys in a temporary file.

use super::temporary;
use crate::backend::ranks::Ranks;
use crate::backend::standing::{Entry, Standing};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use rusqlite::{Connection, Row, params};

const SCHEMA: &str = include_str!("../../../sql/sqlite/ranks_schema.sql");

/// See [`Ranks`].
pub struct RankStore {
    connection: Connection,
}

fn failed(error: rusqlite::Error) -> Error {
    temporary::failed("plan", error)
}

impl RankStore {
    pub(in crate::backend) fn open() -> Result<Self> {
        let connection = temporary::open(SCHEMA, temporary::CACHE_BYTES).map_err(failed)?;
        Ok(Self { connection })
    }
}

/// How an entry is kept: its kind, its scope or nothing, and whether it is a part.
fn kept(entry: Entry) -> (u8, Option<Scope>, bool) {
    match entry {
        Entry::Row(scope, is_part) => (0, scope, is_part),
        Entry::Deleted => (1, None, false),
        Entry::Left(scope) => (2, Some(scope), false),
        Entry::Other(scope, is_part) => (3, Some(scope), is_part),
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(Entry, Version)> {
    let scope: Option<Scope> = row.get(1)?;
    let entry = match (row.get::<_, u8>(0)?, scope) {
        (0, scope) => Entry::Row(scope, row.get(5)?),
        (2, Some(scope)) => Entry::Left(scope),
        (3, Some(scope)) => Entry::Other(scope, row.get(5)?),
        _ => Entry::Deleted,
    };
    let modified_on = row.get::<_, Option<i64>>(2)?.and_then(Timestamp::from_ticks);
    let run_started_at = Timestamp::from_ticks(row.get(3)?).unwrap_or(Timestamp::MIN);
    Ok((entry, Version { modified_on, tombstone: None, run_started_at, run_id: row.get(4)? }))
}

impl Ranks for RankStore {
    fn get(&mut self, key: Guid) -> Result<Option<Standing>> {
        let ask = "SELECT Kind, nullif(Scope, ''), Modified, Started, Run, IsPart FROM rank WHERE Key = ?1";
        let mut ask = self.connection.prepare_cached(ask).map_err(failed)?;
        let mut standing = Standing::default();
        let mut is_known = false;
        for found in ask.query_map([key], entry).map_err(failed)? {
            let (entry, version) = found.map_err(failed)?;
            standing.put(entry, version);
            is_known = true;
        }
        Ok(is_known.then_some(standing))
    }

    fn put(&mut self, key: Guid, standing: &Standing) -> Result<()> {
        let mut forget = self.connection.prepare_cached("DELETE FROM rank WHERE Key = ?1").map_err(failed)?;
        forget.execute([key]).map_err(failed)?;
        let put = "INSERT INTO rank VALUES (?1, ?2, coalesce(?3, ''), ?4, ?5, ?6, ?7)";
        let mut put = self.connection.prepare_cached(put).map_err(failed)?;
        for (entry, version) in standing.entries() {
            let (kind, scope, is_part) = kept(entry);
            let modified = version.modified_on.map(Timestamp::ticks);
            let values = params![key, kind, scope, modified, version.run_started_at.ticks(), version.run_id, is_part];
            put.execute(values).map_err(failed)?;
        }
        Ok(())
    }
}
