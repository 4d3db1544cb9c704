//! Keys that were seen, in a temporary file.

use super::temporary;
use crate::error::Result;
use crate::model::id::Guid;
use rusqlite::Connection;

const SCHEMA: &str = "CREATE TABLE seen (key BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;";
const ADD: &str = "INSERT OR IGNORE INTO seen (key) VALUES (?1)";

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
    fn add(&mut self, keys: &[Guid]) -> Result<Option<Guid>> {
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut twice = None;
        {
            let mut add = transaction.prepare_cached(ADD).map_err(failed)?;
            for key in keys {
                if add.execute([key]).map_err(failed)? == 0 {
                    twice.get_or_insert(*key);
                }
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(twice)
    }
}
