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
//! | binary(n) of 1 to 16 bytes | the bytes, then zeros; the first eight as `CONVERT(uniqueidentifier, …)` turns them round |
//!
//! So an integer has one id whatever its column's size, and every id has one key at most. The length of a binary is a part of
//! its type: two of different lengths have one id where only zeros are between them, and SQL Server holds them to be equal
//! too. `ufn_BlobDelta_KeyId` of the server's scripts is the same in T-SQL.

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
    /// Of [`KeyType::Binary`] of this length: the first bytes, and zeros.
    Binary([u8; 16], u8),
}

impl Key {
    /// The key as its column has it.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Guid(guid) => Cell::Guid(*guid),
            Self::Integer(value) => Cell::Int(*value),
            Self::Binary(bytes, length) => Cell::Bytes(&bytes[..usize::from(*length)]),
        }
    }

    /// The same where there may be none: NULL.
    pub fn cell_or_null(key: Option<&Self>) -> Cell<'_> {
        key.map_or(Cell::Null, Self::cell)
    }
}

/// What the keys of a table are. It has no default, and whoever asks which one it is names all of them: what is taken for
/// another finds no row, or the wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `uniqueidentifier`.
    UniqueIdentifier,
    /// `bigint`, `int`, `smallint`, `tinyint`.
    Integer,
    /// `binary` of so many bytes, [`LONGEST_BINARY`] at most.
    Binary(u8),
}

/// The bytes of the longest binary that can be a key.
pub const LONGEST_BINARY: u8 = 16;

impl KeyType {
    /// What keys in a column of this type are; `None` where none can be.
    pub fn of(sql_type: SqlType) -> Option<Self> {
        match sql_type {
            SqlType::UniqueIdentifier => Some(Self::UniqueIdentifier),
            SqlType::BigInt | SqlType::Int | SqlType::SmallInt | SqlType::TinyInt => Some(Self::Integer),
            SqlType::Binary(length) => {
                u8::try_from(length).ok().filter(|n| (1..=LONGEST_BINARY).contains(n)).map(Self::Binary)
            }
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
            (Some(Key::Binary(..)), _) => Self::of(sql_type) == Some(self),
            (Some(Key::Integer(_)), None) | (Some(Key::Guid(_)) | None, _) => true,
        }
    }

    /// The types that a key can have, for messages.
    pub const TYPES: &'static str = "uniqueidentifier, bigint, int, smallint, tinyint or binary of 1 to 16 bytes";

