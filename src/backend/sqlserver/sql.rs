//! [`Sql`]: a statement with its values, and the one function that quotes a name.

use super::params::bound;
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use crate::scripts::statement;
use std::borrow::Cow;
use tiberius::ColumnData;

/// T-SQL with values beside it. Values are parameters, never text; a NULL is written as the word,
/// because not every server takes one that has no type.
#[derive(Clone, Default)]
pub(super) struct Sql<'a> {
    pub(super) text: String,
    pub(super) values: Vec<ColumnData<'a>>,
}

impl<'a> Sql<'a> {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// A statement that says `[{Name}]` for each of these values: each is a parameter, or the word NULL.
    pub(super) fn bound(text: &str, values: Vec<(&str, SqlParameter<'a>)>) -> Self {
        let mut bound = Self::default();
        let mut names = Vec::new();
        for (name, value) in values {
            names.push((
                name,
                value.0.map_or("NULL".to_owned(), |value| {
                    bound.values.push(value);
                    format!("@P{}", bound.values.len())
                }),
            ));
        }
        let names: Vec<(&str, &str)> = names.iter().map(|(name, text)| (*name, text.as_str())).collect();
        bound.text = filled(text, &names);
        bound
    }

    /// Adds text.
    pub(super) fn then(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value.
    pub(super) fn bind(mut self, value: impl Into<SqlParameter<'a>>) -> Self {
        self.push(value);
        self
    }

    /// Adds a value that the text names already, by its number.
    pub(super) fn with(mut self, value: impl Into<SqlParameter<'a>>) -> Self {
        self.values.extend(value.into().0);
        self
    }

    /// As [`Sql::then`], in place.
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// As [`Sql::bind`], in place.
    pub(super) fn push(&mut self, value: impl Into<SqlParameter<'a>>) {
        match value.into().0 {
            None => self.text.push_str("NULL"),
            Some(value) => {
                self.values.push(value);
                self.text.push_str(&format!("@P{}", self.values.len()));
            }
        }
    }
}

/// One parameter; `None` is NULL.
pub(super) struct SqlParameter<'a>(pub(super) Option<ColumnData<'a>>);

impl From<Guid> for SqlParameter<'_> {
    fn from(guid: Guid) -> Self {
        Self(Some(ColumnData::Guid(Some(uuid::Uuid::from_bytes(*guid.as_bytes())))))
    }
}

impl From<Timestamp> for SqlParameter<'_> {
    fn from(at: Timestamp) -> Self {
        Self(bound(Cell::DateTime(at)))
    }
}

impl<'a> From<&'a str> for SqlParameter<'a> {
    fn from(text: &'a str) -> Self {
        Self(Some(ColumnData::String(Some(Cow::Borrowed(text)))))
    }
}

impl From<String> for SqlParameter<'_> {
    fn from(text: String) -> Self {
        Self(Some(ColumnData::String(Some(Cow::Owned(text)))))
    }
}

impl<'a> From<&'a String> for SqlParameter<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&TableName> for SqlParameter<'_> {
    fn from(name: &TableName) -> Self {
        Self::from(name.to_string())
    }
}

impl From<TableName> for SqlParameter<'_> {
    fn from(name: TableName) -> Self {
        Self::from(name.to_string())
    }
}

impl<'a> From<&'a [u8]> for SqlParameter<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Some(ColumnData::Binary(Some(Cow::Borrowed(bytes)))))
    }
}

impl From<i64> for SqlParameter<'_> {
    fn from(number: i64) -> Self {
        Self(Some(ColumnData::I64(Some(number))))
    }
}

impl From<i32> for SqlParameter<'_> {
    fn from(number: i32) -> Self {
        Self(Some(ColumnData::I32(Some(number))))
    }
}

impl From<u32> for SqlParameter<'_> {
    fn from(number: u32) -> Self {
        Self::from(i64::from(number))
    }
}

impl From<u16> for SqlParameter<'_> {
    fn from(number: u16) -> Self {
        Self::from(i32::from(number))
    }
}

impl From<bool> for SqlParameter<'_> {
    fn from(bit: bool) -> Self {
        Self(Some(ColumnData::Bit(Some(bit))))
    }
}

impl<'a> From<Cell<'a>> for SqlParameter<'a> {
    fn from(cell: Cell<'a>) -> Self {
        Self(bound(cell))
    }
}

impl<'a, T: Into<SqlParameter<'a>>> From<Option<T>> for SqlParameter<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(None), Into::into)
    }
}

/// Quotes one identifier, as `QUOTENAME` does. The only place where that is done on this side.
pub(super) fn quote(identifier: &str) -> String {
    format!("[{}]", identifier.replace(']', "]]"))
}

/// A three-part name, quoted.
pub(super) fn quoted(table: &TableName) -> String {
    format!("{}.{}.{}", quote(&table.db), quote(&table.schema), quote(&table.table))
}

/// A text as a literal, for the few statements that take no parameters (USE, DDL).
pub(super) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// Puts values where a statement says `[{Name}]`.
pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    statement::filled(text, ("[{", "}]"), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_named_is_a_parameter_and_no_value_a_word() {
        let values = vec![("Table", "[{Unit}]".into()), ("Unit", None::<i64>.into()), ("Key", 7_i64.into())];
        let sql = Sql::bound("VALUES ([{Table}], [{Unit}], [{Key}])", values);
        assert_eq!(sql.text, "VALUES (@P1, NULL, @P2)");
        assert_eq!(sql.values.len(), 2);
    }

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(quote("i]]d]"), "[i]]]]d]]]");
        assert_eq!(literal("it's"), "N'it''s'");
    }

    #[test]
    fn a_null_is_a_word_and_a_value_a_parameter() {
        let sql = Sql::new("SELECT ").bind(None::<i64>).then(", ").bind(7_i64).then(", ").bind("x");
        assert_eq!(sql.text, "SELECT NULL, @P1, @P2");
        assert_eq!(sql.values.len(), 2);
    }
}
