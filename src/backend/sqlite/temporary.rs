//! Databases that live in a temporary file, and go when they are closed.

use crate::error::{Error, Kind};
use crate::scripts::statement::statement;
use rusqlite::Connection;

const SQL: &str = include_str!("../../../sql/sqlite/temporary.sql");

/// Nothing of it has to survive anything.
const PRAGMAS: &str = statement(SQL, "pragmas");

/// Opens one, with so many bytes of its pages in memory.
pub(super) fn open(schema: &str, cache_bytes: u64) -> rusqlite::Result<Connection> {
    // The empty name is that of a temporary database (<https://www.sqlite.org/inmemorydb.html>).
    let connection = Connection::open("")?;
    connection.execute_batch(PRAGMAS)?;
    connection.pragma_update(None, "cache_size", -i64::try_from(cache_bytes >> 10).unwrap_or(i64::MAX))?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

/// What failed was the file for this work.
pub(super) fn failed(work: &str, error: rusqlite::Error) -> Error {
    Error::new(Kind::Database, format!("the temporary file of the {work} failed"))
        .caused_by(error)
        .hint("is the folder that TMPDIR names full? Let it name one with more room")
}
