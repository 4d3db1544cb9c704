//! Replaying into an embedded instance.
//!
//! Each call is one transaction of the target's database, or part of one with others (`commit_group`), with the
//! ledger in it: a crash leaves a batch applied and noted, or neither. A row or a tombstone is written only if its
//! [`Version`] is greater than what stands there, so that order and repetition do not matter.

use super::apply::Applier;
use super::commit_group::CommitGroup;
use super::made::Made;
use super::sandbox::create_table_sql;
use super::session::{Session, failed, quote};
use super::standing::Lookup;
use super::types;
use crate::backend::fit::{fit, not_unique, target_columns};
use crate::backend::obstacles::ignored;
use crate::backend::{
    Applied, AppliedBundle, JobDatabase, LedgerEntry, Standing, StandingContent, Target, TargetFit, TargetSpec,
    TombstoneRow,
};
use crate::error::{Error, Result};
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use rusqlite::Row;
use std::collections::BTreeSet;

const SCHEMA: &str = include_str!("../../../sql/sqlite/replay_schema.sql");
const LEDGER_READ: &str = include_str!("../../../sql/sqlite/replay_ledger_read.sql");
const LEDGER_MOVE: &str = include_str!("../../../sql/sqlite/replay_ledger_move.sql");
const BUNDLE_READ: &str = include_str!("../../../sql/sqlite/replay_bundle_read.sql");
const BUNDLE_NOTE: &str = include_str!("../../../sql/sqlite/replay_bundle_note.sql");
const BUNDLE_GAP: &str = "UPDATE {Schema}.BlobDeltaReplayBundle SET Gap = ?3 WHERE TableName = ?1 AND RootSha256 = ?2";
const UNIQUE_INDEXES: &str = include_str!("../../../sql/sqlite/replay_unique_indexes.sql");

/// A unique index.
pub(super) struct UniqueIndex {
    pub(super) name: String,
    pub(super) is_partial: bool,
    /// Its columns; nothing for an expression.
    pub(super) columns: Vec<Option<String>>,
}

impl UniqueIndex {
    /// Whether it is over this column.
    pub(super) fn holds(&self, column: &str) -> bool {
        self.columns.iter().flatten().any(|name| name.eq_ignore_ascii_case(column))
    }
}

/// What a tombstone takes, about.
const TOMBSTONE_BYTES: u64 = 128;

impl Target for Session {
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetFit> {
        if create {
            self.attach(&spec.target.db)?;
        }
        let wanted = target_columns(spec);
        let found = self.inspect_target(spec)?;
        if found.is_none() && !create {
            self.resolve(&spec.target)?;
        }
        let schema = self.in_schema(spec, SCHEMA);
        // Another replay may make the same: what stands once the turn has come is its, and is not taken back here.
        let (ledger, is_made) = self
            .transact("prepare the target of a replay", |session| {
                let mut ledger = Vec::new();
                for name in ledger_names() {
                    if !session.has_table(spec, name)? {
                        ledger.push(format!("{}.{name}", session.schema_of(&spec.target.db)));
                    }
                }
                session.execute_batch(&schema).map_err(|error| failed("create the ledger", error))?;
                if found.is_some() || session.has_table(spec, &spec.target.table)? {
                    return Ok((ledger, false));
                }
                for ledger in session.ledger_tables(spec) {
                    session.execute(&format!("DELETE FROM {ledger} WHERE TableName = ?1"), [spec.here()])?;
                }
                let table = session.quoted(&spec.target);
                session.execute(&create_table_sql(&table, &wanted, &spec.key_column), [])?;
                let Some(path) = &spec.path_column else { return Ok((ledger, true)) };
                let index = quote(&format!("IX_{}_Path", spec.target.table));
                let schema = session.schema_of(&spec.target.db);
                let on = quote(&spec.target.table);
                session.execute(&format!("CREATE INDEX {schema}.{index} ON {on} ({})", quote(path)), [])?;
                Ok((ledger, true))
            })
            .map_err(|error| error.table(&spec.target))?;
        if !ledger.is_empty() {
            self.made.ledgers.push((spec.clone(), ledger));
        }
        if is_made {
            self.made.tables.push(spec.clone());
            return Ok(TargetFit { has_marks: true, ..TargetFit::default() });
        }
        let found = found.map_or_else(|| self.inspect_target(spec), |found| Ok(Some(found)))?;
        found.ok_or_else(|| Error::internal("a table that was just there is gone").table(&spec.target))
    }