    /// Its name in `BlobDeltaTableConfig.KeyType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Integer => "integer",
            Self::Binary(length) => BINARY_NAMES[(length - 1) as usize % BINARY_NAMES.len()],
        }
    }

    /// From its [`KeyType::name`].
    ///
    /// # Errors
    /// Config, naming the text.
    pub fn from_name(name: &str) -> Result<Self> {
        let binaries = (1..=LONGEST_BINARY).map(Self::Binary);
        let found = [Self::UniqueIdentifier, Self::Integer].into_iter().chain(binaries).find(|one| one.name() == name);
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
            (Self::Binary(length), Cell::Bytes(key)) if key.len() == usize::from(length) => {
                let mut bytes = [0; 16];
                bytes[..key.len()].copy_from_slice(key);
                Some(Guid::from_bytes(turned(bytes)))
            }
            (Self::UniqueIdentifier | Self::Integer | Self::Binary(_), _) => None,
        }
    }

    /// The key of an id; `None` for an id that no key of this type has.
    pub fn key(self, id: Guid) -> Option<Key> {
        match self {
            Self::UniqueIdentifier => Some(Key::Guid(id)),
            Self::Integer => integer(id).map(Key::Integer),
            Self::Binary(length) => {
                let bytes = turned(*id.as_bytes());
                let is_key = bytes[usize::from(length)..].iter().all(|byte| *byte == 0);
                is_key.then_some(Key::Binary(bytes, length))
            }
        }
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
            Self::Binary(length) => bytes_of(text).and_then(|key| self.id(Cell::Bytes(&key))).ok_or_else(|| {
                let digits = 2 * length;
                let what = format!("{text:?} is no {self}, as the keys of this table are");
                Error::usage(what).hint(format!("write 0x and {digits} hexadecimal digits"))
            }),
        }
    }

    /// The same where the type is not known yet: no integer is a uniqueidentifier, and neither begins with `0x`.
    ///
    /// # Errors
    /// Usage, naming the text.
    pub fn parse_any(text: &str) -> Result<Guid> {
        let binary = bytes_of(text).and_then(|key| {
            let length = u8::try_from(key.len()).ok().filter(|n| (1..=LONGEST_BINARY).contains(n))?;
            Self::Binary(length).id(Cell::Bytes(&key))
        });
        binary.map_or_else(|| Self::Integer.parse(text).or_else(|_| Self::UniqueIdentifier.parse(text)), Ok)
    }

    /// Bytes that compare as the keys of these ids do where they stand in order: integers as numbers, binaries by their bytes.
    pub fn sort_key(self, order: KeyOrder, id: Guid) -> [u8; 16] {
        match self {
            Self::UniqueIdentifier => order.sort_key(id),
            Self::Integer => {
                let mut bytes = *id.as_bytes();
                bytes[8] ^= 0x80;
                bytes
            }
            Self::Binary(_) => turned(*id.as_bytes()),
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
            Some(Key::Binary(bytes, length)) => {
                let digits: String = bytes.iter().take(length.into()).map(|byte| format!("{byte:02x}")).collect();
                write!(f, "0x{digits}")
            }
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

/// By the length, from one byte on.
const BINARY_NAMES: [&str; LONGEST_BINARY as usize] = [
    "binary(1)",
    "binary(2)",
    "binary(3)",
    "binary(4)",
    "binary(5)",
    "binary(6)",
    "binary(7)",
    "binary(8)",
    "binary(9)",
    "binary(10)",
    "binary(11)",
    "binary(12)",
    "binary(13)",
    "binary(14)",
    "binary(15)",
    "binary(16)",
];

/// The bytes of a uniqueidentifier in RFC order by those that a server has of it, and the other way round.
fn turned(bytes: [u8; 16]) -> [u8; 16] {
    [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|at: usize| bytes[at])
}

/// The bytes of a binary that is written as T-SQL has it.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.len() % 2 == 1 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
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
    fn a_binary_has_one_id_and_an_id_one_binary_of_its_length() {
        let of = |length: u8, key: &[u8]| KeyType::Binary(length).id(Cell::Bytes(key));
        let shown = |length: u8, id: Guid| KeyType::Binary(length).shown(id).to_string();
        // As ufn_BlobDelta_KeyId documents it.
        let id = of(4, &[1, 2, 3, 4]).unwrap();
        assert_eq!(id.to_string(), "04030201-0000-0000-0000-000000000000");
        assert_eq!((shown(4, id), KeyType::Binary(4).parse("0X01020304").unwrap()), ("0x01020304".to_owned(), id));
        assert_eq!(KeyType::Binary(4).key(id).unwrap().cell(), Cell::Bytes(&[1, 2, 3, 4]));
        // Zeros at the end belong to the key.
        let id = of(4, &[1, 0, 0, 0]).unwrap();
        assert_eq!(shown(4, id), "0x01000000");
        assert_eq!(KeyType::Binary(3).key(of(4, &[1, 2, 3, 4]).unwrap()), None);
        let whole: Vec<u8> = (0xF0..=0xFF).collect();
        let id = of(16, &whole).unwrap();
        assert_eq!(shown(16, id), "0xf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        assert_eq!(id.to_string(), "f3f2f1f0-f5f4-f7f6-f8f9-fafbfcfdfeff");
        for (length, key) in [(4, &[1, 2, 3][..]), (4, &[1, 2, 3, 4, 0]), (16, &[]), (1, &[])] {
            assert_eq!(of(length, key), None);
        }
        for typed in ["01020304", "0x010203", "0x0102030", "0x010203zz", "0x", "", "0x0é020304"] {
            assert!(KeyType::Binary(4).parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn every_type_of_keys_is_known_by_its_name() {
        for sql_type in ["uniqueidentifier", "bigint", "tinyint", "binary(1)", "binary(8)", "binary(16)"] {
            let key_type = KeyType::of(SqlType::parse(sql_type).unwrap()).unwrap();
            assert_eq!(KeyType::from_name(key_type.name()).unwrap(), key_type, "{sql_type}");
        }
        assert!(KeyType::from_name("binary(17)").is_err());
        for sql_type in ["binary(17)", "varbinary(16)", "bit", "nvarchar(50)"] {
            assert_eq!(KeyType::of(SqlType::parse(sql_type).unwrap()), None, "{sql_type}");
        }
    }

    #[test]
    fn binaries_stand_in_the_order_of_their_bytes() {
        let keys =
            [[0, 0, 0, 9, 9], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0xFF, 0, 0, 0, 0]];
        for order in [KeyOrder::Rfc, KeyOrder::SqlServer] {
            let key_type = KeyType::Binary(5);
            assert!(keys.map(|key| key_type.sort_key(order, key_type.id(Cell::Bytes(&key)).unwrap())).is_sorted());
        }
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
