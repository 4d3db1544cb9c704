//! Values between TDS and [`Cell`], and what a SELECT list has to say of each type so that nothing
//! is lost on the way.
//!
//! | T-SQL | selected as | comes as |
//! |---|---|---|
//! | money, smallmoney | `CONVERT(decimal(19,4), c)` | decimal: the driver would use a float |
//! | char, varchar, text, ntext, xml | `CONVERT(nvarchar(max), c)` | UTF-16, whatever the collation |
//! | hierarchyid, geography, geometry | `CONVERT(varbinary(max), c)` | their bytes |
//! | values without bound | their length, and themselves up to the inline limit | |
//! | everything else | itself | itself |

use super::sql::quote;
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::variant::Variant;
use tiberius::numeric::Numeric;
use tiberius::time::{DateTime2, Time};
use tiberius::{ColumnData, Row};

/// Days from 0001-01-01 to 1900-01-01, where datetime and smalldatetime begin.
const DAYS_TO_1900: i64 = 693_595;

/// What to select for a column of this type; `name` is quoted, with its alias before it.
pub(super) fn selected(sql_type: SqlType, name: &str) -> String {
    match sql_type {
        SqlType::Money | SqlType::SmallMoney => format!("CONVERT(decimal(19, 4), {name})"),
        SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text | SqlType::NText | SqlType::Xml => {
            format!("CONVERT(nvarchar(max), {name})")
        }
        SqlType::HierarchyId | SqlType::Geography | SqlType::Geometry | SqlType::Image => {
            format!("CONVERT(varbinary(max), {name})")
        }
        _ => name.to_owned(),
    }
}

/// Three fields of a sql_variant, `name` being quoted: what its base type is, with bars between; its
/// text; its bytes, if it is a binary. Each base type is converted by itself, because not every
/// server minds the style where it converts a sql_variant.
pub(super) fn selected_variant(name: &str) -> String {
    let property = |of: &str| format!("SQL_VARIANT_PROPERTY({name}, '{of}')");
    let number = |of: &str| format!("CONVERT(nvarchar(20), CONVERT(int, {}))", property(of));
    let base = format!("CONVERT(nvarchar(128), {})", property("BaseType"));
    let collation = format!("CONVERT(nvarchar(128), {})", property("Collation"));
    let parts = [base.clone(), number("Precision"), number("Scale"), number("MaxLength"), collation];
    let kind = format!("CASE WHEN {name} IS NOT NULL THEN CONCAT({}) END", parts.join(", N'|', "));
    let by_style = |kind: &str, style: u8| {
        format!(" WHEN N'{kind}' THEN CONVERT(nvarchar(100), CONVERT({kind}, {name}), {style})")
    };
    let mut text = format!("CASE {base} WHEN N'binary' THEN NULL WHEN N'varbinary' THEN NULL");
    for kind in ["money", "smallmoney"] {
        text.push_str(&format!(
            " WHEN N'{kind}' THEN CONVERT(nvarchar(100), CONVERT(decimal(19, 4), CONVERT({kind}, {name})))"
        ));
    }
    for (kind, style) in
        [("float", 3), ("real", 3), ("date", 121), ("time", 121), ("datetime", 121), ("smalldatetime", 121)]
    {
        text.push_str(&by_style(kind, style));
    }
    for kind in ["datetime2", "datetimeoffset"] {
        text.push_str(&by_style(kind, 121));
    }
    text.push_str(&format!(" ELSE CONVERT(nvarchar(max), {name}) END"));
    let bytes = format!("CASE WHEN {base} IN (N'binary', N'varbinary') THEN CONVERT(varbinary(8000), {name}) END");
    // varchar(8000) has more characters than nvarchar(4000).
    format!("{kind}, CONVERT(nvarchar(max), {text}), {bytes}")
}

/// What [`selected_variant`] gives, as one text; nothing for NULL.
///
/// # Errors
/// Config: a base type that cannot be carried.
pub(super) fn variant_of(fields: &RowFields<'_>, at: usize) -> Result<Option<String>> {
    let Some(kind) = fields.text(at)? else { return Ok(None) };
    let wrong = || {
        Error::config(format!("a sql_variant of the base type {kind:?} cannot be carried"))
            .hint("cast the value at the source, or exclude its key")
    };
    let parts: Vec<&str> = kind.split('|').collect();
    let [base, precision, scale, length, collation] = parts[..] else { return Err(wrong()) };
    // What a server does not say of a length is the most that there is.
    let sized = |most: u16, unit: u16| {
        let bytes = length.parse::<u16>().ok().filter(|bytes| (1..=8000).contains(bytes));
        format!("{base}({})", bytes.map_or(most, |bytes| bytes / unit))
    };
    let declaration = match base {
        "decimal" | "numeric" => format!("decimal({precision},{scale})"),
        "char" | "varchar" | "binary" | "varbinary" => sized(8000, 1),
        "nchar" | "nvarchar" => sized(4000, 2),
        "time" | "datetime2" | "datetimeoffset" => format!("{base}({scale})"),
        plain => plain.to_owned(),
    };
    let head = match collation.is_empty() {
        true => declaration,
        false => format!("{declaration} collate {collation}"),
    };
    let text = match fields.bytes(at + 2)? {
        Some(bytes) => bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
        None if collation.is_empty() => plain_text(base, fields.text(at + 1)?.unwrap_or_default()).ok_or_else(wrong)?,
        None => fields.text(at + 1)?.unwrap_or_default().to_owned(),
    };
    let tagged = format!("{head}:{text}");
    Variant::parse(&tagged).map_err(|_| wrong())?;
    Ok(Some(tagged))
}

