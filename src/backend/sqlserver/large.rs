//! Values without bound, in chunks: neither side ever holds one whole.
//!
//! Text goes in and out as UTF-8, whatever its column. It is counted in the units of its column
//! (UTF-16, or the characters of a code page), and a chunk never ends between the two halves of a
//! surrogate pair, because half a character cannot be read.

use super::client::Client;
use super::sql::SqlParameter;
use super::sql::{Sql, filled, quote};
use super::values::{RowFields, is_text, selected};
use crate::error::{Error, Kind, Result};
use crate::model::sqltype::SqlType;
use crate::scripts::statement::statement;
use std::io::{Read, Write};
use tiberius::ColumnData;

const SQL: &str = include_str!("../../../sql/sqlserver/large.sql");
const CHUNK_OF_CHARACTERS: &str = statement(SQL, "chunk_of_characters");
const CHUNK_OF_UNITS: &str = statement(SQL, "chunk_of_units");
const CHUNK_OF_BYTES: &str = statement(SQL, "chunk_of_bytes");

/// Bytes, or units of text, of one piece that is read.
const CHUNK: i64 = 512 * 1024;

/// Bytes of one piece that is written: a multiple of 8,040, which is how `.WRITE` likes them
/// (<https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql>).
const WRITTEN_CHUNK_BYTES: usize = 8_040 * 65;

/// The most that is written as one parameter, where there is no `.WRITE`.
const MAX_WHOLE_BYTES: u64 = 64 << 20;

const WRITING: &str = "write a large value";

/// Where a value stands. All names are quoted.
pub(super) struct ValuePlace {
    /// The table, in three parts.
    pub(super) table: String,
    /// The column of the key.
    pub(super) key_column: String,
    /// The row.
    pub(super) key: ColumnData<'static>,
    /// The column.
    pub(super) column: String,
    /// Its type.
    pub(super) sql_type: SqlType,
}

impl ValuePlace {
    pub(super) fn new(table: String, key: (&str, ColumnData<'static>), column: &str, sql_type: SqlType) -> Self {
        Self { table, key_column: quote(key.0), key: key.1, column: quote(column), sql_type }
    }

    fn of_row<'s>(&self, sql: Sql<'s>) -> Sql<'s> {
        sql.then(&format!(" WHERE {} = ", self.key_column)).bind(SqlParameter(Some(self.key.clone())))
    }

    /// Gives the chunk that begins at a place, counted from 1, and how many units it was asked to
    /// have. It has fewer only at the end.
    fn chunk(&self, at: i64) -> Sql<'static> {
        let value = selected(self.sql_type, &self.column);
        let names =
            [("Table", self.table.as_str()), ("Key", &self.key_column), ("Column", &self.column), ("Value", &value)];
        let of = |text: &str| Sql::new(filled(text, &names)).with(at).with(CHUNK);
        match self.sql_type {
            SqlType::VarChar(_) | SqlType::Char(_) => {
                of(CHUNK_OF_CHARACTERS).with(SqlParameter(Some(self.key.clone())))
            }
            of_type if is_text(of_type) => {
                of(CHUNK_OF_UNITS).with(at + CHUNK - 1).with(CHUNK - 1).with(SqlParameter(Some(self.key.clone())))
            }
            _ => of(CHUNK_OF_BYTES).with(SqlParameter(Some(self.key.clone()))),
        }
    }
}

/// Copies a value out; returns its bytes (of UTF-8, for text).
///
/// # Errors
/// Database: no such row, or NULL. Io of the writer.
pub(super) fn read(client: &mut Client, place: &ValuePlace, out: &mut dyn Write) -> Result<u64> {
    let (mut at, mut total) = (1_i64, 0_u64);
    loop {
        let row = client.unit(|client| client.row("read a large value", place.chunk(at)))?;
        let row = row.ok_or_else(|| Error::new(Kind::Database, "there is no row with this key"))?;
        let fields = RowFields::of(&row);
        let chunk = match is_text(place.sql_type) {
            true => fields.text(0)?.map(str::as_bytes),
            false => fields.bytes(0)?,
        };
        let chunk = chunk.ok_or_else(|| Error::new(Kind::Database, "this value is NULL"))?;
        if chunk.is_empty() {
            return Ok(total);
        }
        let written = out.write_all(chunk);
        written.map_err(|error| Error::new(Kind::Io, "cannot write a large value").caused_by(error))?;
        total += chunk.len() as u64;
        at += fields.must(1, RowFields::number)?;
    }
}

/// Sets a value to the `bytes` bytes of `from`, in one transaction. `in_chunks` says whether the
/// server has `.WRITE`.
///
/// # Errors
/// Database: no such row; Config: larger than this server takes; Io of the reader.
pub(super) fn write(
    client: &mut Client,
    place: &ValuePlace,
    bytes: u64,
    from: &mut dyn Read,
    in_chunks: bool,
) -> Result<()> {
    client.once(WRITING, |client| write_here(client, place, bytes, from, in_chunks))
}

