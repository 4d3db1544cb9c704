//! Replaying into a database of a server.
//!
//! Each call is one transaction of the target's database, with the ledger in it: a connection that
//! is lost leaves a batch applied and noted, or neither. A unit that is repeated because the
//! answer to its COMMIT was lost finds the ledger where it was to be, and is done.

use super::apply::Plan;
use super::client::Client;
use super::database::Database;
use super::key_id::key_value;
use super::large::{self, ValuePlace};
use super::made::{Made, MadeTargets};
use super::replay::{Replay, ReplayState};
use super::sql::{Sql, literal, quote};
use super::unique::{self, UniqueIndex};
use super::values::RowFields;
use super::{catalog, existing, job_databases, ledger, obstacles, resolved, take_back};
use crate::backend::compatibility::{check_columns, evolved, made_columns, not_unique, target_columns};
use crate::backend::existing::ExistingVersions;
use crate::backend::slices::{columns_json, columns_of};
use crate::backend::target::{
    Applied, AppliedBundle, ExistingContent, JobDatabase, LedgerEntry, Target, TargetCompatibility, TargetSpec,
    TombstoneRow,
};
use crate::error::{Error, Result};
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use std::io::Write;
use std::sync::Arc;

const SQL: &str = include_str!("../../../sql/sqlserver/target.sql");
const BUNDLE_READ: &str = statement(SQL, "bundle_read");
const BUNDLE_GAP: &str = statement(SQL, "bundle_gap");
const FORGET: &str = statement(SQL, "forget");
const BUNDLE_NOTE: &str = statement(SQL, "bundle_note");

/// The longest key of an index that is not clustered (SQL Server 2016 and later).
const INDEX_MAX_BYTES: u16 = 1700;

/// What the catalog says of a target.
struct FoundTarget {
    columns: Vec<Column>,
    compatibility: TargetCompatibility,
    indexes: Vec<UniqueIndex>,
    has_triggers: bool,
}

