//! Replaying into a database of a server.
//!
//! Each call is one transaction of the target's database, with the ledger in it: a connection that
//! is lost leaves a batch applied and noted, or neither. A unit that is repeated because the
//! answer to its COMMIT was lost finds the ledger where it was to be, and is done.

use super::apply::Plan;
use super::catalog;
use super::client::Client;
use super::made::Made;
use super::obstacles;
use super::resolved;
use super::session::Session;
use super::sql::{Sql, literal, quote};
use super::unique::UniqueIndex;
use super::values::Fields;
use crate::backend::fit::{fit, not_unique, target_columns};
use crate::backend::standing::Standing;
use crate::backend::target::{
    Applied, AppliedBundle, JobDatabase, LedgerEntry, StandingContent, Target, TargetFit, TargetSpec, TombstoneRow,
};
use crate::error::{Error, Result};
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::version::Version;
use std::sync::Arc;

pub(super) const SCHEMA: &str = include_str!("../../../sql/sqlserver/replay_schema.sql");
const LEDGER_READ: &str = include_str!("../../../sql/sqlserver/replay_ledger_read.sql");
const LEDGER_MOVE: &str = include_str!("../../../sql/sqlserver/replay_ledger_move.sql");
const FORGET: &str = include_str!("../../../sql/sqlserver/replay_forget.sql");
const BUNDLE_READ: &str = include_str!("../../../sql/sqlserver/replay_bundle_read.sql");
const BUNDLE_NOTE: &str = include_str!("../../../sql/sqlserver/replay_bundle_note.sql");
const BUNDLE_GAP: &str = include_str!("../../../sql/sqlserver/replay_bundle_gap.sql");

/// The longest key of an index that is not clustered (SQL Server 2016 and later).
const INDEX_MAX_BYTES: u16 = 1700;

/// What the catalog says of a target.
struct FoundTarget {
    columns: Vec<Column>,
    fit: TargetFit,
    indexes: Vec<UniqueIndex>,
    has_triggers: bool,
}

