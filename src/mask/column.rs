//! [`ColumnMask`]: the rule of a column, held against its type and ready to be applied.

use super::fixed::FixedValue;
use super::rule::{MaskKind, MaskRule, Otherwise};
use super::secret::{MaskKey, MaskSecret};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::decimal;
use crate::model::key::KeyType;
use crate::model::sqltype::SqlType;

/// Characters that the masks of these kinds may have: a column has to take them.
const FILE_NAME_CHARACTERS: usize = 22;
const EMAIL_CHARACTERS: usize = 32;
const PHONE_CHARACTERS: usize = 14;
const PERSON_CHARACTERS: usize = 8;
const EXTENSION_CHARACTERS: usize = 5;

/// See the module's text.
#[derive(Clone)]
pub(super) struct ColumnMask {
    pub(super) kind: MaskKind,
    pub(super) sql_type: SqlType,
    /// Of a mask that has a domain.
    pub(super) key: Option<MaskKey>,
    /// Of a text: the most characters that the column takes.
    pub(super) limit: Option<usize>,
    pub(super) days: u32,
    /// Of `number`, in units of the last digit that the column keeps.
    pub(super) within: i128,
    pub(super) within_float: f64,
    pub(super) fixed: Option<FixedValue>,
    pub(super) also_null: bool,
    pub(super) also_empty: bool,
    pub(super) otherwise: Otherwise,
    /// Of `placeholder` and `size_of`: the place of the other column.
    pub(super) other: Option<usize>,
}

/// What values of one domain have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainUse {
    pub(super) name: String,
    pub(super) kind: MaskKind,
    /// Of the values, and what else decides their masks.
    pub(super) family: String,
}

impl ColumnMask {
    /// What stays as it is.
    pub(super) fn keep(sql_type: SqlType) -> Self {
        Self {
            kind: MaskKind::Keep,
            sql_type,
            key: None,
            limit: None,
            days: 0,
            within: 0,
            within_float: 0.0,
            fixed: None,
            also_null: false,
            also_empty: false,
            otherwise: Otherwise::Text,
            other: None,
        }
    }

    /// The rule of a column of a table, with the domain that it uses.
    ///
    /// # Errors
    /// Config: a mask that values of the column's type cannot have, or that the column does not take.
    pub(super) fn of(
        column: &Column,
        rule: &MaskRule,
        table: &str,
        secret: &MaskSecret,
    ) -> Result<(Self, Option<DomainUse>)> {
        check_type(column, rule.kind)?;
        let sql_type = column.sql_type;
        let limit = text_limit(sql_type);
        check_limit(rule.kind, limit, sql_type)?;
        if rule.kind == MaskKind::Null && !column.nullable {
            return Err(Error::config("the column takes no NULL, so it cannot be masked by null")
                .hint("use fixed or another mask"));
        }
        let domain = rule.kind.has_domain().then(|| domain_of(column, rule, table));
        let key = domain.as_ref().map(|domain| {
            secret.key(&[b"domain", rule.kind.name().as_bytes(), domain.family.as_bytes(), domain.name.as_bytes()])
        });
        let key = match rule.kind {
            MaskKind::Placeholder => Some(secret.key(&[b"placeholder"])),
            _ => key,
        };
        let (within, within_float) = match rule.kind {
            MaskKind::Number => noise_of(&rule.within, sql_type)?,
            _ => (0, 0.0),
        };
        let mask = Self {
            kind: rule.kind,
            sql_type,
            key: key.transpose()?,
            limit,
            days: rule.days,
            within,
            within_float,
            fixed: rule.value.as_ref().map(|value| FixedValue::of(value, column)).transpose()?,
            also_null: rule.also_null,
            also_empty: rule.also_empty,
            otherwise: rule.otherwise,
            other: None,
        };
        Ok((mask, domain))
    }
}

fn domain_of(column: &Column, rule: &MaskRule, table: &str) -> DomainUse {
    let name = match (&rule.domain, rule.kind) {
        (Some(domain), _) => format!("named {domain}"),
        // All dates of a row are shifted alike, so that they stay in order.
        (None, MaskKind::DateShift) => format!("dates of {}", table.to_ascii_lowercase()),
        (None, _) => format!("column {} of {}", column.name.to_ascii_lowercase(), table.to_ascii_lowercase()),
    };
    let family = match (rule.kind, column.sql_type) {
        (MaskKind::DateShift, _) => format!("dates within {} days", rule.days),
        (MaskKind::Number, sql_type) => format!("{sql_type} within {}", rule.within),
        (MaskKind::Rekey, sql_type) => sql_type.to_string(),
        (_, sql_type) if is_text(sql_type) => "text".to_owned(),
        (_, _) => "binary".to_owned(),
    };
    DomainUse { name, kind: rule.kind, family }
}

