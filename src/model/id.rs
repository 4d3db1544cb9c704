//! Identifiers: [`Guid`], in the byte order of RFC 9562 everywhere inside this crate.
//!
//! SQL Server stores and sorts uniqueidentifier in another order; that order never leaves
//! its backend.

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

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> String {
        guid.to_string()
    }
}
