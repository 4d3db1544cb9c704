//! Rows of one batch into their target, in the transaction of the batch.
//!
//! A row is written only if its [`Version`] is greater than what stands under its key. Where the
//! target has unique indexes beside the one on its key, a row that stands in the way is looked for
//! before it is written, so that both keys can be named, or the older removed.

use super::sandbox::copy_all;
use super::session::{Session, failed, quote};
use super::standing::{Lookup, prepare, standing_sql, version_of};
use super::types;
use crate::backend::fit::{Clash, is_run_column, large_columns};
use crate::backend::obstacles::ignored;
use crate::backend::{Applied, ChainVersion, DELTA_RUN_ID, DELTA_RUN_STARTED_AT, LedgerEntry, TargetFit, TargetSpec};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::version::Version;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Statement, ToSql};

const ROW_WRITE: &str = include_str!("../../../sql/sqlite/replay_row_write.sql");
const DISPLACED: &str = include_str!("../../../sql/sqlite/replay_displaced.sql");

/// A unique index that a coming row may run into.
struct Unique<'c> {
    index: String,
    /// Its columns: index among those that come, and the column.
    columns: Vec<(usize, &'c Column)>,
    clash: Statement<'c>,
}

/// Writes the rows of one batch.
pub(super) struct Applier<'c> {
    session: &'c Session,
    spec: &'c TargetSpec,
    here: String,
    entry: &'c LedgerEntry,
    fit: &'c TargetFit,
    /// Whether values can be written in pieces; SQLite opens none in a table with computed columns,
    /// so a large value is held whole there.
    opens_blobs: bool,
    lookup: Lookup<'c>,
    upsert: Statement<'c>,
    mark: Statement<'c>,
    /// The columns that are written, by their index among those that come.
    carried: Vec<(usize, &'c Column)>,
    uniques: Vec<Unique<'c>>,
    /// What was written, about.
    pub(super) bytes: u64,
}

