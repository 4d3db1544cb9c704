//! Replaying into an embedded instance.
//!
//! Each call is one transaction of the target's database, with the ledger in it: a crash leaves
//! a batch applied and noted, or neither. A row or a tombstone is written only if its
//! [`Version`] is greater than what stands there, so that order and repetition do not matter.

use super::sandbox::{create_table_sql, zero_blob};
use super::session::{Session, failed, quote};
use super::types;
use crate::backend::fit::{check_columns, is_run_column, not_unique, target_columns};
use crate::backend::{DELTA_RUN_ID, DELTA_RUN_STARTED_AT, LedgerEntry, Target, TargetSpec, TombstoneRow};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::{Column, DELTA_MODIFIED_ON};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use rusqlite::{OptionalExtension as _, Row, Statement, ToSql};

const SCHEMA: &str = include_str!("../../../sql/sqlite/replay_schema.sql");
const LEDGER_READ: &str = include_str!("../../../sql/sqlite/replay_ledger_read.sql");
const LEDGER_MOVE: &str = include_str!("../../../sql/sqlite/replay_ledger_move.sql");
const TOMBSTONE_READ: &str = include_str!("../../../sql/sqlite/replay_tombstone_read.sql");
const TOMBSTONE_WRITE: &str = include_str!("../../../sql/sqlite/replay_tombstone_write.sql");
const CHAIN_READ: &str = include_str!("../../../sql/sqlite/replay_chain_read.sql");
const CHAIN_NOTE: &str = include_str!("../../../sql/sqlite/replay_chain_note.sql");

impl Target for Session {
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<()> {
        if create {
            self.attach(&spec.target.db)?;
        }
        let wanted = target_columns(spec);
        let missing = match self.table_columns(&spec.target) {
            Ok(found) => {
                check_columns(&found, &wanted, &spec.key_column).map_err(|error| error.table(&spec.target))?;
                self.check_unique_key(spec)?;
                false
            }
            Err(error) if !create || !self.has_database(&spec.target.db) || self.has_table(spec)? => return Err(error),
            Err(_) => true,
        };
        let schema = self.in_schema(spec, SCHEMA);
        self.transact("prepare the target of a replay", |session| {
            session.connection.execute_batch(&schema).map_err(|error| failed("create the ledger", error))?;
            if !missing {
                return Ok(());
            }
            let table = session.quoted(&spec.target);
            session.execute(&create_table_sql(&table, &wanted, &spec.key_column), [])?;
            let Some(path) = &spec.path_column else { return Ok(()) };
            let index = quote(&format!("IX_{}_Path", spec.target.table));
            let schema = session.schema_of(&spec.target.db);
            let on = quote(&spec.target.table);
            session.execute(&format!("CREATE INDEX {schema}.{index} ON {on} ({})", quote(path)), [])?;
            Ok(())
        })
        .map_err(|error| error.table(&spec.target))
    }

    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>> {
        let sql = self.in_schema(spec, LEDGER_READ);
        self.query_all(&sql, (root.to_string(), &spec.table), |row| {
            Ok(LedgerEntry {
                root_sha256: root,
                table: spec.table.clone(),
                part: row.get(0)?,
                rows: row.get::<_, i64>(1)?.unsigned_abs(),
                complete: row.get(2)?,
                applied_at: row.get(3)?,
            })
        })
    }

