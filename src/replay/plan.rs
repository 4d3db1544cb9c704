//! What a replay would do: the same decisions over keys and versions alone, with nothing written.
//!
//! A later bundle competes with what an earlier one would have written, so what stands under each
//! key is read from the target once and kept beside it, in a temporary file.

use super::options::{PlannedTable, ReplayOptions};
use super::run::inspect_targets;
use super::scopes;
use super::work::{OpenedBundles, TableWork};
use crate::backend::{Backend, ChainVersion, ExistingVersions, TargetSpec};
use crate::error::Result;
use crate::latest::{KeyMap, KeyMemory, stored};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::DeletionReason;
use crate::monitor::Monitor;
use crate::rows::{PartKeys, Wanted};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What stands under one key is of no fixed size, so all of it is in the file, of some 70 bytes a key and more.
const MEMORY: KeyMemory = KeyMemory::of("plan", 0);

/// What would stand under each key of a target.
type PlannedVersions = KeyMap<ExistingVersions>;

stored!(ChainVersion { version, is_part });
stored!(ExistingVersions { row, row_scope, deleted, left, others });

/// What [`replay`](super::replay) of these bundles would do, a table of a bundle a line. Nothing is
/// changed, and no value is read.
///
/// # Errors
/// As [`replay`](super::replay).
pub fn plan(
    bundles: &[PathBuf],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<PlannedTable>> {
    OpenedBundles::open(bundles, &options.access, monitor)?.plan(backend, options, monitor)
}

impl OpenedBundles {
    /// See [`plan()`].
    ///
    /// # Errors
    /// As [`plan()`].
    pub fn plan(
        &self,
        backend: &mut dyn Backend,
        options: &ReplayOptions,
        monitor: &dyn Monitor,
    ) -> Result<Vec<PlannedTable>> {
        let mut works = self.works(backend, options)?;
        inspect_targets(&mut works, backend, options)?;
        scopes::report(&works, backend, monitor)?;
        let mut stores: BTreeMap<TableName, PlannedVersions> = BTreeMap::new();
        let mut planned = Vec::new();
        for work in &works {
            let store = stores.entry(work.spec().target.clone()).or_insert_with(|| KeyMap::new(MEMORY));
            let due = work.rows_due(backend)?;
            let mut table = PlannedTable::new(work.bundle, work.table, &work.spec().target);
            table.creates_table = work.compatibility.is_none();
            table.gap = work.gap.as_ref().map(ToString::to_string);
            table.reported = work.reported.clone();
            let planner = TablePlanner { work, backend, planned_versions: store, planned: table, monitor };
            planned.push(work.watched(("plan", due), monitor, || planner.plan())?);
        }
        Ok(planned)
    }
}

/// Plans one table of one bundle.
struct TablePlanner<'a> {
    work: &'a TableWork<'a>,
    backend: &'a mut dyn Backend,
    planned_versions: &'a mut PlannedVersions,
    planned: PlannedTable,
    monitor: &'a dyn Monitor,
}

impl TablePlanner<'_> {
    fn plan(mut self) -> Result<PlannedTable> {
        let (work, monitor) = (self.work, self.monitor);
        // A repair begins by forgetting what was applied.
        let ledger = match work.spec().repair {
            true => Vec::new(),
            false => self.backend.ledger(work.spec(), work.bundle.root_sha256())?,
        };
        let columns = work.table.model_columns()?;
        let blobs = columns.iter().filter(|column| column.sql_type.is_large_binary());
        let hashed: Vec<&str> = blobs.map(|column| column.name.as_str()).collect();
        for file in work.table.files_of_versions() {
            let at = ledger.iter().find(|entry| entry.part == file.path);
            if at.is_some_and(|entry| entry.complete) {
                continue;
            }
            self.planned.parts += 1;
            let from = at.map_or(0, |entry| entry.rows);
            let wanted = Wanted { from, hashed: &hashed, ..Wanted::default() };
            work.source().each_key(file, wanted, monitor, |some| self.take(some))?;
        }
        Ok(self.planned)
    }

    fn take(&mut self, some: &PartKeys<'_>) -> Result<()> {
        let before = self.existing(&some.keys)?;
        for (nth, before) in before.into_iter().enumerate() {
            // Of one key twice in a batch, the second competes with the first.
            let mut existing = self.planned_versions.get(some.keys[nth])?.unwrap_or(before);
            decide(&mut existing, (self.work.spec(), some, nth), &mut self.planned)?;
            self.planned_versions.put(some.keys[nth], existing)?;
        }
        Ok(())
    }

    /// What stands under these keys, with what was decided before.
    fn existing(&mut self, keys: &[Guid]) -> Result<Vec<ExistingVersions>> {
        let known = keys.iter().map(|key| self.planned_versions.get(*key)).collect::<Result<Vec<_>>>()?;
        let unknown: Vec<Guid> =
            keys.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(key, _)| *key).collect();
        let mut asked = match self.work.compatibility.as_ref().filter(|_| !unknown.is_empty()) {
            None => vec![ExistingVersions::default(); unknown.len()].into_iter(),
            Some(compatibility) => self.backend.existing(self.work.spec(), compatibility, &unknown)?.into_iter(),
        };
        Ok(known.into_iter().map(|known| known.or_else(|| asked.next()).unwrap_or_default()).collect())
    }
}

/// Rules 14 and 15, as a target decides.
fn decide(
    existing: &mut ExistingVersions,
    (spec, some, nth): (&TargetSpec, &PartKeys<'_>, usize),
    planned: &mut PlannedTable,
) -> Result<()> {
    let version = some.versions[nth];
    if version.tombstone.is_some() {
        let is_removed = match some.reason(nth)? {
            DeletionReason::Deleted => existing.add_deletion(version),
            DeletionReason::LeftScope => existing.add_leaving(spec.scope, version),
        };
        planned.tombstones += 1;
        planned.removed += u64::from(is_removed);
        return Ok(());
    }
    planned.rows += 1;
    let stood = existing.row.is_some();
    // Large texts have no hash: a row of them alone is taken for a whole one.
    let hashes = some.hashes(nth);
    let is_part = !hashes.is_empty() && hashes.iter().all(Option::is_none);
    // As applied again, whatever became of it since.
    let is_same = spec.repair && existing.row.as_ref().is_some_and(|row| row.version.run_id == version.run_id);
    match (existing.add_row(spec.scope, ChainVersion { version, is_part }) || is_same, stood) {
        (false, _) => planned.outranked += 1,
        (true, false) => planned.inserted += 1,
        (true, true) => planned.replaced += 1,
    }
    Ok(())
}
