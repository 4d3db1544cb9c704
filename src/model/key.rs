//! Keys of rows: [`KeyType`], and the 16-byte id that every key goes by.
//!
//! A row is known by the id of its key wherever rows are counted, sorted out or remembered: in the job database (every
//! column `stream_id`), in what a target keeps of its replays, and in memory. There and only there. Sources, slices,
//! bundles and targets have the key as it is, and so has everything that people read or type.
//!
//! | type of the key | id |
//! |---|---|
//! | uniqueidentifier | itself |
//! | bigint, int, smallint, tinyint | eight zero bytes, then the value in two's complement, highest byte first |
//!
//! So an integer has one id whatever its column's size, and every id has one key at most. `ufn_BlobDelta_KeyId` of the
//! server's scripts is the same in T-SQL.

use super::cell::Cell;
use super::id::{Guid, KeyOrder};
use super::sqltype::SqlType;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::fmt;

/// A key, of a type that keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Of [`KeyType::UniqueIdentifier`].
    Guid(Guid),
    /// Of [`KeyType::Integer`].
    Integer(i64),
}

impl From<Key> for Cell<'_> {
    fn from(key: Key) -> Self {
        match key {
            Key::Guid(guid) => Self::Guid(guid),
            Key::Integer(value) => Self::Int(value),
        }
    }
}

/// What the keys of a table are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// `uniqueidentifier`.
    #[default]
    UniqueIdentifier,
    /// `bigint`, `int`, `smallint`, `tinyint`.
    Integer,
}

impl KeyType {
    /// What keys in a column of this type are; `None` where none can be.
    pub fn of(sql_type: SqlType) -> Option<Self> {
        match sql_type {
            SqlType::UniqueIdentifier => Some(Self::UniqueIdentifier),
            SqlType::BigInt | SqlType::Int | SqlType::SmallInt | SqlType::TinyInt => Some(Self::Integer),
            _ => None,
        }
    }

    /// That a column of this type can be a key.
    ///
    /// # Errors
    /// Config, with the types that can.
    pub fn check(sql_type: SqlType, column: &str) -> Result<Self> {
        Self::of(sql_type).ok_or_else(|| {
            let text = format!("the key column is {sql_type}, and has to be {}", Self::TYPES);
            Error::config(text).column(column).hint("set KeyColumn to such a column")
        })
    }

    /// The integers that a key in a column of this type can be; `None` where any 64 bits are one, or it is no integer.
    pub fn least_and_most(sql_type: SqlType) -> Option<(i64, i64)> {
        match sql_type {
            SqlType::Int => Some((i32::MIN.into(), i32::MAX.into())),
            SqlType::SmallInt => Some((i16::MIN.into(), i16::MAX.into())),
            SqlType::TinyInt => Some((0, u8::MAX.into())),
            _ => None,
        }
    }

    /// Whether a column of this type can have the key of an id. What is the id of no key is for others to say.
    pub fn fits(self, id: Guid, sql_type: SqlType) -> bool {
        match (self.key(id), Self::least_and_most(sql_type)) {
            (Some(Key::Integer(value)), Some((least, most))) => (least..=most).contains(&value),
            (Some(Key::Integer(_)), None) | (Some(Key::Guid(_)) | None, _) => true,
        }
    }

    /// The types that a key can have, for messages.
    pub const TYPES: &'static str = "uniqueidentifier, bigint, int, smallint or tinyint";

