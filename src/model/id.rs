//! Identifiers: [`Guid`], in the byte order of RFC 9562 everywhere inside this crate.
//!
//! SQL Server stores uniqueidentifier in another order, which never leaves its backend. It also
//! sorts by another one, and rows stand in a bundle as their server sorted them: [`KeyOrder`].

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A 128-bit identifier. Ordered by its bytes in RFC order, which is the order of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid([u8; 16]);

impl Guid {
    /// From the 16 bytes in RFC order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes in RFC order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new random identifier (version 4).
    pub fn random() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }

    /// An identifier that follows from bytes (version 8: RFC 9562, section 5.8).
    pub const fn derived(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0F | 0x80;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Self(bytes)
    }

    /// Whether it is of the version that [`Guid::derived`] makes.
    pub const fn is_derived(&self) -> bool {
        self.0[6] >> 4 == 8
    }

    /// Parses the hyphenated form, with or without braces, in any case.
    ///
    /// # Errors
    /// Usage, naming the text.
    pub fn parse(text: &str) -> Result<Self> {
        match uuid::Uuid::try_parse(text.trim()) {
            Ok(uuid) => Ok(Self(*uuid.as_bytes())),
            Err(error) => Err(Error::usage(format!("{text:?} is not a GUID")).caused_by(error)),
        }
    }

    /// The first eight hexadecimal digits, for names that people read.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Guid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Guid {
    type Error = Error;

    /// What programs write for each other has one form, in lower case; what people type is parsed by [`Guid::parse`].
    fn try_from(text: String) -> Result<Self> {
        let parsed = Self::parse(&text)?;
        if parsed.to_string() == text {
            return Ok(parsed);
        }
        Err(Error::usage(format!("{text:.60?} is not a GUID in lower case")))
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> String {
        guid.to_string()
    }
}

/// How a server sorts uniqueidentifier, and so how the rows of a bundle stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyOrder {
    /// By the 16 bytes in RFC order.
    #[default]
    Rfc,
    /// As SQL Server does: by the last group of the text first, then each group before it. It
    /// compares the bytes of its own storage, in which the first three groups are little-endian,
    /// in the order 10–15, 8–9, 6–7, 4–5, 0–3 (`System.Data.SqlTypes.SqlGuid`, `x_rgiGuidOrder`).
    SqlServer,
}

/// [`KeyOrder::SqlServer`] over the bytes in RFC order.
const SQL_SERVER_ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0];

impl KeyOrder {
    /// Bytes that compare as the keys do in this order.
    pub fn sort_key(self, key: Guid) -> [u8; 16] {
        match self {
            Self::Rfc => key.0,
            Self::SqlServer => SQL_SERVER_ORDER.map(|at| key.0[at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: KeyOrder, texts: &[&str]) -> Vec<String> {
        let mut keys: Vec<Guid> = texts.iter().map(|text| Guid::parse(text).unwrap()).collect();
        keys.sort_by_key(|key| order.sort_key(*key));
        keys.iter().map(Guid::to_string).collect()
    }

    /// The example of "Comparing GUID and uniqueidentifier values",
    /// <https://learn.microsoft.com/dotnet/framework/data/adonet/sql/comparing-guid-and-uniqueidentifier-values>.
    #[test]
    fn keys_sort_as_the_documented_example_does() {
        let one = "1aaaaaaa-bbbb-cccc-dddd-3eeeeeeeeeee";
        let two = "2aaaaaaa-bbbb-cccc-dddd-1eeeeeeeeeee";
        let three = "3aaaaaaa-bbbb-cccc-dddd-2eeeeeeeeeee";
        assert_eq!(sorted(KeyOrder::SqlServer, &[three, two, one]), [two, three, one]);
        assert_eq!(sorted(KeyOrder::Rfc, &[three, two, one]), [one, two, three]);
    }

    /// One bit in each byte, in ascending order of `SqlGuid`.
    #[test]
    fn every_byte_has_its_weight() {
        let known = [
            "01000000-0000-0000-0000-000000000000",
            "00010000-0000-0000-0000-000000000000",
            "00000100-0000-0000-0000-000000000000",
            "00000001-0000-0000-0000-000000000000",
            "00000000-0100-0000-0000-000000000000",
            "00000000-0001-0000-0000-000000000000",
            "00000000-0000-0100-0000-000000000000",
            "00000000-0000-0001-0000-000000000000",
            "00000000-0000-0000-0001-000000000000",
            "00000000-0000-0000-0100-000000000000",
            "00000000-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000100",
            "00000000-0000-0000-0000-000000010000",
            "00000000-0000-0000-0000-000001000000",
            "00000000-0000-0000-0000-000100000000",
            "00000000-0000-0000-0000-010000000000",
        ];
        let mut shuffled = known;
        shuffled.sort_unstable();
        assert_eq!(sorted(KeyOrder::SqlServer, &shuffled), known);
        assert_ne!(shuffled, known);
    }
}
