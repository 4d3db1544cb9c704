//! Of several bundles, the latest version of each key (rule 14), and which of them has it.

use super::columns::UnpackColumns;
use super::scan;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::latest::{KeyMemory, LatestIndex, Versioned, stored};
use crate::model::cell::RowSource as _;
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::monitor::Monitor;
use crate::rows::TableRows;
use std::collections::BTreeMap;

/// The latest versions, and the numbers of the sources that they are in.
pub(super) type Winners = LatestIndex<SourceVersion>;

/// A version of a key in one of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceVersion {
    pub(super) version: Version,
    pub(super) source: u32,
}

stored!(SourceVersion { version, source });

impl Versioned for SourceVersion {
    fn version(&self) -> &Version {
        &self.version
    }
}

/// Looks for the latest version of each key. Of equal ones, which are one version in several bundles, the first counts.
///
/// # Errors
/// As [`scan::rows`]; Database: the temporary file failed.
pub(super) fn winners(
    sources: &[(TableRows<'_>, UnpackColumns)],
    most_keys: usize,
    monitor: &dyn Monitor,
) -> Result<Winners> {
    let mut winners = LatestIndex::new(KeyMemory::of("unpacking", most_keys));
    for (source, (rows, columns)) in (0_u32..).zip(sources) {
        let mut take = |batch: &BatchRows, is_tombstone: bool| {
            (0..batch.rows()).try_for_each(|row| {
                let version = batch.version(row, is_tombstone)?;
                winners.upsert(batch.key(row)?, SourceVersion { version, source })
            })
        };
        scan::rows(*rows, &columns.read, monitor, &mut |batch| take(batch, false))?;
        scan::tombstones(*rows, monitor, &mut |batch| take(batch, true))?;
    }
    Ok(winners)
}

/// The same of what is held in memory.
pub(super) fn keep_latest<V>(found: &mut BTreeMap<Guid, (Version, V)>, key: Guid, version: Version, value: V) {
    if found.get(&key).is_none_or(|existing| version > existing.0) {
        found.insert(key, (version, value));
    }
}