    /// Its name in `BlobDeltaTableConfig.KeyType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Integer => "integer",
        }
    }

    /// From its [`KeyType::name`].
    ///
    /// # Errors
    /// Config, naming the text.
    pub fn from_name(name: &str) -> Result<Self> {
        let all = [Self::UniqueIdentifier, Self::Integer];
        let found = all.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| Error::config(format!("{name:?} is no type of a key")).column("KeyType"))
    }

    /// The id of a key; `None` for a cell that is no key of this type, such as NULL.
    pub fn id(self, key: Cell<'_>) -> Option<Guid> {
        match (self, key) {
            (Self::UniqueIdentifier, Cell::Guid(guid)) => Some(guid),
            (Self::Integer, Cell::Int(value)) => {
                let mut bytes = [0; 16];
                bytes[8..].copy_from_slice(&value.to_be_bytes());
                Some(Guid::from_bytes(bytes))
            }
            _ => None,
        }
    }

    /// The key of an id; `None` for an id that no key of this type has.
    pub fn key(self, id: Guid) -> Option<Key> {
        match self {
            Self::UniqueIdentifier => Some(Key::Guid(id)),
            Self::Integer => integer(id).map(Key::Integer),
        }
    }

    /// The same as a cell; NULL for an id that no key has.
    pub fn cell(self, id: Guid) -> Cell<'static> {
        self.key(id).map_or(Cell::Null, Cell::from)
    }

    /// An id as the key is read and typed.
    pub fn shown(self, id: Guid) -> ShownKey {
        ShownKey(self, id)
    }

    /// The id of a key that somebody typed.
    ///
    /// # Errors
    /// Usage, naming the text.
    pub fn parse(self, text: &str) -> Result<Guid> {
        match self {
            Self::UniqueIdentifier => Guid::parse(text),
            Self::Integer => {
                let value = text.trim().parse::<i64>().ok().and_then(|value| self.id(Cell::Int(value)));
                value.ok_or_else(|| Error::usage(format!("{text:?} is no integer, as the keys of this table are")))
            }
        }
    }

    /// Bytes that compare as the keys of these ids do where they stand in order: integers as numbers.
    pub fn sort_key(self, order: KeyOrder, id: Guid) -> [u8; 16] {
        match self {
            Self::UniqueIdentifier => order.sort_key(id),
            Self::Integer => {
                let mut bytes = *id.as_bytes();
                bytes[8] ^= 0x80;
                bytes
            }
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key, to be shown: [`KeyType::shown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownKey(KeyType, Guid);

impl ShownKey {
    /// Its id.
    pub fn id(self) -> Guid {
        self.1
    }
}

impl fmt::Display for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.key(self.1) {
            Some(Key::Integer(value)) => value.fmt(f),
            Some(Key::Guid(guid)) => guid.fmt(f),
            // An id that is none is shown as it is.
            None => self.1.fmt(f),
        }
    }
}

/// Bytes that compare as the places of two rows in their tree do, where rows stand in the order of paths: the bytes of a
/// path or a text, and what a tree by keys has in its stead. None for NULL.
pub fn path_order<'c>(path: Option<Cell<'c>>, order: KeyOrder) -> Cow<'c, [u8]> {
    match path {
        Some(Cell::Bytes(path)) => Cow::from(path),
        Some(Cell::Text(path)) => Cow::from(path.as_bytes()),
        Some(Cell::Guid(path)) => Cow::from(order.sort_key(path).to_vec()),
        Some(Cell::Int(path)) => Cow::from((path ^ i64::MIN).to_be_bytes().to_vec()),
        _ => Cow::from(&[]),
    }
}

/// The column that says where a row lies: its path; in a tree by keys, in which a row's path is its own key wherever it
/// lies, the parent's key.
pub fn place_column<'t>(key: &str, path: Option<&'t String>, parent_path: Option<&'t String>) -> Option<&'t str> {
    path.and_then(|path| if path == key { parent_path } else { Some(path) }).map(String::as_str)
}

/// The bytes of where a row lies, as a bundle has it. None for NULL.
pub fn place_bytes<'c>(place: Cell<'c>) -> Option<Cow<'c, [u8]>> {
    match place {
        Cell::Bytes(path) => Some(Cow::from(path)),
        Cell::Text(path) => Some(Cow::from(path.as_bytes())),
        Cell::Guid(key) => Some(Cow::from(key.as_bytes().to_vec())),
        Cell::Int(key) => Some(Cow::from(key.to_be_bytes().to_vec())),
        _ => None,
    }
}

/// The integer of an id.
fn integer(id: Guid) -> Option<i64> {
    let (zeros, value) = id.as_bytes().split_at(8);
    let value = value.try_into().ok().map(i64::from_be_bytes);
    value.filter(|_| zeros.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: [i64; 9] = [i64::MIN, -2_147_483_648, -2, -1, 0, 1, 42, 255, i64::MAX];

    #[test]
    fn an_integer_has_one_id_and_an_id_one_integer() {
        let mut seen = std::collections::HashSet::new();
        for value in SOME {
            let id = KeyType::Integer.id(Cell::Int(value)).unwrap();
            assert!(seen.insert(id), "{value} has the id of another");
            assert_eq!(KeyType::Integer.key(id), Some(Key::Integer(value)));
            assert_eq!(KeyType::Integer.shown(id).to_string(), value.to_string());
            assert_eq!(KeyType::Integer.parse(&value.to_string()).unwrap(), id);
        }
        // As ufn_BlobDelta_KeyId documents them.
        let ids = [42, -2].map(|value| KeyType::Integer.id(Cell::Int(value)).unwrap().to_string());
        assert_eq!(ids, ["00000000-0000-0000-0000-00000000002a", "00000000-0000-0000-ffff-fffffffffffe"]);
    }

    #[test]
    fn what_is_no_key_has_no_id_and_what_is_no_id_has_no_key() {
        let guid = Guid::parse("00000000-0000-0001-0000-00000000002a").unwrap();
        assert_eq!(KeyType::Integer.key(guid), None);
        assert_eq!(KeyType::Integer.shown(guid).to_string(), guid.to_string());
        assert_eq!(KeyType::Integer.id(Cell::Guid(guid)), None);
        assert_eq!(KeyType::UniqueIdentifier.id(Cell::Int(1)), None);
        for cell in [Cell::Null, Cell::Text("1")] {
            assert_eq!((KeyType::Integer.id(cell), KeyType::UniqueIdentifier.id(cell)), (None, None));
        }
        assert!(KeyType::Integer.parse("9223372036854775808").is_err());
        assert!(KeyType::of(SqlType::Bit).is_none());
    }

    #[test]
    fn integers_stand_in_the_order_of_numbers() {
        for order in [KeyOrder::Rfc, KeyOrder::SqlServer] {
            let sorted =
                SOME.map(|value| KeyType::Integer.sort_key(order, KeyType::Integer.id(Cell::Int(value)).unwrap()));
            assert!(sorted.is_sorted());
        }
    }
}
