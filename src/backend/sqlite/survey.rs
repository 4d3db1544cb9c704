//! What is looked at before a window is queued: that every key, stamp and business unit is one (rules 19
//! and 20).
//!
//! SQLite takes any value in any column, and compares any with any. What is no stamp would lie in no window,
//! and what is no key would meet no row, both in silence; so they fail the table, by their key. What has no
//! key at all is counted, and reported.
//!
//! Each column is gone through by itself, so that an index over it is read and the rows are not.

use super::database::Database;
use super::errors::failed;
use super::key_id;
use super::prepared::Prepared;
use super::sql::quote;
use super::types::{self, shown};
use super::value_check::{form, way_out};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::run::Scope;
use crate::model::stamp::{StampColumn, StampKind};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;
use rusqlite::types::ValueRef;
use std::collections::HashSet;

const SQL: &str = include_str!("../../../sql/sqlite/survey.sql");
const ODD_UNITS: &str = statement(SQL, "odd_units");
const NEW_DELETIONS: &str = statement(SQL, "new_deletions");

/// The form of every time that the job database keeps, and of a stamp that is one.
pub(super) const FORM: &str = "YYYY-MM-DDTHH:MM:SS.fffffff";

/// Looks; gives how many rows of source and metadata have no key.
///
/// # Errors
/// Config, with the key, for the first value that is none of its kind.
pub(super) fn survey(db: &Database, prepared: &Prepared, scope: Scope) -> Result<u64> {
    let excluded = excluded_keys(db, &prepared.config)?;
    check_stamps(db, prepared, &excluded)?;
    check_units(db, prepared, &excluded)?;
    if prepared.config.include_deletions {
        check_deletions(db, &prepared.config, scope)?;
    }
    Ok(check_metadata_keys(db, prepared)? + check_source_keys(db, prepared, &excluded)?)
}

pub(super) fn excluded_keys(db: &Database, table: &TableConfig) -> Result<HashSet<Guid>> {
    let sql = "SELECT stream_id FROM BlobDeltaExcludedKey WHERE TableName = ?1";
    let listed: Vec<Option<Guid>> =
        db.query_all(sql, [&table.name], |row| Ok(row.get_ref(0)?.as_blob().ok().and_then(types::guid)))?;
    Ok(listed.into_iter().flatten().chain(table.excluded_stream_id).collect())
}

/// Gives the rows of a filled query to `look`, until it fails.
fn look_at(
    db: &Database,
    prepared: &Prepared,
    what: &str,
    text: &str,
    look: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<Result<()>>,
) -> Result<()> {
    look_at_filled(db, prepared, what, &prepared.placeholders.fill(what, text)?, look)
}

fn look_at_filled(
    db: &Database,
    prepared: &Prepared,
    what: &str,
    sql: &str,
    mut look: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<Result<()>>,
) -> Result<()> {
    let broken = |error| failed(what, error).table(&prepared.config.name);
    let mut statement = db.cached(sql).map_err(broken)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(broken)? {
        look(row).map_err(broken)?.map_err(|error| error.table(&prepared.config.name))?;
    }
    Ok(())
}

/// Every stamp is one, to its last character; those of keys that are excluded may be anything.
fn check_stamps(db: &Database, prepared: &Prepared, excluded: &HashSet<Guid>) -> Result<()> {
    prepared.placeholders.stamps().columns().try_for_each(|column| check_stamps_of(db, prepared, excluded, column))
}

