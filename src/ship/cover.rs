//! [`check`]: whether a compacted bundle holds all that others hold, row by row.
//!
//! A list of root digests is a claim. Before what it names is removed, or taken for what was received before, the compacted bundle
//! is verified deeply, and every version of what it stands for is looked for in it: there, in a version that is at least as
//! late, and the same row in all its columns where it is the same version. What it says to be of one of their runs has to be in
//! that run's bundle. Some two million keys are held at a time; with more there are several passes, in each of which all of
//! these bundles are read.

use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, FileRole, TableInfo};
use crate::conform::row_digest;
use crate::error::{Error, Result};
use crate::model::cell::RowSource as _;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, TableRows};
use crate::verify::require_good;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

const KEYS_PER_PASS: u64 = 2_000_000;

/// The latest version of a key, all of its row, and whether one of the others has it.
struct LatestRow {
    version: Version,
    row: Sha256,
    is_theirs: bool,
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
    let rows = table.files.iter().filter_map(|file| file.rows).fold(0, u64::saturating_add);
    let passes = rows.div_ceil(KEYS_PER_PASS).max(1);
    let split = RandomState::new();
    for pass in 0..passes {
        let is_in = |key: &Guid| passes == 1 || split.hash_one(key) % passes == pass;
        let mut held: HashMap<Guid, LatestRow> = HashMap::new();
        each_version(cover, table, monitor, &mut |key, version, row| {
            if is_in(&key) && held.get(&key).is_none_or(|existing| version > existing.version) {
                held.insert(key, LatestRow { version, row, is_theirs: false });
            }
            Ok(())
        })?;
        let mut runs = BTreeSet::new();
        for other in others {
            let Some(theirs) = table_of(other, &table.name) else { continue };
            if other.manifest().kind == BundleKind::Delta {
                runs.insert(other.manifest().run.run_id);
            }
            each_version(other, theirs, monitor, &mut |key, version, row| match held.get_mut(&key) {
                _ if !is_in(&key) => Ok(()),
                None => Err(lacks(cover, other, key, "does not have")),
                Some(existing) if existing.version > version => Ok(()),
                Some(existing) if existing.version < version => {
                    Err(lacks(cover, other, key, "has only an older version of"))
                }
                Some(existing) if existing.row != row => {
                    Err(lacks(cover, other, key, "has another row of the same version for"))
                }
                Some(existing) => {
                    existing.is_theirs = true;
                    Ok(())
                }
            })?;
        }
        let made_up = held.iter().filter(|(_, held)| !held.is_theirs && runs.contains(&held.version.run_id));
        if let Some((key, held)) = made_up.min_by_key(|(key, _)| **key) {
            let what =
                format!("it has a row that run {} does not have, and says that it is of it", held.version.run_id);
            return Err(is_no_cover(Error::verification(what).key(*key), cover));
        }
    }
    Ok(())
}

fn table_of<'b>(bundle: &'b Bundle, name: &TableName) -> Option<&'b TableInfo> {
    bundle.manifest().tables.iter().find(|table| table.name == *name)
}

fn lacks(cover: &Bundle, other: &Bundle, key: Guid, how: &str) -> Error {
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
    take: &mut dyn FnMut(Guid, Version, Sha256) -> Result<()>,
) -> Result<()> {
    for role in [FileRole::Rows, FileRole::Tombstones] {
        let columns = PartColumns::all(table, role)?;
        TableRows { bundle, table }.each(role, &columns, monitor, |batch| {
            for row in 0..batch.rows() {
                let version = batch.version(row, role == FileRole::Tombstones)?;
                take(batch.key(row)?, version, row_digest(&batch, row)?)?;
            }
            monitor.event(Event::WorkDone { rows: batch.rows() as u64, bytes: 0 });
            Ok(())
        })?;
    }
    Ok(())
}
