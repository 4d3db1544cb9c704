//! [`MaskPolicy`]: a file that says of each column of each table how it is masked. It is TOML:
//!
//! ```toml
//! version = 1
//!
//! [tables."Files.dbo.*"]
//! name = "file_name"
//! file_stream = { mask = "placeholder", extension = "name" }
//! ```

use super::rule::MaskRule;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use std::collections::BTreeMap;

/// A policy names each column once; a larger file is none.
const MAX_BYTES: usize = 4 << 20;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct MaskPolicy {
    sections: Vec<PolicySection>,
    digest: Sha256,
}

/// What a policy says of the tables of one name or pattern.
#[derive(Clone, Debug)]
pub struct PolicySection {
    /// The table's name, or a pattern in which `*` stands for any characters.
    pub pattern: String,
    /// Whether the table may be in none of the bundles: the line `may_be_absent = true` of the section.
    pub may_be_absent: bool,
    /// By the name of the column in small letters: its spelling in the policy, and the rule.
    rules: BTreeMap<String, (String, MaskRule)>,
}

impl PolicySection {
    /// The rule of a column, by its name in any case of the letters A to Z.
    pub fn rule(&self, column: &str) -> Option<&MaskRule> {
        self.rules.get(&column.to_ascii_lowercase()).map(|(_, rule)| rule)
    }

    /// All columns that are named, as they are spelled here.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &MaskRule)> {
        self.rules.values().map(|(name, rule)| (name.as_str(), rule))
    }
}

impl MaskPolicy {
    /// Reads a policy, checked as far as it can be without a bundle.
    ///
    /// # Errors
    /// Config, with table and column: not TOML, another version, a section or column that comes twice, as [`MaskRule::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::config("this is no policy: it is over 4 MiB long"));
        }
        let document: toml::Table = text.parse().map_err(|error: toml::de::Error| not_toml(text, &error))?;
        match document.get("version").and_then(toml::Value::as_integer) {
            Some(1) => {}
            _ => return Err(Error::config("the policy does not say version = 1").hint("write it as its first line")),
        }
        if let Some(unknown) = document.keys().find(|key| !["version", "tables"].contains(&key.as_str())) {
            return Err(Error::config(format!("the policy has {unknown:.60?}, which means nothing"))
                .hint("rules stand in sections such as [tables.\"Files.dbo.Attachment\"]"));
        }
        let Some(toml::Value::Table(tables)) = document.get("tables") else {
            return Err(Error::config("the policy has no section of a table").hint(
                "write one, such as [tables.\"Files.dbo.Attachment\"], or begin with `blobdelta mask --init BUNDLE`",
            ));
        };
        let mut sections: Vec<PolicySection> = Vec::new();
        for (pattern, rules) in tables {
            let section = section(pattern, rules).map_err(|error| error.table(pattern))?;
            if sections.iter().any(|other| other.pattern.eq_ignore_ascii_case(pattern)) {
                return Err(Error::config("two sections are of the same table").table(pattern));
            }
            sections.push(section);
        }
        Ok(Self { sections, digest: Sha256::of(text.as_bytes()) })
    }

    /// All sections, by their patterns.
    pub fn sections(&self) -> impl Iterator<Item = &PolicySection> {
        self.sections.iter()
    }

    /// Of the file.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The section of a table: that of its name, or of the only pattern that fits.
    ///
    /// # Errors
    /// Config: none, or several patterns.
    pub fn section(&self, table: &TableName) -> Result<&PolicySection> {
        let name = table.to_string();
        if let Some(exact) = self.sections.iter().find(|section| section.pattern.eq_ignore_ascii_case(&name)) {
            return Ok(exact);
        }
        let mut fitting = self.sections.iter().filter(|section| fits(&section.pattern, &name));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => {
                let text = format!("the sections {:?} and {:?} are both of this table", one.pattern, other.pattern);
                Err(Error::config(text).table(table).hint("write a section with the table's own name"))
            }
            (None, _) => {
                Err(Error::config("the policy has no section of this table, and what it does not name is refused")
                    .table(table)
                    .hint(format!(
                        "add the section [tables.{}], or have `blobdelta mask --init BUNDLE` propose one",
                        quoted(&name)
                    )))
            }
        }
    }
}

