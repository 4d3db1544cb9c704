//! Rule 7: the folders out of scope that rows of a scope lie in.

use super::options::FindingKind;
use super::run::Reconciler;
use crate::backend::{InventoryRow, ParentRow};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;

impl Reconciler<'_> {
    /// What lies above the rows of this page, each folder once.
    pub(super) fn compare_ancestors(&mut self) -> Result<()> {
        let mut level = std::mem::take(&mut self.held);
        while let (true, Some(reached)) = (self.table.is_tree() && !level.is_empty(), self.report.reached) {
            let parents = self.backend.parents(self.table, self.scope, &level)?;
            level.clear();
            for parent in parents {
                if self.holdings.is_new(parent.key)? {
                    level.push(parent.key);
                    self.compare_ancestor(&parent, reached)?;
                }
            }
        }
        Ok(())
    }

    /// One in scope is compared as any row is.
    fn compare_ancestor(&mut self, parent: &ParentRow, reached: Timestamp) -> Result<()> {
        if parent.is_in_scope || parent.is_excluded {
            return Ok(());
        }
        let holding = self.holdings.look(parent.key)?;
        let kind = match holding {
            Some(holding) if holding.version.tombstone.is_none() => {
                let path = parent.path.as_ref().map(|path| Sha256::of(path));
                (path != holding.path).then_some(FindingKind::Moved)
            }
            _ => Some(FindingKind::Missing),
        };
        let Some(kind) = kind else { return Ok(()) };
        if parent.is_coming {
            self.report.pending += 1;
        } else if kind == FindingKind::Moved && parent.modified_on >= Some(reached) {
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
            self.find(kind, &row, holding)?;
        }
        Ok(())
    }
}
