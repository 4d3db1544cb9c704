//! The staging table of a replay: rows of one batch, on the server, before anything is decided.
//!
//! It is a temporary table that lives in the transaction of its batch, with types that the
//! driver's bulk load can send without loss; what the target's own types are is settled when rows
//! are written from here. Columns are `n` (the row), `k` (its key), `vm`, `vs`, `vr` (its version),
//! `big` (whether it has values that come later), and `c0`, `c1` … for its values.
//!
//! **Big values.** The driver cannot load a value over 65,535 bytes. Such a value is staged
//! empty and filled in later, if its row wins: as a parameter, or in chunks where it is a
//! [`Cell::Large`]. So memory is bounded by a group of parameters or a chunk, except on a server
//! that does not know `.WRITE`, where a large value is one parameter (see [`large`]).

use super::client::Client;
use super::database::Database;
use super::key_id::key_value;
use super::large::{self, ValuePlace};
use super::params::param;
use super::sql::{Sql, SqlParameter};
use super::values::{RowFields, is_text};
use crate::backend::compatibility::large_columns;
use crate::backend::{TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::decimal;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::slice::DeletionReason;
use crate::model::sqltype::SqlType;
use crate::model::version::Version;
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use tiberius::{ColumnData, TokenRow};

/// The staging table. One at a time in a session.
pub(super) const STAGE: &str = "#BlobDeltaStage";

const VERSION_COLUMNS: &str = "n int NOT NULL, k uniqueidentifier NOT NULL PRIMARY KEY, vm datetime2(7) NULL, \
                               vs datetime2(7) NULL, vr uniqueidentifier NULL, big bit NULL";

/// What the driver's bulk load can send of one value, in bytes; UTF-16 for text.
const BULK_MAX_BYTES: usize = 65_535;
/// Bytes of values in one statement that fills them in, about.
const GROUP_BYTES: usize = 4 << 20;
/// Values in one such statement.
const GROUP_MAX: usize = 64;

/// A row to stage.
pub(super) struct StagedRow {
    /// Its index among the rows of the batch.
    pub(super) row: usize,
    /// Its key.
    pub(super) key: Guid,
    /// Its version.
    pub(super) version: Version,
}

/// A value that is filled in after its row was staged.
pub(super) struct Big {
    row: usize,
    key: Guid,
    /// The column's place among the staged ones.
    nth: usize,
}

/// The values of staged rows: which columns of a batch they are.
pub(super) struct Carried {
    /// What the keys are, for messages.
    pub(super) key_type: KeyType,
    /// By their place in the staging table: index in the batch, and the column.
    pub(super) columns: Vec<(usize, Column)>,
}

impl Carried {
    /// Of rows that are nothing but the ids of keys.
    pub(super) fn of_ids() -> Self {
        Self { key_type: KeyType::UniqueIdentifier, columns: Vec::new() }
    }

    /// Those of large values that the target takes: their place in the staging table, and their name.
    pub(super) fn large<'c>(
        &'c self,
        spec: &'c TargetSpec,
        compatibility: &'c TargetCompatibility,
    ) -> impl Iterator<Item = (usize, &'c str)> {
        large_columns(spec, compatibility).filter_map(|(at, column)| {
            let nth = self.columns.iter().position(|(index, _)| *index == at)?;
            Some((nth, column.name.as_str()))
        })
    }

    /// The statement that makes the staging table.
    pub(super) fn create(&self) -> String {
        let mut sql = format!("CREATE TABLE {STAGE} ({VERSION_COLUMNS}");
        for (nth, (_, column)) in self.columns.iter().enumerate() {
            sql.push_str(&format!(", c{nth} {} NULL", staged_type(column.sql_type)));
        }
        sql.push(')');
        sql
    }

    /// Loads rows. Returns the values that are missing still.
    pub(super) fn load(&self, client: &mut Client, rows: &dyn RowSource, staged: &[StagedRow]) -> Result<Vec<Big>> {
        let mut big = Vec::new();
        let token_rows = staged.iter().map(|staged| self.token_row(rows, staged, &mut big));
        client.bulk("stage rows", STAGE, token_rows)?;
        // The answer to a bulk load has no count in a session that asks for none.
        let row = client.row("count the staged rows", Sql::new(format!("SELECT COUNT_BIG(*) FROM {STAGE}")))?;
        let loaded = row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()?.unwrap_or(0);
        if loaded.unsigned_abs() == staged.len() as u64 {
            return Ok(big);
        }
        Err(Error::internal(format!("{} rows were sent to be staged, and {loaded} are there", staged.len())))
    }

    fn token_row<'r>(&self, rows: &'r dyn RowSource, staged: &StagedRow, big: &mut Vec<Big>) -> Result<TokenRow<'r>> {
        let known = big.len();
        let mut values = Vec::with_capacity(self.columns.len());
        for (nth, (at, column)) in self.columns.iter().enumerate() {
            let cell = rows
                .cell(staged.row, *at)
                .map_err(|error| error.column(&column.name).key(self.key_type.shown(staged.key)))?;
            values.push(if is_big(&cell) {
                big.push(Big { row: staged.row, key: staged.key, nth });
                empty(column.sql_type)
            } else {
                staged_value(column.sql_type, cell)
            });
        }
        let Version { modified_on, run_started_at, run_id, .. } = staged.version;
        let row = i32::try_from(staged.row).map_err(|_| Error::internal("a batch has more rows than can be staged"))?;
        let mut token_row = TokenRow::with_capacity(values.len() + 6);
        token_row.push(ColumnData::I32(Some(row)));
        token_row.push(data(staged.key, ColumnData::Guid(None)));
        token_row.push(data(modified_on, ColumnData::DateTime2(None)));
        token_row.push(data(run_started_at, ColumnData::DateTime2(None)));
        token_row.push(data(run_id, ColumnData::Guid(None)));
        token_row.push(ColumnData::Bit(Some(big.len() > known)));
        values.into_iter().for_each(|value| token_row.push(value));
        Ok(token_row)
    }

    /// Fills in the values of the rows that are still staged. `in_chunks` says whether the server
    /// has `.WRITE`.
    pub(super) fn fill(&self, client: &mut Client, rows: &dyn RowSource, big: &[Big], in_chunks: bool) -> Result<()> {
        if big.is_empty() {
            return Ok(());
        }
        let existing = existing(client)?;
        let mut group = ValueGroup::default();
        for big in big.iter().filter(|big| existing.contains(&big.row)) {
            let (at, column) = &self.columns[big.nth];
            match rows.cell(big.row, *at).map_err(|error| error.column(&column.name))? {
                Cell::Large(bytes) => {
                    let staged = staged_as(column.sql_type);
                    let place = ValuePlace::new(
                        STAGE.into(),
                        ("k", key_value(KeyType::UniqueIdentifier, big.key)),
                        &format!("c{}", big.nth),
                        staged,
                    );
                    let mut from = rows.large(big.row, *at)?;
                    let filled = large::write_here(client, &place, bytes, &mut from, in_chunks);
                    filled.map_err(|error| error.column(&column.name).key(self.key_type.shown(big.key)))?;
                }
                cell => group.add(client, big, column.sql_type, cell)?,
            }
        }
        group.send(client)
    }
}