/// As [`write`], in the transaction that is open.
pub(super) fn write_here(
    client: &mut Client,
    place: &ValuePlace,
    bytes: u64,
    from: &mut dyn Read,
    in_chunks: bool,
) -> Result<()> {
    let in_chunks = in_chunks
        && matches!(place.sql_type, SqlType::VarBinary(None) | SqlType::VarChar(None) | SqlType::NVarChar(None));
    let mut source = ChunkSource::new(from, bytes, is_text(place.sql_type));
    let first = source.next(if in_chunks { WRITTEN_CHUNK_BYTES } else { whole(bytes)? })?;
    let set = Sql::new(format!("UPDATE {} SET {} = ", place.table, place.column));
    if client.execute(WRITING, place.of_row(set.bind(&first)))? == 0 {
        return Err(Error::new(Kind::Database, "there is no row with this key"));
    }
    while !source.is_done() {
        let chunk = source.next(WRITTEN_CHUNK_BYTES)?;
        let append = Sql::new(format!("UPDATE {} SET {}.WRITE(", place.table, place.column));
        client.execute(WRITING, place.of_row(append.bind(&chunk).then(", NULL, 0)")))?;
    }
    source.finish()
}

/// One parameter for all of it.
fn whole(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).ok().filter(|_| bytes <= MAX_WHOLE_BYTES).ok_or_else(|| {
        Error::config(format!("a value of {bytes} bytes cannot be written to this server: it has no .WRITE"))
            .hint("values up to 64 MiB can be")
    })
}

/// What is to be written, chunk by chunk.
struct ChunkSource<'a> {
    from: &'a mut dyn Read,
    left: u64,
    bytes: u64,
    /// The bytes of a character whose rest comes with the next chunk.
    half: Vec<u8>,
    is_text: bool,
}

/// A chunk, as the parameter that it becomes.
enum ChunkParameter {
    Bytes(Vec<u8>),
    Text(String),
}

impl<'a> From<&'a ChunkParameter> for super::sql::SqlParameter<'a> {
    fn from(chunk: &'a ChunkParameter) -> Self {
        match chunk {
            ChunkParameter::Bytes(bytes) => Self::from(&bytes[..]),
            ChunkParameter::Text(text) => Self::from(text),
        }
    }
}

impl<'a> ChunkSource<'a> {
    fn new(from: &'a mut dyn Read, bytes: u64, is_text: bool) -> Self {
        Self { from, left: bytes, bytes, half: Vec::new(), is_text }
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.half.is_empty()
    }

    /// The next chunk, of at most so many bytes and a character.
    fn next(&mut self, most: usize) -> Result<ChunkParameter> {
        let mut block = std::mem::take(&mut self.half);
        let kept = block.len();
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        block.resize(kept + wanted, 0);
        let read = self.from.read_exact(&mut block[kept..]);
        read.map_err(|error| {
            Error::new(Kind::Io, format!("a large value has not the {} bytes that it was said to have", self.bytes))
                .caused_by(error)
                .hint("it may have changed while it was read; run again")
        })?;
        self.left -= wanted as u64;
        if !self.is_text {
            return Ok(ChunkParameter::Bytes(block));
        }
        match String::from_utf8(block) {
            Ok(text) => Ok(ChunkParameter::Text(text)),
            Err(error) => self.cut(error),
        }
    }

    /// Keeps the half character at the end for the next chunk.
    fn cut(&mut self, error: std::string::FromUtf8Error) -> Result<ChunkParameter> {
        let inner = error.utf8_error();
        let whole = inner.valid_up_to();
        if inner.error_len().is_some() || self.left == 0 {
            return Err(Error::new(Kind::Io, "a text is not UTF-8").caused_by(inner));
        }
        let mut bytes = error.into_bytes();
        self.half = bytes.split_off(whole);
        String::from_utf8(bytes)
            .map(ChunkParameter::Text)
            .map_err(|_| Error::internal("a text was cut at the wrong place"))
    }

    /// Nothing may be left.
    fn finish(&mut self) -> Result<()> {
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::new(
                Kind::Io,
                format!("a large value has more than the {} bytes that it was said to have", self.bytes),
            )
            .hint("it may have changed while it was read; run again")),
            Err(error) => Err(Error::new(Kind::Io, "cannot read a large value").caused_by(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(bytes: &[u8], said: u64, most: usize) -> Result<String> {
        let mut from = bytes;
        let mut source = ChunkSource::new(&mut from, said, true);
        let mut all = String::new();
        loop {
            if let ChunkParameter::Text(text) = source.next(most)? {
                all.push_str(&text);
                all.push('|');
            }
            if source.is_done() {
                break;
            }
        }
        source.finish().map(|()| all)
    }

    #[test]
    fn characters_are_not_cut_in_two() {
        assert_eq!(chunks("aä😀b".as_bytes(), 8, 2).unwrap(), "a|ä||😀b|");
        assert_eq!(chunks(b"", 0, 2).unwrap(), "|");
    }

    #[test]
    fn a_value_has_the_size_that_was_said() {
        assert!(chunks(b"abc", 2, 2).is_err());
        assert!(chunks(b"abc", 4, 2).is_err());
        assert!(chunks(b"a\xFFc", 3, 2).is_err());
        assert!(chunks(b"ab\xC3", 3, 2).is_err());
    }
}
