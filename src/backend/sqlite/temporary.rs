//! Databases that live in a temporary file, and go when they are closed.

use crate::error::{Error, Kind};
use rusqlite::Connection;

/// Nothing of it has to survive anything.
const PRAGMAS: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; \
    PRAGMA cache_size = -65536; PRAGMA locking_mode = EXCLUSIVE;";

/// Opens one, with 64 MiB of its pages in memory.
pub(super) fn open(schema: &str) -> rusqlite::Result<Connection> {
    // The empty name is that of a temporary database (<https://www.sqlite.org/inmemorydb.html>).
    let connection = Connection::open("")?;
    connection.execute_batch(PRAGMAS)?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

/// What failed was the file for this work.
pub(super) fn failed(work: &str, error: rusqlite::Error) -> Error {
    Error::new(Kind::Database, format!("the temporary file of the {work} failed"))
        .caused_by(error)
        .hint("is the folder that TMPDIR names full? Let it name one with more room")
}
