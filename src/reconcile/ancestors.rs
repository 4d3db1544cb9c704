//! Rules 7 and 13: what rows lie in. The folders out of scope that rows of a scope lie in, and whether rows carry the keys of
//! their folders.

use super::options::DifferenceKind;
use super::run::Reconciler;
use crate::backend::{InventoryRow, ParentRow};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

impl Reconciler<'_> {
    /// What the rows of a page lie in that the source has, by their keys.
    pub(super) fn parents_of(&mut self, page: &[InventoryRow]) -> Result<BTreeMap<Guid, ParentRow>> {
        let keys: Vec<Guid> = page.iter().filter(|row| row.is_there).map(|row| row.key).collect();
        self.parents_of_keys(&keys)
    }

    fn parents_of_keys(&mut self, keys: &[Guid]) -> Result<BTreeMap<Guid, ParentRow>> {
        if !self.table.is_tree() || keys.is_empty() || self.report.reached.is_none() {
            return Ok(BTreeMap::new());
        }
        let parents = self.backend.parents(self.table, self.scope, self.now, keys)?;
        Ok(parents.into_iter().map(|parent| (parent.child, parent)).collect())
    }

    /// What lies above the rows of this page that the bundles have, each folder once.
    pub(super) fn compare_ancestors(&mut self, mut of_page: BTreeMap<Guid, ParentRow>) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        let mut level: Vec<ParentRow> = held.iter().filter_map(|key| of_page.remove(key)).collect();
        while let (false, Some(reached)) = (level.is_empty(), self.report.reached) {
            let mut new = Vec::new();
            for parent in level {
                if self.visited.add(parent.key, ())? {
                    new.push(parent);
                }
            }
            let keys: Vec<Guid> = new.iter().map(|parent| parent.key).collect();
            let mut above = self.parents_of_keys(&keys)?;
            for parent in &new {
                self.compare_ancestor(parent, above.get(&parent.key), reached)?;
            }
            level = keys.iter().filter_map(|key| above.remove(key)).collect();
        }
        Ok(())
    }

    /// One in scope is compared as any row is. One that is excluded stays as it is, though it may have left the scope.
    fn compare_ancestor(&mut self, parent: &ParentRow, above: Option<&ParentRow>, reached: Timestamp) -> Result<()> {
        if parent.is_in_scope {
            return Ok(());
        }
        if parent.is_excluded {
            let held = self.index.match_key(parent.key)?.filter(|latest| latest.version.tombstone.is_none());
            let Some(latest) = held else { return Ok(()) };
            let remains = self.remains(&[(parent.key, latest)])?;
            return remains.into_iter().try_for_each(|remains| self.judge_excluded(parent.key, latest, remains));
        }
        let latest = self.index.get(parent.key)?;
        // One that the bundles have as a row of the scope has left it. That is said of it, and brings it by its place of now.
        if latest.as_ref().is_some_and(|latest| latest.version.tombstone.is_none() && !self.came_for_others(latest)) {
            return Ok(());
        }
        let kind = match latest {
            Some(latest) if latest.version.tombstone.is_none() => {
                let path = parent.path.as_ref().map(|path| Sha256::of(path));
                (path != latest.path || above.is_some_and(|above| above.is_another_than(latest.parent_key)))
                    .then_some(DifferenceKind::Moved)
            }
            _ => Some(DifferenceKind::Missing),
        };
        let Some(kind) = kind else { return Ok(()) };
        if parent.is_coming {
            self.report.pending += 1;
        } else if kind == DifferenceKind::Moved && parent.modified_on >= Some(reached) {
            self.report.not_due += 1;
        } else {
            let row = InventoryRow {
                key: parent.key,
                modified_on: parent.modified_on,
                is_there: true,
                is_pending: false,
                is_excluded: false,
                path: parent.path.clone(),
            };
            self.find(kind, &row, latest)?;
        }
        Ok(())
    }
}