impl Target for Session {
    fn prepare_target(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetFit> {
        if create && !self.client.unit(|client| catalog::has_database(client, &spec.target.db))? {
            self.client.batch("create the database", &format!("CREATE DATABASE {}", quote(&spec.target.db)))?;
            self.made.databases.push(spec.target.db.clone());
        }
        let prepared = self.in_target(spec, |session| session.prepare(spec, create));
        prepared.map_err(|error| error.table(&spec.target))
    }

    fn resolve_target(&mut self, table: TableName) -> Result<TableName> {
        resolved::target(&mut self.client, table)
    }

    fn job_databases(&mut self, _: &str) -> Result<Vec<JobDatabase>> {
        self.job_database()
    }

    fn keep_targets(&mut self) {
        self.made = Made::default();
    }

    fn take_back_targets(&mut self) -> Result<()> {
        self.take_back()
    }

    fn inspect_target(&mut self, spec: &TargetSpec) -> Result<Option<TargetFit>> {
        if !self.client.unit(|client| catalog::has_table(client, &spec.target))? {
            return Ok(None);
        }
        let found = self.in_target(spec, |session| session.find(spec));
        found.map(|found| Some(found.fit)).map_err(|error| error.table(&spec.target))
    }

    fn ledger(&mut self, spec: &TargetSpec, root: Sha256) -> Result<Vec<LedgerEntry>> {
        self.in_ledger(spec, |session| {
            let sql = Sql::new(LEDGER_READ).with(root.to_string()).with(spec.here());
            let rows = session.client.unit(|client| client.rows("read the ledger", sql.clone()))?;
            rows.iter().map(|row| ledger_entry(root, &Fields::of(row))).collect()
        })
    }

    fn forget_applied(&mut self, spec: &TargetSpec, root: Sha256) -> Result<()> {
        self.in_ledger(spec, |session| {
            let sql = "DELETE FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1 AND RootSha256 = @P2";
            let sql = Sql::new(sql).with(spec.here()).with(root.to_string());
            session.client.unit(|client| client.execute("forget what was applied", sql.clone()).map(drop))
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
        self.apply("apply rows", spec, entry, keys.len(), |plan, client| {
            plan.rows(client, spec, rows, (keys, versions), entry)
        })
    }

    fn apply_tombstones(&mut self, spec: &TargetSpec, tombstones: &[TombstoneRow], entry: &LedgerEntry) -> Result<u64> {
        self.apply("apply tombstones", spec, entry, tombstones.len(), |plan, client| plan.bury(client, tombstones))
    }

    fn applied_bundles(&mut self, spec: &TargetSpec) -> Result<Vec<AppliedBundle>> {
        self.in_ledger(spec, |session| {
            let sql = Sql::new(BUNDLE_READ).with(spec.here());
            let rows = session.client.unit(|client| client.rows("read the ledger", sql.clone()))?;
            rows.iter().map(|row| applied_bundle(&Fields::of(row))).collect()
        })
    }

    fn note_bundles(&mut self, spec: &TargetSpec, bundles: &[AppliedBundle]) -> Result<()> {
        self.in_target(spec, |session| {
            let doing = "note applied bundles";
            session.client.transact(doing, |client| {
                bundles.iter().try_for_each(|bundle| client.execute(doing, note_sql(spec, bundle)).map(drop))
            })
        })
    }

    fn note_gap(&mut self, spec: &TargetSpec, root: Sha256, gap: Option<&str>) -> Result<()> {
        self.in_target(spec, |session| {
            let sql =
                Sql::new(BUNDLE_GAP).with(spec.here()).with(root.to_string()).with(gap.unwrap_or_default().to_owned());
            session.client.unit(|client| client.execute("note what is missing", sql.clone()).map(drop))
        })
    }

    fn standing(&mut self, spec: &TargetSpec, fit: &TargetFit, keys: &[Guid]) -> Result<Vec<Standing>> {
        self.in_target(spec, |session| session.standing_there(spec, fit, keys))
    }

    fn standing_content(
        &mut self,
        spec: &TargetSpec,
        fit: &TargetFit,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<StandingContent>>> {
        self.in_target(spec, |session| session.content_there(spec, fit, columns, keys))
    }
}

impl Session {
    /// Does something with the target's database in use.
    pub(super) fn in_target<T>(&mut self, spec: &TargetSpec, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        // What was read ahead of a table may be about to change.
        self.cursor = None;
        let before = self.client.database().map(str::to_owned);
        if before.as_ref().is_some_and(|before| before.eq_ignore_ascii_case(&spec.target.db)) {
            return work(self);
        }
        if !self.client.unit(|client| catalog::has_database(client, &spec.target.db))? {
            return Err(Error::config(format!(
                "there is no database {}, or this login may not see it",
                spec.target.db
            ))
            .hint("correct the name, or let it be created with --create"));
        }
        self.client.use_database(&spec.target.db)?;
        let done = work(self);
        if let Some(before) = before {
            self.client.use_database(&before)?;
        }
        done
    }

    /// The same, or nothing where there is no ledger yet, or no table: what a ledger says of one that was dropped since,
    /// it says of none.
    fn in_ledger<T: Default>(&mut self, spec: &TargetSpec, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.client.unit(|client| catalog::has_table(client, &spec.target))? {
            return Ok(T::default());
        }
        self.in_target(spec, |session| if session.has_ledger()? { work(session) } else { Ok(T::default()) })
    }

    fn prepare(&mut self, spec: &TargetSpec, create: bool) -> Result<TargetFit> {
        if let Some(plan) = self.targets.get(&spec.target).filter(|plan| plan.is_for(spec)) {
            // This session has prepared it before, for another bundle.
            return Ok(plan.fit().clone());
        }
        let wanted = target_columns(spec);
        let missing = create && !self.client.unit(|client| catalog::has_table(client, &spec.target))?;
        if !self.has_ledger()? {
            self.made.ledgers.push(spec.clone());
        }
        if missing {
            self.create_target(spec, &wanted)?;
            self.made.tables.push(spec.clone());
        }
        let found = self.find(spec)?;
        if !missing {
            self.client.transact("create the ledger", |client| client.batch("create the ledger", SCHEMA))?;
        }
        self.keep_plan(spec, found).map(|plan| plan.fit().clone())
    }

    /// A target that is there, and how it takes the rows; its database is in use.
    fn find(&mut self, spec: &TargetSpec) -> Result<FoundTarget> {
        let mut found = self.client.unit(|client| catalog::columns(client, &spec.target))?;
        // A stamp of the target's own takes no values.
        found.iter_mut().for_each(|column| column.computed |= column.sql_type == SqlType::RowVersion);
        let (obstacles, generated) = obstacles::ask(&mut self.client, spec)?;
        for column in found.iter_mut().filter(|column| generated.contains(&column.name)) {
            column.computed = true;
        }
        let wanted = self.as_kept(&target_columns(spec))?;
        let fit = fit(&found, &wanted, &spec.key_column)?;
        obstacles.check(spec, &fit)?;
        // A row replaces the row of its key, so the key alone must be unique.
        let is_key = |columns: &[String]| columns.len() == 1 && columns[0].eq_ignore_ascii_case(&spec.key_column);
        let indexes = self.unique_indexes(spec)?;
        if !indexes.iter().any(|(_, columns)| is_key(columns)) {
            return Err(not_unique(spec));
        }
        Ok(FoundTarget { columns: found, fit, indexes, has_triggers: obstacles.has_triggers() })
    }

    /// Columns as this server keeps them: there are servers whose times have six digits, whatever
    /// their type says, and a target there is as good as any other.
    fn as_kept(&mut self, columns: &[Column]) -> Result<Vec<Column>> {
        let asked = "2026-01-01T00:00:00.1234567";
        let sql = Sql::new(format!("SELECT CONVERT(datetime2(7), '{asked}')"));
        let row = self.client.unit(|client| client.row("ask how exact times are", sql.clone()))?;
        let kept = row.map(|row| Fields::of(&row).must(0, Fields::time)).transpose()?;
        let most = if kept.is_some_and(|kept| kept.to_string() == asked) { 7 } else { 6 };
        let kept = |sql_type| match sql_type {
            SqlType::DateTime2(scale) => SqlType::DateTime2(scale.min(most)),
            SqlType::DateTimeOffset(scale) => SqlType::DateTimeOffset(scale.min(most)),
            SqlType::Time(scale) => SqlType::Time(scale.min(most)),
            other => other,
        };
        Ok(columns.iter().map(|column| Column { sql_type: kept(column.sql_type), ..column.clone() }).collect())
    }

    /// Table, index and ledger, in one transaction.
    fn create_target(&mut self, spec: &TargetSpec, wanted: &[Column]) -> Result<()> {
        let doing = "create the target of a replay";
        let mut lines = Vec::new();
        for column in wanted {
            let is_key = column.name.eq_ignore_ascii_case(&spec.key_column);
            let null = if column.nullable && !is_key { "NULL" } else { "NOT NULL" };
            let declared = declared(&mut self.client, column)?;
            lines.push(format!("{} {declared} {null}", quote(&column.name)));
        }
        let target = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
        let key = quote(&spec.key_column);
        let table = format!("CREATE TABLE {target} ({}, PRIMARY KEY NONCLUSTERED ({key}))", lines.join(", "));
        let path = spec.path_column.as_ref().and_then(|path| crate::backend::fit::named(wanted, path));
        let index = path
            .filter(|path| can_be_indexed(path.sql_type))
            .map(|path| format!("CREATE INDEX IX_BlobDelta_Path ON {target} ({})", quote(&path.name)));
        let (name, create) = (literal(&spec.target.schema), format!("CREATE SCHEMA {}", quote(&spec.target.schema)));
        let schema = format!("IF SCHEMA_ID({name}) IS NULL EXEC ({})", literal(&create));
        self.client.transact(doing, |client| {
            client.batch("create the ledger", SCHEMA)?;
            client.execute("forget a table that was dropped", Sql::new(FORGET).with(spec.here()))?;
            client.batch(doing, &schema)?;
            client.batch(doing, &table)?;
            index.iter().try_for_each(|index| client.batch("create an index on the path", index))
        })
    }

    /// How rows come into this target; its database is in use.
    fn plan(&mut self, spec: &TargetSpec) -> Result<Arc<Plan>> {
        if let Some(plan) = self.targets.get(&spec.target).filter(|plan| plan.is_for(spec)) {
            return Ok(plan.clone());
        }
        let found = self.find(spec)?;
        self.keep_plan(spec, found)
    }

    fn keep_plan(&mut self, spec: &TargetSpec, found: FoundTarget) -> Result<Arc<Plan>> {
        let FoundTarget { columns, fit, indexes, has_triggers } = found;
        let in_pieces = self.abilities()?.has_write;
        let plan = Arc::new(Plan::new(spec, &columns, fit, &indexes, (in_pieces, has_triggers)));
        self.targets.insert(spec.target.clone(), plan.clone());
        Ok(plan)
    }

    /// Moves the ledger and does what it stands for, in one transaction.
    fn apply<T: Default + Copy>(
        &mut self,
        doing: &str,
        spec: &TargetSpec,
        entry: &LedgerEntry,
        rows: usize,
        mut work: impl FnMut(&Plan, &mut Client) -> Result<T>,
    ) -> Result<T> {
        let applied = self.in_target(spec, |session| {
            let plan = session.plan(spec)?;
            let mut tries = 0;
            let mut done = T::default();
            session.client.transact(doing, |client| {
                tries += 1;
                plan.take_turn(client)?;
                if move_ledger(client, spec, entry, rows)? {
                    done = work(&plan, client)?;
                } else if tries == 1 || !stands_at(client, spec, entry)? {
                    return Err(out_of_place(entry, rows));
                }
                Ok(done)
            })
        });
        applied.map_err(|error| error.table(&spec.target).file(&entry.part))
    }
}

fn ledger_entry(root: Sha256, fields: &Fields<'_>) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        root_sha256: root,
        part: fields.must(0, Fields::text)?.to_owned(),
        rows: fields.must(1, Fields::number)?.unsigned_abs(),
        complete: fields.must(2, Fields::number)? != 0,
        applied_at: fields.must(3, Fields::time)?,
    })
}

/// Whether the ledger stood where these rows begin, and stands where they end now.
fn move_ledger(client: &mut Client, spec: &TargetSpec, entry: &LedgerEntry, rows: usize) -> Result<bool> {
    let count = |_| Error::internal("a part has more rows than can be counted");
    let after = i64::try_from(entry.rows).map_err(count)?;
    let before =
        after - i64::try_from(rows).map_err(|_| Error::internal("a batch has more rows than can be counted"))?;
    let sql = Sql::new(LEDGER_MOVE).with(entry.root_sha256.to_string()).with(spec.here()).with(&entry.part);
    let sql = sql.with(after).with(entry.complete).with(before).with(entry.applied_at);
    let row = client.row("move the ledger", sql)?;
    Ok(row.map(|row| Fields::of(&row).must(0, Fields::number)).transpose()? == Some(1))
}

fn stands_at(client: &mut Client, spec: &TargetSpec, entry: &LedgerEntry) -> Result<bool> {
    let sql = Sql::new(LEDGER_READ).with(entry.root_sha256.to_string()).with(spec.here());
    for row in client.rows("read the ledger", sql)? {
        let fields = Fields::of(&row);
        if fields.must(0, Fields::text)? == entry.part {
            let (rows, complete) = (fields.must(1, Fields::number)?, fields.must(2, Fields::number)? != 0);
            return Ok(rows.unsigned_abs() == entry.rows && complete == entry.complete);
        }
    }
    Ok(false)
}

fn out_of_place(entry: &LedgerEntry, rows: usize) -> Error {
    let text = format!("the ledger is not where a batch of {rows} rows that ends at row {} begins", entry.rows);
    Error::internal(text).hint("another replay may be applying the same bundle; run again when it has ended")
}

fn applied_bundle(fields: &Fields<'_>) -> Result<AppliedBundle> {
    Ok(AppliedBundle {
        source_id: fields.must(0, Fields::guid)?,
        scope: fields.must(1, Fields::text)?.to_owned(),
        root_sha256: Sha256::parse(fields.must(2, Fields::text)?)?,
        window: fields.time(3)?.zip(fields.time(4)?),
        gap: fields.text(5)?.map(str::to_owned),
        within: fields.text(6)?.map(Sha256::parse).transpose()?,
        previous: fields.text(7)?.map(Sha256::parse).transpose()?,
        is_other_source: fields.must(8, Fields::number)? != 0,
        table: TableName::parse(fields.must(9, Fields::text)?)?,
    })
}

fn note_sql<'a>(spec: &TargetSpec, bundle: &AppliedBundle) -> Sql<'a> {
    let shown = |value: Option<String>| value.unwrap_or_default();
    Sql::new(BUNDLE_NOTE)
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
            && client.row("ask for a type", sql)?.is_some_and(|row| !matches!(Fields::of(&row).number(0), Ok(None)));
        return Ok(if has { column.sql_type.to_string() } else { plain.to_owned() });
    }
    let collation = match &column.collation {
        Some(collation) if super::values::is_text(column.sql_type) && column.sql_type != T::Xml => collation,
        _ => return Ok(column.sql_type.to_string()),
    };
    let is_name = !collation.is_empty() && collation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sql = Sql::new("SELECT COUNT(*) FROM sys.fn_helpcollations() WHERE name = ").bind(collation);
    let row = client.row("ask for a collation", sql)?;
    let known = row.map(|row| Fields::of(&row).must(0, Fields::number)).transpose()?.unwrap_or(0) > 0;
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