/// The one form of a value that is no text: servers differ in blanks, in digits that are zero and in
/// how they write exponents.
fn plain_text(base: &str, text: &str) -> Option<String> {
    let text = text.trim();
    Some(match base {
        "float" => format!("{:?}", text.parse::<f64>().ok()?),
        "real" => format!("{:?}", text.parse::<f32>().ok()?),
        "uniqueidentifier" => text.to_lowercase(),
        "time" | "datetime" | "smalldatetime" | "datetime2" | "datetimeoffset" => {
            let (moment, offset) = match base {
                "datetimeoffset" => text.rsplit_once(' ')?,
                _ => (text, ""),
            };
            let digits = if moment.contains('.') { moment.trim_end_matches('0').trim_end_matches('.') } else { moment };
            format!("{digits} {offset}").trim_end().to_owned()
        }
        _ => text.to_owned(),
    })
}

/// A sql_variant out of the text of a value of one base type.
pub(super) fn made_variant(variant: &Variant<'_>, text: &str) -> String {
    use SqlType as T;
    let base = variant.base;
    let text = variant.collation.map_or(text.to_owned(), |collation| format!("{text} COLLATE {collation}"));
    let value = match base {
        T::Binary(_) | T::VarBinary(_) => format!("CONVERT({base}, {text}, 1)"),
        T::Date | T::Time(_) | T::DateTime | T::SmallDateTime | T::DateTime2(_) | T::DateTimeOffset(_) => {
            format!("CONVERT({base}, {text}, 121)")
        }
        _ => format!("CONVERT({base}, {text})"),
    };
    format!("CONVERT(sql_variant, {value})")
}

/// The length in bytes of a value without bound, in what [`selected`] gives: UTF-16 for text.
pub(super) fn measured(sql_type: SqlType, name: &str) -> String {
    format!("CONVERT(bigint, DATALENGTH({}))", selected(sql_type, name))
}

/// The column of an alias, quoted.
pub(super) fn of(alias: &str, column: &str) -> String {
    format!("{alias}.{}", quote(column))
}

/// Reads a value as a cell of the column's type.
///
/// # Errors
/// Database: the server sent another type than its catalog says.
pub(super) fn cell_of<'a>(sql_type: SqlType, value: &'a ColumnData<'static>) -> Result<Cell<'a>> {
    let cell = match value {
        ColumnData::Bit(bit) => bit.map(Cell::Bool),
        ColumnData::U8(value) => value.map(|value| Cell::Int(value.into())),
        ColumnData::I16(value) => value.map(|value| Cell::Int(value.into())),
        ColumnData::I32(value) => value.map(|value| Cell::Int(value.into())),
        ColumnData::I64(value) => value.map(Cell::Int),
        ColumnData::F32(value) => value.map(|value| Cell::Float(value.into())),
        ColumnData::F64(value) => value.map(Cell::Float),
        ColumnData::Numeric(value) => value.map(|value| rescaled(value, sql_type)).transpose()?,
        ColumnData::String(text) => text.as_deref().map(Cell::Text),
        ColumnData::Xml(xml) => xml.as_ref().map(|xml| Cell::Text(xml.as_ref().as_ref())),
        ColumnData::Binary(bytes) => bytes.as_deref().map(Cell::Bytes),
        ColumnData::Guid(guid) => guid.map(|guid| Cell::Guid(Guid::from_bytes(*guid.as_bytes()))),
        ColumnData::Date(date) => date.map(|date| day(date.days())).transpose()?,
        ColumnData::Time(time) => time.map(|time| Cell::Time(ticks_of(time))),
        ColumnData::DateTime2(at) => at.map(moment).transpose()?.map(Cell::DateTime),
        ColumnData::DateTimeOffset(at) => {
            at.map(|at| Ok::<_, Error>(Cell::DateTimeOffset(moment(at.datetime2())?, at.offset()))).transpose()?
        }
        ColumnData::DateTime(at) => {
            at.map(|at| since_1900(at.days().into(), fragment_ticks(at.seconds_fragments().into()))).transpose()?
        }
        ColumnData::SmallDateTime(at) => {
            at.map(|at| since_1900(at.days().into(), i64::from(at.seconds_fragments()) * 600_000_000)).transpose()?
        }
    };
    let cell = cell.unwrap_or(Cell::Null);
    if is_value(sql_type, &cell) { Ok(cell) } else { Err(wrong_value(sql_type)) }
}