/// Rows with big values that have not lost.
fn existing(client: &mut Client) -> Result<BTreeSet<usize>> {
    let sql = Sql::new(format!("SELECT n FROM {STAGE} WHERE big = 1"));
    let rows = client.rows("read the staged rows", sql)?;
    rows.iter()
        .map(|row| {
            let row = RowFields::of(row).must(0, RowFields::number)?;
            usize::try_from(row).map_err(|_| Error::internal("a staged row has no number"))
        })
        .collect()
}

/// Values on their way in one statement.
#[derive(Default)]
struct ValueGroup<'v> {
    sql: Sql<'v>,
    values: usize,
    bytes: usize,
}

impl<'v> ValueGroup<'v> {
    fn add(&mut self, client: &mut Client, big: &Big, sql_type: SqlType, cell: Cell<'v>) -> Result<()> {
        self.bytes += cell_bytes(&cell);
        self.values += 1;
        self.sql.push_text(&format!("UPDATE {STAGE} SET c{} = ", big.nth));
        self.sql.push(SqlParameter(param(sql_type, cell)));
        self.sql.push_text(" WHERE k = ");
        self.sql.push(big.key);
        self.sql.push_text("; ");
        if self.bytes >= GROUP_BYTES || self.values >= GROUP_MAX { self.send(client) } else { Ok(()) }
    }