/// What is wrong, and in which line; nothing of the file, which may be another one than was meant.
fn not_toml(text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    Error::config(format!("the policy is not TOML: in line {}", before.lines().count().max(1)))
        .hint("a rule is a line such as name = \"token\"; `blobdelta mask --init BUNDLE` prints a whole policy")
}

fn section(pattern: &str, rules: &toml::Value) -> Result<PolicySection> {
    let toml::Value::Table(table) = rules else {
        return Err(Error::config("a section is a table of rules by column")
            .hint("the name of a table stands in quotes, because it has dots: [tables.\"Files.dbo.Attachment\"]"));
    };
    if !pattern.contains('*') {
        TableName::parse(pattern)
            .map_err(|error| error.hint("the name of a table stands in quotes: [tables.\"Files.dbo.Attachment\"]"))?;
    }
    let mut rules: BTreeMap<String, (String, MaskRule)> = BTreeMap::new();
    let mut may_be_absent = false;
    for (column, value) in table {
        if let ("may_be_absent", toml::Value::Boolean(says)) = (column.as_str(), value) {
            may_be_absent = *says;
            continue;
        }
        let rule = MaskRule::parse(value).map_err(|error| error.column(column))?;
        if rules.insert(column.to_ascii_lowercase(), (column.clone(), rule)).is_some() {
            return Err(Error::config("two rules are of the same column").column(column));
        }
    }
    Ok(PolicySection { pattern: pattern.to_owned(), may_be_absent, rules })
}

/// A key or text of TOML in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Whether a name fits a pattern, in any case of the letters A to Z.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else { return rest.is_empty() };
    for piece in between {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_tables_and_a_name_outranks_it() {
        let text = "version = 1\n[tables.\"F*.dbo.*\"]\na = \"keep\"\n[tables.\"Files.dbo.A\"]\na = \"null\"\n";
        let policy = MaskPolicy::parse(text).unwrap();
        let section = |name: &str| policy.section(&TableName::parse(name).unwrap()).map(|found| found.pattern.clone());
        assert_eq!(section("files.DBO.a").unwrap(), "Files.dbo.A");
        assert_eq!(section("Files.dbo.B").unwrap(), "F*.dbo.*");
        assert!(section("G.dbo.A").is_err());
        for (pattern, name, due) in
            [("*", "a", true), ("a*b*c", "abbc", true), ("a*b", "a", false), ("a*a", "a", false)]
        {
            assert_eq!(fits(pattern, name), due, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_with_the_place() {
        let refused = |text: &str| MaskPolicy::parse(text).unwrap_err().to_string();
        let of_column = |rule: &str| refused(&format!("version = 1\n[tables.\"A.b.C\"]\nname = {rule}\n"));
        for (error, due) in [
            (refused("x"), "not TOML"),
            (refused("version = 2"), "version = 1"),
            (refused("version = 1"), "no section"),
            (refused("version = 1\n[other]\n"), "means nothing"),
            (refused("version = 1\n[tables.A.b.C]\nname = \"keep\"\n"), "in quotes"),
            (of_column("\"hide\""), "no mask"),
            (of_column("{ mask = \"token\", days = 3 }"), "takes no"),
            (of_column("\"date_shift\""), "days"),
            (of_column("{ mask = \"date_shift\", days = 0 }"), "from 1"),
            (of_column("{ mask = \"keep\", domain = \"x\" }"), "takes no"),
            (of_column("1"), "name of a mask"),
            (of_column("\"keep\"\nNAME = \"keep\""), "two rules"),
        ] {
            assert!(error.contains(due), "{error}");
        }
    }
}