fn is_value(sql_type: SqlType, cell: &Cell<'_>) -> bool {
    use SqlType as T;
    match cell {
        Cell::Null | Cell::Large(_) => true,
        Cell::Bool(_) => sql_type == T::Bit,
        Cell::Int(_) => matches!(sql_type, T::TinyInt | T::SmallInt | T::Int | T::BigInt),
        Cell::Float(_) => matches!(sql_type, T::Real | T::Float),
        Cell::Decimal(_) => matches!(sql_type, T::Decimal { .. } | T::Money | T::SmallMoney),
        Cell::Guid(_) => sql_type == T::UniqueIdentifier,
        Cell::Date(_) => sql_type == T::Date,
        Cell::Time(_) => matches!(sql_type, T::Time(_)),
        Cell::DateTime(_) => sql_type.is_point_in_time(),
        Cell::DateTimeOffset(..) => matches!(sql_type, T::DateTimeOffset(_)),
        Cell::Text(_) => is_text(sql_type),
        Cell::Bytes(_) => is_binary(sql_type),
    }
}

/// Whether a value of this type is text.
pub(super) fn is_text(sql_type: SqlType) -> bool {
    use SqlType as T;
    matches!(sql_type, T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText | T::Xml)
        || sql_type == T::Variant
}

fn is_binary(sql_type: SqlType) -> bool {
    use SqlType as T;
    matches!(
        sql_type,
        T::Binary(_) | T::VarBinary(_) | T::Image | T::RowVersion | T::HierarchyId | T::Geography | T::Geometry
    )
}

fn wrong_value(sql_type: SqlType) -> Error {
    Error::new(crate::error::Kind::Database, format!("the server sent another type than {sql_type}"))
        .hint("the table was changed while it was read; run the table again")
}

/// The unscaled value at the scale of the column.
fn rescaled(value: Numeric, sql_type: SqlType) -> Result<Cell<'static>> {
    let scale = match sql_type {
        SqlType::Decimal { scale, .. } => scale,
        _ => 4,
    };
    let wider = u32::from(scale.checked_sub(value.scale()).ok_or_else(|| wrong_value(sql_type))?);
    let unscaled = 10_i128.checked_pow(wider).and_then(|factor| value.value().checked_mul(factor));
    unscaled.map(Cell::Decimal).ok_or_else(|| wrong_value(sql_type))
}

fn day(days: u32) -> Result<Cell<'static>> {
    i32::try_from(days).map(Cell::Date).map_err(|_| out_of_range())
}

/// 100 ns ticks since midnight, whatever the scale.
fn ticks_of(time: Time) -> i64 {
    let factor = 10_i64.pow(u32::from(7 - time.scale().min(7)));
    i64::try_from(time.increments()).unwrap_or(0).saturating_mul(factor)
}

fn moment(at: DateTime2) -> Result<Timestamp> {
    let ticks = i64::from(at.date().days()) * TICKS_PER_DAY + ticks_of(at.time());
    Timestamp::from_ticks(ticks).ok_or_else(out_of_range)
}

fn since_1900(days: i64, ticks: i64) -> Result<Cell<'static>> {
    let ticks = (days + DAYS_TO_1900) * TICKS_PER_DAY + ticks;
    Timestamp::from_ticks(ticks).map(Cell::DateTime).ok_or_else(out_of_range)
}

/// datetime counts 1/300 s, which its text gives in milliseconds; so does a bundle, and the server
/// makes the same 1/300 s of them again.
fn fragment_ticks(fragments: i64) -> i64 {
    (fragments * 10 + 1) / 3 * 10_000
}

fn out_of_range() -> Error {
    Error::new(crate::error::Kind::Database, "the server sent a time outside of the years 1 to 9999")
}

/// One row of a small result, read by position. A value of another type than asked for is an
/// error, because it means that the job database is not the one that this program knows.
pub(super) struct RowFields<'r> {
    row: &'r Row,
}

