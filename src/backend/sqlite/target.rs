//! Replaying into an embedded instance.
//!
//! Each call is one transaction of the target's database, or part of one with others (`commit_group`), with the
//! ledger in it: a crash leaves a batch applied and noted, or neither. A row or a tombstone is written only if its
//! [`Version`] is greater than what stands there, so that order and repetition do not matter.

use super::apply::BatchApplier;
use super::catalog::{self, create_table_sql};
use super::commit_group::CommitGroup;
use super::database::Database;
use super::errors::failed;
use super::existing::Lookup;
use super::key_id::RowKey;
use super::made::{Made, MadeTargets};
use super::replay::Replay;
use super::sql::quote;
use super::{evolve, job_databases, large, ledger, obstacles, resolved, rowid, take_back, types, unique, write};
use crate::backend::compatibility::{self, made_columns, target_columns};
use crate::backend::obstacles::ignored;
use crate::backend::slices::{columns_json, columns_of};
use crate::backend::{
    Applied, AppliedBundle, ExistingContent, ExistingVersions, JobDatabase, LedgerEntry, Target, TargetCompatibility,
    TargetSpec, TombstoneRow,
};
use crate::error::{Error, Result};
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use rusqlite::Row;
use std::io::Write;

const SQL: &str = include_str!("../../../sql/sqlite/target.sql");
const LEDGER_READ: &str = statement(SQL, "ledger_read");
const BUNDLE_READ: &str = statement(SQL, "bundle_read");
const BUNDLE_NOTE: &str = statement(SQL, "bundle_note");
const BUNDLE_GAP: &str = "UPDATE {Schema}.BlobDeltaReplayBundle SET Gap = ?3 WHERE TableName = ?1 AND RootSha256 = ?2";

/// What a tombstone takes, about.
const TOMBSTONE_BYTES: u64 = 128;

