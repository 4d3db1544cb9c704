//! Three-part names of tables.
//!
//! **One way to compare.** Two names are one where their parts differ in nothing but the case of the letters
//! A to Z: so SQLite compares (`NOCASE`, which every column of ours that holds a name has), and so does
//! [`TableName`], wherever one stands: commands, configuration, logs, chains of bundles. A server compares by its
//! collation, and what it finds is named on as it is configured. A name is printed as it was first spelled.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest identifier of SQL Server, in UTF-16 code units (`sysname`). `QUOTENAME` gives
/// NULL beyond it.
pub const MAX_IDENTIFIER_UTF16_UNITS: usize = 128;

/// `Db.schema.table`. Parts are checked: 1–128 UTF-16 units, no control characters. Compared without the case of
/// ASCII letters, see the module's text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// The database.
    pub db: String,
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// From parts.
    ///
    /// # Errors
    /// Config: a part that no catalog could hold.
    pub fn new(db: &str, schema: &str, table: &str) -> Result<Self> {
        for part in [db, schema, table] {
            check_identifier(part)?;
        }
        Ok(Self { db: db.into(), schema: schema.into(), table: table.into() })
    }

    /// Parses `Db.schema.table`; a part that holds a dot or a bracket stands in brackets, with
    /// `]` doubled.
    ///
    /// # Errors
    /// Config: not three parts, or a part that no catalog could hold.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::config(format!("{text:?} is not a three-part name"))
                .hint("write Database.schema.Table, with [brackets] around a part that holds a dot")
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, tail) = next_part(rest).ok_or_else(bad)?;
            parts.push(part);
            match tail.strip_prefix('.') {
                Some(more) if parts.len() < 3 => rest = more,
                Some(_) => return Err(bad()),
                None if tail.is_empty() => break,
                None => return Err(bad()),
            }
        }
        match parts.as_slice() {
            [db, schema, table] => Self::new(db, schema, table),
            _ => Err(bad()),
        }
    }

    /// As a word of a command that is to be pasted into a POSIX shell.
    pub fn shell_word(&self) -> String {
        super::shell::word(&self.to_string())
    }

    /// A name for files, of `[A-Za-z0-9_-]`, at most 40 characters; not unique.
    pub fn slug(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
        let slug: String = self.table.chars().map(safe).take(40).collect();
        if slug.is_empty() { "table".into() } else { slug }
    }
}

impl TableName {
    /// What is compared: the parts in lower case, each behind a byte that no part has.
    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        let parts = [&self.db, &self.schema, &self.table].into_iter();
        parts.flat_map(|part| std::iter::once(0).chain(part.bytes().map(|byte| byte.to_ascii_lowercase())))
    }
}

impl PartialEq for TableName {
    fn eq(&self, other: &Self) -> bool {
        self.folded().eq(other.folded())
    }
}

impl Eq for TableName {}

impl Ord for TableName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for TableName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TableName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
    }
}

fn next_part(text: &str) -> Option<(String, &str)> {
    let Some(body) = text.strip_prefix('[') else {
        let end = text.find(['.', '[', ']']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut part = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ']' if matches!(chars.peek(), Some((_, ']'))) => {
                chars.next();
                part.push(']');
            }
            ']' => return Some((part, &body[at + 1..])),
            c => part.push(c),
        }
    }
    None
}

/// Refuses what no catalog could hold.
///
/// # Errors
/// Config: empty, longer than 128 UTF-16 units, or with a control character.
pub fn check_identifier(name: &str) -> Result<()> {
    if name.chars().any(char::is_control) {
        return Err(refused(name, "holds a control character"));
    }
    check_length(name)
}

/// The same, but for control characters: there are catalogs with such columns.
///
/// # Errors
/// Config: empty, or longer than 128 UTF-16 units.
pub fn check_length(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(refused(name, "is empty"));
    }
    if name.contains('\0') {
        return Err(refused(name, "holds U+0000, which no statement can carry"));
    }
    if name.encode_utf16().count() > MAX_IDENTIFIER_UTF16_UNITS {
        return Err(refused(name, "is longer than 128 characters"));
    }
    Ok(())
}

/// Names with commas between, as `ExcludedColumns` has them: one with a comma, a bracket or blanks at its ends stands in
/// brackets, and a closing bracket in it is doubled.
///
/// # Errors
/// Config: a bracket that is never closed, or a name that no catalog could hold.
pub fn parse_names(text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let name = match rest.strip_prefix('[') {
            Some(quoted) => {
                let (name, after) =
                    unquote(quoted).ok_or_else(|| refused(text, "has a bracket that is never closed"))?;
                rest = after.trim_start();
                if !rest.is_empty() && !rest.starts_with(',') {
                    return Err(refused(text, "has something else than a comma after a bracket"));
                }
                name
            }
            None => {
                let (name, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                rest = after;
                name.trim_end().to_owned()
            }
        };
        check_length(&name)?;
        names.push(name);
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Ok(names)
}

/// What follows an opening bracket: the name up to the closing one, and what comes after that.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let (before, after) = rest.split_once(']')?;
        name.push_str(before);
        match after.strip_prefix(']') {
            Some(more) => {
                name.push(']');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// The text of which [`parse_names`] makes these.
pub fn join_names(names: &[String]) -> String {
    let is_plain = |name: &String| !name.contains(['[', ']', ',']) && name.trim() == name;
    let one = |name: &String| if is_plain(name) { name.clone() } else { format!("[{}]", name.replace(']', "]]")) };
    names.iter().map(one).collect::<Vec<_>>().join(",")
}

fn refused(name: &str, why: &str) -> Error {
    Error::config(format!("the identifier {name:?} {why}")).hint("correct the name in the configuration")
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in [&self.db, &self.schema, &self.table].into_iter().enumerate() {
            if nth > 0 {
                f.write_str(".")?;
            }
            if part.contains(['.', '[', ']']) {
                write!(f, "[{}]", part.replace(']', "]]"))?;
            } else {
                f.write_str(part)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for TableName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_are_no_three_parts_are_refused() {
        for bad in ["", "a", "a.b", "a.b.c.d", "a..c", "[a.b.c", "a.b.[c]d", "a.b.c\0", "[].b.c"] {
            assert!(TableName::parse(bad).is_err(), "{bad}");
        }
        assert!(TableName::new("a", "b", &"x".repeat(129)).is_err());
    }

    #[test]
    fn rule_30_a_name_is_the_same_in_any_case_of_its_letters() {
        let named = |text: &str| TableName::parse(text).unwrap();
        let (configured, typed) = (named("Odd.dbo.Rich"), named("odd.DBO.RICH"));
        assert_eq!(configured, typed);
        assert_eq!(configured.cmp(&typed), Ordering::Equal);
        assert!(std::collections::HashSet::from([configured.clone()]).contains(&typed));
        assert!(std::collections::BTreeSet::from([configured]).contains(&typed));
        assert_eq!(typed.to_string(), "odd.DBO.RICH");
        assert_ne!(named("a.dbo.Ä"), named("a.dbo.ä"), "as SQLite has it");
        assert_ne!(named("[a.b].c.d"), named("a.[b.c].d"));
    }

    proptest! {
        #[test]
        fn every_name_survives_its_text(db in "\\PC{1,20}", schema in "\\PC{1,20}", table in "[\\]\\[.a]{1,9}") {
            let name = TableName::new(&db, &schema, &table).unwrap();
            prop_assert_eq!(TableName::parse(&name.to_string()).unwrap(), name);
        }
    }
}
