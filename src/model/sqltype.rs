//! T-SQL types: what a column of a source may be, and what a bundle can carry.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A T-SQL type with what belongs to it. Lengths are in the unit of the type's declaration
/// (bytes for `varchar` and `varbinary`, UTF-16 units for `nvarchar`); `None` is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "each variant is the T-SQL type of its name")]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Char(u16),
    VarChar(Option<u16>),
    NChar(u16),
    NVarChar(Option<u16>),
    Text,
    NText,
    Xml,
    Binary(u16),
    VarBinary(Option<u16>),
    Image,
    RowVersion,
    UniqueIdentifier,
    Date,
    Time(u8),
    DateTime2(u8),
    DateTime,
    SmallDateTime,
    DateTimeOffset(u8),
    HierarchyId,
    Geography,
    Geometry,
    /// `sql_variant`; its values are texts of [`super::variant`].
    Variant,
}

impl TryFrom<String> for SqlType {
    type Error = Error;

    fn try_from(declaration: String) -> Result<Self> {
        Self::parse(&declaration)
    }
}

impl From<SqlType> for String {
    fn from(sql_type: SqlType) -> Self {
        sql_type.to_string()
    }
}

impl SqlType {
    /// Parses a declaration such as `decimal(9, 2)`; case and spaces do not matter.
    ///
    /// # Errors
    /// Config: a type that a bundle cannot carry, or arguments out of the type's range.
    pub fn parse(declaration: &str) -> Result<Self> {
        let lower = declaration.trim().to_ascii_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')').map(str::trim)),
            None => (lower.as_str(), None),
        };
        let has_bracket = lower.contains('(');
        if has_bracket && arguments.is_none() {
            return Err(unsupported(declaration));
        }
        Self::from_parts(name, arguments).ok_or_else(|| unsupported(declaration))
    }

    fn from_parts(name: &str, arguments: Option<&str>) -> Option<Self> {
        let scale = |most: u8| match arguments {
            None => Some(most),
            Some(text) => text.parse().ok().filter(|scale| *scale <= most),
        };
        let sized = |most: u16| match arguments {
            None => Some(1),
            Some(text) => text.parse().ok().filter(|length| (1..=most).contains(length)),
        };
        let or_max = |most: u16| match arguments {
            Some("max") => Some(None),
            _ => sized(most).map(Some),
        };
        let sized_type = match name {
            "decimal" | "numeric" => Some(decimal(arguments)?),
            "char" => Some(Self::Char(sized(8000)?)),
            "varchar" => Some(Self::VarChar(or_max(8000)?)),
            "nchar" => Some(Self::NChar(sized(4000)?)),
            "nvarchar" => Some(Self::NVarChar(or_max(4000)?)),
            "sysname" => Some(Self::NVarChar(Some(128))),
            "binary" => Some(Self::Binary(sized(8000)?)),
            "varbinary" => Some(Self::VarBinary(or_max(8000)?)),
            "time" => Some(Self::Time(scale(7)?)),
            "datetime2" => Some(Self::DateTime2(scale(7)?)),
            "datetimeoffset" => Some(Self::DateTimeOffset(scale(7)?)),
            "float" => Some(float(arguments)?),
            _ => None,
        };
        if sized_type.is_some() || arguments.is_some() {
            return sized_type;
        }
        PLAIN.iter().find(|(plain, _)| *plain == name).map(|(_, found)| *found)
    }

    /// Whether a value may be larger than a row can hold (`max` types and their forebears): such
    /// a value over the inline limit goes to `blob/`.
    pub fn is_large(self) -> bool {
        self.is_large_binary()
            || matches!(self, Self::VarChar(None) | Self::NVarChar(None) | Self::Text | Self::NText | Self::Xml)
    }

    /// Whether this is a blob column, one that gets a content hash.
    pub fn is_large_binary(self) -> bool {
        matches!(self, Self::VarBinary(None) | Self::Image)
    }

    /// Whether `ModifiedOn` may be of this type.
    pub fn is_point_in_time(self) -> bool {
        matches!(self, Self::DateTime2(_) | Self::DateTime | Self::SmallDateTime)
    }
}

