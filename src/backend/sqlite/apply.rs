//! Rows of one batch into their target, in the transaction of the batch.
//!
//! A row is written only if its [`Version`] is greater than what stands under its key. Where the
//! target has unique indexes beside the one on its key, a row that stands in the way is looked for
//! before it is written, so that both keys can be named, or the older removed; of indexes over anything but plain columns
//! that come, SQLite is asked.

use super::database::Database;
use super::errors::failed;
use super::existing::{Lookup, ROW_WRITE, existing_sql, prepare, version_of};
use super::key_id::{self, KeyValue};
use super::sql::quote;
use super::write::{self, Coming, RowWriter};
use super::{ledger, obstacles, types, unique};
use crate::backend::compatibility::{Clash, large_columns};
use crate::backend::{Applied, ChainVersion, LedgerEntry, TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::column::is_delta;
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use rusqlite::{Statement, ToSql};
use std::collections::{BTreeMap, HashMap};

const SQL: &str = include_str!("../../../sql/sqlite/apply.sql");
const DISPLACED: &str = statement(SQL, "displaced");

/// A unique index of plain columns that a coming row may run into.
struct Unique<'c> {
    index: String,
    /// Its columns: index among those that come, and the column.
    columns: Vec<(usize, &'c Column)>,
    clash: Statement<'c>,
}

/// Writes the rows of one batch.
pub(super) struct BatchApplier<'c> {
    db: &'c Database,
    spec: &'c TargetSpec,
    here: String,
    entry: &'c LedgerEntry,
    compatibility: &'c TargetCompatibility,
    lookup: Lookup<'c>,
    writer: RowWriter<'c>,
    /// Notes the version of a row, where the table does not.
    mark: Option<Statement<'c>>,
    uniques: Vec<Unique<'c>>,
    /// The columns that a row in the way gives up.
    given_up: Vec<&'c Column>,
    /// Where each key of the batch comes last, with its version; where rows may be displaced.
    to_come: HashMap<Guid, (usize, Version)>,
    /// The rows that were written, where triggers may do something with them.
    written: Option<BTreeMap<Guid, Version>>,
}

impl<'c> BatchApplier<'c> {
    pub(super) fn new(
        db: &'c Database,
        spec: &'c TargetSpec,
        compatibility: &'c TargetCompatibility,
        entry: &'c LedgerEntry,
    ) -> Result<Self> {
        let has_triggers = obstacles::obstacles(db, spec)?.has_triggers();
        let writer = RowWriter::new(db, spec, compatibility, has_triggers)?;
        let mark = || prepare(db, &ledger::in_schema(db, spec, ROW_WRITE));
        Ok(Self {
            db,
            spec,
            here: spec.here(),
            entry,
            compatibility,
            lookup: Lookup::new(db, spec, compatibility, true)?,
            mark: (!compatibility.has_version_columns).then(mark).transpose()?,
            uniques: uniques(db, spec, compatibility)?,
            given_up: given_up(db, spec, &writer)?,
            writer,
            to_come: HashMap::new(),
            written: has_triggers.then(BTreeMap::new),
        })
    }

    /// Applies all rows of the batch. Gives what they did, and about how many bytes were written.
    pub(super) fn apply_all(
        mut self,
        rows: &dyn RowSource,
        keys: &[Guid],
        versions: &[Version],
    ) -> Result<(Applied, u64)> {
        if self.spec.displace {
            self.to_come = keys.iter().zip(versions).enumerate().map(|(row, (key, at))| (*key, (row, *at))).collect();
        }
        let mut applied = Applied::default();
        for (row, (key, version)) in keys.iter().zip(versions).enumerate() {
            let done =
                self.apply(rows, row, *key, version).map_err(|error| error.key(self.spec.key_type.shown(*key)))?;
            applied.written += done.written;
            applied.displaced += done.displaced;
        }
        for (key, version) in self.written.iter().flatten() {
            if self.lookup.existing(*key)?.version() != Some(*version) {
                return Err(Error::config(
                    "a row that was written is not in the target: a trigger changed or removed it",
                )
                .key(self.spec.key_type.shown(*key))
                .hint("drop the trigger for the replay, or replay into another database"));
            }
        }
        Ok((applied, self.writer.bytes))
    }

