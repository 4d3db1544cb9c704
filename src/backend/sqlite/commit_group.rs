//! Several batches of a replay in one transaction.
//!
//! A commit waits for the disk some six times, so one for every 32 MiB waits longer than it writes. Rows
//! and the ledger's move stand in one transaction, whatever else is in it: a crash costs the batches since
//! the last commit, and the ledger says so. Nothing is kept in memory for it, since SQLite writes pages
//! out when its cache is full, and undoes them from its journal.

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

impl CommitGroup {
    /// Whether what is open is committed now, being of so many bytes or old enough.
    pub(super) fn is_due(&self, most_bytes: u64) -> bool {
        match self {
            Self::Off | Self::Committed => false,
            Self::Open { bytes, since } => *bytes >= most_bytes || since.elapsed() >= MOST_TIME,
        }
    }
}
