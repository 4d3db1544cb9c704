//! [`check`]: whether a compacted bundle holds all that others hold, row by row.
//!
//! A list of root digests is a claim. Before what it names is removed, or taken for what was received before, the compacted bundle
//! is verified deeply, and every version of what it stands for is looked for in it: there, in a version that is at least as
//! late, and the same row in all its columns where it is the same version. What it says to be of one of their runs has to be in
//! that run's bundle. Each bundle is read once, however many keys there are: those of large tables lie in a temporary
//! file.

use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, FileRole, TableInfo};
use crate::conform::row_digest;
use crate::error::{Error, Result};
use crate::latest::{KeyMemory, LatestIndex, Versioned, stored};
use crate::model::cell::RowSource as _;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::ShownKey;
use crate::model::name::TableName;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, TableRows};
use crate::verify::require_good;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Some 150 MB of keys, or of their file.
const MEMORY: KeyMemory = KeyMemory::of("check of a compacted bundle", 1_000_000);

/// The latest version of a key, and all of its row. It is matched where one of the others has it.
#[derive(Clone)]
struct LatestRow {
    version: Version,
    row: Sha256,
}

stored!(LatestRow { version, row });

impl Versioned for LatestRow {
    fn version(&self) -> &Version {
        &self.version
    }
}

/// Checks a compacted bundle, and that it stands for each of `others`.
///
/// # Errors
/// Verification: one of them is not good, or a row is missing, or another; Io; Cancelled.
pub(super) fn check(cover: &Bundle, others: &[Bundle], monitor: &dyn Monitor) -> Result<()> {
    others.iter().try_for_each(Bundle::check_file_set)?;
    require_good(cover, monitor)?;
    for table in &cover.manifest().tables {
        check_table(cover, table, others, monitor).map_err(|error| error.table(&table.name))?;
    }
    Ok(())
}

fn check_table(cover: &Bundle, table: &TableInfo, others: &[Bundle], monitor: &dyn Monitor) -> Result<()> {
    let mut index = LatestIndex::new(MEMORY);
    each_version(cover, table, monitor, &mut |key, latest| index.upsert(key, latest))?;
    let mut runs = BTreeSet::new();
    for other in others {
        let Some(theirs) = table_of(other, &table.name) else { continue };
        if other.manifest().kind == BundleKind::Delta {
            runs.insert(other.manifest().run.run_id);
        }
        each_version(other, theirs, monitor, &mut |key, row| {
            let Some(existing) = index.get(key)? else {
                return Err(lacks(cover, other, table.shown_key(key), "does not have"));
            };
            match existing.version.cmp(&row.version) {
                Ordering::Greater => Ok(()),
                Ordering::Less => Err(lacks(cover, other, table.shown_key(key), "has only an older version of")),
                Ordering::Equal if existing.row != row.row => {
                    Err(lacks(cover, other, table.shown_key(key), "has another row of the same version for"))
                }
                Ordering::Equal => index.match_key(key).map(drop),
            }
        })?;
    }
    let made_up = index.unmatched(None, 1, |row| runs.contains(&row.version.run_id))?;
    let Some((key, row)) = made_up.first() else { return Ok(()) };
    let what = format!("it has a row that run {} does not have, and says that it is of it", row.version.run_id);
    Err(is_no_cover(Error::verification(what).key(table.shown_key(*key)), cover))
}

fn table_of<'b>(bundle: &'b Bundle, name: &TableName) -> Option<&'b TableInfo> {
    bundle.manifest().tables.iter().find(|table| table.name == *name)
}

fn lacks(cover: &Bundle, other: &Bundle, key: ShownKey, how: &str) -> Error {
    is_no_cover(Error::verification(format!("it {how} a key of {}", other.path().display())).key(key), cover)
}

fn is_no_cover(error: Error, cover: &Bundle) -> Error {
    error
        .file(cover.path())
        .hint("it does not stand for the bundles that it lists: compact them again, and do not use it")
}

fn each_version(
    bundle: &Bundle,
    table: &TableInfo,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(Guid, LatestRow) -> Result<()>,
) -> Result<()> {
    for role in [FileRole::Rows, FileRole::Tombstones] {
        let columns = PartColumns::all(table, role)?;
        TableRows { bundle, table }.each(role, &columns, monitor, |batch| {
            for row in 0..batch.rows() {
                let version = batch.version(row, role == FileRole::Tombstones)?;
                take(batch.key(row)?, LatestRow { version, row: row_digest(&batch, row)? })?;
            }
            monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            Ok(())
        })?;
    }
    Ok(())
}