impl<'c> Applier<'c> {
    pub(super) fn new(
        session: &'c Session,
        spec: &'c TargetSpec,
        fit: &'c TargetFit,
        entry: &'c LedgerEntry,
    ) -> Result<Self> {
        let is_written = |column: &&Column| !is_run_column(&column.name) && !fit.skipped.contains(&column.name);
        let all = spec.columns.iter().enumerate();
        let carried: Vec<(usize, &Column)> = all.filter(|(_, column)| is_written(column)).collect();
        let run: &[&str] = if fit.has_marks { &[DELTA_RUN_STARTED_AT, DELTA_RUN_ID] } else { &[] };
        let own = carried.iter().map(|(_, column)| column.name.as_str());
        let names: Vec<String> = own.chain(run.iter().copied()).map(quote).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({marks}) ON CONFLICT ({}) DO UPDATE SET {}",
            session.quoted(&spec.target),
            names.join(", "),
            quote(&spec.key_column),
            sets.join(", ")
        );
        Ok(Self {
            session,
            spec,
            here: spec.here(),
            entry,
            fit,
            opens_blobs: session.opens_blobs(&spec.target)?,
            lookup: Lookup::new(session, spec, fit, true)?,
            upsert: prepare(session, &sql)?,
            mark: prepare(session, &session.in_schema(spec, ROW_WRITE))?,
            carried,
            uniques: uniques(session, spec, fit)?,
            bytes: 0,
        })
    }

    /// What one row did.
    pub(super) fn apply(&mut self, rows: &dyn RowSource, row: usize, key: Guid, version: &Version) -> Result<Applied> {
        let version = Version { tombstone: None, ..*version };
        let before = self.lookup.standing(key)?;
        let mut after = before.clone();
        if !after.take_row(self.spec.scope, ChainVersion { version, is_part: self.is_part(rows, row)? }) {
            self.lookup.note(key, &before, &after)?;
            self.lookup.hand_over(self.fit, key, &before, &after)?;
            return Ok(Applied::default());
        }
        let mut displaced = 0;
        for nth in 0..self.uniques.len() {
            let mut last = None;
            while let Some(clash) = self.clash(rows, row, (key, version), nth)? {
                clash.is_new(&mut last)?;
                let (loser, lost) = clash.older(self.spec)?;
                let winner = if loser == key { clash.standing.0 } else { key };
                self.displace((loser, lost), winner, &clash.index)?;
                displaced += 1;
                if loser == key {
                    return Ok(Applied { written: 0, displaced });
                }
            }
        }
        self.lookup.note(key, &before, &after)?;
        self.write(rows, row, key, version)?;
        Ok(Applied { written: 1, displaced })
    }

    /// Whether a row comes without any large value.
    fn is_part(&self, rows: &dyn RowSource, row: usize) -> Result<bool> {
        let mut large = large_columns(self.spec, self.fit).peekable();
        if large.peek().is_none() {
            return Ok(false);
        }
        for (at, column) in large {
            if !matches!(rows.cell(row, at).map_err(|error| error.column(&column.name))?, Cell::Null) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A row that stands and has the values of this one in a unique index.
    fn clash(
        &mut self,
        rows: &dyn RowSource,
        row: usize,
        coming: (Guid, Version),
        nth: usize,
    ) -> Result<Option<Clash>> {
        let unique = &mut self.uniques[nth];
        let bind = |statement: &mut Statement<'_>, nth: usize, value: &dyn ToSql| {
            statement.raw_bind_parameter(nth, value).map_err(|error| failed("bind a value", error))
        };
        bind(&mut unique.clash, 1, &self.here)?;
        bind(&mut unique.clash, 2, &coming.0)?;
        for (place, (at, column)) in unique.columns.iter().enumerate() {
            let cell = rows.cell(row, *at).map_err(|error| error.column(&column.name))?;
            bind(&mut unique.clash, place + 3, &types::stored(column.sql_type, cell))?;
        }
        let failed = |error| failed("look for a row with the same unique values", error);
        let mut found = unique.clash.raw_query();
        let Some(row) = found.next().map_err(failed)? else { return Ok(None) };
        let standing = (row.get(5).map_err(failed)?, version_of(row).map_err(failed)?);
        Ok(Some(Clash { coming, standing, index: unique.index.clone() }))
    }

    /// Removes a row, if it stands, and buries it at its rank, so that an older version of it that
    /// comes late does not rise again.
    fn displace(&mut self, (loser, version): (Guid, Version), winner: Guid, index: &str) -> Result<()> {
        let Version { modified_on, run_started_at, run_id, .. } = version;
        let (root, at) = (self.entry.root_sha256.to_string(), self.entry.applied_at);
        let rank = (modified_on, run_started_at, run_id);
        let displaced = self.session.in_schema(self.spec, DISPLACED);
        let row = (&self.here, loser, rank.0, rank.1, rank.2, winner, index, root, at);
        self.session.execute(&displaced, row)?;
        let before = self.lookup.standing(loser)?;
        let mut after = before.clone();
        after.take_deletion(version);
        self.lookup.note(loser, &before, &after)?;
        self.session.remove_row(self.spec, loser).map(drop)
    }

    fn write(&mut self, rows: &dyn RowSource, row: usize, key: Guid, version: Version) -> Result<()> {
        let mut large = Vec::new();
        for nth in 0..self.carried.len() {
            let (at, column) = self.carried[nth];
            let cell = rows.cell(row, at).map_err(|error| error.column(&column.name))?;
            let value = match cell {
                Cell::Large(bytes) => {
                    large.push((at, column, bytes));
                    ToSqlOutput::ZeroBlob(bytes)
                }
                cell => types::stored(column.sql_type, cell),
            };
            self.bytes += bytes_of(&value);
            self.bind(nth + 1, value)?;
        }
        let Version { modified_on, run_started_at, run_id, .. } = version;
        if self.fit.has_marks {
            self.bind(self.carried.len() + 1, run_started_at)?;
            self.bind(self.carried.len() + 2, run_id)?;
        } else {
            let mark = self.mark.execute((&self.here, key, modified_on, run_started_at, run_id));
            mark.map_err(|error| failed("note the rank of a row", error))?;
        }
        if self.upsert.raw_execute().map_err(|error| failed("write a row", error))? == 0 {
            return Err(ignored("written"));
        }
        if large.is_empty() {
            return Ok(());
        }
        let Some(row_id) = self.lookup.rowid(key)? else {
            return Err(Error::internal("a row that was just written is not there"));
        };
        for (at, column, bytes) in large {
            self.fill(rows, row, at, column, (row_id, bytes)).map_err(|error| error.column(&column.name))?;
        }
        Ok(())
    }

    fn fill(&self, rows: &dyn RowSource, row: usize, at: usize, column: &Column, into: (i64, u64)) -> Result<()> {
        let (row_id, bytes) = into;
        let mut from = rows.large(row, at)?;
        let (table, name) = (self.session.quoted(&self.spec.target), quote(&column.name));
        let is_text = types::declared(column.sql_type).ends_with("TEXT");
        if self.opens_blobs {
            if is_text {
                let sql = format!("UPDATE {table} SET {name} = CAST({name} AS TEXT) WHERE rowid = ?1");
                self.session.execute(&sql, [row_id])?;
            }
            return self.session.fill_blob(&self.spec.target, &column.name, row_id, bytes, &mut from);
        }
        let mut whole = Vec::new();
        copy_all(&mut from, bytes, &mut whole)?;
        let value = if is_text { "CAST(?2 AS TEXT)" } else { "?2" };
        let sql = format!("UPDATE {table} SET {name} = {value} WHERE rowid = ?1");
        self.session.execute(&sql, (row_id, whole)).map(drop)
    }

    fn bind(&mut self, nth: usize, value: impl ToSql) -> Result<()> {
        self.upsert.raw_bind_parameter(nth, value).map_err(|error| failed("bind a value", error))
    }
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

/// The unique indexes of a target that do not hold its key, and whose columns all come.
fn uniques<'c>(session: &'c Session, spec: &'c TargetSpec, fit: &TargetFit) -> Result<Vec<Unique<'c>>> {
    let key = quote(&spec.key_column);
    let mut uniques = Vec::new();
    for (index, names) in session.unique_indexes(spec)? {
        let is_key =
            |name: &Option<String>| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&spec.key_column));
        let coming = |name: &Option<String>| {
            let name = name.as_ref()?;
            spec.columns.iter().enumerate().find(|(_, column)| column.name.eq_ignore_ascii_case(name))
        };
        let Some(columns) = names.iter().map(coming).collect::<Option<Vec<_>>>() else { continue };
        if names.iter().any(is_key) {
            continue;
        }
        let equal = columns
            .iter()
            .enumerate()
            .map(|(nth, (_, column))| format!(" AND t.{} = ?{}", quote(&column.name), nth + 3));
        let condition = format!("t.{key} <> ?2{}", equal.collect::<String>());
        let clash = prepare(session, &standing_sql(session, spec, fit, true, &condition))?;
        uniques.push(Unique { index, columns, clash });
    }
    Ok(uniques)
}