    fn apply_rows(
        &mut self,
        spec: &TargetSpec,
        rows: &dyn RowSource,
        keys: &[Guid],
        versions: &[Version],
        entry: &LedgerEntry,
    ) -> Result<u64> {
        if rows.rows() != keys.len() || keys.len() != versions.len() {
            return Err(Error::internal("rows, keys and versions are not equally many").table(&spec.table));
        }
        let applied = self.transact("apply rows", |session| {
            session.move_ledger(spec, entry, keys.len())?;
            let mut applier = Applier::new(session, spec)?;
            let mut written = 0;
            for (row, (key, version)) in keys.iter().zip(versions).enumerate() {
                let done = applier.apply(rows, row, *key, version).map_err(|error| error.key(key))?;
                written += u64::from(done);
            }
            Ok(written)
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64> {
        let delete = format!("DELETE FROM {} WHERE {} = ?1", self.quoted(&spec.target), quote(&spec.key_column));
        let write = self.in_schema(spec, TOMBSTONE_WRITE);
        let applied = self.transact("apply tombstones", |session| {
            session.move_ledger(spec, entry, tombstones.len())?;
            let mut standing = Standing::new(session, spec)?;
            let mut removed = 0;
            for TombstoneRow { key, version } in tombstones {
                let version = Version { tombstone: true, ..*version };
                if standing.row(*key)?.is_some_and(|(_, row)| version > row) {
                    removed += session.execute(&delete, [key])?;
                }
                if standing.tombstone(*key)?.is_none_or(|kept| version > kept) {
                    let Version { modified_on, run_started_at, run_id, .. } = version;
                    session.execute(&write, (&spec.table, key, modified_on, run_started_at, run_id))?;
                }
            }
            Ok(removed)
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn chain_end(&mut self, spec: &TargetSpec, source_id: Guid, scope: &str) -> Result<Option<Timestamp>> {
        let sql = self.in_schema(spec, CHAIN_READ);
        self.query_optional(&sql, (&spec.table, source_id, scope), |row| row.get(0))
    }

    fn note_chain(
        &mut self,
        spec: &TargetSpec,
        source_id: Guid,
        scope: &str,
        root: Sha256,
        end: Timestamp,
    ) -> Result<()> {
        let sql = self.in_schema(spec, CHAIN_NOTE);
        self.transact("note the end of a chain", |session| {
            let now = session.server_time().utc;
            session.execute(&sql, (&spec.table, source_id, scope, root.to_string(), end, now))?;
            Ok(())
        })
    }
}

impl Session {
    /// Ledger, tombstones and chain lie in the target's database.
    fn in_schema(&self, spec: &TargetSpec, sql: &str) -> String {
        sql.replace("{Schema}", &self.schema_of(&spec.target.db))
    }

    fn has_table(&self, spec: &TargetSpec) -> Result<bool> {
        let schema = self.schema_of(&spec.target.db);
        let sql = format!("SELECT EXISTS (SELECT * FROM {schema}.sqlite_master WHERE name = ?1 COLLATE NOCASE)");
        self.query_one(&sql, [&spec.target.table])
    }

    /// A row replaces the row of its key, so the key alone must be unique.
    fn check_unique_key(&self, spec: &TargetSpec) -> Result<()> {
        let schema = self.schema_name(&spec.target.db);
        let sql = "SELECT EXISTS (SELECT * FROM pragma_index_list(?1, ?2) AS l WHERE l.\"unique\" AND NOT l.partial
                   AND (SELECT group_concat(i.name, char(0)) FROM pragma_index_info(l.name, ?2) AS i)
                       = ?3 COLLATE NOCASE)";
        let unique: bool = self.query_one(sql, (&spec.target.table, schema, &spec.key_column))?;
        if unique { Ok(()) } else { Err(not_unique(spec)) }
    }

    fn move_ledger(&self, spec: &TargetSpec, entry: &LedgerEntry, rows: usize) -> Result<()> {
        let after =
            i64::try_from(entry.rows).map_err(|_| Error::internal("a part has more rows than can be counted"))?;
        let before = after - i64::try_from(rows).unwrap_or(i64::MAX);
        let root = entry.root_sha256.to_string();
        let moved = self.execute(
            &self.in_schema(spec, LEDGER_MOVE),
            (root, &entry.table, &entry.part, after, entry.complete, before, entry.applied_at),
        )?;
        if moved == 1 {
            return Ok(());
        }
        let text = format!("the ledger is not where a batch of {rows} rows that ends at row {} begins", entry.rows);
        Err(Error::internal(text).hint("another replay may be applying the same bundle; run again when it has ended"))
    }
}

/// What stands under a key.
struct Standing<'c> {
    table: String,
    row: Statement<'c>,
    tombstone: Statement<'c>,
}

impl<'c> Standing<'c> {
    fn new(session: &'c Session, spec: &TargetSpec) -> Result<Self> {
        let row = format!(
            "SELECT {DELTA_MODIFIED_ON}, {DELTA_RUN_STARTED_AT}, {DELTA_RUN_ID}, rowid FROM {} WHERE {} = ?1",
            session.quoted(&spec.target),
            quote(&spec.key_column)
        );
        let prepare = |sql: &str| {
            session.connection.prepare(sql).map_err(|error| failed("look up what stands in the target", error))
        };
        let tombstone = prepare(&session.in_schema(spec, TOMBSTONE_READ))?;
        Ok(Self { table: spec.table.to_string(), row: prepare(&row)?, tombstone })
    }

    fn row(&mut self, key: Guid) -> Result<Option<(i64, Version)>> {
        let found = self.row.query_row([key], |row| Ok((row.get(3)?, version_of(row, false)?))).optional();
        found.map_err(|error| failed("look up what stands in the target", error))
    }

    fn tombstone(&mut self, key: Guid) -> Result<Option<Version>> {
        let found = self.tombstone.query_row((&self.table, key), |row| version_of(row, true)).optional();
        found.map_err(|error| failed("look up a tombstone", error))
    }
}

/// A row that came by another way, without a run, is older than any that has one.
fn version_of(row: &Row<'_>, tombstone: bool) -> rusqlite::Result<Version> {
    Ok(Version {
        modified_on: row.get(0)?,
        tombstone,
        run_started_at: row.get::<_, Option<Timestamp>>(1)?.unwrap_or(Timestamp::MIN),
        run_id: row.get::<_, Option<Guid>>(2)?.unwrap_or(Guid::from_bytes([0; 16])),
    })
}

/// Writes the rows of one batch.
struct Applier<'c> {
    session: &'c Session,
    spec: &'c TargetSpec,
    standing: Standing<'c>,
    upsert: Statement<'c>,
    /// The columns that come with the rows, by their index there.
    carried: Vec<(usize, &'c Column)>,
}

impl<'c> Applier<'c> {
    fn new(session: &'c Session, spec: &'c TargetSpec) -> Result<Self> {
        let carried: Vec<(usize, &Column)> =
            spec.columns.iter().enumerate().filter(|(_, column)| !is_run_column(&column.name)).collect();
        let run = [quote(DELTA_RUN_STARTED_AT), quote(DELTA_RUN_ID)];
        let names: Vec<String> = carried.iter().map(|(_, column)| quote(&column.name)).chain(run).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({marks}) ON CONFLICT ({}) DO UPDATE SET {}",
            session.quoted(&spec.target),
            names.join(", "),
            quote(&spec.key_column),
            sets.join(", ")
        );
        let upsert = session.connection.prepare(&sql).map_err(|error| failed("prepare to write rows", error))?;
        Ok(Self { session, spec, standing: Standing::new(session, spec)?, upsert, carried })
    }

    /// Whether the row was written.
    fn apply(&mut self, rows: &dyn RowSource, row: usize, key: Guid, version: &Version) -> Result<bool> {
        let version = Version { tombstone: false, ..*version };
        let loses = self.standing.row(key)?.is_some_and(|(_, standing)| standing >= version)
            || self.standing.tombstone(key)?.is_some_and(|tombstone| tombstone >= version);
        if loses {
            return Ok(false);
        }
        let mut large = Vec::new();
        for nth in 0..self.carried.len() {
            let (at, column) = self.carried[nth];
            let cell = rows.cell(row, at).map_err(|error| error.column(&column.name))?;
            let value = match cell {
                Cell::Large(bytes) => {
                    large.push((at, column, bytes));
                    zero_blob(bytes)?
                }
                cell => types::stored(column.sql_type, cell),
            };
            self.bind(nth + 1, value)?;
        }
        let Version { run_started_at, run_id, .. } = version;
        self.bind(self.carried.len() + 1, run_started_at)?;
        self.bind(self.carried.len() + 2, run_id)?;
        self.upsert.raw_execute().map_err(|error| failed("write a row", error))?;
        if large.is_empty() {
            return Ok(true);
        }
        let Some((row_id, _)) = self.standing.row(key)? else {
            return Err(Error::internal("a row that was just written is not there"));
        };
        for (at, column, bytes) in large {
            self.fill(rows, row, at, column, (row_id, bytes)).map_err(|error| error.column(&column.name))?;
        }
        Ok(true)
    }

    fn fill(&self, rows: &dyn RowSource, row: usize, at: usize, column: &Column, into: (i64, u64)) -> Result<()> {
        let (row_id, bytes) = into;
        let mut from = rows.large(row, at)?;
        if types::declared(column.sql_type).ends_with("TEXT") {
            let table = self.session.quoted(&self.spec.target);
            let name = quote(&column.name);
            let sql = format!("UPDATE {table} SET {name} = CAST({name} AS TEXT) WHERE rowid = ?1");
            self.session.execute(&sql, [row_id])?;
        }
        self.session.fill_blob(&self.spec.target, &column.name, row_id, bytes, &mut from)
    }

    fn bind(&mut self, nth: usize, value: impl ToSql) -> Result<()> {
        self.upsert.raw_bind_parameter(nth, value).map_err(|error| failed("bind a value", error))
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