    /// What one row did.
    fn apply(&mut self, rows: &dyn RowSource, row: usize, key: Guid, version: &Version) -> Result<Applied> {
        let version = Version { tombstone: None, ..*version };
        let before = self.lookup.existing(key)?;
        let mut after = before.clone();
        let is_same = self.spec.repair && before.version().is_some_and(|row| row.run_id == version.run_id);
        let held = ChainVersion { version, is_part: self.is_part(rows, row)? };
        if !after.add_row(self.spec.scope, held) && !is_same {
            self.lookup.note(key, &before, &after)?;
            self.lookup.hand_over(self.compatibility, key, &before, &after)?;
            return Ok(Applied::default());
        }
        let coming = Coming { rows, row, key, version, stands: before.row.is_some() };
        let (mut displaced, mut last) = (0, None);
        while let Some(clash) = self.write_or_clash(&coming)? {
            clash.note(&mut last)?;
            if self.gives_way(row, &clash)? {
                continue;
            }
            let (loser, lost) = clash.older(self.spec)?;
            let winner = if loser == key { clash.existing.0 } else { key };
            self.displace((loser, lost), winner, &clash.index)?;
            displaced += 1;
            if loser == key {
                return Ok(Applied { written: 0, displaced });
            }
        }
        self.lookup.note(key, &before, &after)?;
        if let Some(mark) = &mut self.mark {
            let Version { modified_on, run_started_at, run_id, .. } = version;
            let mark = mark.execute((&self.here, key, modified_on, run_started_at, run_id));
            mark.map_err(|error| failed("note the version of a row", error))?;
        }
        self.db.parked.borrow_mut().forget(key);
        if let Some(written) = &mut self.written {
            written.insert(key, version);
        }
        Ok(Applied { written: 1, displaced })
    }

    /// Whether a row comes without any large value.
    fn is_part(&self, rows: &dyn RowSource, row: usize) -> Result<bool> {
        let mut large = large_columns(self.spec, self.compatibility).peekable();
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

    /// Writes a row, or says which row keeps it out.
    fn write_or_clash(&mut self, coming: &Coming<'_>) -> Result<Option<Clash>> {
        for nth in 0..self.uniques.len() {
            if let Some(clash) = self.clash(coming, nth)? {
                return Ok(Some(clash));
            }
        }
        let Some(found) = self.writer.write(coming)? else { return Ok(None) };
        let existing = self.lookup.existing(found.key)?.version();
        let existing = existing.ok_or_else(|| Error::internal("a row that is in the way does not stand"))?;
        let coming = (coming.key, coming.version);
        Ok(Some(Clash { coming, existing: (found.key, existing), index: found.index }))
    }

    /// Whether the row that stands gives up its unique values for now, as it is to come with others. Where rows may be
    /// displaced it has to come in this batch; else it is known at the end of the table.
    fn gives_way(&self, row: usize, clash: &Clash) -> Result<bool> {
        let (existing, version) = clash.existing;
        let comes = self.to_come.get(&existing).is_some_and(|(at, coming)| *at > row && *coming > version);
        Ok((comes || !self.spec.displace) && park(self.db, self.spec, &self.given_up, clash)?)
    }

    /// A row that stands and has the values of this one in a unique index.
    fn clash(&mut self, coming: &Coming<'_>, nth: usize) -> Result<Option<Clash>> {
        let unique = &mut self.uniques[nth];
        let bind = |statement: &mut Statement<'_>, nth: usize, value: &dyn ToSql| {
            statement.raw_bind_parameter(nth, value).map_err(|error| failed("bind a value", error))
        };
        bind(&mut unique.clash, 1, &self.here)?;
        bind(&mut unique.clash, 2, &coming.key)?;
        for (place, (at, column)) in unique.columns.iter().enumerate() {
            bind(&mut unique.clash, place + 3, &types::stored(column.sql_type, coming.cell(*at, column)?))?;
        }
        let failed = |error| failed("look for a row with the same unique values", error);
        let mut found = unique.clash.raw_query();
        let Some(row) = found.next().map_err(failed)? else { return Ok(None) };
        let existing = (row.get(4).map_err(failed)?, version_of(row).map_err(failed)?);
        Ok(Some(Clash { coming: (coming.key, coming.version), existing, index: unique.index.clone() }))
    }

