//! Keys and their ids ([`crate::model::key`]) in T-SQL: the job database, what a target keeps of its replays and the staging
//! table have ids, every other table the keys themselves. As `usp_BlobDelta_ListPlaceholders` has it.

use super::values::RowFields;
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::key::{Key, KeyType};
use std::borrow::Cow;
use tiberius::ColumnData;

/// T-SQL for the key of an id, to be held against a column of keys: an index over it serves.
pub(super) fn to_key(key_type: KeyType, id: &str) -> String {
    match key_type {
        KeyType::UniqueIdentifier => id.to_owned(),
        KeyType::Integer => format!("CONVERT(bigint, SUBSTRING(CONVERT(binary(16), {id}), 9, 8))"),
        KeyType::Binary(_) => format!("CONVERT({key_type}, CONVERT(binary(16), {id}))"),
    }
}

/// T-SQL for the id of a key.
pub(super) fn to_id(key_type: KeyType, key: &str) -> String {
    match key_type {
        KeyType::UniqueIdentifier => key.to_owned(),
        KeyType::Integer => format!("CONVERT(uniqueidentifier, CONVERT(binary(16), CONVERT(bigint, {key})))"),
        // There are servers where CONVERT does not lengthen a binary that comes from a column.
        KeyType::Binary(_) => format!("CONVERT(uniqueidentifier, CONVERT(binary(16), SUBSTRING({key}, 1, 16)))"),
    }
}

/// A statement for keys of this type: what stands between `[{ToKey(}]` and `[{)ToKey}]` is an id whose key is meant, and
/// between `[{ToId(}]` and `[{)ToId}]` a key whose id is.
pub(super) fn with_keys(key_type: KeyType, text: &str) -> String {
    let mut text = text.to_owned();
    for (name, converted) in [("ToKey", to_key(key_type, "\0")), ("ToId", to_id(key_type, "\0"))] {
        let (open, close) = converted.split_once('\0').unwrap_or_default();
        text = text.replace(&format!("[{{{name}(}}]"), open).replace(&format!("[{{){name}}}]"), close);
    }
    text
}

/// A key as a value of a statement, by its id. What is the id of no key is NULL.
pub(super) fn key_value(key_type: KeyType, id: Guid) -> ColumnData<'static> {
    match key_type.key(id) {
        Some(Key::Integer(value)) => ColumnData::I64(Some(value)),
        Some(Key::Binary(bytes, length)) => ColumnData::Binary(Some(Cow::Owned(bytes[..usize::from(length)].to_vec()))),
        Some(Key::Guid(guid)) => ColumnData::Guid(Some(uuid::Uuid::from_bytes(*guid.as_bytes()))),
        None => ColumnData::I64(None),
    }
}

/// The id of a key that a row has in a column.
///
/// # Errors
/// Internal: NULL, or no key of this type.
pub(super) fn id_at(fields: &RowFields<'_>, at: usize, key_type: KeyType) -> Result<Guid> {
    let key = match key_type {
        KeyType::UniqueIdentifier => Cell::Guid(fields.must(at, RowFields::guid)?),
        KeyType::Integer => Cell::Int(fields.must(at, RowFields::number)?),
        KeyType::Binary(_) => Cell::Bytes(fields.must(at, RowFields::bytes)?),
    };
    key_type.id(key).ok_or_else(|| Error::internal("the server gave no key where one was asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_nothing_of_keys_that_are_their_own_ids() {
        let text = "s.[{Key}] = [{ToKey(}]k.k[{)ToKey}] AND [{ToId(}]s.[{Key}][{)ToId}] = k.k";
        assert_eq!(with_keys(KeyType::UniqueIdentifier, text), "s.[{Key}] = k.k AND s.[{Key}] = k.k");
        assert_eq!(
            with_keys(KeyType::Integer, text),
            "s.[{Key}] = CONVERT(bigint, SUBSTRING(CONVERT(binary(16), k.k), 9, 8)) AND \
             CONVERT(uniqueidentifier, CONVERT(binary(16), CONVERT(bigint, s.[{Key}]))) = k.k"
        );
        assert_eq!(
            with_keys(KeyType::Binary(8), text),
            "s.[{Key}] = CONVERT(binary(8), CONVERT(binary(16), k.k)) AND \
             CONVERT(uniqueidentifier, CONVERT(binary(16), SUBSTRING(s.[{Key}], 1, 16))) = k.k"
        );
    }
}