    fn resolve_target(&mut self, table: TableName) -> Result<TableName> {
        self.resolved(&table)
    }

    fn job_databases(&mut self, database: &str) -> Result<Vec<JobDatabase>> {
        self.job_databases_of(database)
    }

    fn keep_targets(&mut self) {
        self.made = Made::default();
    }

    fn take_back_targets(&mut self) -> Result<()> {
        self.take_back()
    }

    fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetFit>> {
        if !self.has_database(&spec.target.db) || !self.has_table(spec, &spec.target.table)? {
            return Ok(None);
        }
        let found = self.fit(spec).map_err(|error| error.table(&spec.target))?;
        self.check_unique_key(spec)?;
        self.obstacles(spec)?.check(spec, &found).map_err(|error| error.table(&spec.target))?;
        Ok(Some(found))
    }

    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>> {
        if !self.has_applied(spec)? {
            return Ok(Vec::new());
        }
        let sql = self.in_schema(spec, LEDGER_READ);
        self.query_all(&sql, (root.to_string(), spec.here()), |row| {
            Ok(LedgerEntry {
                root_sha256: root,
                part: row.get(0)?,
                rows: row.get::<_, i64>(1)?.unsigned_abs(),
                complete: row.get(2)?,
                applied_at: row.get(3)?,
            })
        })
    }

    fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()> {
        if !self.has_applied(spec)? {
            return Ok(());
        }
        let sql = "DELETE FROM {Schema}.BlobDeltaReplayLedger WHERE TableName = ?1 AND RootSha256 = ?2";
        let sql = self.in_schema(spec, sql);
        self.transact_in_group("forget what was applied", |session| {
            session.execute(&sql, (spec.here(), root.to_string()))?;
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
        let applied = self.transact_in_group("apply rows", |session| {
            session.move_ledger(spec, entry, keys.len())?;
            session.note_runs(spec, versions)?;
            let fit = session.fit(spec)?;
            let applied = Applier::new(session, spec, &fit, entry)?.apply_all(rows, keys, versions)?;
            if matches!(session.commit_group, CommitGroup::Off) {
                session.check_parked()?;
            }
            Ok(applied)
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64> {
        let applied = self.transact_in_group("apply tombstones", |session| {
            session.move_ledger(spec, entry, tombstones.len())?;
            let fit = session.fit(spec)?;
            let mut lookup = Lookup::new(session, spec, &fit, true)?;
            let mut removed = 0;
            for TombstoneRow { key, version, reason } in tombstones {
                let before = lookup.standing(*key)?;
                let mut after = before.clone();
                let is_removed = match reason {
                    DeletionReason::Deleted => after.take_deletion(*version),
                    DeletionReason::LeftScope => after.take_leaving(spec.scope, *version),
                };
                lookup.note(*key, &before, &after)?;
                if is_removed {
                    match session.remove_row(spec, *key)? {
                        0 => return Err(ignored("removed").key(key)),
                        gone => removed += gone,
                    }
                } else {
                    lookup.hand_over(&fit, *key, &before, &after)?;
                }
            }
            Ok((removed, tombstones.len() as u64 * TOMBSTONE_BYTES))
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }

    fn shares_transactions(&self) -> bool {
        true
    }

    fn begin_commit_group(&mut self) {
        if matches!(self.commit_group, CommitGroup::Off) {
            self.commit_group = CommitGroup::Committed;
        }
    }

    fn end_commit_group(&mut self) -> Result<()> {
        let committed = self.commit_group("end a commit group");
        self.commit_group = CommitGroup::Off;
        committed
    }

    fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>> {
        if !self.has_applied(spec)? {
            return Ok(Vec::new());
        }
        self.query_all(&self.in_schema(spec, BUNDLE_READ), [spec.here()], applied_bundle)
    }

    fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()> {
        let sql = self.in_schema(spec, BUNDLE_NOTE);
        let noted = self.transact_in_group("note applied bundles", |session| {
            session.check_parked()?;
            let (now, here) = (session.server_time().utc, spec.here());
            for bundle in bundles {
                let AppliedBundle { source_id, scope, window, gap, is_other_source, table, .. } = bundle;
                let (start, end) = (window.map(|(start, _)| start), window.map(|(_, end)| end));
                let text = |root: Option<Sha256>| root.map(|root| root.to_string());
                let roots = (bundle.root_sha256.to_string(), text(bundle.previous), text(bundle.within));
                let (root, previous, within) = roots;
                let noted =
                    (&here, root, source_id, scope, start, end, gap, within, now, previous, is_other_source, table);
                session.execute(&sql, noted)?;
            }
            Ok(((), 0))
        });
        noted.map_err(|error| error.table(&spec.target))
    }

    fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()> {
        let sql = self.in_schema(spec, BUNDLE_GAP);
        self.transact("note what is missing", |session| session.execute(&sql, (spec.here(), root.to_string(), gap)))?;
        Ok(())
    }

    fn standing(&mut self, spec: &TargetSpec, fit: &TargetFit, keys: &[Guid]) -> Result<Vec<Standing>> {
        let mut lookup = Lookup::new(self, spec, fit, self.has_ledger(spec)?)?;
        keys.iter().map(|key| lookup.standing(*key)).collect()
    }

    fn standing_content(
        &mut self,
        spec: &TargetSpec,
        fit: &TargetFit,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<StandingContent>>> {
        let columns: Vec<&Column> = columns.iter().map(|at| &spec.columns[*at]).collect();
        let standing = self.standing(spec, fit, keys)?;
        let content = |(key, standing): (&Guid, Standing)| {
            let Some(version) = standing.version() else { return Ok(None) };
            let hash = |column: &&Column| self.content_sha256(&spec.target, (&spec.key_column, *key), column);
            Ok(Some(StandingContent { version, sha256: columns.iter().map(hash).collect::<Result<_>>()? }))
        };
        keys.iter().zip(standing).map(content).collect()
    }
}

fn ledger_names() -> impl Iterator<Item = &'static str> {
    let names = SCHEMA.lines().filter_map(|line| line.strip_prefix("CREATE TABLE IF NOT EXISTS {Schema}."));
    names.filter_map(|rest| rest.split_whitespace().next())
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
    })
}

impl Session {
    /// Ledger, tombstones and marks lie in the target's database.
    pub(super) fn in_schema(&self, spec: &TargetSpec, sql: &str) -> String {
        sql.replace("{Schema}", &self.schema_of(&spec.target.db))
    }

    fn has_table(&self, spec: &TargetSpec, name: &str) -> Result<bool> {
        let schema = self.schema_of(&spec.target.db);
        let sql = format!("SELECT EXISTS (SELECT * FROM {schema}.sqlite_master WHERE name = ?1 COLLATE NOCASE)");
        self.query_one(&sql, [name])
    }

    /// The tables of the ledger, quoted.
    fn ledger_tables(&self, spec: &TargetSpec) -> impl Iterator<Item = String> {
        let schema = self.schema_of(&spec.target.db);
        ledger_names().map(move |name| format!("{schema}.{name}"))
    }

    /// Whether anything can have been applied: what a ledger says of a table that was dropped since, it says of none.
    fn has_applied(&self, spec: &TargetSpec) -> Result<bool> {
        Ok(self.has_ledger(spec)? && self.has_table(spec, &spec.target.table)?)
    }

    fn has_ledger(&self, spec: &TargetSpec) -> Result<bool> {
        Ok(self.has_database(&spec.target.db) && self.has_table(spec, "BlobDeltaReplayBundle")?)
    }

    /// How the target takes the rows, as it is now.
    fn fit(&self, spec: &TargetSpec) -> Result<TargetFit> {
        let wanted = target_columns(spec);
        let fit = fit(&self.table_columns(&spec.target)?, &wanted, &spec.key_column)?;
        let of = (&spec.target.table, self.schema_name(&spec.target.db));
        let declared = self.query_all("SELECT name, type FROM pragma_table_xinfo(?1, ?2)", of, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        for column in wanted.iter().filter(|column| !fit.skipped.contains(&column.name)) {
            let there = declared.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            if let Some((name, declared)) = there.filter(|(_, declared)| !types::keeps(declared, column.sql_type)) {
                return Err(types::changes(&spec.target.table, name, declared, column.sql_type));
            }
        }
        Ok(TargetFit { needs_whole: self.needs_whole(&spec.target)?, ..fit })
    }

    /// Unique indexes of the target, with their columns.
    pub(super) fn unique_indexes(&self, spec: &TargetSpec) -> Result<Vec<UniqueIndex>> {
        let of = (&spec.target.table, self.schema_name(&spec.target.db));
        let mut indexes: Vec<UniqueIndex> = Vec::new();
        let columns = self.query_all(UNIQUE_INDEXES, of, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
        })?;
        for (name, column, is_partial) in columns {
            match indexes.last_mut().filter(|last| last.name == name) {
                Some(last) => last.columns.push(column),
                None => indexes.push(UniqueIndex { name, is_partial, columns: vec![column] }),
            }
        }
        Ok(indexes)
    }

    /// Notes whose rows the runs took that these versions are of.
    fn note_runs(&self, spec: &TargetSpec, versions: &[Version]) -> Result<()> {
        let runs: BTreeSet<Guid> = versions.iter().map(|version| version.run_id).collect();
        let note = "INSERT OR IGNORE INTO {Schema}.BlobDeltaReplayRun (TableName, RunId, Scope) VALUES (?1, ?2, ?3)";
        let (note, here) = (self.in_schema(spec, note), spec.here());
        runs.iter().try_for_each(|run| self.execute(&note, (&here, run, spec.scope)).map(drop))
    }

    /// Removes a row with its mark. Returns how many there were.
    pub(super) fn remove_row(&self, spec: &TargetSpec, key: Guid) -> Result<u64> {
        let delete = format!("DELETE FROM {} WHERE {} = ?1", self.quoted(&spec.target), quote(&spec.key_column));
        let forget =
            self.in_schema(spec, "DELETE FROM {Schema}.BlobDeltaReplayRow WHERE TableName = ?1 AND stream_id = ?2");
        self.execute(&forget, (spec.here(), key))?;
        self.parked.borrow_mut().forget(key);
        self.execute(&delete, [key])
    }

    /// The hash of a value, read in pieces; nothing for NULL.
    pub(super) fn content_sha256(
        &self,
        table: &TableName,
        key: (&str, Guid),
        column: &Column,
    ) -> Result<Option<Sha256>> {
        let (quoted, name, key_column) = (self.quoted(table), quote(&column.name), quote(key.0));
        if self.query_one(&format!("SELECT {name} IS NULL FROM {quoted} WHERE {key_column} = ?1"), [key.1])? {
            return Ok(None);
        }
        let mut hash = Hasher::default();
        self.copy_value(table, key, &column.name, &mut hash)?;
        Ok(Some(hash.finish()))
    }

    /// A row replaces the row of its key, so the key alone must be unique.
    fn check_unique_key(&self, spec: &TargetSpec) -> Result<()> {
        let is_key =
            |index: &UniqueIndex| !index.is_partial && index.columns.len() == 1 && index.holds(&spec.key_column);
        let unique = self.unique_indexes(spec)?.iter().any(is_key);
        if unique { Ok(()) } else { Err(not_unique(spec)) }
    }

    fn move_ledger(&self, spec: &TargetSpec, entry: &LedgerEntry, rows: usize) -> Result<()> {
        let after =
            i64::try_from(entry.rows).map_err(|_| Error::internal("a part has more rows than can be counted"))?;
        let before = after - i64::try_from(rows).unwrap_or(i64::MAX);
        let root = entry.root_sha256.to_string();
        let moved = self.execute(
            &self.in_schema(spec, LEDGER_MOVE),
            (root, spec.here(), &entry.part, after, entry.complete, before, entry.applied_at),
        )?;
        if moved == 1 {
            return Ok(());
        }
        let text = format!("the ledger is not where a batch of {rows} rows that ends at row {} begins", entry.rows);
        Err(Error::internal(text).hint("another replay may be applying the same bundle; run again when it has ended"))
    }
}
