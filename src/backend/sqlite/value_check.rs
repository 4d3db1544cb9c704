//! Rule 19: what a batch copied is held against the declared types of the slice, in the batch's own
//! transaction.
//!
//! SQLite puts any value into any column, so a slice can hold what no bundle can carry. What is read back
//! here goes through the same two functions as on its way into a bundle, [`types::cell_of`] and
//! [`value_range::check_column`], so that nothing that passes here fails there. Of blobs no more is read than that
//! they are some; of long texts a block at a time.

use super::database::Database;
use super::errors::failed;
use super::sql::{filled, quote};
use super::template::Placeholders;
use super::{catalog, key_id, large, rowid, types};
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::column::{Column, DELTA_COLUMNS};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::table::TableConfig;
use crate::model::value_range;
use crate::scripts::statement::statement;
use rusqlite::types::ValueRef;
use std::io::Read;

const SQL: &str = include_str!("../../../sql/sqlite/value_check.sql");
const NULL_IN_REQUIRED: &str = statement(SQL, "null_in_required");

/// Texts over this many bytes are read in blocks.
const WHOLE_TEXT_BYTES: u64 = 4 << 20;
const BLOCK_BYTES: usize = 256 * 1024;

/// How the rows that a batch copied are found and read.
pub(super) struct ValueCheck {
    columns: Vec<Column>,
    /// The rows, each with its key and rowid first. A column without bound gives its type and, where it is
    /// read whole, itself.
    sql: String,
    /// The last rowid of the slice, where rowids follow each other.
    last_row: Option<String>,
}

/// The form that keys have.
pub(super) fn form(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::UniqueIdentifier => "uniqueidentifier of 16 bytes",
        KeyType::Integer | KeyType::Binary(_) => key_type.name(),
    }
}

/// A way out that works, for a value of this row.
pub(super) fn way_out(config: &TableConfig, key: Guid) -> String {
    format!(
        "mend the row in the source, or leave it out with `blobdelta key exclude {} {} --reason TEXT`; then run \
         again, or go on with --resume",
        config.name.shell_word(),
        config.key_type.shown(key)
    )
}

fn wrong_value(config: &TableConfig, column: &Column, why: &str, key: Guid) -> Error {
    Error::config(format!("a value does not fit its column: {why}"))
        .table(&config.name)
        .column(&column.name)
        .key(config.key_type.shown(key))
        .hint(way_out(config, key))
}

impl ValueCheck {
    /// For a table whose slice is there.
    pub(super) fn new(db: &Database, config: &TableConfig) -> Result<Self> {
        let columns = catalog::slice_columns(db, config)?;
        let target = catalog::resolve(db, &config.target)?;
        let rowid = growing_rowid(db, &config.target)?;
        let cell = |column: &Column| {
            let name = format!("t.{}", quote(&column.name));
            match column.sql_type {
                kind if kind.is_large_binary() => format!("typeof({name}), NULL"),
                kind if kind.is_large() => {
                    format!("typeof({name}), CASE WHEN octet_length({name}) <= {WHOLE_TEXT_BYTES} THEN {name} END")
                }
                _ => name,
            }
        };
        let cells = columns.iter().map(cell).collect::<Vec<_>>().join(", ");
        let key = quote(&config.key_column);
        let sought = key_id::to_key(config.key_type, "b.stream_id");
        let rows = match rowid {
            Some(rowid) => format!("t.{rowid}, {cells} FROM {target} AS t WHERE t.{rowid} > ?1"),
            None => format!(
                "NULL, {cells} FROM temp.\"#Batch\" AS b CROSS JOIN {target} AS t ON t.{key} = {sought} WHERE ?1 = 0"
            ),
        };
        let last_row = rowid.map(|rowid| format!("SELECT coalesce(max({rowid}), 0) FROM {target}"));
        Ok(Self { sql: format!("SELECT t.{key}, {rows}"), columns, last_row })
    }

    /// Where the rows of the batch that is to come will begin.
    pub(super) fn last_row(&self, db: &Database) -> Result<i64> {
        self.last_row.as_ref().map_or(Ok(0), |sql| db.query_one(sql, []))
    }

    /// Holds what was copied since against the slice's types.
    pub(super) fn check(&self, db: &Database, config: &TableConfig, last_row: i64) -> Result<()> {
        let broken = |error| failed("look at what was copied", error).table(&config.name);
        let mut statement = db.cached(&self.sql).map_err(broken)?;
        let mut rows = statement.query([last_row]).map_err(broken)?;
        while let Some(row) = rows.next().map_err(broken)? {
            let key = row.get_ref(0).map_err(broken)?;
            let Some(key) = key_id::id_of(config.key_type, key) else {
                let text = format!("the key {} of the source is no {}", types::shown(key), form(config.key_type));
                return Err(Error::config(text).table(&config.name).column(&config.key_column));
            };
            let rowid: Option<i64> = row.get(1).map_err(broken)?;
            let mut at = 2;
            for column in &self.columns {
                let value = row.get_ref(at).map_err(broken)?;
                let is_value = if column.sql_type.is_large() {
                    at += 1;
                    let text = row.get_ref(at).map_err(broken)?;
                    check_large(db, config, column, (value, text), rowid)
                } else {
                    check_cell(column, value)
                };
                at += 1;
                is_value.map_err(|why| wrong_value(config, column, &why, key))?;
            }
        }
        Ok(())
    }

