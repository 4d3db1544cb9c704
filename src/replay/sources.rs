//! Whose rows a target has: those of one table of one source, unless another was allowed by name.
//!
//! What decides is the table that is written, whatever a manifest calls the one that its rows are of: so neither a second
//! source, nor a second table of the same, writes over the rows of the first unasked.

use super::run::Work;
use crate::backend::AppliedBundle;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::shell;
use std::collections::BTreeSet;
use std::fmt;

/// A table of a source, as its bundles name both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceTable {
    /// The source.
    pub source_id: Guid,
    /// The configured table.
    pub table: TableName,
}

impl SourceTable {
    /// Parses `GUID/Database.schema.Table`.
    ///
    /// # Errors
    /// Usage: neither.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(source, table)| {
            Some(Self { source_id: Guid::parse(source).ok()?, table: TableName::parse(table).ok()? })
        });
        parts.ok_or_else(|| {
            Error::usage(format!("{text:.200?} names no table of a source"))
                .hint("write the source's id, a slash and the table: GUID/Database.schema.Table")
        })
    }
}

impl fmt::Display for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source_id, self.table)
    }
}

impl From<&AppliedBundle> for SourceTable {
    fn from(applied: &AppliedBundle) -> Self {
        Self { source_id: applied.source_id, table: applied.table.clone() }
    }
}

/// Holds the works of one target against whose rows it has. The first of another source that is allowed is marked so.
///
/// # Errors
/// Config: rows of another source, or of another of its tables, that are not allowed by name; with the work.
pub(super) fn check(
    works: &mut [Work<'_>],
    nths: &[usize],
    applied: &[AppliedBundle],
    allowed: &[SourceTable],
) -> Result<(), (usize, Error)> {
    let roots: BTreeSet<Sha256> = applied.iter().map(|applied| applied.root_sha256).collect();
    let whole = applied.iter().filter(|applied| applied.window.is_some());
    let mut known: BTreeSet<SourceTable> = whole.map(SourceTable::from).collect();
    for nth in nths {
        let work = &mut works[*nth];
        let own = SourceTable { source_id: work.bundle.manifest().run.source_id, table: work.table.name.clone() };
        let other = known.first().filter(|_| !known.contains(&own)).cloned();
        let other = other.filter(|_| !roots.contains(&work.bundle.root_sha256()));
        if let Some(other) = other {
            if !allowed.contains(&own) {
                return Err((*nth, refused(work, &own, &other)));
            }
            work.told.push(format!("is of {own}, and the first of it here beside {other}, as was allowed"));
            work.is_other_source = true;
        }
        known.insert(own);
    }
    Ok(())
}

fn refused(work: &Work<'_>, own: &SourceTable, other: &SourceTable) -> Error {
    let whose = match own.source_id == other.source_id {
        true => format!("of another table of its source, {}", other.table),
        false => format!("of another source, {other}"),
    };
    let target = &work.spec().target;
    Error::config(format!("{target} has rows {whose}, and this bundle has those of {own}"))
        .table(&work.table.name)
        .file(work.bundle.path())
        .hint(format!(
            "replay into another database with --database, or each into the one of its own name without; or, if both are one table by intention, say so with \
             --also-from {}",
            shell::word(&own.to_string())
        ))
}
