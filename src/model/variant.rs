//! A value of `sql_variant`: its base type and its text, as one text, `decimal(10,2):1.50`.
//!
//! A base type is a declaration as T-SQL writes it, for character types with the collation behind it
//! (`varchar(10) collate Latin1_General_CI_AS`). The text is what T-SQL's CONVERT gives and takes:
//! numbers with a point (17 digits of a float), times as `2026-01-02 03:04:05.1234567 +01:30`,
//! binaries as `0x` and hexadecimal digits. `sql_variant` cannot hold `max` types.

use super::sqltype::SqlType;
use crate::error::{Error, Result};
use std::fmt;

const COLLATE: &str = " collate ";

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant<'a> {
    /// The type.
    pub base: SqlType,
    /// Of a character type.
    pub collation: Option<&'a str>,
    /// The value.
    pub text: &'a str,
}

impl<'a> Variant<'a> {
    /// Takes the one text apart. Neither base type nor collation can hold anything but names and
    /// numbers then.
    ///
    /// # Errors
    /// Verification: no base type, or one that `sql_variant` cannot have.
    pub fn parse(tagged: &'a str) -> Result<Self> {
        let wrong = || Error::verification("a value of sql_variant does not begin with a base type and a colon");
        let (head, text) = tagged.split_once(':').ok_or_else(wrong)?;
        let (declaration, collation) = match head.split_once(COLLATE) {
            Some((declaration, collation)) => (declaration, Some(collation)),
            None => (head, None),
        };
        let base = SqlType::parse(declaration).map_err(|_| wrong())?;
        let is_name = |name: &str| {
            (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let may_be = can_be_base(base) && base.to_string() == declaration;
        let may_collate = collation.is_none_or(|name| is_name(name) && is_character(base));
        let may_hold = !is_binary(base) || is_hex(text);
        if may_be && may_collate && may_hold { Ok(Self { base, collation, text }) } else { Err(wrong()) }
    }

    /// What stands before the colon.
    pub fn head(&self) -> String {
        match self.collation {
            Some(collation) => format!("{}{COLLATE}{collation}", self.base),
            None => self.base.to_string(),
        }
    }

    /// The bytes of a binary.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let digits = self.text.strip_prefix("0x").filter(|_| is_binary(self.base))?;
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
    }
}

impl fmt::Display for Variant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.head(), self.text)
    }
}

fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("0x");
    digits.is_some_and(|digits| digits.len() % 2 == 0 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_binary(base: SqlType) -> bool {
    matches!(base, SqlType::Binary(_) | SqlType::VarBinary(_))
}

fn is_character(base: SqlType) -> bool {
    matches!(base, SqlType::Char(_) | SqlType::VarChar(_) | SqlType::NChar(_) | SqlType::NVarChar(_))
}

fn can_be_base(base: SqlType) -> bool {
    use SqlType as T;
    let is_never = matches!(
        base,
        T::Text
            | T::NText
            | T::Image
            | T::Xml
            | T::RowVersion
            | T::HierarchyId
            | T::Geography
            | T::Geometry
            | T::Variant
    );
    !is_never && !base.is_large()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_text_and_a_lie_does_not_pass() {
        let good = [
            "int:5",
            "decimal(10,2):1.50",
            "nvarchar(50):a:b ",
            "varchar(10) collate Latin1_General_CI_AS:x",
            "varbinary(3):0x0102ff",
            "datetime2(7):2026-01-02 03:04:05.1234567",
        ];
        for text in good {
            assert_eq!(Variant::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Variant::parse("binary(2):0x0aFF").unwrap().bytes(), Some(vec![10, 255]));
        let bad = [
            "",
            "5",
            "int",
            "sql_variant:x",
            "varchar(max):x",
            "Int:5",
            "int collate A:5",
            "varbinary(2):xx",
            "varchar(5) collate a-b:x",
            "varchar(5) collate :x",
            "decimal( 9,2):1",
            "xml:<a/>",
            "int)--:5",
        ];
        for text in bad {
            assert!(Variant::parse(text).is_err(), "{text}");
        }
    }
}
