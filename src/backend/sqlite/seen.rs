//! Keys that were seen, in a temporary file.

use super::temporary;
use crate::error::Result;
use crate::model::id::Guid;
use rusqlite::{Connection, OptionalExtension as _};

const SCHEMA: &str = "CREATE TABLE seen (key BLOB NOT NULL PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;";
const ADD: &str = "INSERT OR IGNORE INTO seen (key, number) VALUES (?1, ?2)";
const GET: &str = "SELECT number FROM seen WHERE key = ?1";
const SET: &str = "UPDATE seen SET number = ?2 WHERE key = ?1";
const ANY_OF: &str = "SELECT key FROM seen WHERE number = ?1 LIMIT 1";

/// See [`crate::backend::SeenKeys`].
pub struct SeenStore {
    connection: Connection,
}

fn failed(error: rusqlite::Error) -> crate::error::Error {
    temporary::failed("keys of a bundle", error)
}

impl SeenStore {
    pub(in crate::backend) fn open(cache_bytes: u64) -> Result<Self> {
        Ok(Self { connection: temporary::open(SCHEMA, cache_bytes).map_err(failed)? })
    }
}

impl crate::backend::SeenKeys for SeenStore {
    fn add(&mut self, keys: &[(Guid, i16)]) -> Result<Option<Guid>> {
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut twice = None;
        {
            let mut add = transaction.prepare_cached(ADD).map_err(failed)?;
            for (key, number) in keys {
                if add.execute((key, number)).map_err(failed)? == 0 {
                    twice.get_or_insert(*key);
                }
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(twice)
    }

    fn get(&mut self, key: Guid) -> Result<Option<i16>> {
        let mut get = self.connection.prepare_cached(GET).map_err(failed)?;
        get.query_row([key], |row| row.get(0)).optional().map_err(failed)
    }

    fn set(&mut self, key: Guid, number: i16) -> Result<()> {
        let mut set = self.connection.prepare_cached(SET).map_err(failed)?;
        set.execute((key, number)).map(drop).map_err(failed)
    }

    fn any_of(&mut self, number: i16) -> Result<Option<Guid>> {
        let mut any = self.connection.prepare_cached(ANY_OF).map_err(failed)?;
        any.query_row([number], |row| row.get(0)).optional().map_err(failed)
    }
}