    fn send(&mut self, client: &mut Client) -> Result<()> {
        let Self { sql, values, .. } = std::mem::take(self);
        if values == 0 {
            return Ok(());
        }
        let filled = client.execute("fill in large values", sql)?;
        if filled == values as u64 {
            return Ok(());
        }
        Err(Error::internal(format!("{values} values were to be filled in, and {filled} rows took one")))
    }
}

fn data<'a>(value: impl Into<SqlParameter<'a>>, null: ColumnData<'a>) -> ColumnData<'a> {
    value.into().0.unwrap_or(null)
}

fn is_big(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Large(_) => true,
        Cell::Bytes(bytes) => bytes.len() > BULK_MAX_BYTES,
        // No character has more UTF-16 units than UTF-8 bytes.
        Cell::Text(text) => text.len() * 2 > BULK_MAX_BYTES && text.encode_utf16().count() * 2 > BULK_MAX_BYTES,
        _ => false,
    }
}

fn cell_bytes(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Bytes(bytes) => bytes.len(),
        Cell::Text(text) => text.len() * 2,
        _ => 0,
    }
}

/// Decimals go as text, every digit: the driver's bulk load sends as many bytes of a decimal as its
/// value needs, and there are servers that read as many as its column could have.
fn staged_value(sql_type: SqlType, cell: Cell<'_>) -> ColumnData<'_> {
    match (sql_type, cell) {
        (SqlType::Decimal { scale, .. }, Cell::Decimal(unscaled)) => text_of_decimal(unscaled, scale),
        (_, Cell::Decimal(unscaled)) => text_of_decimal(unscaled, 4),
        _ => param(sql_type, cell).unwrap_or_else(|| null(sql_type)),
    }
}

fn text_of_decimal(unscaled: i128, scale: u8) -> ColumnData<'static> {
    ColumnData::String(Some(Cow::Owned(decimal::format(unscaled, scale))))
}

/// What a value without bound is staged as.
fn staged_as(sql_type: SqlType) -> SqlType {
    if is_text(sql_type) { SqlType::NVarChar(None) } else { SqlType::VarBinary(None) }
}

/// A type that the bulk load sends without loss, and that holds every value of this one.
fn staged_type(sql_type: SqlType) -> String {
    use SqlType as T;
    match sql_type {
        T::Bit | T::UniqueIdentifier | T::Date => sql_type.to_string(),
        T::TinyInt | T::SmallInt | T::Int | T::BigInt => "bigint".into(),
        T::Real | T::Float => "float".into(),
        T::Decimal { .. } | T::Money | T::SmallMoney => "nvarchar(50)".into(),
        T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText | T::Xml | T::Variant => {
            "nvarchar(max)".into()
        }
        T::Binary(bytes) | T::VarBinary(Some(bytes)) => format!("varbinary({bytes})"),
        T::RowVersion => "varbinary(8)".into(),
        T::HierarchyId => "varbinary(892)".into(),
        T::VarBinary(None) | T::Image | T::Geography | T::Geometry => "varbinary(max)".into(),
        T::Time(_) => "time(7)".into(),
        T::DateTime2(_) | T::DateTime | T::SmallDateTime => "datetime2(7)".into(),
        T::DateTimeOffset(_) => "datetimeoffset(7)".into(),
    }
}