/// Of what type values are that a mask is for.
fn check_type(column: &Column, kind: MaskKind) -> Result<()> {
    use MaskKind as M;
    use SqlType as T;
    let sql_type = column.sql_type;
    let is_number = matches!(
        sql_type,
        T::TinyInt
            | T::SmallInt
            | T::Int
            | T::BigInt
            | T::Real
            | T::Float
            | T::Decimal { .. }
            | T::Money
            | T::SmallMoney
    );
    let (fits, needs) = match kind {
        M::Keep | M::Null => (true, ""),
        M::Fixed => (
            !matches!(sql_type, T::Variant | T::RowVersion | T::HierarchyId | T::Geography | T::Geometry | T::Time(_)),
            "a plain type",
        ),
        M::Words => (is_text(sql_type), "a text"),
        M::Path => (text_limit(sql_type).is_some(), "a text of limited length"),
        M::Token | M::Person | M::FileName | M::Extension | M::Email | M::Phone => {
            (is_text(sql_type) && sql_type != T::Xml, "a text that is not XML")
        }
        M::DateShift => (is_date(sql_type), "a date or a point in time"),
        M::Number => (is_number, "a number"),
        M::Rekey => match KeyType::of(sql_type) {
            Some(KeyType::UniqueIdentifier | KeyType::Integer) => (true, ""),
            Some(KeyType::Binary(_)) | None => (false, "uniqueidentifier, bigint, int, smallint or tinyint"),
        },
        M::SizeOf => (
            matches!(sql_type, T::TinyInt | T::SmallInt | T::Int | T::BigInt | T::Decimal { scale: 0, .. }),
            "an integer",
        ),
        M::Placeholder => (sql_type.is_large_binary(), "varbinary(max) or image"),
        M::Noise => (matches!(sql_type, T::Binary(_) | T::VarBinary(_) | T::Image | T::RowVersion), "a binary"),
        M::Empty => (
            matches!(sql_type, T::VarBinary(_) | T::Image) || (is_text(sql_type) && !is_padded(sql_type)),
            "a text or binary of variable length",
        ),
    };
    if fits {
        return Ok(());
    }
    Err(Error::config(format!("the mask {kind} is for {needs}, and this column is {sql_type}")))
}

fn check_limit(kind: MaskKind, limit: Option<usize>, sql_type: SqlType) -> Result<()> {
    let needed = match kind {
        MaskKind::FileName => FILE_NAME_CHARACTERS,
        MaskKind::Email => EMAIL_CHARACTERS,
        MaskKind::Phone => PHONE_CHARACTERS,
        MaskKind::Person => PERSON_CHARACTERS,
        MaskKind::Extension => EXTENSION_CHARACTERS,
        _ => 0,
    };
    if limit.is_none_or(|limit| limit >= needed) {
        return Ok(());
    }
    Err(Error::config(format!("the mask {kind} makes texts of {needed} characters, and this column is {sql_type}"))
        .hint("use token, words or fixed"))
}

pub(super) fn is_text(sql_type: SqlType) -> bool {
    use SqlType as T;
    matches!(sql_type, T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText | T::Xml)
}

fn is_padded(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::Char(_) | SqlType::NChar(_))
}

pub(super) fn is_date(sql_type: SqlType) -> bool {
    sql_type.is_point_in_time() || matches!(sql_type, SqlType::Date | SqlType::DateTimeOffset(_))
}

pub(super) fn text_limit(sql_type: SqlType) -> Option<usize> {
    match sql_type {
        SqlType::Char(n) | SqlType::NChar(n) | SqlType::VarChar(Some(n)) | SqlType::NVarChar(Some(n)) => Some(n.into()),
        _ => None,
    }
}

/// The most that `number` adds: in units of the last digit, and as a float.
fn noise_of(within: &str, sql_type: SqlType) -> Result<(i128, f64)> {
    use SqlType as T;
    let wrong = || Error::config(format!("within = {within:.40?} is no number above 0 of {sql_type}"));
    let scale = match sql_type {
        T::Real | T::Float => {
            let number = within.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
            return Ok((0, number.ok_or_else(wrong)?));
        }
        T::Decimal { scale, .. } => scale,
        T::Money | T::SmallMoney => 4,
        _ => 0,
    };
    // Above this no sum of a value and its noise can leave an i128.
    const MOST: i128 = 1 << 126;
    let number = decimal::parse(within, scale).ok().filter(|number| (1..MOST).contains(number));
    Ok((number.ok_or_else(wrong)?, 0.0))
}
