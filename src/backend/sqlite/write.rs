//! The statements that write one row of a replay, and what stands in their way.
//!
//! A row that stands is updated, any other inserted, by plain statements: the conflict clause of an upsert would be that
//! of the target's triggers too (<https://www.sqlite.org/lang_createtrigger.html>). Where there are none, `OR ABORT` outweighs
//! what a constraint of the table says itself (ON CONFLICT REPLACE or IGNORE), so that no other row goes in silence.

use super::database::Database;
use super::errors::failed;
use super::existing::prepare;
use super::key_id::{self, KeyValue, RowKey};
use super::large::{self, copy_all};
use super::sql::{filled, quote};
use super::{ledger, rowid, types};
use crate::backend::compatibility::is_run_column;
use crate::backend::obstacles::ignored;
use crate::backend::{TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::{Column, DELTA_RUN_ID, DELTA_RUN_STARTED_AT};
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Statement, ToSql, ffi};

const SQL: &str = include_str!("../../../sql/sqlite/write.sql");
const PROBE: &str = statement(SQL, "probe");
const PROBE_END: &str = statement(SQL, "probe_end");

/// A row that is to be written.
#[derive(Clone, Copy)]
pub(super) struct Coming<'r> {
    pub(super) rows: &'r dyn RowSource,
    pub(super) row: usize,
    pub(super) key: Guid,
    pub(super) version: Version,
    /// Whether a row of its key stands.
    pub(super) stands: bool,
}

impl<'r> Coming<'r> {
    pub(super) fn cell(&self, at: usize, column: &Column) -> Result<Cell<'r>> {
        self.rows.cell(self.row, at).map_err(|error| error.column(&column.name))
    }
}

/// A row that keeps another out: its key, and what the two would share.
pub(super) struct InTheWay {
    pub(super) key: Guid,
    pub(super) index: String,
}

/// See the module's text.
pub(super) struct RowWriter<'c> {
    db: &'c Database,
    spec: &'c TargetSpec,
    has_version_columns: bool,
    /// Whether large values are written in chunks; else each is held whole.
    in_chunks: bool,
    insert: Statement<'c>,
    /// Where the row has more than its key.
    update: Option<Statement<'c>>,
    /// The columns that are written, by their index among those that come.
    carried: Vec<(usize, &'c Column)>,
    /// What was written, about.
    pub(super) bytes: u64,
}

impl<'c> RowWriter<'c> {
    pub(super) fn new(
        db: &'c Database,
        spec: &'c TargetSpec,
        compatibility: &TargetCompatibility,
        has_triggers: bool,
    ) -> Result<Self> {
        let is_written =
            |column: &&Column| !is_run_column(&column.name) && !compatibility.skipped.contains(&column.name);
        let all = spec.columns.iter().enumerate();
        let carried: Vec<(usize, &Column)> = all.filter(|(_, column)| is_written(column)).collect();
        let names = names(&carried, compatibility.has_version_columns);
        let or = if has_triggers { "" } else { "OR ABORT" };
        let update = update_sql(db, spec, &names, or).map(|sql| prepare(db, &sql)).transpose()?;
        Ok(Self {
            db,
            spec,
            has_version_columns: compatibility.has_version_columns,
            in_chunks: compatibility.needs_whole.is_none(),
            insert: prepare(db, &insert_sql(db, spec, &names, or))?,
            update,
            carried,
            bytes: 0,
        })
    }

