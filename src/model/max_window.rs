//! `MaxWindow`: how much one window of a table takes at most, so that a first load comes as several slices and bundles of
//! bounded size.

use crate::error::{Error, Result};
use std::fmt;

/// The days that a `datetime2` has.
const MOST_DAYS: u32 = 3_652_059;
/// More rows fit into no slice that anybody could want.
const MOST_ROWS: u32 = 1_000_000_000;

/// See the module's text. What the buffer takes once more comes in addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxWindow {
    /// So many days from the first stamp on.
    Days(u32),
    /// So many rows of the metadata; those of one stamp are never parted.
    Rows(u32),
}

impl MaxWindow {
    /// From its text, `30 days` or `1000000 rows`, in any case.
    ///
    /// # Errors
    /// Config, saying how it is written.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        let found = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [days, "day" | "days"] => number(days, MOST_DAYS).map(Self::Days),
            [rows, "row" | "rows"] => number(rows, MOST_ROWS).map(Self::Rows),
            _ => None,
        };
        found.ok_or_else(|| {
            Error::config(format!("{text:?} is no MaxWindow")).column("MaxWindow").hint(format!(
                "write it as \"30 days\" (1 to {MOST_DAYS}) or \"1000000 rows\" (1 to {MOST_ROWS}), or leave it empty"
            ))
        })
    }
}

fn number(text: &str, most: u32) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && (1..=most).contains(number))
}

/// `30 days`: the one text of each value.
impl fmt::Display for MaxWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self {
            Self::Days(days) => (days, "day"),
            Self::Rows(rows) => (rows, "row"),
        };
        write!(f, "{number} {unit}{}", if *number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_1_a_window_is_bounded_by_days_or_rows_and_by_nothing_else() {
        for (text, shown) in [
            ("30 days", "30 days"),
            (" 30  Days ", "30 days"),
            ("1 day", "1 day"),
            ("1 days", "1 day"),
            ("3652059 days", "3652059 days"),
            ("1000000 rows", "1000000 rows"),
            ("1 ROW", "1 row"),
        ] {
            let parsed = MaxWindow::parse(text).unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(MaxWindow::parse(shown).unwrap(), parsed);
        }
        for wrong in [
            "",
            "30",
            "days",
            "0 days",
            "-1 days",
            "+1 days",
            "1.5 days",
            "3652060 days",
            "1e6 rows",
            "0 rows",
            "1,000 rows",
            "1000000001 rows",
            "99999999999999999999 rows",
            "30 days 1 row",
            "30 weeks",
            "30days",
        ] {
            let error = MaxWindow::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Config, "{wrong}");
            assert!(error.what_to_do().unwrap().contains("30 days"), "{wrong}");
        }
    }
}
