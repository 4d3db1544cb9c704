//! A condition on rows of a metadata table, by one column: `MetadataFilter`, which says whether a row counts, and `DeletedWhen`,
//! which says whether it counts as deleted.
//!
//! `Column=value[,value…]`, or `Column IS NOT NULL`. A value with a comma, a quote or blanks at its ends stands in single
//! quotes, and a single quote in it is doubled. NULL is no value: rows that have NULL there are never meant. It is no SQL: what
//! a value means is settled by the column's type, and it goes into a statement as a literal that was quoted.

use crate::error::{Error, Result};

const IS_NOT_NULL: &str = " is not null";

/// Which of the two it is; its name is that of the column of `BlobDeltaTableConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    /// Whether a row counts.
    MetadataFilter,
    /// Whether it counts as deleted.
    DeletedWhen,
    /// Whether a row of an audit table records a deletion. It is an option, and in no configuration.
    When,
}

impl ConditionKind {
    /// The name of its setting.
    pub fn setting(self) -> &'static str {
        match self {
            Self::MetadataFilter => "MetadataFilter",
            Self::DeletedWhen => "DeletedWhen",
            Self::When => "--when",
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataCondition {
    /// The column of the metadata table.
    pub column: String,
    /// The values that are meant, one at least; `None`: all that there are.
    pub values: Option<Vec<String>>,
}

impl MetadataCondition {
    /// From its text.
    ///
    /// # Errors
    /// Config, saying what is wrong with it.
    pub fn parse(kind: ConditionKind, text: &str) -> Result<Self> {
        let wrong = |what: &str| Err(wrong(kind, what, text));
        let Some((column, rest)) = text.split_once('=') else {
            let column =
                text.trim().len().checked_sub(IS_NOT_NULL.len()).and_then(|at| text.trim().split_at_checked(at));
            return match column {
                Some((column, rest)) if rest.eq_ignore_ascii_case(IS_NOT_NULL) && !column.trim().is_empty() => {
                    Ok(Self { column: column.trim().to_owned(), values: None })
                }
                _ => wrong("has no equals sign"),
            };
        };
        let column = column.trim().to_owned();
        if column.is_empty() {
            return wrong("names no column");
        }
        let (mut values, mut rest) = (Vec::new(), Some(rest));
        while let Some(from) = rest {
            match one_value(from) {
                Ok((value, after)) => {
                    values.push(value);
                    rest = after;
                }
                Err(what) => return wrong(what),
            }
        }
        Ok(Self { column, values: Some(values) })
    }
}

/// One value, and what follows its comma, if there is one; or what is wrong with it.
fn one_value(rest: &str) -> std::result::Result<(String, Option<&str>), &'static str> {
    let Some(mut quoted) = rest.trim_start().strip_prefix('\'') else {
        let (value, after) = rest.split_once(',').map_or((rest, None), |(value, after)| (value, Some(after)));
        let value = value.trim();
        return match value {
            "" => Err("has an empty value, which has to be written ''"),
            _ if value.contains('\'') => Err("has a single quote in a value without quotes around it"),
            _ => Ok((value.to_owned(), after)),
        };
    };
    let mut value = String::new();
    loop {
        let Some((before, after)) = quoted.split_once('\'') else {
            return Err("has a single quote that is never closed");
        };
        value.push_str(before);
        if let Some(more) = after.strip_prefix('\'') {
            value.push('\'');
            quoted = more;
            continue;
        }
        let after = after.trim_start();
        return match after.strip_prefix(',') {
            Some(after) => Ok((value, Some(after))),
            None if after.is_empty() => Ok((value, None)),
            None => Err("has something between a closing quote and the next comma"),
        };
    }
}

fn wrong(kind: ConditionKind, what: &str, text: &str) -> Error {
    Error::config(format!("{} {text:?} {what}", kind.setting()))
        .column(kind.setting())
        .hint("write Column=value[,value…], values with commas or quotes as 'it''s, so', or Column IS NOT NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Vec<String>) {
        let filter = MetadataCondition::parse(ConditionKind::DeletedWhen, text).unwrap();
        (filter.column, filter.values.unwrap_or_default())
    }

    #[test]
    fn values_are_separated_by_commas_and_may_be_quoted() {
        assert_eq!(parsed("Kind=1"), ("Kind".into(), vec!["1".into()]));
        assert_eq!(
            parsed(" Kind = a , 'b, it''s' ,c"),
            ("Kind".into(), vec!["a".into(), "b, it's".into(), "c".into()])
        );
        assert_eq!(parsed("Kind='',' x '"), ("Kind".into(), vec![String::new(), " x ".into()]));
    }

    #[test]
    fn any_value_at_all_is_asked_for_as_in_sql() {
        assert_eq!(parsed(" Deleted At Is Not NULL "), ("Deleted At".into(), vec![]));
        assert_eq!(parsed("Kind=x IS NOT NULL"), ("Kind".into(), vec!["x IS NOT NULL".into()]));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "",
            "Kind",
            "=1",
            "Kind=",
            "Kind=1,",
            "Kind='a",
            "Kind='a'b",
            "Kind=it's",
            "Kind=1,,2",
            " IS NOT NULL",
            "Kind IS NULL",
            "é",
        ] {
            assert!(MetadataCondition::parse(ConditionKind::MetadataFilter, text).is_err(), "{text}");
        }
    }
}
