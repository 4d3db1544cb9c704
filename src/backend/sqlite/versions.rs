//! Versions of keys in a temporary file.

use super::temporary;
use crate::backend::versions::{Kept, Orphan, SortKey, VersionEntry, Versions};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::slice::DeletionReason;
use crate::scripts::statement::statement;
use rusqlite::{Connection, OptionalExtension as _, params};

const SQL: &str = include_str!("../../../sql/sqlite/versions.sql");
const SCHEMA: &str = statement(SQL, "schema");
const SETTLE: &str = statement(SQL, "settle");
const PLACES: &str = statement(SQL, "places");
const ABSENT: &str = statement(SQL, "absent");

/// See [`Versions`].
pub struct VersionStore {
    connection: Connection,
}

fn failed(error: rusqlite::Error) -> Error {
    temporary::failed("compaction", error)
}

/// SQLite has no unsigned integers.
fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::internal(format!("{number} rows cannot be counted")))
}

impl VersionStore {
    pub(in crate::backend) fn open(cache_bytes: u64) -> Result<Self> {
        let connection = temporary::open(SCHEMA, cache_bytes).map_err(failed)?;
        Ok(Self { connection })
    }
}

impl Versions for VersionStore {
    fn add(&mut self, entries: &[VersionEntry]) -> Result<()> {
        let transaction = self.connection.transaction().map_err(failed)?;
        {
            let insert = "INSERT INTO version VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
            let mut insert = transaction.prepare_cached(insert).map_err(failed)?;
            for entry in entries {
                let version = &entry.version;
                let row = params![
                    entry.input,
                    version.tombstone.is_some(),
                    version.tombstone == Some(DeletionReason::Deleted),
                    signed(entry.place)?,
                    entry.key,
                    entry.sort,
                    version.modified_on.map(|at| at.ticks()),
                    version.run_started_at.ticks(),
                    version.run_id,
                    entry.parent,
                    entry.has_parent,
                    entry.depth,
                ];
                insert.execute(row).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    fn settle(&mut self) -> Result<()> {
        self.connection.execute_batch(SETTLE).map_err(failed)?;
        let lost = "SELECT key FROM latest WHERE key NOT IN (SELECT key FROM placed) LIMIT 1";
        let lost: Option<Guid> = self.connection.query_row(lost, [], |row| row.get(0)).optional().map_err(failed)?;
        match lost {
            None => Ok(()),
            Some(key) => Err(Error::config("rows of these bundles are ancestors of themselves")
                .key(key)
                .hint("a folder was moved below one of its own; the next bundle that holds both mends it")),
        }
    }

    fn kept(&mut self) -> Result<Vec<Kept>> {
        let ask = "SELECT DISTINCT input, tombstone, shift FROM chosen ORDER BY 1, 2, 3";
        let mut ask = self.connection.prepare(ask).map_err(failed)?;
        let kept =
            |row: &rusqlite::Row<'_>| Ok(Kept { input: row.get(0)?, tombstones: row.get(1)?, shift: row.get(2)? });
        let rows = ask.query_map([], kept).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    fn places(&mut self, kept: Kept, from: u64, most: u32) -> Result<Vec<u64>> {
        let mut ask = self.connection.prepare_cached(PLACES).map_err(failed)?;
        let asked = params![kept.input, kept.tombstones, kept.shift, signed(from)?, most];
        let rows = ask.query_map(asked, |row| row.get::<_, i64>(0)).map_err(failed)?;
        let places = rows.collect::<rusqlite::Result<Vec<i64>>>().map_err(failed)?;
        Ok(places.into_iter().filter_map(|place| u64::try_from(place).ok()).collect())
    }

    fn orphans(&mut self, after: Option<SortKey>, most: u32) -> Result<Vec<Orphan>> {
        let mut ask = self.connection.prepare_cached(ABSENT).map_err(failed)?;
        // A shorter blob is less than any longer one that it begins.
        let after: Vec<u8> = after.map(Vec::from).unwrap_or_default();
        let orphan =
            |row: &rusqlite::Row<'_>| Ok(Orphan { child: row.get(0)?, parent: row.get(1)?, sort: row.get(2)? });
        let rows = ask.query_map(params![after, most], orphan).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}
