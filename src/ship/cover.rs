//! [`check`]: whether a compacted bundle holds all that others hold, key by key.
//!
//! A list of root digests is a claim. Before what it names is removed, every file of the compacted bundle is hashed,
//! and every key of what goes is looked for in it: there, as a row or a tombstone, in a version that is at least as
//! late, and with the same content hashes where it is the same version. Some two million keys are held at a time; with
//! more there are several passes, in each of which all of these bundles are read.

use crate::bundle::{Bundle, FileInfo, FileRole, TableInfo, threads};
use crate::conform::{PartKeys, Wanted, each_key};
use crate::convert::ColumnPlan;
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::version::Version;
use crate::monitor::Monitor;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

const KEYS_PER_PASS: u64 = 2_000_000;

/// The version of a key, and its content hashes as one; of a tombstone that of nothing.
type Held = (Version, Option<Sha256>);

/// Checks a compacted bundle, and that it stands for each of `others`.
///
/// # Errors
/// Verification: a file of one of them is not as its lists say, or a key is missing; Io; Cancelled.
pub(super) fn check(cover: &Bundle, others: &[Bundle], monitor: &dyn Monitor) -> Result<()> {
    cover.check_file_set()?;
    others.iter().try_for_each(Bundle::check_file_set)?;
    // Rows and tombstones are hashed as their keys are read.
    let files = cover.manifest().tables.iter().flat_map(|table| &table.files);
    let rest: Vec<&FileInfo> =
        files.filter(|file| !matches!(file.role, FileRole::Rows | FileRole::Tombstones)).collect();
    cover.check_files(&rest, threads(), monitor).into_iter().try_for_each(|checked| checked.map(drop))?;
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
        let mut held: HashMap<Guid, Held> = HashMap::new();
        each_version(cover, table, monitor, &mut |key, version| {
            if is_in(&key) {
                let standing = held.entry(key).or_insert(version);
                if version.0 > standing.0 {
                    *standing = version;
                }
            }
            Ok(())
        })?;
        for other in others {
            let Some(theirs) = table_of(other, &table.name) else { continue };
            each_version(other, theirs, monitor, &mut |key, (version, content)| match held.get(&key) {
                _ if !is_in(&key) => Ok(()),
                Some(standing) if standing.0 > version => Ok(()),
                Some(standing) if *standing == (version, content) => Ok(()),
                found => Err(lacks(cover, other, key, found.is_some())),
            })?;
        }
    }
    Ok(())
}

fn table_of<'b>(bundle: &'b Bundle, name: &TableName) -> Option<&'b TableInfo> {
    bundle.manifest().tables.iter().find(|table| table.name == *name)
}

fn lacks(cover: &Bundle, other: &Bundle, key: Guid, is_there: bool) -> Error {
    let how = if is_there { "has only an older version, or another content, of" } else { "does not have" };
    Error::verification(format!("it {how} a key of {}", other.path().display()))
        .file(cover.path())
        .key(key)
        .hint("it does not stand for the bundles that it lists: compact them again, and do not use it")
}

fn each_version(
    bundle: &Bundle,
    table: &TableInfo,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(Guid, Held) -> Result<()>,
) -> Result<()> {
    let hash_fields = ColumnPlan::rows(&table.model_columns()?, &table.key_column)?.hash_fields();
    for file in &table.files {
        let wanted = match file.role {
            FileRole::Rows => Wanted { hash_fields: &hash_fields, ..Wanted::default() },
            FileRole::Tombstones => Wanted::default(),
            FileRole::AbsentParents | FileRole::Blob => continue,
        };
        each_key((bundle, table, file), wanted, monitor, |some| {
            let is_row = file.role == FileRole::Rows;
            (0..some.keys.len())
                .try_for_each(|nth| take(some.keys[nth], (some.versions[nth], is_row.then(|| content(some, nth)))))
        })?;
    }
    Ok(())
}

/// The content hashes of a row, as one.
fn content(some: &PartKeys<'_>, nth: usize) -> Sha256 {
    let mut hasher = Hasher::default();
    for hash in some.hashes(nth) {
        hasher.update(&[u8::from(hash.is_some())]);
        hasher.update(hash.as_ref().map_or(&[][..], |hash| hash.as_bytes()));
    }
    hasher.finish()
}