impl Target for Replay<'_> {
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetCompatibility> {
        if create {
            self.db.attach(&spec.target.db)?;
        }
        let wanted = made_columns(spec);
        let found = self.inspect_target(spec)?;
        if found.is_none() && !create {
            catalog::resolve(self.db, &spec.target)?;
        }
        let schema = ledger::in_schema(self.db, spec, ledger::SCHEMA);
        // Another replay may make the same: what stands once the turn has come is its, and is not taken back here.
        let (ledger, is_made) = self
            .db
            .transact("prepare the target of a replay", |db| {
                let mut ledger = Vec::new();
                for name in ledger::names() {
                    if !ledger::has_table(db, spec, name)? {
                        ledger.push(format!("{}.{name}", db.schema_of(&spec.target.db)));
                    }
                }
                db.execute_batch(&schema).map_err(|error| failed("create the ledger", error))?;
                if found.is_some() || ledger::has_table(db, spec, &spec.target.table)? {
                    evolve::evolve(db, spec, &compatibility_of(db, spec)?.evolves)?;
                    return Ok((ledger, false));
                }
                for ledger in ledger::tables(db, spec) {
                    db.execute(&format!("DELETE FROM {ledger} WHERE TableName = ?1"), [spec.here()])?;
                }
                let table = db.quoted(&spec.target);
                db.execute(&create_table_sql(&table, &wanted, &spec.key_column), [])?;
                let Some(path) = &spec.path_column else { return Ok((ledger, true)) };
                let index = quote(&format!("IX_{}_Path", spec.target.table));
                let schema = db.schema_of(&spec.target.db);
                let on = quote(&spec.target.table);
                db.execute(&format!("CREATE INDEX {schema}.{index} ON {on} ({})", quote(path)), [])?;
                Ok((ledger, true))
            })
            .map_err(|error| error.table(&spec.target))?;
        if !ledger.is_empty() {
            self.made.ledgers.push((spec.clone(), ledger));
        }
        if is_made {
            self.made.tables.push(spec.clone());
            return Ok(TargetCompatibility { has_version_columns: true, ..TargetCompatibility::default() });
        }
        let found = found.filter(|found| found.evolves.is_empty());
        let found = found.map_or_else(|| self.inspect_target(spec), |found| Ok(Some(found)))?;
        found.ok_or_else(|| Error::internal("a table that was just there is gone").table(&spec.target))
    }

    fn resolve_target(&mut self, table: TableName) -> Result<TableName> {
        resolved::resolve_target(self.db, &table)
    }

    fn job_databases(&mut self, database: &str) -> Result<Vec<JobDatabase>> {
        job_databases::job_databases_of(self.db, database)
    }

    fn keep_targets(&mut self) {
        self.db.made = Made::default();
        *self.made = MadeTargets::default();
    }

    fn take_back_targets(&mut self) -> Result<()> {
        take_back::take_back(self)
    }

    fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetCompatibility>> {
        if !self.db.has_database(&spec.target.db) || !ledger::has_table(self.db, spec, &spec.target.table)? {
            return Ok(None);
        }
        let found = compatibility_of(self.db, spec).map_err(|error| error.table(&spec.target))?;
        unique::check_unique_key(self.db, spec)?;
        obstacles::obstacles(self.db, spec)?.check(spec, &found).map_err(|error| error.table(&spec.target))?;
        Ok(Some(found))
    }

    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>> {
        if !ledger::has_applied(self.db, spec)? {
            return Ok(Vec::new());
        }
        let sql = ledger::in_schema(self.db, spec, LEDGER_READ);
        self.db.query_all(&sql, (root.to_string(), spec.here()), |row| {
            Ok(LedgerEntry {
                passed_by: 0,
                root_sha256: root,
                part: row.get(0)?,
                rows: row.get::<_, i64>(1)?.unsigned_abs(),
                complete: row.get(2)?,
                applied_at: row.get(3)?,
            })
        })
    }

    fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()> {
        if !ledger::has_applied(self.db, spec)? {
            return Ok(());
        }
        let sql = "DELETE FROM {Schema}.BlobDeltaReplayLedger WHERE TableName = ?1 AND RootSha256 = ?2";
        let sql = ledger::in_schema(self.db, spec, sql);
        self.db.transact_in_group("forget what was applied", |db| {
            db.execute(&sql, (spec.here(), root.to_string()))?;
            Ok(((), 0))
        })
    }

    fn apply_rows(
        &mut self,
        spec: &TargetSpec,
        rows: &dyn RowSource,
        keys: &[Guid],
        versions: &[Version],
        entry: &LedgerEntry,
    ) -> Result<Applied> {
        if rows.rows() != keys.len() || keys.len() != versions.len() {
            return Err(Error::internal("rows, keys and versions are not equally many").table(&spec.table));
        }
        let applied = self.db.transact_in_group("apply rows", |db| {
            ledger::move_to(db, spec, entry, keys.len())?;
            ledger::note_runs(db, spec, versions)?;
            let compatibility = compatibility_of(db, spec)?;
            let applied = BatchApplier::new(db, spec, &compatibility, entry)?.apply_all(rows, keys, versions)?;
            if matches!(db.commit_group, CommitGroup::Off) {
                db.check_parked()?;
            }
            Ok(applied)
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64> {
        let applied = self.db.transact_in_group("apply tombstones", |db| {
            ledger::move_to(db, spec, entry, tombstones.len())?;
            let compatibility = compatibility_of(db, spec)?;
            let mut lookup = Lookup::new(db, spec, &compatibility, true)?;
            let mut removed = 0;
            for TombstoneRow { key, version, reason } in tombstones {
                let before = lookup.existing(*key)?;
                let mut after = before.clone();
                let is_removed = match reason {
                    DeletionReason::Deleted => after.add_deletion(*version),
                    DeletionReason::LeftScope => after.add_leaving(spec.scope, *version),
                };
                lookup.note(*key, &before, &after)?;
                if is_removed {
                    match write::remove_row(db, spec, *key)? {
                        0 => return Err(ignored("removed").key(spec.key_type.shown(*key))),
                        gone => removed += gone,
                    }
                } else {
                    lookup.hand_over(&compatibility, *key, &before, &after)?;
                }
            }
            Ok((removed, tombstones.len() as u64 * TOMBSTONE_BYTES))
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn shares_transactions(&mut self) -> bool {
        true
    }

    fn begin_commit_group(&mut self) {
        if matches!(self.db.commit_group, CommitGroup::Off) {
            self.db.commit_group = CommitGroup::Committed;
        }
    }

    fn end_commit_group(&mut self) -> Result<()> {
        let committed = self.db.commit_group("end a commit group");
        self.db.commit_group = CommitGroup::Off;
        committed
    }

    fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>> {
        if !ledger::has_applied(self.db, spec)? {
            return Ok(Vec::new());
        }
        self.db.query_all(&ledger::in_schema(self.db, spec, BUNDLE_READ), [spec.here()], applied_bundle)
    }

    fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()> {
        let sql = ledger::in_schema(self.db, spec, BUNDLE_NOTE);
        let noted = self.db.transact_in_group("note applied bundles", |db| {
            db.check_parked()?;
            let (now, here) = (db.server_time().utc, spec.here());
            for bundle in bundles {
                let AppliedBundle { source_id, scope, window, gap, is_other_source, table, .. } = bundle;
                let (start, end) = (window.map(|(start, _)| start), window.map(|(_, end)| end));
                let text = |root: Option<Sha256>| root.map(|root| root.to_string());
                let roots = (bundle.root_sha256.to_string(), text(bundle.previous), text(bundle.within));
                let (root, previous, within) = roots;
                let columns = columns_json(&bundle.columns)?;
                let noted = rusqlite::params![
                    &here,
                    root,
                    source_id,
                    scope,
                    start,
                    end,
                    gap,
                    within,
                    now,
                    previous,
                    is_other_source,
                    table,
                    columns
                ];
                db.execute(&sql, noted)?;
            }
            Ok(((), 0))
        });
        noted.map_err(|error| error.table(&spec.target))
    }

    fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()> {
        let sql = ledger::in_schema(self.db, spec, BUNDLE_GAP);
        self.db.transact("note what is missing", |db| db.execute(&sql, (spec.here(), root.to_string(), gap)))?;
        Ok(())
    }

    fn existing(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        keys: &[Guid],
    ) -> Result<Vec<ExistingVersions>> {
        let mut lookup = Lookup::new(self.db, spec, compatibility, ledger::is_there(self.db, spec)?)?;
        keys.iter().map(|key| lookup.existing(*key)).collect()
    }

    fn existing_content(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<ExistingContent>>> {
        let columns: Vec<&Column> = columns.iter().map(|at| &spec.columns[*at]).collect();
        let existing = self.existing(spec, compatibility, keys)?;
        let content = |(key, existing): (&Guid, ExistingVersions)| {
            let Some(version) = existing.version() else { return Ok(None) };
            let hash = |column: &&Column| {
                large::content_sha256(self.db, &spec.target, RowKey::new(&spec.key_column, spec.key_type, *key), column)
            };
            Ok(Some(ExistingContent { version, sha256: columns.iter().map(hash).collect::<Result<_>>()? }))
        };
        keys.iter().zip(existing).map(content).collect()
    }

    fn read_content(&mut self, spec: &TargetSpec, column: usize, key: Guid, out: &mut dyn Write) -> Result<u64> {
        let row = RowKey::new(&spec.key_column, spec.key_type, key);
        large::copy_value(self.db, &spec.target, row, &spec.columns[column].name, out)
    }
}

fn applied_bundle(row: &Row<'_>) -> rusqlite::Result<AppliedBundle> {
    let digest = |at: usize, text: String| {
        Sha256::parse(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
        })
    };
    let window = row.get::<_, Option<_>>(3)?.zip(row.get(4)?);
    Ok(AppliedBundle {
        source_id: row.get(0)?,
        scope: row.get(1)?,
        root_sha256: digest(2, row.get(2)?)?,
        window,
        gap: row.get(5)?,
        within: row.get::<_, Option<String>>(6)?.map(|text| digest(6, text)).transpose()?,
        previous: row.get::<_, Option<String>>(7)?.map(|text| digest(7, text)).transpose()?,
        is_other_source: row.get(8)?,
        table: row.get(9)?,
        columns: columns_of(row.get(10)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(10, rusqlite::types::Type::Text, Box::new(error))
        })?,
    })
}

/// How the target takes the rows, as it is now.
fn compatibility_of(db: &Database, spec: &TargetSpec) -> Result<TargetCompatibility> {
    let wanted = target_columns(spec);
    let found = catalog::table_columns(db, &spec.target)?;
    let (found, evolves) = compatibility::evolved(spec, found, &wanted, |lack| evolve::statement(spec, lack))?;
    let compatibility = compatibility::check_columns(&found, &wanted, &spec.key_column)?;
    let of = (&spec.target.table, db.schema_name(&spec.target.db));
    let declared = db.query_all("SELECT name, type FROM pragma_table_xinfo(?1, ?2)", of, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let is_as_it_was = |name: &str| !evolves.iter().any(|(column, _)| column.name.eq_ignore_ascii_case(name));
    for column in
        wanted.iter().filter(|column| !compatibility.skipped.contains(&column.name) && is_as_it_was(&column.name))
    {
        let there = declared.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
        if let Some((name, declared)) = there.filter(|(_, declared)| !types::keeps(declared, column.sql_type)) {
            return Err(types::changes(&spec.target.table, name, declared, column.sql_type));
        }
    }
    Ok(TargetCompatibility { needs_whole: rowid::needs_whole(db, &spec.target)?, evolves, ..compatibility })
}