fn check_stamps_of(db: &Database, prepared: &Prepared, excluded: &HashSet<Guid>, column: &StampColumn) -> Result<()> {
    let (what, name) = ("look at the stamps", quote(&column.name));
    let filled = |text: &str| prepared.placeholders.fill(what, text);
    let (table, id) = (filled("{MetadataTable}")?, filled("{MetadataIdColumn}")?);
    let is_one = |stamp: ValueRef<'_>| types::cell_of(column.sql_type, stamp).is_ok();
    let mut odd = false;
    look_at_filled(db, prepared, what, &format!("SELECT m.{name} FROM {table} AS m"), |row| {
        odd |= !is_one(row.get_ref(0)?);
        Ok(Ok(()))
    })?;
    if !odd {
        return Ok(());
    }
    let with_keys = format!("SELECT m.{name}, m.{id} FROM {table} AS m");
    look_at_filled(db, prepared, what, &with_keys, |row| {
        let (stamp, id) = (row.get_ref(0)?, row.get_ref(1)?);
        let key = key_id::id_of(prepared.config.key_type, id);
        if is_one(stamp) || key.is_some_and(|key| excluded.contains(&key)) {
            return Ok(Ok(()));
        }
        let form = (column.name.as_str(), form_of(column.kind));
        Ok(Err(odd_stamp(&prepared.config, form, stamp, key.ok_or_else(|| shown(id)))))
    })
}

/// The keys of the metadata are keys; gives how many rows have none.
fn check_metadata_keys(db: &Database, prepared: &Prepared) -> Result<u64> {
    let (mut without, key_type) = (0, prepared.config.key_type);
    let ids = "SELECT m.{MetadataIdColumn} FROM {MetadataTable} AS m";
    look_at(db, prepared, "look at the keys of the metadata", ids, |row| {
        let id = row.get_ref(0)?;
        without += u64::from(id == ValueRef::Null);
        let text = || format!("the key {} of the metadata is no {}", shown(id), form(key_type));
        Ok(if id == ValueRef::Null || key_id::id_of(key_type, id).is_some() {
            Ok(())
        } else {
            let error = Error::config(text()).column(&prepared.config.metadata_id_column).key(shown(id));
            Err(error.hint("store it as the source's key is stored: no row would be found by it"))
        })
    })?;
    Ok(without)
}

/// The source's keys are keys, each of one row; gives how many rows have none.
fn check_source_keys(db: &Database, prepared: &Prepared, excluded: &HashSet<Guid>) -> Result<u64> {
    let mut without = 0;
    let mut last = None;
    let (column, key_type) = (&prepared.config.key_column, prepared.config.key_type);
    let keys = "SELECT s.{KeyColumn} FROM {SourceTable} AS s ORDER BY s.{KeyColumn}";
    look_at(db, prepared, "look at the keys of the source", keys, |row| {
        let value = row.get_ref(0)?;
        if value == ValueRef::Null {
            without += 1;
            return Ok(Ok(()));
        }
        let Some(key) = key_id::id_of(key_type, value) else {
            let text = format!("the key {} of the source is no {}", shown(value), form(key_type));
            let error = Error::config(text).column(column).key(shown(value));
            return Ok(Err(error.hint(match key_type {
                KeyType::UniqueIdentifier => "store it as 16 bytes in RFC order, as other keys are",
                KeyType::Integer => "store it as an integer, as other keys are",
                KeyType::Binary(_) => "store it as a blob of as many bytes, as other keys are",
            })));
        };
        let before = last.replace(key);
        if before == Some(key) && !excluded.contains(&key) {
            let error = Error::config("two rows of the source have this key").column(column).key(key_type.shown(key));
            return Ok(Err(error.hint(
                "give each row a key of its own, and a unique index on the key keeps it so; or set KeyColumn to \
                 the column that tells rows apart",
            )));
        }
        Ok(Ok(()))
    })?;
    Ok(without)
}

/// Business units are compared, and carried, as 16 bytes; those of keys that are excluded may be anything.
fn check_units(db: &Database, prepared: &Prepared, excluded: &HashSet<Guid>) -> Result<()> {
    let config = &prepared.config;
    let Some(column) = &config.metadata_business_unit_column else { return Ok(()) };
    // Neither of the two reads a value, wherever it lies in its row.
    let hint = "store it as 16 bytes in RFC order: a row of any other is in scope of no run";
    let wrong = |unit: ValueRef<'_>| {
        Error::config(format!("the business unit {} is no uniqueidentifier of 16 bytes", shown(unit))).hint(hint)
    };
    look_at(db, prepared, "look at the business units", ODD_UNITS, |row| {
        let id = row.get_ref(1)?;
        let key = key_id::id_of(config.key_type, id);
        if key.is_some_and(|key| excluded.contains(&key)) {
            return Ok(Ok(()));
        }
        let key = key.map_or_else(|| shown(id), |key| config.key_type.shown(key).to_string());
        Ok(Err(wrong(row.get_ref(0)?).column(column).key(key)))
    })?;
    let Some(column) = &config.business_unit_id_column else { return Ok(()) };
    let units = "SELECT u.{BusinessUnitIdColumn} FROM {BusinessUnitTable} AS u";
    look_at(db, prepared, "look at the table of business units", units, |row| {
        let unit = row.get_ref(0)?;
        Ok(if is_guid_or_null(unit) { Ok(()) } else { Err(wrong(unit).column(column)) })
    })
}

