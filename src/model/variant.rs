//! A value of `sql_variant`: its base type and its text, as one text, `decimal(10,2):1.50`.
//!
//! A base type is a declaration as T-SQL writes it, for character types with the collation behind it
//! (`varchar(10) collate Latin1_General_CI_AS`). The text is what T-SQL's CONVERT gives and takes:
//! numbers with a point (a float in the shortest digits that give it back), times as `2026-01-02 03:04:05.1234567 +01:30`,
//! binaries as `0x` and hexadecimal digits. `sql_variant` cannot hold `max` types.

use super::decimal;
use super::id::Guid;
use super::sqltype::SqlType;
use super::time::{TICKS_PER_MINUTE, Timestamp};
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
    /// Verification: no base type, or one that `sql_variant` cannot have; a text that is no value of it, or one that a
    /// server would cut or round.
    pub fn parse(tagged: &'a str) -> Result<Self> {
        let wrong = || Error::verification("a value of sql_variant is no base type, colon and value of it");
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
        let may_hold = may_be && holds(base, text);
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

/// Whether this is the text of a value that the type holds as it is.
fn holds(base: SqlType, text: &str) -> bool {
    use SqlType as T;
    let int = |least: i64, most: i64| {
        text.parse::<i64>().is_ok_and(|value| (least..=most).contains(&value) && value.to_string() == text)
    };
    let scaled = |scale: u8| decimal::parse(text, scale).ok().filter(|value| decimal::format(*value, scale) == text);
    match base {
        T::Bit => int(0, 1),
        T::TinyInt => int(0, u8::MAX.into()),
        T::SmallInt => int(i16::MIN.into(), i16::MAX.into()),
        T::Int => int(i32::MIN.into(), i32::MAX.into()),
        T::BigInt => int(i64::MIN, i64::MAX),
        T::Decimal { precision, scale } => {
            scaled(scale).is_some_and(|value| value.unsigned_abs() < 10_u128.pow(precision.into()))
        }
        T::Money => scaled(4).is_some_and(|value| i64::try_from(value).is_ok()),
        T::SmallMoney => scaled(4).is_some_and(|value| i32::try_from(value).is_ok()),
        T::Real => text.parse::<f32>().is_ok_and(|value| value.is_finite() && format!("{value:?}") == text),
        T::Float => text.parse::<f64>().is_ok_and(|value| value.is_finite() && format!("{value:?}") == text),
        // A byte of the code page holds at most one character.
        T::Char(most) | T::VarChar(Some(most)) => text.chars().count() <= usize::from(most),
        T::NChar(most) | T::NVarChar(Some(most)) => text.encode_utf16().count() <= usize::from(most),
        T::Binary(most) | T::VarBinary(Some(most)) => is_hex(text) && text.len() <= 2 + 2 * usize::from(most),
        T::UniqueIdentifier => Guid::parse(text).is_ok_and(|guid| guid.to_string() == text),
        _ => holds_time(base, text),
    }
}

fn holds_time(base: SqlType, text: &str) -> bool {
    use SqlType as T;
    let not_before = |at: Timestamp, first: &str| Timestamp::parse(first).is_ok_and(|first| at >= first);
    match base {
        T::Date => text.len() == 10 && moment(text, 0).is_some(),
        T::Time(scale) => text.len() >= 8 && moment(&format!("0001-01-01 {text}"), scale).is_some(),
        T::DateTime2(scale) => text.len() >= 19 && moment(text, scale).is_some(),
        // 1/300 s, as its text has it.
        T::DateTime => {
            text.len() >= 19
                && moment(text, 3).is_some_and(|at| {
                    let last = at.ticks() / 10_000 % 10;
                    not_before(at, "1753-01-01") && [0, 3, 7].contains(&last)
                })
        }
        T::SmallDateTime => {
            text.len() == 19
                && moment(text, 0).is_some_and(|at| {
                    not_before(at, "1900-01-01") && !not_before(at, "2079-06-07") && at.ticks() % TICKS_PER_MINUTE == 0
                })
        }
        T::DateTimeOffset(scale) => {
            let Some((local, offset)) = text.split_once(" +").or_else(|| text.split_once(" -")) else {
                return false;
            };
            local.len() >= 19 && moment(local, scale).is_some() && is_offset(offset)
        }
        _ => false,
    }
}

/// `HH:MM`, at most 14 hours.
fn is_offset(text: &str) -> bool {
    let number = |text: &str| if text.len() == 2 { text.parse::<u16>().ok() } else { None };
    let found = text.split_once(':').and_then(|(hours, minutes)| number(hours).zip(number(minutes)));
    found.is_some_and(|(hours, minutes)| minutes < 60 && hours * 60 + minutes <= 14 * 60)
}

/// A date or date and time with at most so many digits of the second.
fn moment(text: &str, scale: u8) -> Option<Timestamp> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:. ".contains(&byte)) && text.trim() == text;
    let at = Timestamp::parse(text).ok().filter(|_| is_plain)?;
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    (digits <= usize::from(scale)).then_some(at)
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
            "bit:1",
            "decimal(3,1):-99.9",
            "money:-922337203685477.5808",
            "float:-1.7976931348623157e308",
            "real:0.1",
            "nvarchar(2):😀",
            "binary(2):0x",
            "date:0001-01-01",
            "time(3):23:59:59.99",
            "datetime:1753-01-01 00:00:00.003",
            "smalldatetime:2079-06-06 23:59:00",
            "datetimeoffset(0):2026-01-02 03:04:05 -14:00",
            "uniqueidentifier:6f9619ff-8b86-d011-b42d-00c04fc964ff",
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
            "int:five",
            "int:2147483648",
            "bit:2",
            "decimal(3,1):1.25",
            "decimal(3,1):100.0",
            "float:NaN",
            "real:1e39",
            "varchar(2):abc",
            "nvarchar(1):😀",
            "varbinary(1):0x0102",
            "date:2026-02-30",
            "datetime:2026-01-02 03:04:05.001",
            "datetime:1752-12-31 00:00:00",
            "smalldatetime:2026-01-02 03:04:05",
            "datetime2(3):2026-01-02 03:04:05.1234",
            "time(0):24:00:00",
            "datetimeoffset(0):2026-01-02 03:04:05 +14:01",
            "uniqueidentifier:x",
        ];
        for text in bad {
            assert!(Variant::parse(text).is_err(), "{text}");
        }
    }
}
