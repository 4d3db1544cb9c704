//! Rule 8: the lease of a table, and the fence behind which alone anything is written.

use super::session::{Session, failed};
use crate::backend::extract::LeaseKeeper;
use crate::error::{Error, Kind, Result};
use crate::model::clock::Clock;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Fence;
use crate::model::time::{TICKS_PER_SECOND, Timestamp};
use rusqlite::Connection;
use std::sync::Arc;

impl Session {
    /// Takes a lease that nobody holds or that has expired, with the next epoch, and commits it.
    pub(super) fn take(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence> {
        self.lease_seconds = lease_seconds;
        self.transact("take the lease", |session| {
            let now = session.server_time().utc;
            session.execute("INSERT OR IGNORE INTO BlobDeltaHighWatermark (TableName) VALUES (?1)", [table])?;
            let taken = session.execute(
                "UPDATE BlobDeltaHighWatermark
                 SET IsRunning = 1, LeaseRunId = ?2, LeaseEpoch = LeaseEpoch + 1, RunLeaseExpiresAt = ?3
                 WHERE TableName = ?1 AND (NOT IsRunning OR RunLeaseExpiresAt <= ?4)",
                (table, run_id, after(now, lease_seconds), now),
            )?;
            if taken == 0 {
                return Err(session.held(table)?);
            }
            let epoch =
                session.query_one("SELECT LeaseEpoch FROM BlobDeltaHighWatermark WHERE TableName = ?1", [table])?;
            Ok(Fence { table: table.clone(), run_id, epoch })
        })
    }

    fn held(&self, table: &TableName) -> Result<Error> {
        let (holder, until): (Option<Guid>, Option<Timestamp>) = self.query_row(
            "SELECT LeaseRunId, RunLeaseExpiresAt FROM BlobDeltaHighWatermark WHERE TableName = ?1",
            [table],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let holder = holder.map_or("a run without a number".into(), |run| format!("run {run}"));
        let until = until.map_or("no known time".into(), Timestamp::rfc3339_utc);
        Ok(Error::new(Kind::LeaseHeld, format!("{holder} holds the lease until {until}"))
            .table(table)
            .hint("wait for it to end; a run that died is taken over when its lease has expired"))
    }

    /// Within a transaction: checks that the fence is still ours, and renews a lease of which half is
    /// over, so that a transaction that has nothing else to write writes nothing.
    pub(super) fn pass(&self, fence: &Fence) -> Result<()> {
        let now = self.server_time().utc;
        let until: Option<Option<Timestamp>> = self.query_optional(
            "SELECT RunLeaseExpiresAt FROM BlobDeltaHighWatermark
             WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3 AND IsRunning",
            (&fence.table, fence.run_id, fence.epoch),
            |row| row.get(0),
        )?;
        match until.flatten() {
            Some(until) if until > after(now, self.lease_seconds / 2) => Ok(()),
            _ => renew(&self.connection, fence, after(now, self.lease_seconds)),
        }
    }

    /// Releases the lease if the fence is still ours.
    pub(super) fn release(&self, fence: &Fence) -> Result<()> {
        self.execute(
            "UPDATE BlobDeltaHighWatermark SET IsRunning = 0, RunLeaseExpiresAt = NULL
             WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3",
            (&fence.table, fence.run_id, fence.epoch),
        )?;
        Ok(())
    }
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus_ticks(i64::from(seconds) * TICKS_PER_SECOND)
}

fn renew(connection: &Connection, fence: &Fence, until: Timestamp) -> Result<()> {
    let sql = "UPDATE BlobDeltaHighWatermark SET RunLeaseExpiresAt = ?4
               WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3 AND IsRunning";
    let renewed = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute((&fence.table, fence.run_id, fence.epoch, until)))
        .map_err(|error| failed("renew the lease", error))?;
    if renewed == 1 {
        return Ok(());
    }
    Err(Error::new(Kind::Superseded, "the lease was lost to another run or resume; nothing more was written")
        .run(fence.run_id)
        .table(&fence.table)
        .hint("look at status; start a new run if the other one does not cover this window"))
}

/// Renews on a connection of its own.
pub(super) struct Keeper {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
}

impl LeaseKeeper for Keeper {
    fn renew(&mut self, fence: &Fence, lease_seconds: u32) -> Result<()> {
        renew(&self.connection, fence, after(self.clock.now().utc, lease_seconds))
    }
}