/// NULL of the staged type.
fn null(sql_type: SqlType) -> ColumnData<'static> {
    use SqlType as T;
    match sql_type {
        T::Bit => ColumnData::Bit(None),
        T::UniqueIdentifier => ColumnData::Guid(None),
        T::Date => ColumnData::Date(None),
        T::Decimal { .. } | T::Money | T::SmallMoney => ColumnData::String(None),
        T::TinyInt | T::SmallInt | T::Int | T::BigInt => ColumnData::I64(None),
        T::Real | T::Float => ColumnData::F64(None),
        T::Time(_) => ColumnData::Time(None),
        T::DateTime2(_) | T::DateTime | T::SmallDateTime => ColumnData::DateTime2(None),
        T::DateTimeOffset(_) => ColumnData::DateTimeOffset(None),
        text if is_text(text) => ColumnData::String(None),
        _ => ColumnData::Binary(None),
    }
}

fn empty(sql_type: SqlType) -> ColumnData<'static> {
    if is_text(sql_type) {
        ColumnData::String(Some(Cow::Borrowed("")))
    } else {
        ColumnData::Binary(Some(Cow::Borrowed(&[])))
    }
}

/// Stages keys, asks, and hands on the rows of the answer, of which the first column is the
/// number of a key.
pub(super) fn ask_of_keys(
    db: &mut Database,
    doing: &str,
    keys: &[Guid],
    sql: Sql<'_>,
    mut each: impl FnMut(Guid, &RowFields<'_>) -> Result<()>,
) -> Result<()> {
    let staged = latest(keys.iter().map(|key| (*key, crate::backend::compatibility::oldest_version())), None);
    let carried = Carried::of_ids();
    let rows = db.client.transact(doing, |client: &mut Client| {
        client.batch("make the staging table", &carried.create())?;
        carried.load(client, &Nothing, &staged)?;
        let rows = client.rows(doing, sql.clone())?;
        client.batch("drop the staging table", &format!("DROP TABLE {STAGE}"))?;
        Ok(rows)
    })?;
    for row in &rows {
        let fields = RowFields::of(row);
        let nth = usize::try_from(fields.must(0, RowFields::number)?).unwrap_or(usize::MAX);
        let key = keys.get(nth).ok_or_else(|| Error::internal("the server answered for a key that was not asked"))?;
        each(*key, &fields)?;
    }
    Ok(())
}

/// Keys and tombstones have no values.
pub(super) struct Nothing;

impl RowSource for Nothing {
    fn rows(&self) -> usize {
        0
    }

    fn cell(&self, _: usize, _: usize) -> Result<Cell<'_>> {
        Err(Error::internal("a tombstone has no values"))
    }
}

/// Of each key the version that wins; the first of equals. In the order of the rows.
pub(super) fn latest(all: impl Iterator<Item = (Guid, Version)>, tombstone: Option<DeletionReason>) -> Vec<StagedRow> {
    let mut staged: Vec<StagedRow> = Vec::new();
    let mut places: HashMap<Guid, usize> = HashMap::new();
    for (row, (key, version)) in all.enumerate() {
        let coming = StagedRow { row, key, version: Version { tombstone, ..version } };
        match places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(staged.len());
                staged.push(coming);
            }
            Entry::Occupied(place) if coming.version > staged[*place.get()].version => {
                staged[*place.get()] = coming;
            }
            Entry::Occupied(_) => {}
        }
    }
    staged.sort_unstable_by_key(|staged| staged.row);
    staged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn what_the_driver_cannot_load_is_big() {
        let bytes = vec![0; BULK_MAX_BYTES + 1];
        assert!(is_big(&Cell::Bytes(&bytes)) && !is_big(&Cell::Bytes(&bytes[1..])));
        let text = "ä".repeat(32_768);
        assert!(is_big(&Cell::Text(&text)) && !is_big(&Cell::Text(&text[2..])));
    }

    #[test]
    fn of_two_rows_of_one_key_the_later_version_is_staged() {
        let version = |ticks| Version {
            modified_on: Timestamp::from_ticks(ticks),
            tombstone: None,
            run_started_at: Timestamp::MIN,
            run_id: Guid::from_bytes([0; 16]),
        };
        let key = |nth| Guid::from_bytes([nth; 16]);
        let all = [(key(1), version(5)), (key(2), version(1)), (key(1), version(7)), (key(2), version(1))];
        let rows: Vec<usize> = latest(all.into_iter(), None).iter().map(|staged| staged.row).collect();
        assert_eq!(rows, [1, 2]);
    }
}
