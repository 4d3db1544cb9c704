//! Keys and their ids ([`crate::model::key`]) in SQL: the job database has ids, every other table the keys themselves.
//!
//! Where keys are uniqueidentifier both are the same 16 bytes, and SQL says nothing of it. Integers go through two functions
//! that every connection has: `blobdelta_key` of an id, on the side of what is looked for, so that an index over keys serves; and
//! `blobdelta_id` of a key.

use super::types;
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::key::{Key, KeyType};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

/// Gives a connection the functions.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    // What is no id is nobody's: NULL.
    connection.create_scalar_function("blobdelta_key", 1, flags, |context| {
        let id = context.get_raw(0).as_blob().ok().and_then(types::guid);
        Ok(id.map_or(Value::Null, |id| KeyValue(KeyType::Integer, id).value()))
    })?;
    // What is no key stays what it is: it equals no id, and a run has refused it before.
    connection.create_scalar_function("blobdelta_id", 1, flags, |context| {
        let key = context.get_raw(0);
        Ok(id_of(KeyType::Integer, key)
            .map_or_else(|| Value::try_from(key).unwrap_or(Value::Null), |id| Value::Blob(id.as_bytes().to_vec())))
    })
}

/// SQL for the key of an id.
pub(super) fn to_key(key_type: KeyType, id: &str) -> String {
    let [open, close, ..] = placeholders(key_type);
    format!("{}{id}{}", open.1, close.1)
}

/// SQL for the id of a key.
pub(super) fn to_id(key_type: KeyType, key: &str) -> String {
    let [_, _, open, close, _] = placeholders(key_type);
    format!("{}{key}{}", open.1, close.1)
}

/// What stands in scripts for the way from an id to its key, and back; and what every key is greater than.
pub(super) fn placeholders(key_type: KeyType) -> [(&'static str, &'static str); 5] {
    let [key, id, close, least] = match key_type {
        KeyType::UniqueIdentifier => ["", "", "", "x''"],
        KeyType::Integer => ["blobdelta_key(", "blobdelta_id(", ")", "-9e999"],
    };
    [("ToKey(", key), (")ToKey", close), ("ToId(", id), (")ToId", close), ("LeastKey", least)]
}

/// The id of a key as SQLite holds it; `None` for what is no key of this type.
pub(super) fn id_of(key_type: KeyType, key: ValueRef<'_>) -> Option<Guid> {
    match key {
        ValueRef::Blob(bytes) => types::guid(bytes).and_then(|guid| key_type.id(Cell::Guid(guid))),
        ValueRef::Integer(value) => key_type.id(Cell::Int(value)),
        _ => None,
    }
}

/// A key, to be bound as SQLite holds it, by its id.
#[derive(Clone, Copy)]
pub(super) struct KeyValue(pub(super) KeyType, pub(super) Guid);

impl KeyValue {
    fn value(self) -> Value {
        match self.0.key(self.1) {
            Some(Key::Guid(guid)) => Value::Blob(guid.as_bytes().to_vec()),
            Some(Key::Integer(value)) => Value::Integer(value),
            None => Value::Null,
        }
    }
}

impl ToSql for KeyValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(self.value()))
    }
}

/// The row of a key in a table that has the keys themselves.
#[derive(Clone, Copy)]
pub(super) struct RowKey<'a> {
    /// The column of keys.
    pub(super) column: &'a str,
    /// The key.
    pub(super) key: KeyValue,
}

impl<'a> RowKey<'a> {
    pub(super) fn new(column: &'a str, key_type: KeyType, id: Guid) -> Self {
        Self { column, key: KeyValue(key_type, id) }
    }

    /// The key, to be read.
    pub(super) fn shown(&self) -> impl std::fmt::Display {
        self.key.0.shown(self.key.1)
    }
}
