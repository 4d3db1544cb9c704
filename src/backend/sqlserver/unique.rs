//! Unique indexes of a target beside the one on its key: rows that they keep from standing side by
//! side are found before they are written, so that both keys can be named, or the older removed.

use super::client::Client;
use super::database::Database;
use super::existing::{existing_view, target_name, version_at};
use super::key_id;
use super::sql::{Sql, filled, quote};
use super::staging::STAGE;
use super::values::RowFields;
use crate::backend::compatibility::{Clash, named};
use crate::backend::{LedgerEntry, TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/unique.sql");
const INDEXES: &str = statement(SQL, "indexes");
const WITH_EXISTING: &str = statement(SQL, "with_existing");
const AMONG_STAGED: &str = statement(SQL, "among_staged");
const DISPLACE: &str = statement(SQL, "displace");

/// A unique index: its name and columns.
pub(super) type UniqueIndex = (String, Vec<String>);

/// Looks for clashes in one unique index.
pub(super) struct Unique {
    index: String,
    /// Staged rows with a row that stands and does not come.
    with_existing: String,
    /// Staged rows with each other.
    among_staged: String,
}

/// What [`Unique`] does about them.
pub(super) struct Displacing {
    uniques: Vec<Unique>,
    staged: String,
    existing: String,
}

/// The unique indexes of a target that hold for all of its rows; its database is in use.
pub(super) fn unique_indexes(db: &mut Database, spec: &TargetSpec) -> Result<Vec<UniqueIndex>> {
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    let sql = Sql::new(INDEXES).with(target_name(spec));
    for row in &db.client.unit(|client| client.rows("read the catalog", sql.clone()))? {
        let fields = RowFields::of(row);
        let (index, column) = (fields.must(0, RowFields::text)?, fields.must(1, RowFields::text)?.to_owned());
        match indexes.last_mut().filter(|(last, _)| last == index) {
            Some((_, columns)) => columns.push(column),
            None => indexes.push((index.to_owned(), vec![column])),
        }
    }
    Ok(indexes)
}

impl Displacing {
    /// `staged` gives the expression of a staged column (with its alias) as the target has it, by the
    /// column's name; nothing for one that does not come.
    pub(super) fn new(
        spec: &TargetSpec,
        compatibility: &TargetCompatibility,
        found: &[Column],
        indexes: &[UniqueIndex],
        staged: impl Fn(&str, &str) -> Option<String>,
    ) -> Self {
        let (target, key) = (target_name(spec), quote(&spec.key_column));
        let view = existing_view(spec, compatibility, true);
        // Two NULLs are the same to a unique index. Plain equality is what every server seeks by.
        let equal = |column: &str, left: &str, right: &str| match named(found, column) {
            Some(column) if !column.nullable => format!("{left} = {right}"),
            _ => format!("({left} = {right} OR ({left} IS NULL AND {right} IS NULL))"),
        };
        let unique = |(index, columns): &UniqueIndex| {
            if columns.iter().any(|column| column.eq_ignore_ascii_case(&spec.key_column)) {
                return None;
            }
            let (mut existing, mut among) = (Vec::new(), Vec::new());
            for column in columns {
                let coming = collated(found, column, staged(column, "s")?);
                existing.push(equal(column, &format!("t.{}", quote(column)), &coming));
                among.push(equal(column, &staged(column, "o")?, &coming));
            }
            let (existing, among) = (existing.join(" AND "), among.join(" AND "));
            let values = [("AreEqual", existing.as_str()), ("Target", &target), ("Standing", &view), ("Key", &key)];
            Some(Unique {
                index: index.clone(),
                with_existing: filled(&key_id::with_keys(spec.key_type, WITH_EXISTING), &values),
                among_staged: filled(AMONG_STAGED, &[("AreEqual", &among)]),
            })
        };
        let text = key_id::with_keys(spec.key_type, DISPLACE);
        let displace = |loser: &str, loser_key: &str| {
            filled(&text, &[("LoserKey", loser_key), ("Loser", loser), ("Target", &target), ("Key", &key)])
        };
        let uniques = indexes.iter().filter_map(unique).collect();
        Self {
            uniques,
            staged: displace(STAGE, "@P2"),
            existing: displace(&view, &key_id::to_key(spec.key_type, "@P2")),
        }
    }

    /// Removes the older of any two rows that cannot stand side by side, among those that are
    /// staged and those that stand. Returns how many.
    pub(super) fn settle(&self, client: &mut Client, spec: &TargetSpec, entry: &LedgerEntry) -> Result<u64> {
        let mut displaced = 0;
        for unique in &self.uniques {
            for (sql, existing_is_staged) in [(&unique.among_staged, true), (&unique.with_existing, false)] {
                let mut last = None;
                while let Some(clash) = unique.clash(client, spec, sql)? {
                    clash.note(&mut last)?;
                    self.displace(client, spec, entry, &clash, existing_is_staged)?;
                    displaced += 1;
                }
            }
        }
        Ok(displaced)
    }

    fn displace(
        &self,
        client: &mut Client,
        spec: &TargetSpec,
        entry: &LedgerEntry,
        clash: &Clash,
        existing_is_staged: bool,
    ) -> Result<()> {
        let (loser, _) = clash.older(spec)?;
        let is_coming = loser == clash.coming.0;
        let winner = if is_coming { clash.existing.0 } else { clash.coming.0 };
        let script = if is_coming || existing_is_staged { &self.staged } else { &self.existing };
        let sql = Sql::new(script).with(spec.here()).with(loser).with(winner).with(&*clash.index);
        client.execute("displace a row", sql.with(entry.root_sha256.to_string())).map(drop)
    }
}

/// What is staged has the collation of temporary tables; what the index takes for equal is for the column's own to say.
fn collated(found: &[Column], column: &str, value: String) -> String {
    let collation = named(found, column).and_then(|column| column.collation.as_deref());
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match collation.filter(is_name) {
        Some(collation) => format!("{value} COLLATE {collation}"),
        None => value,
    }
}

impl Unique {
    fn clash(&self, client: &mut Client, spec: &TargetSpec, sql: &str) -> Result<Option<Clash>> {
        let doing = "look for rows with the same unique values";
        let Some(row) = client.row(doing, Sql::new(sql).with(spec.here()))? else { return Ok(None) };
        let fields = RowFields::of(&row);
        let key = |at| fields.must(at, RowFields::guid);
        let clash = Clash {
            coming: (key(0)?, version_at(&fields, 1)?),
            existing: (key(4)?, version_at(&fields, 5)?),
            index: self.index.clone(),
        };
        if clash.coming.0 == clash.existing.0 {
            return Err(Error::internal("a row cannot be in its own way"));
        }
        Ok(Some(clash))
    }
}
