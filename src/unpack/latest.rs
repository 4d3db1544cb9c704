//! Of several bundles, the latest version of each key (rule 14).
//!
//! About `keys_per_pass` keys are held at a time; with more rows than that there are several
//! passes over the key columns. Keys are split by a hash that is seeded with the bundles' root
//! digests: nobody can make keys that fill one pass, and the same bundles are always split alike,
//! so that the names which are told apart are always the same ones.

use super::columns::UnpackColumns;
use super::scan;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::RowSource as _;
use crate::model::digest::Hasher;
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::monitor::Monitor;
use crate::rows::TableRows;
use std::collections::HashMap;

/// See the module's text.
pub(super) struct Latest {
    seed: Hasher,
    passes: u64,
}

/// The latest version of each key of a pass, and which of the sources it is in.
pub(super) struct Winners(HashMap<Guid, (Version, usize)>);

impl Latest {
    pub(super) fn new(sources: &[(TableRows<'_>, UnpackColumns)], keys_per_pass: u64) -> Self {
        let mut seed = Hasher::default();
        sources.iter().for_each(|(source, _)| seed.update(source.bundle.root_sha256().as_bytes()));
        let passes = passes(sources.iter().map(|(source, _)| source), keys_per_pass);
        Self { seed, passes }
    }

    pub(super) fn passes(&self) -> u64 {
        self.passes
    }

    fn is_in(&self, pass: u64, key: Guid) -> bool {
        if self.passes == 1 {
            return true;
        }
        let mut hasher = self.seed.clone();
        hasher.update(key.as_bytes());
        let digest = hasher.finish();
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_be_bytes(first) % self.passes == pass
    }

    /// Looks for the latest versions of the keys of one pass. Of equal ones, which are one version
    /// in several bundles, the first counts.
    ///
    /// # Errors
    /// As [`scan::rows`].
    pub(super) fn winners(
        &self,
        pass: u64,
        sources: &[(TableRows<'_>, UnpackColumns)],
        monitor: &dyn Monitor,
    ) -> Result<Winners> {
        let mut winners: HashMap<Guid, (Version, usize)> = HashMap::new();
        for (nth, (source, columns)) in sources.iter().enumerate() {
            let mut take = |rows: &BatchRows, is_tombstone: bool| -> Result<()> {
                for row in 0..rows.rows() {
                    let (key, version) = (rows.key(row)?, rows.version(row, is_tombstone)?);
                    if !self.is_in(pass, key) {
                        continue;
                    }
                    let existing = winners.entry(key).or_insert((version, nth));
                    if version > existing.0 {
                        *existing = (version, nth);
                    }
                }
                Ok(())
            };
            scan::rows(*source, &columns.read, monitor, &mut |rows| take(rows, false))?;
            scan::tombstones(*source, monitor, &mut |rows| take(rows, true))?;
        }
        Ok(Winners(winners))
    }
}

/// How often the rows of a table are gone through.
pub(super) fn passes<'s>(sources: impl Iterator<Item = &'s TableRows<'s>>, keys_per_pass: u64) -> u64 {
    let rows = sources.flat_map(|source| &source.table.files).filter_map(|file| file.rows).fold(0, u64::saturating_add);
    rows.div_ceil(keys_per_pass.max(1)).max(1)
}

impl Winners {
    /// Whether this version of a key, in this source, is the one that counts.
    pub(super) fn has(&self, key: Guid, version: Version, source: usize) -> bool {
        self.0.get(&key) == Some(&(version, source))
    }
}
