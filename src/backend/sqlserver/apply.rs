//! [`Plan`]: how rows and tombstones of one table come into its target, decided once a target.
//!
//! A batch is staged, what loses is dropped from the staging table (rule 14), and the rest is
//! written by one UPDATE and one INSERT; all of it is set-based, and in the transaction of the
//! batch. Two replays into one table take turns by an application lock, because each decides
//! first and writes then.

use super::client::Client;
use super::existing::{existing_view, is_part, target_name};
use super::key_id;
use super::sql::{Sql, filled, quote};
use super::staging::{Carried, Nothing, STAGE, latest};
use super::unique::{Displacing, UniqueIndex};
use super::values::{RowFields, is_text, made_variant};
use crate::backend::compatibility::{is_run_column, named};
use crate::backend::obstacles::ignored;
use crate::backend::{Applied, LedgerEntry, TargetCompatibility, TargetSpec, TombstoneRow};
use crate::error::{Error, Kind, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::{Column, DELTA_MODIFIED_ON, DELTA_RUN_ID, DELTA_RUN_STARTED_AT};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::run::Scope;
use crate::model::slice::DeletionReason;
use crate::model::sqltype::SqlType;
use crate::model::variant::Variant;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use std::borrow::Cow;
use std::collections::BTreeMap;

const SQL: &str = include_str!("../../../sql/sqlserver/apply.sql");
const LOSERS: &str = statement(SQL, "losers");
const REPLACED: &str = statement(SQL, "replaced");
const TOMBSTONES: &str = statement(SQL, "tombstones");
const LEAVINGS: &str = statement(SQL, "leavings");
const TAKE_TURN: &str = statement(SQL, "take_turn");
const OUTRANKS: &str = statement(SQL, "outranks");
const STRIP: &str = statement(SQL, "strip");
const UPDATE_ROWS: &str = statement(SQL, "update_rows");
const WRITE_ROWS: &str = statement(SQL, "write_rows");
const LOST_IN_COLUMN: &str = statement(SQL, "lost_in_column");
const LOST_CHARACTERS: &str = statement(SQL, "lost_characters");
/// Stands around the name of a staged sql_variant in the statements of a plan; no name has it.
const VARIANT: &str = "\0";
/// A row that was written, and is not there; or is there with another version.
const IGNORED: &str = statement(SQL, "ignored");
const IGNORED_VERSIONS: &str = statement(SQL, "ignored_versions");
/// What other chains than the row's have.
const OTHERS: &str = statement(SQL, "others");
/// Whether the row `t` was written by the chain that comes.
const IS_OF_CHAIN: &str = statement(SQL, "is_of_chain");
const VERSION_COLUMNS: &str = statement(SQL, "version_columns");

/// See the module's text. Names are those of the target's catalog; its database is in use.
pub(super) struct Plan {
    /// [`TargetSpec::here`].
    here: String,
    scope: Scope,
    columns: Vec<Column>,
    compatibility: TargetCompatibility,
    displacing: Displacing,
    carried: Carried,
    /// Whether the server has `.WRITE`.
    in_chunks: bool,
    /// Names the target among the locks of its database.
    lock: String,
    losers: String,
    replaced: String,
    write: String,
    /// Where values may have lost characters on their way into a code page.
    lost: Option<String>,
    tombstones: String,
    leavings: String,
    /// Where the target has triggers: which row does not stand although it was written.
    ignored: Option<String>,
}

impl Plan {
    /// For a target with these columns and unique indexes.
    pub(super) fn new(
        spec: &TargetSpec,
        found: &[Column],
        compatibility: TargetCompatibility,
        indexes: &[UniqueIndex],
        (in_chunks, has_triggers): (bool, bool),
    ) -> Self {
        let target = target_name(spec);
        let spelled = |name: &str| quote(named(found, name).map_or(name, |column| &column.name));
        let key = spelled(&spec.key_column);
        let view = existing_view(spec, &compatibility, true);
        let columns = spec.columns.iter().cloned().enumerate();
        let columns = columns.filter(|(_, column)| !is_run_column(&column.name)).collect();
        let carried = Carried { key_type: spec.key_type, columns };
        let large: Vec<(usize, String)> =
            carried.large(spec, &compatibility).map(|(nth, name)| (nth, spelled(name))).collect();
        let fill = |sql: &str| {
            filled_for(
                &key_id::with_keys(spec.key_type, sql),
                spec.key_type,
                &compatibility,
                (&target, &key, &view),
                &large,
            )
        };
        // What the target computes is staged all the same: a unique index may hold it.
        let staged = |name: &str, alias: &str| {
            let nth = carried.columns.iter().position(|(_, column)| column.name.eq_ignore_ascii_case(name))?;
            Some(converted(named(found, name)?.sql_type, &format!("{alias}.c{nth}")))
        };
        let is_written = |column: &Column| !compatibility.skipped.contains(&column.name);
        let mut values: Vec<(String, String)> = Vec::new();
        for (_, column) in carried.columns.iter().filter(|(_, column)| is_written(column)) {
            values.extend(staged(&column.name, "s").map(|value| (spelled(&column.name), value)));
        }
        if compatibility.has_version_columns {
            values.push((spelled(DELTA_RUN_STARTED_AT), "s.vs".into()));
            values.push((spelled(DELTA_RUN_ID), "s.vr".into()));
        }
        Self {
            here: spec.here(),
            scope: spec.scope,
            columns: spec.columns.clone(),
            displacing: Displacing::new(spec, &compatibility, found, indexes, staged),
            lost: lost_characters((&target, &key, spec.key_type), &carried, found, &compatibility),
            in_chunks,
            lock: format!("BlobDeltaReplay {}", super::sql::literal(&target)),
            losers: fill(LOSERS),
            replaced: fill(REPLACED),
            write: write((&target, &key, spec.key_type), &values),
            tombstones: fill(TOMBSTONES),
            leavings: fill(LEAVINGS),
            ignored: has_triggers
                .then(|| fill(if compatibility.has_version_columns { IGNORED_VERSIONS } else { IGNORED })),
            carried,
            compatibility,
        }
    }

    /// How the target takes the rows.
    pub(super) fn compatibility(&self) -> &TargetCompatibility {
        &self.compatibility
    }

    /// Whether it was made for this.
    pub(super) fn is_for(&self, spec: &TargetSpec) -> bool {
        self.here == spec.here() && self.scope == spec.scope && self.columns == spec.columns
    }

    /// Waits until no other replay writes this target, for this transaction.
    pub(super) fn take_turn(&self, client: &mut Client) -> Result<()> {
        let resource: String = self.lock.chars().take(200).collect();
        let row = client.row("wait for another replay", Sql::new(TAKE_TURN).with(resource))?;
        let result = row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()?;
        if result.is_some_and(|result| result >= 0) {
            return Ok(());
        }
        Err(Error::new(Kind::Database, "another replay writes this target, and did not end in a minute")
            .hint("run again when it has ended; rows that were applied are kept"))
    }

    /// Stages rows and writes those that win.
    pub(super) fn rows(
        &self,
        client: &mut Client,
        spec: &TargetSpec,
        rows: &dyn RowSource,
        (keys, versions): (&[Guid], &[Version]),
        entry: &LedgerEntry,
    ) -> Result<Applied> {
        let staged = latest(keys.iter().zip(versions).map(|(key, version)| (*key, *version)), None);
        client.batch("make the staging table", &self.carried.create())?;
        let big = self.carried.load(client, rows, &staged)?;
        let scope = self.scope.to_string();
        let losers = Sql::new(&self.losers).with(&*self.here).with(&*scope).with(i32::from(spec.repair));
        client.execute("decide which rows win", losers)?;
        let displaced = self.displacing.settle(client, spec, entry)?;
        client.execute("note what is replaced", Sql::new(&self.replaced).with(&*self.here).with(&*scope))?;
        self.carried.fill(client, rows, &big, self.in_chunks)?;
        let written = count(client.row("write rows", Sql::new(self.write_of(rows)?))?)?;
        if let Some(sql) = &self.ignored
            && let Some(row) = client.row("look for what a trigger ignored", Sql::new(sql))?
        {
            return Err(ignored("written").key(spec.key_type.shown(RowFields::of(&row).must(0, RowFields::guid)?)));
        }
        self.check_characters(client, spec.key_type)?;
        if !self.compatibility.has_version_columns {
            client.execute("keep the versions of rows", Sql::new(VERSION_COLUMNS).with(&*self.here))?;
        }
        client.batch("drop the staging table", &format!("DROP TABLE {STAGE}"))?;
        Ok(Applied { written, displaced })
    }

    /// Stages tombstones, keeps them, and removes the rows that they beat. Returns how many.
    pub(super) fn write_tombstones(&self, client: &mut Client, tombstones: &[TombstoneRow]) -> Result<u64> {
        let mut removed = 0;
        for (reason, script) in
            [(DeletionReason::Deleted, &self.tombstones), (DeletionReason::LeftScope, &self.leavings)]
        {
            let some = tombstones.iter().filter(|tombstone| tombstone.reason == reason);
            let staged = latest(some.map(|tombstone| (tombstone.key, tombstone.version)), Some(reason));
            if staged.is_empty() {
                continue;
            }
            let carried = Carried::of_ids();
            client.batch("make the staging table", &carried.create())?;
            carried.load(client, &Nothing, &staged)?;
            let sql = Sql::new(script).with(&*self.here).with(self.scope.to_string());
            removed += count(client.row("apply tombstones", sql)?)?;
            client.batch("drop the staging table", &format!("DROP TABLE {STAGE}"))?;
        }
        Ok(removed)
    }

    /// The statement that writes a batch: each sql_variant is made anew of its text, by its base type.
    fn write_of(&self, rows: &dyn RowSource) -> Result<Cow<'_, str>> {
        let mut write = Cow::Borrowed(self.write.as_str());
        for (nth, (at, column)) in self.carried.columns.iter().enumerate() {
            let mark = format!("{VARIANT}s.c{nth}{VARIANT}");
            if column.sql_type == SqlType::Variant && write.contains(&mark) {
                let made = variants_of(rows, *at, nth).map_err(|error| error.column(&column.name))?;
                write = Cow::Owned(write.replace(&mark, &made));
            }
        }
        Ok(write)
    }

    fn check_characters(&self, client: &mut Client, key_type: KeyType) -> Result<()> {
        let Some(lost) = &self.lost else { return Ok(()) };
        let Some(row) = client.row("read back texts", Sql::new(lost))? else { return Ok(()) };
        let fields = RowFields::of(&row);
        let nth = usize::try_from(fields.must(0, RowFields::number)?).unwrap_or(usize::MAX);
        let column = self.carried.columns.get(nth).map_or("", |(_, column)| &column.name);
        Err(Error::config("the target cannot hold a text as it is: characters would be lost in its code page")
            .column(column)
            .key(key_type.shown(fields.must(1, RowFields::guid)?))
            .hint("give the column the collation of the source, or make it nvarchar, or use another database"))
    }
}