impl Target for Replay<'_> {
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetCompatibility> {
        if create && !self.db.client.unit(|client| catalog::has_database(client, &spec.target.db))? {
            self.db.client.batch("create the database", &format!("CREATE DATABASE {}", quote(&spec.target.db)))?;
            self.db.made.databases.push(spec.target.db.clone());
        }
        let Self { db, state } = self;
        let prepared = ledger::in_target(db, spec, |db| prepare(db, state, spec, create));
        prepared.map_err(|error| error.table(&spec.target))
    }

    fn resolve_target(&mut self, table: TableName) -> Result<TableName> {
        resolved::target(&mut self.db.client, table)
    }

    fn job_databases(&mut self, _: &str) -> Result<Vec<JobDatabase>> {
        job_databases::job_databases(self.db)
    }

    fn keep_targets(&mut self) {
        self.db.made = Made::default();
        self.state.made = MadeTargets::default();
    }

    fn take_back_targets(&mut self) -> Result<()> {
        take_back::take_back(self)
    }

    fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetCompatibility>> {
        if !self.db.client.unit(|client| catalog::has_table(client, &spec.target))? {
            return Ok(None);
        }
        let found = ledger::in_target(self.db, spec, |db| find(db, spec));
        found.map(|found| Some(found.compatibility)).map_err(|error| error.table(&spec.target))
    }

    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>> {
        ledger::in_ledger(self.db, spec, |db| {
            let sql = Sql::new(ledger::LEDGER_READ).with(root.to_string()).with(spec.here());
            let rows = db.client.unit(|client| client.rows("read the ledger", sql.clone()))?;
            rows.iter().map(|row| ledger::entry(root, &RowFields::of(row))).collect()
        })
    }

    fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()> {
        ledger::in_ledger(self.db, spec, |db| {
            let sql = "DELETE FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1 AND RootSha256 = @P2";
            let sql = Sql::new(sql).with(spec.here()).with(root.to_string());
            db.client.unit(|client| client.execute("forget what was applied", sql.clone()).map(drop))
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
        apply(self, "apply rows", spec, entry, keys.len(), |plan, client| {
            plan.rows(client, spec, rows, (keys, versions), entry)
        })
    }

    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64> {
        apply(self, "apply tombstones", spec, entry, tombstones.len(), |plan, client| {
            plan.write_tombstones(client, tombstones)
        })
    }

    fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>> {
        ledger::in_ledger(self.db, spec, |db| {
            let sql = Sql::new(BUNDLE_READ).with(spec.here());
            let rows = db.client.unit(|client| client.rows("read the ledger", sql.clone()))?;
            rows.iter().map(|row| applied_bundle(&RowFields::of(row))).collect()
        })
    }

    fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()> {
        ledger::in_target(self.db, spec, |db| {
            let doing = "note applied bundles";
            db.client.transact(doing, |client| {
                bundles.iter().try_for_each(|bundle| client.execute(doing, note_sql(spec, bundle)?).map(drop))
            })
        })
    }

    fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()> {
        ledger::in_target(self.db, spec, |db| {
            let sql =
                Sql::new(BUNDLE_GAP).with(spec.here()).with(root.to_string()).with(gap.unwrap_or_default().to_owned());
            db.client.unit(|client| client.execute("note what is missing", sql.clone()).map(drop))
        })
    }

    fn existing(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        keys: &[Guid],
    ) -> Result<Vec<ExistingVersions>> {
        ledger::in_target(self.db, spec, |db| existing::existing_there(db, spec, compatibility, keys))
    }

    fn existing_content(
        &mut self,
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<ExistingContent>>> {
        ledger::in_target(self.db, spec, |db| existing::content_there(db, spec, compatibility, columns, keys))
    }

    fn read_content(&mut self, spec: &TargetSpec, column: usize, key: Guid, out: &mut dyn Write) -> Result<u64> {
        let column = &spec.columns[column];
        let row = (spec.key_column.as_str(), key_value(spec.key_type, key));
        let place = ValuePlace::new(existing::target_name(spec), row, &column.name, column.sql_type);
        let at = |error: Error| error.table(&spec.target).key(spec.key_type.shown(key)).column(&column.name);
        ledger::in_target(self.db, spec, |db| large::read(&mut db.client, &place, out)).map_err(at)
    }
}

fn prepare(db: &mut Database, state: &mut ReplayState, spec: &TargetSpec, create: bool) -> Result<TargetCompatibility> {
    if let Some(plan) = state.targets.get(&spec.target).filter(|plan| plan.is_for(spec)) {
        // This session has prepared it before, for another bundle.
        return Ok(plan.compatibility().clone());
    }
    let missing = create && !db.client.unit(|client| catalog::has_table(client, &spec.target))?;
    if !ledger::is_there(db)? {
        state.made.ledgers.push(spec.clone());
    }
    if missing {
        create_target(db, spec, &made_columns(spec))?;
        state.made.tables.push(spec.clone());
    }
    let mut found = find(db, spec)?;
    if !missing {
        db.client.transact("create the ledger", |client| client.batch("create the ledger", ledger::SCHEMA))?;
    }
    if !found.compatibility.evolves.is_empty() {
        evolve(db, spec, &found.compatibility.evolves)?;
        found = find(db, spec)?;
    }
    keep_plan(db, state, spec, found).map(|plan| plan.compatibility().clone())
}

/// A target that is there, and how it takes the rows; its database is in use.
fn find(db: &mut Database, spec: &TargetSpec) -> Result<FoundTarget> {
    let mut found = db.client.unit(|client| catalog::columns(client, &spec.target))?;
    // A stamp of the target's own takes no values.
    found.iter_mut().for_each(|column| column.computed |= column.sql_type == SqlType::RowVersion);
    let (obstacles, generated) = obstacles::ask(&mut db.client, spec)?;
    for column in found.iter_mut().filter(|column| generated.contains(&column.name)) {
        column.computed = true;
    }
    let wanted = as_kept(db, &target_columns(spec))?;
    let (found, evolves) = evolved(spec, found, &wanted, |(column, there)| {
        Some(column_change(spec, (column, *there), &column.sql_type.to_string()))
    })?;
    let is_key = |column: &Column| column.name.eq_ignore_ascii_case(&spec.key_column);
    // A server alters no column that a primary key is made of.
    if let Some((key, Some(there))) = evolves.iter().find(|(column, _)| is_key(column)) {
        let text = format!("the target's key is {there}, and {} comes", key.sql_type);
        let change = column_change(spec, (key, Some(*there)), &key.sql_type.to_string());
        return Err(Error::config(text).table(&spec.target).column(&key.name).hint(format!(
            "drop the primary key of the target, `{change}`, and make the key again; or replay the whole chain into another database",
        )));
    }
    let compatibility = TargetCompatibility { evolves, ..check_columns(&found, &wanted, &spec.key_column)? };
    obstacles.check(spec, &compatibility)?;
    // A row replaces the row of its key, so the key alone must be unique.
    let is_key = |columns: &[String]| columns.len() == 1 && columns[0].eq_ignore_ascii_case(&spec.key_column);
    let indexes = unique::unique_indexes(db, spec)?;
    if !indexes.iter().any(|(_, columns)| is_key(columns)) {
        return Err(not_unique(spec));
    }
    Ok(FoundTarget { columns: found, compatibility, indexes, has_triggers: obstacles.has_triggers() })
}

/// Columns as this server keeps them: there are servers whose times have six digits, whatever
/// their type says, and a target there is as good as any other.
fn as_kept(db: &mut Database, columns: &[Column]) -> Result<Vec<Column>> {
    let asked = "2026-01-01T00:00:00.1234567";
    let sql = Sql::new(format!("SELECT CONVERT(datetime2(7), '{asked}')"));
    let row = db.client.unit(|client| client.row("ask how exact times are", sql.clone()))?;
    let kept = row.map(|row| RowFields::of(&row).must(0, RowFields::time)).transpose()?;
    let most = if kept.is_some_and(|kept| kept.to_string() == asked) { 7 } else { 6 };
    let kept = |sql_type| match sql_type {
        SqlType::DateTime2(scale) => SqlType::DateTime2(scale.min(most)),
        SqlType::DateTimeOffset(scale) => SqlType::DateTimeOffset(scale.min(most)),
        SqlType::Time(scale) => SqlType::Time(scale.min(most)),
        other => other,
    };
    Ok(columns.iter().map(|column| Column { sql_type: kept(column.sql_type), ..column.clone() }).collect())
}

/// What adds or widens a column.
fn column_change(spec: &TargetSpec, (column, there): (&Column, Option<SqlType>), declared: &str) -> String {
    let table = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
    let (what, null) = match (there, column.nullable) {
        (None, true) => ("ADD", " NULL"),
        (None, false) => ("ADD", " NOT NULL"),
        // A column that is altered takes NULL unless something else is said.
        (Some(_), true) => ("ALTER COLUMN", ""),
        (Some(_), false) => ("ALTER COLUMN", " NOT NULL"),
    };
    format!("ALTER TABLE {table} {what} {} {declared}{null}", quote(&column.name))
}

/// Rule 24: adds and widens the columns, in one transaction.
fn evolve(db: &mut Database, spec: &TargetSpec, lacks: &[(Column, Option<SqlType>)]) -> Result<()> {
    let asked =
        Sql::new("SELECT CONVERT(nvarchar(128), collation_name) FROM sys.databases WHERE database_id = DB_ID()");
    let row = db.client.unit(|client| client.row("ask for the database's collation", asked.clone()))?;
    let default = row.map(|row| RowFields::of(&row).text(0).map(|name| name.map(str::to_owned))).transpose()?.flatten();
    let mut statements = Vec::new();
    for (column, there) in lacks {
        // What goes without saying is not said: there are servers that take no collation here.
        let is_default =
            column.collation.as_ref().zip(default.as_ref()).is_some_and(|(own, of)| own.eq_ignore_ascii_case(of));
        let column = Column { collation: column.collation.clone().filter(|_| !is_default), ..column.clone() };
        let declared = declared(&mut db.client, &column)?;
        statements.push(column_change(spec, (&column, *there), &declared));
    }
    let doing = "have the target follow the bundles' columns";
    db.client.transact(doing, |client| statements.iter().try_for_each(|statement| client.batch(doing, statement)))
}

/// Table, index and ledger, in one transaction.
fn create_target(db: &mut Database, spec: &TargetSpec, wanted: &[Column]) -> Result<()> {
    let doing = "create the target of a replay";
    let mut lines = Vec::new();
    for column in wanted {
        let is_key = column.name.eq_ignore_ascii_case(&spec.key_column);
        let null = if column.nullable && !is_key { "NULL" } else { "NOT NULL" };
        let declared = declared(&mut db.client, column)?;
        lines.push(format!("{} {declared} {null}", quote(&column.name)));
    }
    let target = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
    let key = quote(&spec.key_column);
    let table = format!("CREATE TABLE {target} ({}, PRIMARY KEY NONCLUSTERED ({key}))", lines.join(", "));
    let path = spec.path_column.as_ref().and_then(|path| crate::backend::compatibility::named(wanted, path));
    let index = path
        .filter(|path| can_be_indexed(path.sql_type))
        .map(|path| format!("CREATE INDEX IX_BlobDelta_Path ON {target} ({})", quote(&path.name)));
    let (name, create) = (literal(&spec.target.schema), format!("CREATE SCHEMA {}", quote(&spec.target.schema)));
    let schema = format!("IF SCHEMA_ID({name}) IS NULL EXEC ({})", literal(&create));
    db.client.transact(doing, |client| {
        client.batch("create the ledger", ledger::SCHEMA)?;
        client.execute("forget a table that was dropped", Sql::new(FORGET).with(spec.here()))?;
        client.batch(doing, &schema)?;
        client.batch(doing, &table)?;
        index.iter().try_for_each(|index| client.batch("create an index on the path", index))
    })
}

/// How rows come into this target; its database is in use.
fn plan(db: &mut Database, state: &mut ReplayState, spec: &TargetSpec) -> Result<Arc<Plan>> {
    if let Some(plan) = state.targets.get(&spec.target).filter(|plan| plan.is_for(spec)) {
        return Ok(plan.clone());
    }
    let found = find(db, spec)?;
    keep_plan(db, state, spec, found)
}

fn keep_plan(db: &mut Database, state: &mut ReplayState, spec: &TargetSpec, found: FoundTarget) -> Result<Arc<Plan>> {
    let FoundTarget { columns, compatibility, indexes, has_triggers } = found;
    let in_chunks = db.abilities()?.has_write;
    let plan = Arc::new(Plan::new(spec, &columns, compatibility, &indexes, (in_chunks, has_triggers)));
    state.targets.insert(spec.target.clone(), plan.clone());
    Ok(plan)
}

/// Moves the ledger and does what it stands for, in one transaction.
fn apply<T: Default + Copy>(
    replay: &mut Replay<'_>,
    doing: &str,
    spec: &TargetSpec,
    entry: &LedgerEntry,
    rows: usize,
    mut work: impl FnMut(&Plan, &mut Client) -> Result<T>,
) -> Result<T> {
    let Replay { db, state } = replay;
    let applied = ledger::in_target(db, spec, |db| {
        let plan = plan(db, state, spec)?;
        let mut tries = 0;
        let mut done = T::default();
        db.client.transact(doing, |client| {
            tries += 1;
            plan.take_turn(client)?;
            if ledger::move_to(client, spec, entry, rows)? {
                done = work(&plan, client)?;
            } else if tries == 1 || !ledger::stands_at(client, spec, entry)? {
                return Err(ledger::out_of_place(entry, rows));
            }
            Ok(done)
        })
    });
    applied.map_err(|error| error.table(&spec.target).file(&entry.part))
}

fn applied_bundle(fields: &RowFields<'_>) -> Result<AppliedBundle> {
    Ok(AppliedBundle {
        source_id: fields.must(0, RowFields::guid)?,
        scope: fields.must(1, RowFields::text)?.to_owned(),
        root_sha256: Sha256::parse(fields.must(2, RowFields::text)?)?,
        window: fields.time(3)?.zip(fields.time(4)?),
        gap: fields.text(5)?.map(str::to_owned),
        within: fields.text(6)?.map(Sha256::parse).transpose()?,
        previous: fields.text(7)?.map(Sha256::parse).transpose()?,
        columns: columns_of(fields.text(10)?.map(str::to_owned))?,
        is_other_source: fields.must(8, RowFields::number)? != 0,
        table: TableName::parse(fields.must(9, RowFields::text)?)?,
    })
}

fn note_sql<'a>(spec: &TargetSpec, bundle: &AppliedBundle) -> Result<Sql<'a>> {
    let columns = columns_json(&bundle.columns)?;
    let shown = |value: Option<String>| value.unwrap_or_default();
    Ok(Sql::new(BUNDLE_NOTE)
        .with(spec.here())
        .with(bundle.root_sha256.to_string())
        .with(bundle.source_id)
        .with(bundle.scope.clone())
        .with(shown(bundle.window.map(|(start, _)| start.to_string())))
        .with(shown(bundle.window.map(|(_, end)| end.to_string())))
        .with(shown(bundle.gap.clone()))
        .with(shown(bundle.within.map(|root| root.to_string())))
        .with(shown(bundle.previous.map(|root| root.to_string())))
        .with(bundle.is_other_source)
        .with(&bundle.table)
        .with(columns))
}

/// The type of a column in a target that is created: its own, or plain bytes where the server
/// lacks it.
fn declared(client: &mut Client, column: &Column) -> Result<String> {
    use SqlType as T;
    let plain = match column.sql_type {
        T::RowVersion => Some("binary(8)"),
        T::HierarchyId => Some("varbinary(892)"),
        T::Geography | T::Geometry => Some("varbinary(max)"),
        _ => None,
    };
    if let Some(plain) = plain {
        let sql = Sql::new("SELECT TYPE_ID(").bind(column.sql_type.to_string()).then(")");
        let has = column.sql_type != T::RowVersion
            && client.row("ask for a type", sql)?.is_some_and(|row| !matches!(RowFields::of(&row).number(0), Ok(None)));
        return Ok(if has { column.sql_type.to_string() } else { plain.to_owned() });
    }
    let collation = match &column.collation {
        Some(collation) if super::values::is_text(column.sql_type) && column.sql_type != T::Xml => collation,
        _ => return Ok(column.sql_type.to_string()),
    };
    let is_name = !collation.is_empty() && collation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sql = Sql::new("SELECT COUNT(*) FROM sys.fn_helpcollations() WHERE name = ").bind(collation);
    let row = client.row("ask for a collation", sql)?;
    let known = row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()?.unwrap_or(0) > 0;
    Ok(if is_name && known { format!("{} COLLATE {collation}", column.sql_type) } else { column.sql_type.to_string() })
}

fn can_be_indexed(sql_type: SqlType) -> bool {
    match sql_type {
        SqlType::NVarChar(Some(units)) | SqlType::NChar(units) => units <= INDEX_MAX_BYTES / 2,
        SqlType::VarChar(Some(bytes)) | SqlType::Char(bytes) => bytes <= INDEX_MAX_BYTES,
        SqlType::VarBinary(Some(bytes)) | SqlType::Binary(bytes) => bytes <= INDEX_MAX_BYTES,
        SqlType::Geography | SqlType::Geometry => false,
        other => !other.is_large(),
    }
}
