//! What an embedded target has under a key, looked up and noted entry by entry, in the transaction of a batch.

use super::database::Database;
use super::errors::failed;
use super::key_id::{self, KeyValue};
use super::ledger;
use super::sql::{filled, quote};
use crate::backend::compatibility::{large_columns, version_of_columns};
use crate::backend::existing::{ExistingEntry, ExistingVersions};
use crate::backend::{TargetCompatibility, TargetSpec};
use crate::error::Result;
use crate::model::column::{DELTA_MODIFIED_ON, DELTA_RUN_ID, DELTA_RUN_STARTED_AT};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use rusqlite::{Params, Row, Statement};

const SQL: &str = include_str!("../../../sql/sqlite/existing.sql");
const EXISTING_VERSION: &str = statement(SQL, "existing_version");
const TOMBSTONE_READ: &str = statement(SQL, "tombstone_read");
const OTHER_READ: &str = statement(SQL, "other_read");
const TOMBSTONE_WRITE: &str = statement(SQL, "tombstone_write");
const OTHER_WRITE: &str = statement(SQL, "other_write");
pub(super) const ROW_WRITE: &str = statement(SQL, "row_write");
const WRITE_VERSION: &str = statement(SQL, "write_version");

/// A query over the rows of a target, as `t`: their version columns, the scope of their chain, key, and whether they are
/// parts. Its first parameter is [`TargetSpec::here`]. Where there is no ledger, there are no version columns beside the table,
/// and no scopes.
pub(super) fn existing_sql(
    db: &Database,
    spec: &TargetSpec,
    compatibility: &TargetCompatibility,
    has_ledger: bool,
    condition: &str,
) -> String {
    let target = db.quoted(&spec.target);
    let id = key_id::to_id(spec.key_type, &format!("t.{}", quote(&spec.key_column)));
    let schema = db.schema_of(&spec.target.db);
    let beside = format!(" LEFT JOIN {schema}.BlobDeltaReplayRow AS m ON m.TableName = ?1 AND m.stream_id = {id}");
    let ([modified, started, run], beside) = match (compatibility.has_version_columns, has_ledger) {
        (true, _) => ([DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].map(|name| format!("t.{name}")), ""),
        (false, true) => (["m.ModifiedOn", "m.RunStartedAt", "m.RunId"].map(str::to_owned), beside.as_str()),
        (false, false) => (["NULL"; 3].map(str::to_owned), ""),
    };
    let scope = match has_ledger {
        true => {
            format!("(SELECT r.Scope FROM {schema}.BlobDeltaReplayRun AS r WHERE r.TableName = ?1 AND r.RunId = {run})")
        }
        false => "NULL".to_owned(),
    };
    let absent = large_columns(spec, compatibility).map(|(_, column)| format!("t.{} IS NULL", quote(&column.name)));
    let absent: Vec<String> = absent.collect();
    let is_part = if absent.is_empty() { "0".to_owned() } else { absent.join(" AND ") };
    filled(
        EXISTING_VERSION,
        &[
            ("Modified", &modified),
            ("Started", &started),
            ("Run", &run),
            ("Scope", &scope),
            ("Id", &id),
            ("IsPart", &is_part),
            ("Target", &target),
            ("Beside", beside),
            ("Condition", condition),
        ],
    )
}

pub(super) fn version_of(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(version_of_columns(row.get(0)?, row.get(1)?, row.get(2)?))
}

pub(super) fn prepare<'c>(db: &'c Database, sql: &str) -> Result<Statement<'c>> {
    db.prepare(sql).map_err(|error| failed("prepare to apply rows", error))
}

/// What stands under a key.
pub(super) struct Lookup<'c> {
    db: &'c Database,
    spec: &'c TargetSpec,
    table: String,
    row: Statement<'c>,
    /// Where there is a ledger.
    beside: Option<Beside<'c>>,
}

struct Beside<'c> {
    tombstones: Statement<'c>,
    others: Statement<'c>,
    /// Whether other chains have delivered anything at all.
    has_others: bool,
}

impl<'c> Lookup<'c> {
    pub(super) fn new(
        db: &'c Database,
        spec: &'c TargetSpec,
        compatibility: &TargetCompatibility,
        has_ledger: bool,
    ) -> Result<Self> {
        let table = spec.here();
        let beside = || {
            let any = "SELECT EXISTS (SELECT 1 FROM {Schema}.BlobDeltaReplayOther WHERE TableName = ?1)";
            Ok(Beside {
                tombstones: prepare(db, &ledger::in_schema(db, spec, TOMBSTONE_READ))?,
                others: prepare(db, &ledger::in_schema(db, spec, OTHER_READ))?,
                has_others: db.query_one(&ledger::in_schema(db, spec, any), [&table])?,
            })
        };
        let beside = has_ledger.then(beside).transpose()?;
        let sought = key_id::to_key(spec.key_type, "?2");
        let condition = format!("t.{} = {sought}", quote(&spec.key_column));
        let row = prepare(db, &existing_sql(db, spec, compatibility, has_ledger, &condition))?;
        Ok(Self { db, spec, table, row, beside })
    }