impl<'r> RowFields<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self { row }
    }

    pub(super) fn data(&self, at: usize) -> Result<&'r ColumnData<'static>> {
        self.row.get_column_data(at).map_err(|_| unexpected(at))
    }

    pub(super) fn text(&self, at: usize) -> Result<Option<&'r str>> {
        match self.data(at)? {
            ColumnData::String(text) => Ok(text.as_deref()),
            _ => Err(unexpected(at)),
        }
    }

    pub(super) fn bytes(&self, at: usize) -> Result<Option<&'r [u8]>> {
        match self.data(at)? {
            ColumnData::Binary(bytes) => Ok(bytes.as_deref()),
            _ => Err(unexpected(at)),
        }
    }

    pub(super) fn number(&self, at: usize) -> Result<Option<i64>> {
        Ok(match self.data(at)? {
            ColumnData::U8(value) => value.map(i64::from),
            ColumnData::I16(value) => value.map(i64::from),
            ColumnData::I32(value) => value.map(i64::from),
            ColumnData::I64(value) => *value,
            ColumnData::Bit(value) => value.map(i64::from),
            _ => return Err(unexpected(at)),
        })
    }

    pub(super) fn guid(&self, at: usize) -> Result<Option<Guid>> {
        match self.data(at)? {
            ColumnData::Guid(guid) => Ok(guid.map(|guid| Guid::from_bytes(*guid.as_bytes()))),
            _ => Err(unexpected(at)),
        }
    }

    pub(super) fn time(&self, at: usize) -> Result<Option<Timestamp>> {
        match cell_of(SqlType::DateTime2(7), self.data(at)?)? {
            Cell::Null => Ok(None),
            Cell::DateTime(at) => Ok(Some(at)),
            _ => Err(unexpected(at)),
        }
    }

    /// A value that the job database never leaves out.
    pub(super) fn must<T>(&self, at: usize, read: impl FnOnce(&Self, usize) -> Result<Option<T>>) -> Result<T> {
        read(self, at)?.ok_or_else(|| unexpected(at))
    }
}

fn unexpected(at: usize) -> Error {
    Error::new(crate::error::Kind::Database, format!("column {at} of an answer is not what this program expects"))
        .hint("run deploy with this program, so that the procedures are those that it knows")
}

pub(super) fn table_at(fields: &RowFields<'_>, at: usize) -> Result<TableName> {
    TableName::parse(fields.must(at, RowFields::text)?)
}

pub(super) fn text_at(fields: &RowFields<'_>, at: usize) -> Result<String> {
    fields.must(at, RowFields::text).map(str::to_owned)
}

/// A number that the job database keeps in range.
pub(super) fn number_at<T: TryFrom<i64>>(fields: &RowFields<'_>, at: usize) -> Result<T> {
    let number = fields.must(at, RowFields::number)?;
    T::try_from(number).map_err(|_| Error::internal(format!("the job database holds {number} where it cannot stand")))
}

#[cfg(test)]
mod tests {
    use super::super::params::param;
    use super::*;
    use tiberius::time::{DateTime, SmallDateTime};

    fn read(sql_type: SqlType, data: ColumnData<'static>) -> String {
        format!("{:?}", cell_of(sql_type, &data).unwrap())
    }

    #[test]
    fn times_keep_every_digit() {
        let last = ColumnData::DateTime(Some(DateTime::new(2_958_463, 25_919_999)));
        assert_eq!(read(SqlType::DateTime, last), "DateTime(9999-12-31T23:59:59.9970000)");
        let first = ColumnData::DateTime(Some(DateTime::new(-53_690, 1)));
        assert_eq!(read(SqlType::DateTime, first), "DateTime(1753-01-01T00:00:00.0030000)");
        let small = ColumnData::SmallDateTime(Some(SmallDateTime::new(65_535, 1439)));
        assert_eq!(read(SqlType::SmallDateTime, small), "DateTime(2079-06-06T23:59:00.0000000)");
        for ticks in [0, 1, Timestamp::MAX.ticks()] {
            let at = Timestamp::from_ticks(ticks).unwrap();
            let Some(ColumnData::DateTime2(Some(sent))) = param(SqlType::DateTime2(7), Cell::DateTime(at)) else {
                panic!("not a datetime2")
            };
            assert_eq!(moment(sent).unwrap(), at);
        }
    }

    #[test]
    fn decimals_come_at_the_scale_of_their_column() {
        let sent = ColumnData::Numeric(Some(Numeric::new_with_scale(-15, 1)));
        assert_eq!(read(SqlType::Decimal { precision: 9, scale: 3 }, sent), "Decimal(-1500)");
        let wide = ColumnData::Numeric(Some(Numeric::new_with_scale(1, 9)));
        assert!(cell_of(SqlType::Decimal { precision: 9, scale: 3 }, &wide).is_err());
    }

    #[test]
    fn another_type_than_the_catalog_says_is_an_error() {
        assert!(cell_of(SqlType::Bit, &ColumnData::I32(Some(1))).is_err());
        assert_eq!(read(SqlType::Bit, ColumnData::I32(None)), "Null");
    }
}
