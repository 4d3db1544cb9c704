//! Transactions: one for a unit of work, or one for the units of a commit group.

use super::commit_group::CommitGroup;
use super::database::Database;
use crate::error::{Error, Result};
use std::time::Instant;

/// Begins a transaction that writes, and waits for whoever else does. Every process opens the same
/// main file, so its lock is enough; `BEGIN IMMEDIATE` would lock every attached file, and each
/// commit would then be one over several files, with twice the syncs. The pragma takes the lock and
/// does nothing else: no file of ours has automatic vacuum.
const BEGIN: &str = "BEGIN; PRAGMA main.incremental_vacuum(1);";

impl Database {
    /// Runs `work` in one transaction that locks the instance for writing; commits if it
    /// succeeds, and rolls back if it fails. `what` names it for the disk and for errors.
    pub(super) fn transact<T>(&mut self, what: &str, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.commit_group(what)?;
        self.open_transaction()?;
        let done = work(self).and_then(|value| {
            self.commit(what)?;
            Ok(value)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    pub(super) fn open_transaction(&self) -> Result<()> {
        self.check_files()?;
        self.execute_plain(BEGIN)
    }

    pub(super) fn commit(&self, what: &str) -> Result<()> {
        self.check_files()?;
        self.disk().before_commit(what)?;
        self.execute_plain("COMMIT")
    }

    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // A rollback that fails leaves the connection unusable; the next statement says so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Runs `work` in the transaction of the group, or where there is none in one of its own. It gives how
    /// many bytes it wrote. If it fails, the whole transaction is undone.
    pub(super) fn transact_in_group<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&Self) -> Result<(T, u64)>,
    ) -> Result<T> {
        let (before, since) = match self.commit_group {
            CommitGroup::Off => return self.transact(what, work).map(|(value, _)| value),
            CommitGroup::Committed => {
                self.open_transaction()?;
                (0, Instant::now())
            }
            CommitGroup::Open { bytes, since } => (bytes, since),
        };
        // Until it is known to have passed, so that nothing more goes into a transaction that failed.
        self.commit_group = CommitGroup::Committed;
        match work(self) {
            Ok((value, bytes)) => {
                let bytes = before.saturating_add(bytes);
                self.commit_group = CommitGroup::Open { bytes, since };
                let is_due = self.commit_group.is_due(self.options.commit_group_bytes);
                if is_due && self.parked.borrow().is_empty() {
                    self.commit_group(what)?;
                }
                Ok(value)
            }
            Err(error) => {
                self.parked.take();
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Commits what is open.
    pub(super) fn commit_group(&mut self, what: &str) -> Result<()> {
        if !matches!(self.commit_group, CommitGroup::Open { .. }) {
            return Ok(());
        }
        self.commit_group = CommitGroup::Committed;
        if self.connection.is_autocommit() {
            return Err(Error::internal("a transaction ended before it was committed"));
        }
        let committed = self.check_parked().and_then(|()| self.commit(what));
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    /// # Errors
    /// Config, with both keys: a row whose unique values were taken did not come.
    pub(super) fn check_parked(&self) -> Result<()> {
        // Where there is one the transaction is undone, and with it all the others.
        let first = self.parked.borrow_mut().take_first();
        first.map_or(Ok(()), |clash| Err(clash.refused()))
    }
}