    /// The columns that are written.
    pub(super) fn carried(&self) -> impl Iterator<Item = &'c Column> {
        self.carried.iter().map(|(_, column)| *column)
    }

    /// Writes a row, unless another keeps it out.
    pub(super) fn write(&mut self, coming: &Coming<'_>) -> Result<Option<InTheWay>> {
        let statement = match (coming.stands, &mut self.update) {
            (false, _) => &mut self.insert,
            (true, Some(update)) => update,
            (true, None) => return Ok(None),
        };
        let (bytes, large) = bind(statement, &self.carried, (self.has_version_columns, self.in_chunks), coming)?;
        match statement.raw_execute() {
            Ok(0) => return Err(ignored("written")),
            Ok(_) => {}
            Err(error) => return self.in_the_way(coming, error).map(Some),
        }
        self.bytes += bytes;
        for (at, column, bytes) in large {
            self.fill(coming, at, column, bytes).map_err(|error| error.column(&column.name))?;
        }
        Ok(None)
    }

    fn row_key(&self, id: Guid) -> RowKey<'_> {
        RowKey::new(&self.spec.key_column, self.spec.key_type, id)
    }

    fn fill(&self, coming: &Coming<'_>, at: usize, column: &Column, bytes: u64) -> Result<()> {
        let target = &self.spec.target;
        let Some(row_id) = rowid::row_id(self.db, target, self.row_key(coming.key))? else {
            return Err(Error::internal("a row that was just written in chunks has no rowid"));
        };
        if is_text(column) {
            let name = quote(&column.name);
            let sql = format!(
                "UPDATE {} SET {name} = CAST({name} AS TEXT) WHERE {} = ?1",
                self.db.quoted(target),
                quote(&self.spec.key_column)
            );
            self.db.execute(&sql, [self.row_key(coming.key).key])?;
        }
        let mut from = coming.rows.large(coming.row, at)?;
        large::fill_blob(self.db, target, &column.name, row_id, bytes, &mut from)
    }

    /// What SQLite says of a unique constraint does not name the row that stands: so it is asked which one it would
    /// remove for the one that comes, and all of that is undone.
    fn in_the_way(&self, coming: &Coming<'_>, error: rusqlite::Error) -> Result<InTheWay> {
        let Some(index) = unique_of(&error) else { return Err(failed("write a row", error)) };
        let (names, or) = (names(&self.carried, self.has_version_columns), "OR REPLACE");
        let sql = match coming.stands {
            true => update_sql(self.db, self.spec, &names, or),
            false => Some(insert_sql(self.db, self.spec, &names, or)),
        };
        let Some(sql) = sql else { return Err(failed("write a row", error)) };
        let (target, key) = (self.db.quoted(&self.spec.target), quote(&self.spec.key_column));
        let broken = |error| failed("look for the row that is in the way", error);
        let id = key_id::to_id(self.spec.key_type, &format!("old.{key}"));
        let begin = filled(PROBE, &[("Target", &target), ("Id", &id)]);
        self.db.execute_batch(&begin).map_err(broken)?;
        let found = self.probe(&sql, coming);
        self.db.execute_batch(PROBE_END).map_err(broken)?;
        found.ok().flatten().map(|key| InTheWay { key, index }).ok_or_else(|| failed("write a row", error))
    }

    fn probe(&self, sql: &str, coming: &Coming<'_>) -> Result<Option<Guid>> {
        let mut statement = prepare(self.db, sql)?;
        bind(&mut statement, &self.carried, (self.has_version_columns, self.in_chunks), coming)?;
        statement.raw_execute().map_err(|error| failed("look for the row that is in the way", error))?;
        drop(statement);
        self.db.query_one("SELECT min(key) FROM temp.replay_gone", [])
    }
}

fn names(carried: &[(usize, &Column)], has_version_columns: bool) -> Vec<String> {
    let run: &[&str] = if has_version_columns { &[DELTA_RUN_STARTED_AT, DELTA_RUN_ID] } else { &[] };
    let own = carried.iter().map(|(_, column)| column.name.as_str());
    own.chain(run.iter().copied()).map(str::to_owned).collect()
}

/// Removes a row with its mark. Returns how many there were.
pub(super) fn remove_row(db: &Database, spec: &TargetSpec, key: Guid) -> Result<u64> {
    let delete = format!("DELETE FROM {} WHERE {} = ?1", db.quoted(&spec.target), quote(&spec.key_column));
    let forget =
        ledger::in_schema(db, spec, "DELETE FROM {Schema}.BlobDeltaReplayRow WHERE TableName = ?1 AND stream_id = ?2");
    db.execute(&forget, (spec.here(), key))?;
    db.parked.borrow_mut().forget(key);
    db.execute(&delete, [KeyValue(spec.key_type, key)])
}