const PLAIN: [(&str, SqlType); 22] = [
    ("bit", SqlType::Bit),
    ("tinyint", SqlType::TinyInt),
    ("smallint", SqlType::SmallInt),
    ("int", SqlType::Int),
    ("bigint", SqlType::BigInt),
    ("real", SqlType::Real),
    ("money", SqlType::Money),
    ("smallmoney", SqlType::SmallMoney),
    ("text", SqlType::Text),
    ("ntext", SqlType::NText),
    ("xml", SqlType::Xml),
    ("image", SqlType::Image),
    ("rowversion", SqlType::RowVersion),
    ("timestamp", SqlType::RowVersion),
    ("uniqueidentifier", SqlType::UniqueIdentifier),
    ("date", SqlType::Date),
    ("datetime", SqlType::DateTime),
    ("smalldatetime", SqlType::SmallDateTime),
    ("hierarchyid", SqlType::HierarchyId),
    ("geography", SqlType::Geography),
    ("geometry", SqlType::Geometry),
    ("sql_variant", SqlType::Variant),
];

fn decimal(arguments: Option<&str>) -> Option<SqlType> {
    let (precision, scale) = match arguments {
        None => (18, 0),
        Some(text) => match text.split_once(',') {
            Some((precision, scale)) => (precision.trim().parse().ok()?, scale.trim().parse().ok()?),
            None => (text.parse().ok()?, 0),
        },
    };
    ((1..=38).contains(&precision) && scale <= precision).then_some(SqlType::Decimal { precision, scale })
}

fn float(arguments: Option<&str>) -> Option<SqlType> {
    match arguments.map(str::parse::<u8>) {
        None | Some(Ok(25..=53)) => Some(SqlType::Float),
        Some(Ok(1..=24)) => Some(SqlType::Real),
        _ => None,
    }
}

fn unsupported(declaration: &str) -> Error {
    Error::config(format!("the type {declaration:?} cannot be carried by a bundle")).hint(
        "leave the column out with ExcludedColumns, or out of MetadataColumns (`table set`), or give it another type",
    )
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |name: &str, length: Option<u16>| match length {
            Some(length) => format!("{name}({length})"),
            None => format!("{name}(max)"),
        };
        let text = match *self {
            Self::Float => "float".into(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Char(n) => length("char", Some(n)),
            Self::VarChar(n) => length("varchar", n),
            Self::NChar(n) => length("nchar", Some(n)),
            Self::NVarChar(n) => length("nvarchar", n),
            Self::Binary(n) => length("binary", Some(n)),
            Self::VarBinary(n) => length("varbinary", n),
            Self::Time(scale) => format!("time({scale})"),
            Self::DateTime2(scale) => format!("datetime2({scale})"),
            Self::DateTimeOffset(scale) => format!("datetimeoffset({scale})"),
            plain => PLAIN.iter().find(|(_, found)| *found == plain).map_or("?", |(name, _)| name).to_owned(),
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_survive_their_text() {
        let all = "bit,tinyint,smallint,int,bigint,real,float,money,smallmoney,text,ntext,xml,image,rowversion,\
                   uniqueidentifier,date,datetime,smalldatetime,hierarchyid,geography,geometry,char(3),\
                   varchar(max),nvarchar(255),nchar(7),varbinary(max),varbinary(892),binary(16),time(3),\
                   datetime2(7),datetimeoffset(0),sql_variant";
        for text in all.split(',') {
            assert_eq!(SqlType::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(SqlType::parse(" Decimal( 9 , 2 ) ").unwrap(), SqlType::Decimal { precision: 9, scale: 2 });
    }

    #[test]
    fn what_cannot_be_carried_is_refused() {
        for bad in ["cursor", "datetime2(8)", "decimal(39,0)", "nvarchar(4001)", "int(4)", "time("] {
            assert!(SqlType::parse(bad).is_err(), "{bad}");
        }
    }
}
