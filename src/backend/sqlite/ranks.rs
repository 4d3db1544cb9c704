//! Ranks of keys in a temporary file.

use super::temporary;
use crate::backend::ranks::Ranks;
use crate::backend::target::Standing;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

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

fn version(row: &Row<'_>, at: usize, tombstone: bool) -> rusqlite::Result<Option<Version>> {
    let Some(run_id) = row.get::<_, Option<Guid>>(at + 2)? else { return Ok(None) };
    let modified_on = row.get::<_, Option<i64>>(at)?.and_then(Timestamp::from_ticks);
    let run_started_at = Timestamp::from_ticks(row.get(at + 1)?).unwrap_or(Timestamp::MIN);
    Ok(Some(Version { modified_on, tombstone, run_started_at, run_id }))
}

impl Ranks for RankStore {
    fn get(&mut self, key: Guid) -> Result<Option<Standing>> {
        let ask = "SELECT RowModified, RowStarted, RowRun, TombstoneModified, TombstoneStarted, TombstoneRun
                   FROM rank WHERE Key = ?1";
        let mut ask = self.connection.prepare_cached(ask).map_err(failed)?;
        let read = |row: &Row<'_>| Ok(Standing { row: version(row, 0, false)?, tombstone: version(row, 3, true)? });
        ask.query_row([key], read).optional().map_err(failed)
    }

    fn put(&mut self, key: Guid, standing: Standing) -> Result<()> {
        let mut put =
            self.connection.prepare_cached("REPLACE INTO rank VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)").map_err(failed)?;
        let modified = |version: Option<Version>| version.and_then(|version| version.modified_on).map(Timestamp::ticks);
        let started = |version: Option<Version>| version.map(|version| version.run_started_at.ticks());
        let run = |version: Option<Version>| version.map(|version| version.run_id);
        let (row, tombstone) = (standing.row, standing.tombstone);
        let values = params![
            key,
            modified(row),
            started(row),
            run(row),
            modified(tombstone),
            started(tombstone),
            run(tombstone)
        ];
        put.execute(values).map(drop).map_err(failed)
    }
}