    /// Removes a row, if it stands, and writes its tombstone with its version, so that an older version of it that
    /// comes late does not rise again.
    fn displace(&mut self, (loser, version): (Guid, Version), winner: Guid, index: &str) -> Result<()> {
        let Version { modified_on, run_started_at, run_id, .. } = version;
        let (root, at) = (self.entry.root_sha256.to_string(), self.entry.applied_at);
        let columns = (modified_on, run_started_at, run_id);
        let displaced = ledger::in_schema(self.db, self.spec, DISPLACED);
        let row = (&self.here, loser, columns.0, columns.1, columns.2, winner, index, root, at);
        self.db.execute(&displaced, row)?;
        let before = self.lookup.existing(loser)?;
        let mut after = before.clone();
        after.add_deletion(version);
        self.lookup.note(loser, &before, &after)?;
        if let Some(written) = &mut self.written {
            written.remove(&loser);
        }
        write::remove_row(self.db, self.spec, loser).map(drop)
    }
}

/// The unique indexes of a target that do not hold its key, and are over plain columns that come.
fn uniques<'c>(db: &'c Database, spec: &'c TargetSpec, compatibility: &TargetCompatibility) -> Result<Vec<Unique<'c>>> {
    let key = quote(&spec.key_column);
    let mut uniques = Vec::new();
    for index in unique::unique_indexes(db, &spec.target)? {
        let coming = |name: &Option<String>| {
            let name = name.as_ref()?;
            let is_written = |column: &Column| !compatibility.skipped.contains(&column.name);
            let is_it = |column: &Column| column.name.eq_ignore_ascii_case(name) && is_written(column);
            spec.columns.iter().enumerate().find(|(_, column)| is_it(column))
        };
        let columns = index.columns.iter().map(coming).collect::<Option<Vec<_>>>();
        let Some(columns) = columns.filter(|_| !index.is_partial && !index.holds(&spec.key_column)) else { continue };
        let equal = columns
            .iter()
            .enumerate()
            .map(|(nth, (_, column))| format!(" AND t.{} = ?{}", quote(&column.name), nth + 3));
        let own = key_id::to_key(spec.key_type, "?2");
        let condition = format!("t.{key} <> {own}{}", equal.collect::<String>());
        let clash = prepare(db, &existing_sql(db, spec, compatibility, true, &condition))?;
        uniques.push(Unique { index: index.name, columns, clash });
    }
    Ok(uniques)
}

/// The columns that come and that unique indexes beside that of the key are over. Of an expression it is not known what it
/// is made of.
fn given_up<'c>(db: &Database, spec: &TargetSpec, writer: &RowWriter<'c>) -> Result<Vec<&'c Column>> {
    let indexes = unique::unique_indexes(db, &spec.target)?;
    let indexes: Vec<_> = indexes.iter().filter(|index| !index.holds(&spec.key_column)).collect();
    let carried = || writer.carried().filter(|column| !column.name.eq_ignore_ascii_case(&spec.key_column));
    let is_plain = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| carried().any(|column| column.name.eq_ignore_ascii_case(name)))
    };
    let is_known = indexes.iter().all(|index| index.columns.iter().all(is_plain));
    let is_over = |column: &&Column| indexes.iter().any(|index| index.holds(&column.name));
    let is_small = |column: &&Column| !column.sql_type.is_large() && !is_delta(&column.name);
    Ok(match (indexes.is_empty(), is_known) {
        (true, _) => Vec::new(),
        (false, true) => carried().filter(is_over).collect(),
        (false, false) => carried().filter(|column| is_over(column) || is_small(column)).collect(),
    })
}

/// Takes the unique values of the row that stands. Whether that was possible: a constraint of the table's own may
/// not let it have others. No trigger sees it.
fn park(db: &Database, spec: &TargetSpec, columns: &[&Column], clash: &Clash) -> Result<bool> {
    let sets: Vec<String> =
        columns.iter().map(|column| format!("{} = {}", quote(&column.name), types::random(column.sql_type))).collect();
    if sets.is_empty() {
        return Ok(false);
    }
    let (target, key) = (db.quoted(&spec.target), quote(&spec.key_column));
    let sql = format!("UPDATE OR ABORT {target} SET {} WHERE {key} = ?1", sets.join(", "));
    db.set_triggers(false)?;
    let parked =
        db.prepare(&sql).and_then(|mut statement| statement.execute([KeyValue(spec.key_type, clash.existing.0)]));
    db.set_triggers(true)?;
    match parked {
        Ok(_) => db.parked.borrow_mut().add(clash.clone()),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
            return Ok(false);
        }
        Err(error) => return Err(failed("free the unique values of a row", error)),
    };
    Ok(true)
}
