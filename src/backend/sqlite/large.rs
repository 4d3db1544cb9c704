//! Values without bound, read and written in blocks through SQLite's incremental I/O
//! (<https://www.sqlite.org/c3ref/blob_open.html>); held whole where SQLite cannot open them.

use super::database::Database;
use super::errors::failed;
use super::key_id::RowKey;
use super::rowid;
use super::sql::quote;
use crate::error::{Error, Kind, Result};
use crate::model::column::Column;
use crate::model::digest::{Hasher, Sha256};
use crate::model::name::TableName;
use std::io::{Read, Write};

/// Bytes that are held of a value while it is read or written in chunks.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// Writes out the value of a column in the row of a key, in chunks where SQLite can, else held whole. Returns its
/// bytes: none, for NULL.
pub(super) fn copy_value(
    db: &Database,
    table: &TableName,
    key: RowKey<'_>,
    column: &str,
    out: &mut dyn Write,
) -> Result<u64> {
    let copied = match rowid::opens_blobs(db, table)? {
        true => copy_in_chunks(db, table, key, column, out),
        false => copy_whole(db, table, key, column, out),
    };
    copied.map_err(|error| error.table(table).key(key.shown()).column(column))
}

fn copy_in_chunks(db: &Database, table: &TableName, key: RowKey<'_>, column: &str, out: &mut dyn Write) -> Result<u64> {
    let row = rowid::row_id(db, table, key)?.ok_or_else(|| Error::internal("a row that can be opened has no rowid"))?;
    let mut blob = open_blob(db, table, column, row, true)?;
    let bytes = blob.len() as u64;
    copy(&mut blob, bytes, out)?;
    Ok(bytes)
}

fn copy_whole(db: &Database, table: &TableName, key: RowKey<'_>, column: &str, out: &mut dyn Write) -> Result<u64> {
    let sql = format!("SELECT {} FROM {} WHERE {} = ?1", quote(column), db.quoted(table), quote(key.column));
    let unread = |error| failed("read a large value", error);
    let mut found = db.cached(&sql).map_err(unread)?;
    let mut rows = found.query([key.key]).map_err(unread)?;
    let row = rows.next().map_err(unread)?;
    let row = row.ok_or_else(|| Error::new(Kind::Database, "there is no row with this key"))?;
    let value = row.get_ref(0).map_err(unread)?;
    let bytes = value.as_bytes_or_null().map_err(|error| failed("read a large value", error.into()))?;
    let bytes = bytes.unwrap_or_default();
    out.write_all(bytes).map_err(|error| Error::new(Kind::Io, "cannot write a large value").caused_by(error))?;
    Ok(bytes.len() as u64)
}

pub(super) fn open_blob<'c>(
    db: &'c Database,
    table: &TableName,
    column: &str,
    row: i64,
    read_only: bool,
) -> Result<rusqlite::blob::Blob<'c>> {
    let schema = db.schema_name(&table.db);
    let opened = db.connection.blob_open(schema, table.table.as_str(), column, row, read_only);
    opened.map_err(|error| failed("open a large value", error))
}

/// Fills a value of zero bytes, in blocks.
pub(super) fn fill_blob(
    db: &Database,
    table: &TableName,
    column: &str,
    row: i64,
    bytes: u64,
    from: &mut dyn Read,
) -> Result<()> {
    let mut blob = open_blob(db, table, column, row, false)?;
    copy_all(from, bytes, &mut blob)?;
    blob.close().map_err(|error| failed("write a large value", error))
}

/// The hash of a value, read in chunks; nothing for NULL.
pub(super) fn content_sha256(
    db: &Database,
    table: &TableName,
    key: RowKey<'_>,
    column: &Column,
) -> Result<Option<Sha256>> {
    let (quoted, name, key_column) = (db.quoted(table), quote(&column.name), quote(key.column));
    if db.query_one(&format!("SELECT {name} IS NULL FROM {quoted} WHERE {key_column} = ?1"), [key.key])? {
        return Ok(None);
    }
    let mut hash = Hasher::default();
    copy_value(db, table, key, &column.name, &mut hash)?;
    Ok(Some(hash.finish()))
}

/// Copies what has so many bytes, neither less nor more.
pub(super) fn copy_all(from: &mut dyn Read, bytes: u64, to: &mut dyn Write) -> Result<()> {
    copy(from, bytes, to)?;
    match from.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(wrong_size(bytes)),
        Err(error) => Err(Error::new(Kind::Io, "cannot read a large value").caused_by(error)),
    }
}

fn copy(from: &mut dyn Read, bytes: u64, to: &mut dyn Write) -> Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let read = from.read(&mut block[..most]);
        let got = read.map_err(|error| Error::new(Kind::Io, "cannot read a large value").caused_by(error))?;
        if got == 0 {
            return Err(wrong_size(bytes));
        }
        let written = to.write_all(&block[..got]);
        written.map_err(|error| Error::new(Kind::Io, "cannot write a large value").caused_by(error))?;
        left -= got as u64;
    }
    Ok(())
}

fn wrong_size(bytes: u64) -> Error {
    Error::new(Kind::Io, format!("a large value has not the {bytes} bytes that it was said to have"))
        .hint("it may have changed while it was read; run again")
}
