//! Rule 24: what changed about a table's columns, and what a run does about it.

use super::column::{Column, is_delta};
use super::sqltype::SqlType;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a run does where the source's columns are not those of the slice (`SchemaDrift`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaDrift {
    /// The slice follows the source before it is filled.
    #[default]
    Carry,
    /// The table fails, before anything of it is taken.
    Refuse,
}

impl SchemaDrift {
    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carry => "Carry",
            Self::Refuse => "Refuse",
        }
    }

    /// From its name, in any case.
    ///
    /// # Errors
    /// Config.
    pub fn parse(text: &str) -> Result<Self> {
        [Self::Carry, Self::Refuse]
            .into_iter()
            .find(|policy| policy.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::config(format!("{text:.40?} is neither Carry nor Refuse")))
    }
}

impl fmt::Display for SchemaDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that changed about one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// The column.
    pub column: String,
    /// What about it.
    pub change: ChangeKind,
    /// What it was; null where the column was not there.
    pub from: Option<String>,
    /// What it is; null where the column is gone.
    pub to: Option<String>,
}

/// What may change about a column. A column that is renamed is dropped and added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The column is new.
    Added,
    /// The column is gone.
    Dropped,
    /// Its type takes every value that it took before, and more.
    Widened,
    /// Its type takes less.
    Narrowed,
    /// Its type is another one.
    Type,
    /// Its collation.
    Collation,
    /// Whether it takes NULL.
    Nullability,
}

impl ChangeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Dropped => "dropped",
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Type => "of another type",
            Self::Collation => "of another collation",
            Self::Nullability => "of another nullability",
        }
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.column, self.change.as_str())?;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, " ({from}, now {to})"),
            (None, Some(text)) | (Some(text), None) => write!(f, " ({text})"),
            (None, None) => Ok(()),
        }
    }
}

/// What changed from one state of a table's columns to another. The engine's own columns don't count, and neither does
/// the order of columns. Names are the same in any case of the letters A to Z.
pub fn changes(before: &[Column], after: &[Column]) -> Vec<SchemaChange> {
    let own = |column: &&Column| !is_delta(&column.name);
    let mut found = Vec::new();
    for column in after.iter().filter(own) {
        match named(before, &column.name) {
            Some(was) => found.extend(differences(was, column)),
            None => found.push(change(column, ChangeKind::Added, None, Some(column.sql_type.to_string()))),
        }
    }
    let gone = before.iter().filter(own).filter(|column| named(after, &column.name).is_none());
    found.extend(gone.map(|column| change(column, ChangeKind::Dropped, Some(column.sql_type.to_string()), None)));
    found
}

/// The columns that take the rows of all these shapes, oldest first: those of the last, and behind them what only earlier ones
/// have. A column that one of them lacks takes NULL.
///
/// # Errors
/// Config: a column of two types of which neither takes every value of the other.
pub fn union(shapes: &[Vec<Column>]) -> Result<Vec<Column>> {
    let mut all: Vec<Column> = Vec::new();
    for column in shapes.iter().rev().flatten() {
        let lacks = |shape: &Vec<Column>| named(shape, &column.name).is_none();
        match all.iter_mut().find(|there| there.name.eq_ignore_ascii_case(&column.name)) {
            None => all.push(Column { nullable: column.nullable || shapes.iter().any(lacks), ..column.clone() }),
            Some(there) => {
                there.sql_type = wider(there, column)?;
                there.nullable |= column.nullable;
                there.computed |= column.computed;
            }
        }
    }
    Ok(all)
}

fn wider(later: &Column, earlier: &Column) -> Result<SqlType> {
    match (later.sql_type, earlier.sql_type) {
        (later, earlier) if later.promotes(earlier) => Ok(later),
        (later, earlier) if earlier.promotes(later) => Ok(earlier),
        (later_type, earlier_type) => {
            let text = format!(
                "the column was a {earlier_type} and is a {later_type}, and neither takes every value of the other"
            );
            Err(Error::config(text).column(&later.name))
        }
    }
}

