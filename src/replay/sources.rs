//! Whose rows a target has: those of one table of one source, unless another was allowed by name.
//!
//! What decides is the table that is written, whatever a manifest calls the one that its rows are of: so neither a second
//! source, nor a second table of the same, writes over the rows of the first unasked.

use super::source_table::SourceTable;
use super::work::TableWork;
use crate::backend::AppliedBundle;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::shell;
use std::collections::BTreeSet;

/// Holds the works of one target against whose rows it has. The first of another source that is allowed is marked so.
///
/// # Errors
/// Config: rows of another source, or of another of its tables, that are not allowed by name; with the work.
pub(super) fn check(
    works: &mut [TableWork<'_>],
    nths: &[usize],
    applied: &[AppliedBundle],
    allowed: &[SourceTable],
) -> Result<(), (usize, Error)> {
    let came = applied.iter().filter(|applied| !applied.was_missing());
    let roots: BTreeSet<Sha256> = came.map(|applied| applied.root_sha256).collect();
    let whole = applied.iter().filter(|applied| applied.window.is_some());
    let mut known: BTreeSet<SourceTable> = whole.map(SourceTable::from).collect();
    for nth in nths {
        let work = &mut works[*nth];
        let own = SourceTable { source_id: work.bundle.manifest().run.source_id, table: work.table.name.clone() };
        let other = known.first().filter(|_| !known.contains(&own)).cloned();
        let other = other.filter(|_| !roots.contains(&work.bundle.root_sha256()));
        if let Some(other) = other {
            if own.source_id.is_derived() != other.source_id.is_derived() {
                return Err((*nth, masked(work, &own)));
            }
            if !allowed.contains(&own) {
                return Err((*nth, refused(work, &own, &other)));
            }
            work.reported.push(format!("is of {own}, and the first of it here beside {other}, as was allowed"));
            work.is_other_source = true;
        }
        known.insert(own);
    }
    Ok(())
}

/// Rule 29: the source of masked bundles is derived from that of their originals. Nobody can allow that they meet.
fn masked(work: &TableWork<'_>, own: &SourceTable) -> Error {
    let target = &work.spec().target;
    let text = match own.source_id.is_derived() {
        true => format!("{target} has rows that are not masked, and this bundle has masked ones"),
        false => format!("{target} has masked rows, and those of this bundle are not masked"),
    };
    Error::config(text)
        .table(&work.table.name)
        .file(work.bundle.path())
        .hint("replay into another database with --database; masked and unmasked rows never meet in one")
}

fn refused(work: &TableWork<'_>, own: &SourceTable, other: &SourceTable) -> Error {
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
