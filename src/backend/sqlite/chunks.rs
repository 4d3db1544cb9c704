//! Values too large to be held in memory, from the source into the slice.
//!
//! SQLite holds a value whole, and more than once, while a statement copies it. So the scripts of the
//! steps put zeros of its length where such a value goes, which take no memory where nothing but NULL
//! stands behind them in a row (slice tables end with their large columns), and the value follows in
//! blocks, within the same transaction. Where SQLite cannot open single values (a view, a table
//! without rowid or with computed columns) and for large texts, the statement copies it as any other.

use super::database::Database;
use super::errors::failed;
use super::key_id::KeyValue;
use super::sql::quote;
use super::{large, rowid};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::table::TableConfig;
use rusqlite::OptionalExtension as _;

/// Rows with a value over this many bytes are copied in chunks.
const CHUNKED_BYTES: u64 = 4 << 20;

/// The columns of a table whose large values are copied in chunks, and the SQL that says so.
#[derive(Default)]
pub(super) struct ChunkedColumns(Vec<String>);

impl ChunkedColumns {
    /// Whether the row `s` has a value that is copied in chunks.
    pub(super) fn condition(&self) -> String {
        let over = self.0.iter().map(|name| format!("octet_length(s.{}) > {CHUNKED_BYTES}", quote(name)));
        let any = over.collect::<Vec<_>>().join(" OR ");
        if any.is_empty() { "0".to_owned() } else { format!("coalesce({any}, 0)") }
    }

    /// A column of the row `s`, or zeros in its place. All of them are zeros if one is: a value behind
    /// zeros would make SQLite write them out.
    pub(super) fn value(&self, column: &Column) -> String {
        let value = format!("s.{}", quote(&column.name));
        if !self.0.contains(&column.name) {
            return value;
        }
        format!(
            "CASE WHEN {value} IS NOT NULL AND {} THEN zeroblob(octet_length({value})) ELSE {value} END",
            self.condition()
        )
    }

    /// Fills what the script of a step left as zeros. Rows that it did not copy are left alone.
    pub(super) fn fill(&self, db: &Database, config: &TableConfig, keys: &[Guid]) -> Result<()> {
        for key in keys {
            for column in &self.0 {
                let fill = fill_chunk(db, config, *key, column);
                fill.map_err(|error| error.table(&config.name).key(config.key_type.shown(*key)).column(column))?;
            }
        }
        Ok(())
    }
}

/// The bytes of all large values of the row `s`.
pub(super) fn large_bytes(table: &TableConfig, columns: &[Column]) -> String {
    let is_own = |column: &&Column| table.metadata_column_of(&column.name).is_none();
    let large = columns.iter().filter(is_own).filter(|column| column.sql_type.is_large());
    let bytes = large.map(|column| format!("coalesce(octet_length(s.{}), 0)", quote(&column.name)));
    let sum = bytes.collect::<Vec<_>>().join(" + ");
    if sum.is_empty() { "0".to_owned() } else { format!("({sum})") }
}

pub(super) fn chunked(db: &Database, table: &TableConfig, columns: &[Column]) -> Result<ChunkedColumns> {
    let is_own = |column: &&Column| table.metadata_column_of(&column.name).is_none();
    let large: Vec<_> = columns.iter().filter(is_own).filter(|column| column.sql_type.is_large_binary()).collect();
    if large.is_empty() || !rowid::opens_blobs(db, &table.source)? || rowid::needs_whole(db, &table.target)?.is_some() {
        return Ok(ChunkedColumns::default());
    }
    Ok(ChunkedColumns(large.into_iter().map(|column| column.name.clone()).collect()))
}

fn fill_chunk(db: &Database, config: &TableConfig, key: Guid, column: &str) -> Result<()> {
    let existing = |table: &TableName| {
        let Some(rowid) = rowid::rowid_of(db, table)? else { return Ok(None) };
        let (name, by) = (quote(column), quote(&config.key_column));
        let sql = format!(
            "SELECT {rowid}, octet_length({name}) FROM {} WHERE {by} = ?1 AND {name} IS NOT NULL",
            db.quoted(table)
        );
        let ask = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?));
        let mut found = db.cached(&sql).map_err(|error| failed("look for a value", error))?;
        found
            .query_row([KeyValue(config.key_type, key)], ask)
            .optional()
            .map_err(|error| failed("look for a value", error))
    };
    let (Some((into, room)), Some((from, bytes))) = (existing(&config.target)?, existing(&config.source)?) else {
        return Ok(());
    };
    if room != bytes {
        return Err(Error::config(format!("the script of the step left {room} bytes where the source has {bytes}"))
            .hint("a script has to take {SourceColumns} or {AncestorColumns} as they are"));
    }
    let mut value = large::open_blob(db, &config.source, column, from, true)?;
    large::fill_blob(db, &config.target, column, into, bytes, &mut value)
}
