//! Several batches of a replay in one transaction.
//!
//! A commit waits for the disk some six times, so one for every 32 MiB waits longer than it writes. Rows
//! and the ledger's move stand in one transaction, whatever else is in it: a crash costs the batches since
//! the last commit, and the ledger says so. Nothing is kept in memory for it, since SQLite writes pages
//! out when its cache is full, and undoes them from its journal.

use super::session::Session;
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

/// How long a transaction stays open before it is committed with the batch that is being applied: what a
/// kill may cost, and others wait for.
const MOST_TIME: Duration = Duration::from_secs(2);

/// See the module's text.
#[derive(Default)]
pub(super) enum CommitGroup {
    /// Each call commits for itself.
    #[default]
    Off,
    /// Calls go into one transaction; none is open.
    Committed,
    /// One is open.
    Open { bytes: u64, since: Instant },
}

impl Session {
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
                let is_due = bytes >= self.options.commit_group_bytes || since.elapsed() >= MOST_TIME;
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
}