fn named<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Changes in one line.
pub fn listed(changes: &[SchemaChange]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a table that refuses changes fails with.
pub fn refused(changes: &[SchemaChange]) -> Error {
    let text =
        format!("the source's columns are not those of the slice, and SchemaDrift is Refuse: {}", listed(changes));
    Error::config(text).hint(
        "`blobdelta table refresh` has the slice follow its source once; with SchemaDrift=Carry (`table set`) each run does; \
         what is named in ExcludedColumns is left out",
    )
}

/// What a run fails with whose source was changed while it copied.
pub fn while_it_ran(changes: &[SchemaChange]) -> Error {
    let text = format!("the source's columns were changed while this run copied its rows: {}", listed(changes));
    Error::config(text)
        .hint("start a new run, which copies the same rows with the new columns; this run cannot continue")
}

fn change(column: &Column, change: ChangeKind, from: Option<String>, to: Option<String>) -> SchemaChange {
    SchemaChange { column: column.name.clone(), change, from, to }
}

fn differences(was: &Column, is: &Column) -> Vec<SchemaChange> {
    let mut found = Vec::new();
    let mut differs = |kind, from: String, to: String| found.push(change(is, kind, Some(from), Some(to)));
    // A slice keeps a server's own stamps as plain bytes.
    let is_stamp = |of: &Column| matches!(of.sql_type, SqlType::RowVersion | SqlType::Binary(8));
    if was.sql_type != is.sql_type && !(is_stamp(was) && is_stamp(is)) {
        let kind = match (is.sql_type.promotes(was.sql_type), was.sql_type.promotes(is.sql_type)) {
            (true, _) => ChangeKind::Widened,
            (false, true) => ChangeKind::Narrowed,
            (false, false) => ChangeKind::Type,
        };
        differs(kind, was.sql_type.to_string(), is.sql_type.to_string());
    }
    // A type without a collation has none to change.
    if let (Some(from), Some(to)) = (&was.collation, &is.collation)
        && !from.eq_ignore_ascii_case(to)
    {
        differs(ChangeKind::Collation, from.clone(), to.clone());
    }
    if was.nullable != is.nullable {
        let text = |nullable| if nullable { "NULL" } else { "NOT NULL" }.to_owned();
        differs(ChangeKind::Nullability, text(was.nullable), text(is.nullable));
    }
    found
}

impl SqlType {
    /// Whether a column of this type takes every value of another type as it is stored. Targets of replays go by it.
    pub fn takes(self, coming: Self) -> bool {
        use SqlType as T;
        let at_least = |length: Option<u16>, coming: Option<u16>| match (length, coming) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(length), Some(coming)) => length >= coming,
        };
        match (self, coming) {
            (T::NVarChar(length), T::NVarChar(coming))
            | (T::VarChar(length), T::VarChar(coming))
            | (T::VarBinary(length), T::VarBinary(coming)) => at_least(length, coming),
            // What a server keeps as plain bytes: a stamp of its own, or a type that it does not have.
            (T::Binary(8), T::RowVersion) | (T::VarBinary(None), T::Geography | T::Geometry) => true,
            (T::VarBinary(length), T::HierarchyId) => at_least(length, Some(892)),
            (T::DateTime2(digits), T::DateTime2(coming)) | (T::DateTimeOffset(digits), T::DateTimeOffset(coming)) => {
                digits >= coming
            }
            (T::BigInt, T::Int | T::SmallInt | T::TinyInt)
            | (T::Int, T::SmallInt | T::TinyInt)
            | (T::SmallInt, T::TinyInt) => true,
            (this, coming) => this == coming,
        }
    }
}

impl SqlType {
    /// Whether of every value of another type one of this type can be made that says the same. The one table of promotions:
    /// drift, and the columns of several bundles together, go by it.
    pub fn promotes(self, from: Self) -> bool {
        use SqlType as T;
        let holds = |length: Option<u16>, other: u16| length.is_none_or(|length| length >= other);
        self.takes(from)
            || match (self, from) {
                (T::Decimal { precision, scale }, T::Decimal { precision: other, scale: digits }) => {
                    scale >= digits && precision - scale >= other - digits
                }
                (T::Decimal { precision, scale }, from) => {
                    integer_digits(from).is_some_and(|digits| precision - scale >= digits)
                }
                (T::TinyInt | T::SmallInt | T::Int | T::BigInt, T::Bit)
                | (T::Float, T::Real | T::TinyInt | T::SmallInt | T::Int)
                | (T::Money, T::SmallMoney)
                | (T::DateTime2(_), T::SmallDateTime)
                | (T::NVarChar(None), T::NText | T::Text | T::VarChar(None))
                | (T::VarChar(None), T::Text)
                | (T::VarBinary(None), T::Image) => true,
                (T::NVarChar(length), T::VarChar(Some(other)) | T::Char(other) | T::NChar(other))
                | (T::VarChar(length), T::Char(other))
                | (T::VarBinary(length), T::Binary(other)) => holds(length, other),
                (T::Time(digits), T::Time(other)) => digits >= other,
                _ => false,
            }
    }
}