/// A script of a replay with the names of one target; `large` are its columns of large values, by their place in the
/// staging table.
fn filled_for(
    sql: &str,
    key_type: KeyType,
    compatibility: &TargetCompatibility,
    (target, key, view): (&str, &str, &str),
    large: &[(usize, String)],
) -> String {
    let staged_is_part = is_part(large.iter().map(|(nth, _)| format!("s.c{nth}")));
    let between = |a: &str, a_part: &str, b: &str, b_part: &str| {
        filled(OUTRANKS, &[("APart", a_part), ("BPart", b_part), ("A", a), ("B", b)])
    };
    let within = |a: &str, b: &str| between(a, "0", b, "0");
    let other_outranks_other = between("b", "b.vp", "a", "a.vp");
    let sets: Vec<String> = large.iter().map(|(_, name)| format!("{name} = NULL")).collect();
    let strip = match sets.is_empty() {
        true => String::new(),
        false => filled(
            &key_id::with_keys(key_type, STRIP),
            &[
                ("Nulls", &sets.join(", ")),
                ("Target", target),
                ("Key", key),
                ("Others", OTHERS),
                ("OtherOutranksOther", &other_outranks_other),
            ],
        ),
    };
    let own = [DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].map(quote);
    let beside = ["ModifiedOn", "RunStartedAt", "RunId"].map(str::to_owned);
    let version_columns = if compatibility.has_version_columns { &own } else { &beside };
    let staged_key = key_id::to_key(key_type, "s.k");
    let values = [
        ("Target", target),
        ("Key", key),
        ("Standing", view),
        ("StagedOutranksStanding", &within("s", "t")),
        ("StagedOutranksOwn", &within("s", "o")),
        ("StagedOutranksNoted", &within("s", "n")),
        ("NotedOutranksStaged", &within("n", "s")),
        ("StandingOutranksStaged", &within("v", "s")),
        ("StagedOutranksOtherChain", &between("s", &staged_is_part, "t", "t.vp")),
        ("OtherOutranksStaged", &between("a", "a.vp", "s", &staged_is_part)),
        ("OtherOutranksOther", &other_outranks_other),
        ("StagedIsPart", &staged_is_part),
        ("IsOfChain", IS_OF_CHAIN),
        ("Strip", &strip),
        ("Others", OTHERS),
        ("Marks", if compatibility.has_version_columns { target } else { "dbo.BlobDeltaReplayRow" }),
        ("MarkKey", if compatibility.has_version_columns { key } else { "stream_id" }),
        ("MarkOfStaged", if compatibility.has_version_columns { &staged_key } else { "s.k" }),
        ("IsOfTable", if compatibility.has_version_columns { "1 = 1" } else { "t.TableName = @P1" }),
        ("Modified", &version_columns[0]),
        ("Started", &version_columns[1]),
        ("Run", &version_columns[2]),
    ];
    filled(sql, &values)
}

