//! Keys and their ids ([`crate::model::key`]) in SQL: the job database has ids, every other table the keys themselves.
//!
//! Where keys are uniqueidentifier both are the same 16 bytes, and SQL says nothing of it. Others go through two functions that
//! every connection has: `blobdelta_key` of an id, on the side of what is looked for, so that an index over keys serves; and
//! `blobdelta_id` of a key. Behind it stands how many bytes the keys have, where they are binaries, or 0.

use super::types;
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::key::{Key, KeyType, LONGEST_BINARY};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

/// Gives a connection the functions.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    // What is no id is nobody's: NULL.
    connection.create_scalar_function("blobdelta_key", 2, flags, |context| {
        let id = context.get_raw(0).as_blob().ok().and_then(types::guid);
        let key_type = of_length(context.get_raw(1));
        Ok(id.map_or(Value::Null, |id| KeyValue(key_type, id).value()))
    })?;
    // What is no key stays what it is: it equals no id, and a run has refused it before.
    connection.create_scalar_function("blobdelta_id", 2, flags, |context| {
        let key = context.get_raw(0);
        Ok(id_of(of_length(context.get_raw(1)), key)
            .map_or_else(|| Value::try_from(key).unwrap_or(Value::Null), |id| Value::Blob(id.as_bytes().to_vec())))
    })
}

/// By the second argument of the functions.
fn of_length(length: ValueRef<'_>) -> KeyType {
    match length.as_i64().map(u8::try_from) {
        Ok(Ok(length @ 1..=LONGEST_BINARY)) => KeyType::Binary(length),
        _ => KeyType::Integer,
    }
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
pub(super) fn placeholders(key_type: KeyType) -> [(&'static str, String); 5] {
    let (key, id) = match key_type {
        KeyType::UniqueIdentifier => ("", ""),
        KeyType::Integer | KeyType::Binary(_) => ("blobdelta_key(", "blobdelta_id("),
    };
    let close = match key_type {
        KeyType::UniqueIdentifier => String::new(),
        KeyType::Integer => ", 0)".to_owned(),
        KeyType::Binary(length) => format!(", {length})"),
    };
    let values = [("ToKey(", key), (")ToKey", &close), ("ToId(", id), (")ToId", &close), ("LeastKey", least(key_type))];
    values.map(|(name, text)| (name, text.to_owned()))
}

/// What every key is greater than.
pub(super) fn least(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::UniqueIdentifier | KeyType::Binary(_) => "x''",
        KeyType::Integer => "-9e999",
    }
}

/// The id of a key as SQLite holds it; `None` for what is no key of this type.
pub(super) fn id_of(key_type: KeyType, key: ValueRef<'_>) -> Option<Guid> {
    let cell = match (key_type, key) {
        (KeyType::UniqueIdentifier, ValueRef::Blob(bytes)) => Cell::Guid(types::guid(bytes)?),
        (KeyType::Integer, ValueRef::Integer(value)) => Cell::Int(value),
        (KeyType::Binary(_), ValueRef::Blob(bytes)) => Cell::Bytes(bytes),
        (KeyType::UniqueIdentifier | KeyType::Integer | KeyType::Binary(_), _) => return None,
    };
    key_type.id(cell)
}

/// A key, to be bound as SQLite holds it, by its id.
#[derive(Clone, Copy)]
pub(super) struct KeyValue(pub(super) KeyType, pub(super) Guid);

impl KeyValue {
    fn value(self) -> Value {
        match self.0.key(self.1) {
            Some(Key::Guid(guid)) => Value::Blob(guid.as_bytes().to_vec()),
            Some(Key::Integer(value)) => Value::Integer(value),
            Some(Key::Binary(bytes, length)) => Value::Blob(bytes[..usize::from(length)].to_vec()),
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
