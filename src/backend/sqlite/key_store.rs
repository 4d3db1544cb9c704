//! Values under keys, in a temporary file.

use super::temporary;
use crate::backend::key_store::KeyStore;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::scripts::statement::statement;
use rusqlite::{Connection, OptionalExtension as _};

const SQL: &str = include_str!("../../../sql/sqlite/key_store.sql");
const SCHEMA: &str = statement(SQL, "schema");
const GET: &str = "SELECT Value FROM held WHERE Key = ?1";
const PUT: &str = "INSERT OR REPLACE INTO held (Key, Value) VALUES (?1, ?2)";
const ADD: &str = "INSERT OR IGNORE INTO held (Key, Value) VALUES (?1, ?2)";
const PAGE: &str = "SELECT Key, Value FROM held WHERE Key > coalesce(?1, x'') ORDER BY Key LIMIT ?2";

/// See [`KeyStore`].
pub struct KeyStoreFile {
    connection: Connection,
    work: &'static str,
}

impl KeyStoreFile {
    pub(in crate::backend) fn open(work: &'static str, cache_bytes: u64) -> Result<Self> {
        let connection = temporary::open(SCHEMA, cache_bytes).map_err(|error| temporary::failed(work, error))?;
        Ok(Self { connection, work })
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> Error + use<> {
        let work = self.work;
        move |error| temporary::failed(work, error)
    }

    fn write(&self, sql: &str, key: Guid, value: &[u8]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(self.failed())?;
        statement.execute((key, value)).map_err(self.failed())
    }
}

impl KeyStore for KeyStoreFile {
    fn get(&mut self, key: Guid) -> Result<Option<Vec<u8>>> {
        let mut get = self.connection.prepare_cached(GET).map_err(self.failed())?;
        get.query_row([key], |row| row.get(0)).optional().map_err(self.failed())
    }

    fn put(&mut self, key: Guid, value: &[u8]) -> Result<()> {
        self.write(PUT, key, value).map(drop)
    }

    fn add(&mut self, key: Guid, value: &[u8]) -> Result<bool> {
        self.write(ADD, key, value).map(|added| added > 0)
    }

    fn page(&mut self, after: Option<Guid>, most: u32) -> Result<Vec<(Guid, Vec<u8>)>> {
        let mut page = self.connection.prepare_cached(PAGE).map_err(self.failed())?;
        let rows = page.query_map((after, most), |row| Ok((row.get(0)?, row.get(1)?))).map_err(self.failed())?;
        rows.collect::<rusqlite::Result<_>>().map_err(self.failed())
    }
}