fn count(row: Option<tiberius::Row>) -> Result<u64> {
    let row = row.ok_or_else(|| Error::internal("the server did not say how many rows it changed"))?;
    let rows = RowFields::of(&row).must(0, RowFields::number)?;
    u64::try_from(rows).map_err(|_| Error::internal("the server changed less than no rows"))
}

/// An expression for the values of one staged sql_variant, with a branch for each base type of the
/// batch.
fn variants_of(rows: &dyn RowSource, at: usize, nth: usize) -> Result<String> {
    let mut branches: BTreeMap<String, String> = BTreeMap::new();
    let text = format!("SUBSTRING(s.c{nth}, CHARINDEX(N':', s.c{nth}) + 1, 8000)");
    for row in 0..rows.rows() {
        if let Cell::Text(tagged) = rows.cell(row, at)? {
            let variant = Variant::parse(tagged)?;
            branches.entry(variant.head()).or_insert_with(|| made_variant(&variant, &text));
        }
    }
    if branches.is_empty() {
        return Ok("NULL".to_owned());
    }
    let mut made = format!("CASE LEFT(s.c{nth}, CHARINDEX(N':', s.c{nth}) - 1)");
    for (head, value) in branches {
        made.push_str(&format!(" WHEN {} THEN {value}", super::sql::literal(&head)));
    }
    Ok(format!("CASE WHEN s.c{nth} IS NOT NULL THEN {made} END END"))
}