/// Rule 15 competes by one time of an entry, and goes back by the other; both have to be one. What has been told
/// was looked at then.
pub(super) fn check_deletions(db: &Database, table: &TableConfig, scope: Scope) -> Result<()> {
    let is_id = |value: ValueRef<'_>| {
        value.as_blob().ok().and_then(types::guid).is_some_and(|id| table.key_type.key(id).is_some())
    };
    let broken = |error| failed("look at the deletion log", error).table(&table.name);
    let mut statement = db.cached(NEW_DELETIONS).map_err(broken)?;
    let mut rows = statement.query((&table.name, scope.to_string())).map_err(broken)?;
    while let Some(row) = rows.next().map_err(broken)? {
        let columns = [("stream_id", 1), ("BusinessUnit", 2), ("DeletedOn", 3), ("LoggedAt", 4)];
        for (column, at) in columns {
            let value = row.get_ref(at).map_err(broken)?;
            let (is_one, due) = match at {
                1 => (value == ValueRef::Null || is_id(value), format!("the id of a key that is {}", table.key_type)),
                2 => (is_guid_or_null(value), "a uniqueidentifier of 16 bytes".to_owned()),
                _ => (is_stamp_or_null(value), format!("a time of the form {FORM}")),
            };
            if !is_one {
                let id: i64 = row.get(0).map_err(broken)?;
                let text = format!("the entry {id} of BlobDeltaDeletionLog has {}, which is not {due}", shown(value));
                let error = Error::config(text).table(&table.name).column(column);
                let key = row.get_ref(1).map_err(broken)?.as_blob().ok().and_then(types::guid);
                let error = key.into_iter().fold(error, |error, key| error.key(table.key_type.shown(key)));
                return Err(error.hint(format!(
                    "mend it: UPDATE BlobDeltaDeletionLog SET {column} = … WHERE DeletionId = {id}, or delete the entry"
                )));
            }
        }
    }
    Ok(())
}

fn form_of(kind: StampKind) -> &'static str {
    match kind {
        StampKind::PointInTime => FORM,
        StampKind::Instant => "YYYY-MM-DDTHH:MM:SS.fffffff+HH:MM, the moment in UTC and behind it the offset",
        StampKind::Day => "YYYY-MM-DD",
    }
}

/// A stamp that is none, of a key of the metadata by its id, or of one that has none and is shown so; its column, and the form
/// that it should have.
pub(super) fn odd_stamp(
    config: &TableConfig,
    (column, form): (&str, &str),
    stamp: ValueRef<'_>,
    key: Result<Guid, String>,
) -> Error {
    let error = Error::config(format!("the stamp {} in {column} is no time of the form {form}", shown(stamp)));
    let error = error.table(&config.name).column(column);
    match key {
        Ok(key) => {
            let hint = format!("write it in this form, or {}", way_out(config, key));
            error.key(config.key_type.shown(key)).hint(hint)
        }
        Err(shown) => error
            .key(shown)
            .hint("write it in this form: no window includes a stamp in another form, so the change would be missed"),
    }
}

fn is_guid_or_null(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Null) || matches!(value, ValueRef::Blob(bytes) if bytes.len() == 16)
}

pub(super) fn is_stamp_or_null(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Null) || matches!(value, ValueRef::Text(text) if Timestamp::parse_exact(text).is_some())
}