    /// Everything under a key.
    pub(super) fn existing(&mut self, key: Guid) -> Result<ExistingVersions> {
        let mut existing = ExistingVersions::default();
        let row = |row: &Row<'_>| Ok((ExistingEntry::Row(row.get(3)?, row.get(5)?), version_of(row)?));
        put_all(&mut existing, &mut self.row, (&self.table, key), row)?;
        let Some(Beside { tombstones, others, has_others }) = &mut self.beside else { return Ok(existing) };
        let tombstone = |row: &Row<'_>| {
            let scope: Option<Scope> = row.get(3)?;
            Ok((scope.map_or(ExistingEntry::Deleted, ExistingEntry::Left), version_of(row)?))
        };
        put_all(&mut existing, tombstones, (&self.table, key), tombstone)?;
        if *has_others {
            let other = |row: &Row<'_>| Ok((ExistingEntry::Other(row.get(3)?, row.get(4)?), version_of(row)?));
            put_all(&mut existing, others, (&self.table, key), other)?;
        }
        Ok(existing)
    }

    /// Notes what changed beside the row of a key.
    pub(super) fn note(&mut self, key: Guid, before: &ExistingVersions, after: &ExistingVersions) -> Result<()> {
        let stood = |entry: &(ExistingEntry, Version)| before.entries().any(|before| before == *entry);
        for (entry, version) in after.entries().filter(|entry| !stood(entry)) {
            let Version { modified_on, run_started_at, run_id, .. } = version;
            let columns = (modified_on, run_started_at, run_id);
            match entry {
                ExistingEntry::Row(..) => {}
                ExistingEntry::Deleted => {
                    self.write(TOMBSTONE_WRITE, (&self.table, key, None::<Scope>, columns.0, columns.1, columns.2))?
                }
                ExistingEntry::Left(scope) => {
                    self.write(TOMBSTONE_WRITE, (&self.table, key, scope, columns.0, columns.1, columns.2))?
                }
                ExistingEntry::Other(scope, is_part) => {
                    self.beside.iter_mut().for_each(|beside| beside.has_others = true);
                    self.write(OTHER_WRITE, (&self.table, key, scope, columns.0, columns.1, columns.2, is_part))?;
                }
            }
        }
        for scope in before.others.keys().filter(|scope| !after.others.contains_key(scope)) {
            let sql =
                "DELETE FROM {Schema}.BlobDeltaReplayOther WHERE TableName = ?1 AND stream_id = ?2 AND Scope = ?3";
            self.db.execute(&ledger::in_schema(self.db, self.spec, sql), (&self.table, key, scope))?;
        }
        Ok(())
    }

    fn write(&self, sql: &str, row: impl Params) -> Result<()> {
        self.db.execute(&ledger::in_schema(self.db, self.spec, sql), row).map(drop)
    }

    /// The row of a key is another chain's by now: it gets that one's version, and loses its large values where that one
    /// has it without them. Its other values are left alone.
    pub(super) fn hand_over(
        &self,
        compatibility: &TargetCompatibility,
        key: Guid,
        before: &ExistingVersions,
        after: &ExistingVersions,
    ) -> Result<()> {
        let (Some(from), Some(to)) = (before.row, after.row) else { return Ok(()) };
        if from == to {
            return Ok(());
        }
        if to.is_part && !from.is_part {
            let sets =
                large_columns(self.spec, compatibility).map(|(_, column)| format!("{} = NULL", quote(&column.name)));
            let (target, sets) = (self.db.quoted(&self.spec.target), sets.collect::<Vec<_>>().join(", "));
            let sql = format!("UPDATE {target} SET {sets} WHERE {} = ?1", quote(&self.spec.key_column));
            self.db.execute(&sql, [KeyValue(self.spec.key_type, key)])?;
        }
        self.mark(compatibility, key, to.version)
    }

    fn mark(&self, compatibility: &TargetCompatibility, key: Guid, version: Version) -> Result<()> {
        let Version { modified_on, run_started_at, run_id, .. } = version;
        if !compatibility.has_version_columns {
            let row = (&self.table, key, modified_on, run_started_at, run_id);
            return self.db.execute(&ledger::in_schema(self.db, self.spec, ROW_WRITE), row).map(drop);
        }
        let target = self.db.quoted(&self.spec.target);
        let sql = filled(
            WRITE_VERSION,
            &[
                ("Target", &target),
                ("Modified", DELTA_MODIFIED_ON),
                ("Started", DELTA_RUN_STARTED_AT),
                ("Run", DELTA_RUN_ID),
                ("Key", &quote(&self.spec.key_column)),
            ],
        );
        let key = KeyValue(self.spec.key_type, key);
        self.db.execute(&sql, (key, modified_on, run_started_at, run_id)).map(drop)
    }
}

fn put_all(
    existing: &mut ExistingVersions,
    statement: &mut Statement<'_>,
    asked: (&String, Guid),
    entry: impl FnMut(&Row<'_>) -> rusqlite::Result<(ExistingEntry, Version)>,
) -> Result<()> {
    for found in statement.query_map(asked, entry).map_err(unread)? {
        let (entry, version) = found.map_err(unread)?;
        existing.put(entry, version);
    }
    Ok(())
}

fn unread(error: rusqlite::Error) -> crate::error::Error {
    failed("look up what stands in the target", error)
}