/// What to write where the target is of this type. Nothing that could cut a value is converted
/// explicitly: the assignment then refuses what is too long.
fn converted(there: SqlType, value: &str) -> String {
    use SqlType as T;
    match there {
        // Becomes an expression of the base types of a batch ([`Plan::write_of`]).
        T::Variant => format!("{VARIANT}{value}{VARIANT}"),
        T::HierarchyId | T::Geography | T::Geometry | T::Text | T::NText | T::Image => {
            format!("CONVERT({there}, {value})")
        }
        // Style 1 keeps text that is white space alone.
        T::Xml => format!("CONVERT(xml, {value}, 1)"),
        // Staged as text, of no more digits than the target has.
        T::Decimal { .. } | T::Money | T::SmallMoney => format!("CONVERT({there}, {value})"),
        _ => value.to_owned(),
    }
}

fn write((target, key, key_type): (&str, &str, KeyType), values: &[(String, String)]) -> String {
    let sets: Vec<String> =
        values.iter().filter(|(name, _)| name != key).map(|(name, value)| format!("{name} = {value}")).collect();
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let list: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    // A table of a key alone has nothing to update.
    let update = match sets.is_empty() {
        true => "SET @written = 0".to_owned(),
        false => filled(
            &key_id::with_keys(key_type, UPDATE_ROWS),
            &[("Values", &sets.join(", ")), ("Target", target), ("Key", key)],
        ),
    };
    let (names, values) = (names.join(", "), list.join(", "));
    let text = key_id::with_keys(key_type, WRITE_ROWS);
    filled(&text, &[("Update", &update), ("Target", target), ("Names", &names), ("Values", &values), ("Key", key)])
}

/// A query for the first row whose text is not what came, where a column has a code page. Blanks
/// at the end do not count: char(n) has them.
fn lost_characters(
    (target, key, key_type): (&str, &str, KeyType),
    carried: &Carried,
    found: &[Column],
    compatibility: &TargetCompatibility,
) -> Option<String> {
    let mut whens = Vec::new();
    for (nth, (_, column)) in carried.columns.iter().enumerate() {
        let Some(there) = named(found, &column.name).filter(|_| !compatibility.skipped.contains(&column.name)) else {
            continue;
        };
        let has_code_page = matches!(there.sql_type, SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text);
        if !has_code_page || !is_text(column.sql_type) {
            continue;
        }
        whens.push(filled(LOST_IN_COLUMN, &[("Column", &quote(&there.name)), ("Nth", &nth.to_string())]));
    }
    (!whens.is_empty()).then(|| {
        filled(
            &key_id::with_keys(key_type, LOST_CHARACTERS),
            &[("Whens", &whens.join(" ")), ("Target", target), ("Key", key)],
        )
    })
}
