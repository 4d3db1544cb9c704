//! `MetadataFilter`: which rows of a metadata table count, by one column and the values that it may have.
//!
//! `Column=value[,value…]`. A value with a comma, a quote or blanks at its ends stands in single quotes, and a
//! single quote in it is doubled. NULL is no value: rows that have NULL there never count. It is no SQL: what a
//! value means is settled by the column's type, and it goes into a statement as a literal that was quoted.

use crate::error::{Error, Result};

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataFilter {
    /// The column of the metadata table.
    pub column: String,
    /// The values that count, one at least.
    pub values: Vec<String>,
}

impl MetadataFilter {
    /// From its text.
    ///
    /// # Errors
    /// Config, saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((column, mut rest)) = text.split_once('=') else {
            return Err(wrong("has no equals sign", text));
        };
        let column = column.trim().to_owned();
        if column.is_empty() {
            return Err(wrong("names no column", text));
        }
        let mut values = Vec::new();
        loop {
            let (value, after) = one_value(rest, text)?;
            values.push(value);
            match after {
                Some(after) => rest = after,
                None => return Ok(Self { column, values }),
            }
        }
    }
}

/// One value, and what follows its comma, if there is one.
fn one_value<'t>(rest: &'t str, text: &str) -> Result<(String, Option<&'t str>)> {
    let Some(mut quoted) = rest.trim_start().strip_prefix('\'') else {
        let (value, after) = rest.split_once(',').map_or((rest, None), |(value, after)| (value, Some(after)));
        let value = value.trim();
        return match value {
            "" => Err(wrong("has an empty value, which has to be written ''", text)),
            _ if value.contains('\'') => Err(wrong("has a single quote in a value without quotes around it", text)),
            _ => Ok((value.to_owned(), after)),
        };
    };
    let mut value = String::new();
    loop {
        let Some((before, after)) = quoted.split_once('\'') else {
            return Err(wrong("has a single quote that is never closed", text));
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
            None => Err(wrong("has something between a closing quote and the next comma", text)),
        };
    }
}

fn wrong(what: &str, text: &str) -> Error {
    Error::config(format!("the filter {text:?} {what}"))
        .column("MetadataFilter")
        .hint("write Column=value[,value…], values with commas or quotes as 'it''s, so'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Vec<String>) {
        let filter = MetadataFilter::parse(text).unwrap();
        (filter.column, filter.values)
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
    fn what_is_no_filter_is_refused() {
        for text in ["", "Kind", "=1", "Kind=", "Kind=1,", "Kind='a", "Kind='a'b", "Kind=it's", "Kind=1,,2"] {
            assert!(MetadataFilter::parse(text).is_err(), "{text}");
        }
    }
}