    /// What SQLite says of a NULL that the slice does not take names a column, and no row. Gives the error
    /// that does, if that was it.
    pub(super) fn explain(
        &self,
        db: &Database,
        placeholders: &Placeholders,
        config: &TableConfig,
        error: Error,
    ) -> Error {
        let required = self.columns.iter().filter(|column| !column.nullable);
        let required = required.filter(|column| !DELTA_COLUMNS.iter().any(|(delta, _, _)| column.name == *delta));
        for column in required {
            let name = quote(&column.name);
            let find = filled(NULL_IN_REQUIRED, &[("Name", &name)]);
            let found = placeholders.fill("explain", &find);
            let found = found.and_then(|sql| db.query_optional(&sql, [], |row| row.get::<_, Guid>(0)));
            if let Ok(Some(key)) = found {
                return wrong_value(config, column, "NULL in a column that does not take it", key);
            }
        }
        error
    }
}

/// The name of the rowid where a row that is inserted has a greater one than all before it.
fn growing_rowid(db: &Database, table: &TableName) -> Result<Option<&'static str>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0)";
    let names_rows: bool = db.query_one(sql, (&table.table, db.schema_name(&table.db)))?;
    Ok(if names_rows { None } else { rowid::rowid_of(db, table)? })
}

/// A value without bound, of which its storage is known, and itself if it is a text that is not long.
fn check_large(
    db: &Database,
    config: &TableConfig,
    column: &Column,
    (storage, text): (ValueRef<'_>, ValueRef<'_>),
    rowid: Option<i64>,
) -> Result<(), String> {
    let due = if column.sql_type.is_large_binary() { "blob" } else { "text" };
    match storage.as_str().unwrap_or("?") {
        "null" => value_range::check_column(column, &Cell::Null),
        found if found != due => Err(format!("a value of SQLite's type {found} is no {}", column.sql_type)),
        "text" => match (text, rowid) {
            (ValueRef::Null, Some(rowid)) => check_long_text(db, config, column, rowid),
            // Where single values cannot be opened, one of them was held in memory to be copied, too.
            (ValueRef::Null, None) => Ok(()),
            (text, _) => check_cell(column, text),
        },
        _ => Ok(()),
    }
}

fn check_long_text(db: &Database, config: &TableConfig, column: &Column, rowid: i64) -> Result<(), String> {
    let opened = large::open_blob(db, &config.target, &column.name, rowid, true);
    match opened.map(|mut text| is_utf8(&mut text)) {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(format!("a text that is no UTF-8 is no {}", column.sql_type)),
        Ok(Err(error)) => Err(format!("it cannot be read: {error}")),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

fn check_cell(column: &Column, value: ValueRef<'_>) -> Result<(), String> {
    let cell = types::cell_of(column.sql_type, value).map_err(|error| error.what().to_owned())?;
    value_range::check_column(column, &cell)
}

/// Whether all of it is UTF-8; a character may lie across two blocks.
fn is_utf8(text: &mut dyn Read) -> std::io::Result<bool> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut kept = 0;
    loop {
        let count = text.read(&mut block[kept..])?;
        if count == 0 {
            return Ok(kept == 0);
        }
        let filled = kept + count;
        let valid = match std::str::from_utf8(&block[..filled]) {
            Ok(_) => filled,
            Err(error) if error.error_len().is_some() => return Ok(false),
            Err(error) => error.valid_up_to(),
        };
        block.copy_within(valid..filled, 0);
        kept = filled - valid;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf8_across_its_blocks_or_it_is_not() {
        for (before, tail) in [(BLOCK_BYTES - 1, "ü"), (BLOCK_BYTES - 2, "€"), (BLOCK_BYTES - 3, "𝄞"), (0, "")] {
            let whole = [vec![b'a'; before], tail.as_bytes().to_vec(), b"end".to_vec()].concat();
            assert!(is_utf8(&mut whole.as_slice()).unwrap());
            let cut = &whole[..before + tail.len().saturating_sub(1)];
            assert_eq!(is_utf8(&mut &*cut).unwrap(), tail.is_empty());
        }
        assert!(!is_utf8(&mut [b'a', 0xFF].as_slice()).unwrap());
    }
}