/// The most digits of an integer type.
fn integer_digits(sql_type: SqlType) -> Option<u8> {
    match sql_type {
        SqlType::TinyInt => Some(3),
        SqlType::SmallInt => Some(5),
        SqlType::Int => Some(10),
        SqlType::BigInt => Some(19),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, declared: &str, nullable: bool) -> Column {
        Column::new(name, SqlType::parse(declared).unwrap(), nullable)
    }

    #[test]
    fn rule_24_every_difference_is_found_and_said() {
        let before = [
            column("Id", "uniqueidentifier", false),
            column("Name", "nvarchar(50)", false),
            column("Size", "bigint", true),
            column("Kind", "int", true),
            column("Old", "bit", true),
            column("DeltaStep", "tinyint", false),
        ];
        let mut after = [
            column("Kind", "nvarchar(9)", true),
            column("ID", "uniqueidentifier", false),
            column("Name", "nvarchar(max)", true),
            column("Size", "int", true),
            column("New", "date", false),
        ];
        let said = listed(&changes(&before, &after));
        assert_eq!(
            said,
            "Kind of another type (int, now nvarchar(9)), Name widened (nvarchar(50), now nvarchar(max)), \
             Name of another nullability (NOT NULL, now NULL), Size narrowed (bigint, now int), New added (date), \
             Old dropped (bit)"
        );
        assert!(changes(&after, &after).is_empty());
        let same = after.clone();
        after[2].collation = Some("Latin1_General_BIN2".into());
        assert!(changes(&same, &after).is_empty(), "one of them has none");
        let mut other = after.clone();
        other[2].collation = Some("Latin1_General_CI_AS".into());
        assert_eq!(changes(&after, &other)[0].change, ChangeKind::Collation);
    }

    #[test]
    fn a_union_takes_the_rows_of_all() {
        let first =
            vec![column("Id", "uniqueidentifier", false), column("Old", "int", false), column("N", "int", false)];
        let second =
            vec![column("id", "uniqueidentifier", false), column("N", "bigint", false), column("New", "bit", false)];
        let third =
            vec![column("Id", "uniqueidentifier", false), column("N", "int", true), column("New", "bit", false)];
        let expected = vec![
            column("Id", "uniqueidentifier", false),
            column("N", "bigint", true),
            column("New", "bit", true),
            column("Old", "int", true),
        ];
        assert_eq!(union(&[first.clone(), second, third]).unwrap(), expected);
        let other = vec![column("N", "date", false)];
        assert_eq!(union(&[first, other]).unwrap_err().place().column.as_deref(), Some("N"));
    }

    #[test]
    fn numbers_and_texts_that_grow_are_promoted_and_nothing_else() {
        let parse = |declared: &str| SqlType::parse(declared).unwrap();
        for (wide, narrow) in [
            ("decimal(9, 2)", "decimal(5, 2)"),
            ("decimal(18, 6)", "decimal(9, 2)"),
            ("decimal(18, 2)", "int"),
            ("int", "bit"),
            ("float", "int"),
            ("float", "real"),
            ("nvarchar(50)", "varchar(50)"),
            ("nvarchar(max)", "text"),
            ("varchar(10)", "char(10)"),
            ("money", "smallmoney"),
            ("time(7)", "time(3)"),
            ("varbinary(16)", "binary(16)"),
            ("varbinary(max)", "image"),
            ("datetime2(0)", "smalldatetime"),
        ] {
            assert!(parse(wide).promotes(parse(narrow)), "{wide} of {narrow}");
            assert!(!parse(narrow).promotes(parse(wide)), "{narrow} of {wide}");
        }
        for (one, other) in [
            ("decimal(9, 4)", "decimal(9, 2)"),
            ("decimal(9, 2)", "int"),
            ("float", "bigint"),
            ("date", "datetime2(7)"),
        ] {
            assert!(!parse(one).promotes(parse(other)), "{one} of {other}");
        }
    }

    #[test]
    fn a_type_that_would_cut_a_value_takes_less() {
        use SqlType as T;
        let wide = [
            (T::NVarChar(None), T::NVarChar(Some(9))),
            (T::VarBinary(Some(892)), T::HierarchyId),
            (T::Binary(8), T::RowVersion),
            (T::BigInt, T::TinyInt),
            (T::DateTime2(7), T::DateTime2(3)),
        ];
        let narrow = [
            (T::NVarChar(Some(8)), T::NVarChar(Some(9))),
            (T::NVarChar(Some(4000)), T::NVarChar(None)),
            (T::VarBinary(Some(891)), T::HierarchyId),
            (T::DateTime2(6), T::DateTime2(7)),
            (T::VarChar(Some(9)), T::NVarChar(Some(9))),
        ];
        assert!(wide.into_iter().all(|(there, coming)| there.takes(coming)));
        assert!(!narrow.into_iter().any(|(there, coming)| there.takes(coming)));
    }
}
