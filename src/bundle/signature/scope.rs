//! [`SignerScope`]: for which sources and tables a signer may speak.
//!
//! A file of its own beside the allowed signers, because `ssh-keygen` refuses options that it does not know.
//! A line is `WHO SOURCE TABLES`:
//!
//! ```text
//! # who (a key's fingerprint, or a principal)         source                                tables
//! SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s  6f1c2a34-0000-4000-8000-000000000001  Care.dbo.*, Law.dbo.Files
//! weekly@acme                                         *                                     *
//! ```
//!
//! Whoever stands in no line speaks for nothing.

use super::check::SignedBy;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct SignerScope {
    lines: Vec<ScopeLine>,
}

#[derive(Clone, Debug)]
struct ScopeLine {
    who: String,
    /// `None` for any.
    source: Option<Guid>,
    tables: Vec<Pattern>,
}

/// The parts of a table's name; `None` for any.
#[derive(Clone, Debug, Default)]
struct Pattern([Option<String>; 3]);

impl SignerScope {
    /// No such file is larger.
    pub const MAX_BYTES: u64 = 1 << 20;

    /// Understands a whole file.
    ///
    /// # Errors
    /// Usage: over 1 MiB, no UTF-8, or a line that cannot be understood, which is named.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(Error::usage(format!(
                "a file of what signers may speak for with {} bytes is over 1 MiB",
                bytes.len()
            )));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::usage("this file is not UTF-8"))?;
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lines.push(ScopeLine::parse(line).map_err(|error| {
                Error::usage(format!("line {} cannot be understood: {}", at + 1, error.what()))
                    .hint("a line is: FINGERPRINT-OR-PRINCIPAL SOURCE-ID-OR-* TABLE[, TABLE…]; * stands for any part of a name")
            })?);
        }
        Ok(Self { lines })
    }

    /// Whether a signer may speak for this source and all of these tables.
    ///
    /// # Errors
    /// What they may not speak for.
    pub fn check<'a>(
        &self,
        signed_by: &SignedBy,
        source: Guid,
        tables: impl Iterator<Item = &'a TableName>,
    ) -> std::result::Result<(), String> {
        let is_theirs = |line: &&ScopeLine| {
            line.who == signed_by.fingerprint || signed_by.principals.split(',').any(|principal| principal == line.who)
        };
        let theirs: Vec<&ScopeLine> =
            self.lines.iter().filter(is_theirs).filter(|line| line.source.is_none_or(|of| of == source)).collect();
        if theirs.is_empty() {
            return Err(format!("{} may not speak for the source {source}", signed_by.fingerprint));
        }
        for table in tables {
            if !theirs.iter().any(|line| line.tables.iter().any(|pattern| pattern.covers(table))) {
                return Err(format!(
                    "{} may not speak for the table {table} of the source {source}",
                    signed_by.fingerprint
                ));
            }
        }
        Ok(())
    }
}

impl ScopeLine {
    fn parse(line: &str) -> Result<Self> {
        let (who, rest) = line.split_once(char::is_whitespace).ok_or_else(|| Error::usage("the source is missing"))?;
        let (source, tables) =
            rest.trim_start().split_once(char::is_whitespace).ok_or_else(|| Error::usage("the tables are missing"))?;
        let source = match source {
            "*" => None,
            id => Some(Guid::parse(id)?),
        };
        let tables = tables.split(',').map(|table| Pattern::parse(table.trim())).collect::<Result<_>>()?;
        Ok(Self { who: who.to_owned(), source, tables })
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::default());
        }
        let TableName { db, schema, table } = TableName::parse(text)?;
        Ok(Self([db, schema, table].map(|part| (part != "*").then_some(part))))
    }

    /// Names are compared as everywhere (rule 30).
    fn covers(&self, table: &TableName) -> bool {
        let parts = [&table.db, &table.schema, &table.table];
        self.0
            .iter()
            .zip(parts)
            .all(|(wanted, part)| wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "6f1c2a34-0000-4000-8000-000000000001";

    fn says(file: &str, source: &str, table: &str) -> std::result::Result<(), String> {
        let signed_by = SignedBy { principals: "weekly@acme,other".into(), fingerprint: "SHA256:abc".into() };
        let table = TableName::parse(table).unwrap();
        let scope = SignerScope::parse(file.as_bytes()).unwrap();
        scope.check(&signed_by, Guid::parse(source).unwrap(), [&table].into_iter())
    }

    #[test]
    fn a_signer_speaks_for_what_a_line_says_and_for_nothing_else() {
        let other = "6f1c2a34-0000-4000-8000-000000000002";
        for who in ["SHA256:abc", "weekly@acme", "other"] {
            let file = format!("# who\n{who} {SOURCE}   Care.dbo.*, [La.w].dbo.Files\r\n");
            assert_eq!(says(&file, SOURCE, "care.DBO.Docs"), Ok(()), "{who}");
            assert_eq!(says(&file, SOURCE, "[la.w].dbo.files"), Ok(()));
            assert!(says(&file, SOURCE, "Law.dbo.Files").unwrap_err().contains("the table Law.dbo.Files"));
            assert!(says(&file, other, "Care.dbo.Docs").unwrap_err().contains(other));
        }
        assert_eq!(says("other * *", other, "A.b.c"), Ok(()));
        assert!(says("weekly * *", SOURCE, "A.b.c").is_err(), "half of a principal is nobody");
        assert!(says("", SOURCE, "A.b.c").is_err());
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for (file, line) in [("\nx", 2), ("x *", 1), ("x 12 *", 1), ("x * a.b", 1), ("x * a.b.c,", 1)] {
            let error = SignerScope::parse(file.as_bytes()).unwrap_err();
            assert!(error.what().starts_with(&format!("line {line} ")), "{error}");
        }
    }
}