/// The parameters of both statements are the columns by their place.
fn insert_sql(db: &Database, spec: &TargetSpec, names: &[String], or: &str) -> String {
    let placeholders: Vec<String> = (1..=names.len()).map(|nth| format!("?{nth}")).collect();
    let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
    let target = db.quoted(&spec.target);
    format!("INSERT {or} INTO {target} ({}) VALUES ({})", names.join(", "), placeholders.join(", "))
}

fn update_sql(db: &Database, spec: &TargetSpec, names: &[String], or: &str) -> Option<String> {
    let numbered = || names.iter().enumerate().map(|(nth, name)| (nth + 1, name));
    let is_key = |name: &str| name.eq_ignore_ascii_case(&spec.key_column);
    let (key, _) = numbered().find(|(_, name)| is_key(name))?;
    let set = |(nth, name): (usize, &String)| format!("{} = ?{nth}", quote(name));
    let sets: Vec<String> = numbered().filter(|(_, name)| !is_key(name)).map(set).collect();
    let (target, column) = (db.quoted(&spec.target), quote(&spec.key_column));
    let sql = format!("UPDATE {or} {target} SET {} WHERE {column} = ?{key}", sets.join(", "));
    (!sets.is_empty()).then_some(sql)
}

/// Values that are still to be filled, and what was bound, about.
type Bound<'c> = (u64, Vec<(usize, &'c Column, u64)>);

fn bind<'c>(
    statement: &mut Statement<'_>,
    carried: &[(usize, &'c Column)],
    (has_version_columns, in_chunks): (bool, bool),
    coming: &Coming<'_>,
) -> Result<Bound<'c>> {
    let mut put = |nth: usize, value: &dyn ToSql| {
        statement.raw_bind_parameter(nth, value).map_err(|error| failed("bind a value", error))
    };
    let (mut bytes, mut large) = (0, Vec::new());
    for (nth, (at, column)) in carried.iter().enumerate() {
        let whole;
        let value = match coming.cell(*at, column)? {
            Cell::Large(size) if in_chunks => {
                large.push((*at, *column, size));
                ToSqlOutput::ZeroBlob(size)
            }
            Cell::Large(size) => {
                whole = whole_value(coming, *at, size).map_err(|error| error.column(&column.name))?;
                ToSqlOutput::Borrowed(match is_text(column) {
                    true => ValueRef::Text(&whole),
                    false => ValueRef::Blob(&whole),
                })
            }
            cell => types::stored(column.sql_type, cell),
        };
        bytes += bytes_of(&value);
        put(nth + 1, &value)?;
    }
    if has_version_columns {
        put(carried.len() + 1, &coming.version.run_started_at)?;
        put(carried.len() + 2, &coming.version.run_id)?;
    }
    Ok((bytes, large))
}

fn whole_value(coming: &Coming<'_>, at: usize, bytes: u64) -> Result<Vec<u8>> {
    let mut whole = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    copy_all(&mut coming.rows.large(coming.row, at)?, bytes, &mut whole)?;
    Ok(whole)
}

fn is_text(column: &Column) -> bool {
    types::declared(column.sql_type).ends_with("TEXT")
}

/// What a value takes in its row, about.
fn bytes_of(value: &ToSqlOutput<'_>) -> u64 {
    match value {
        ToSqlOutput::Borrowed(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => bytes.len() as u64,
        ToSqlOutput::Owned(Value::Blob(bytes)) => bytes.len() as u64,
        ToSqlOutput::Owned(Value::Text(text)) => text.len() as u64,
        ToSqlOutput::ZeroBlob(bytes) => *bytes,
        _ => 8,
    }
}

/// The index of a unique constraint that failed, or its columns, in SQLite's words.
fn unique_of(error: &rusqlite::Error) -> Option<String> {
    let rusqlite::Error::SqliteFailure(code, text) = error else { return None };
    let unique = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_ROWID];
    let text = text.as_deref().unwrap_or_default();
    let of = text.rsplit_once("failed: ").map_or(text, |(_, of)| of);
    let index = of.strip_prefix("index '").and_then(|name| name.strip_suffix('\'')).unwrap_or(of);
    unique.contains(&code.extended_code).then(|| index.to_owned())
}
