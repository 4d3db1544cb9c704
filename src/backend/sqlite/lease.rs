//! Rule 8: the lease of a table, and the fence behind which alone anything is written.

use super::database::Database;
use super::errors::failed;
use crate::backend::extract::LeaseKeeper;
use crate::error::{Error, Kind, Result};
use crate::model::clock::Clock;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Fence;
use crate::model::time::{TICKS_PER_SECOND, Timestamp};
use crate::scripts::statement::statement;
use rusqlite::Connection;
use std::sync::Arc;

const SQL: &str = include_str!("../../../sql/sqlite/lease.sql");
const TAKE_LEASE: &str = statement(SQL, "take_lease");
const FENCE_UNTIL: &str = statement(SQL, "fence_until");
const HOLDER: &str = statement(SQL, "holder");
const LOG_TAKEOVER: &str = statement(SQL, "log_takeover");
const SUPERSEDE: &str = statement(SQL, "supersede");
const FAIL_DEAD_RUN: &str = statement(SQL, "fail_dead_run");
const RELEASE: &str = statement(SQL, "release");
const RENEW: &str = statement(SQL, "renew");

/// How long a lease is taken for.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    seconds: u32,
}

/// Until a caller says another.
impl Default for Lease {
    fn default() -> Self {
        Self { seconds: 600 }
    }
}

/// Who takes a lease.
pub(super) struct Taker {
    pub(super) run_id: Guid,
    /// As which attempt of the run.
    pub(super) attempt: Option<u32>,
    /// The run that the operator says is dead.
    pub(super) taken_over: Option<Guid>,
}

impl Lease {
    pub(super) fn of(seconds: u32) -> Self {
        Self { seconds }
    }

    /// Takes a lease that nobody holds or that has expired, with the next epoch, and commits it; and one that has not,
    /// of the run that this session resumed, or of one that the operator says is dead. Also gives that one.
    pub(super) fn take(self, db: &mut Database, table: &TableName, taker: &Taker) -> Result<(Fence, Option<Guid>)> {
        let Taker { run_id, attempt, taken_over } = *taker;
        db.transact("take the lease", |db| {
            attempt.map_or(Ok(()), |attempt| check_attempt(db, run_id, attempt))?;
            let now = db.server_time().utc;
            db.execute("INSERT OR IGNORE INTO BlobDeltaHighWatermark (TableName) VALUES (?1)", [table])?;
            let holder = holder(db, table)?;
            let held = holder.filter(|held| held.until > now);
            let may_take = |holder: Guid| {
                taken_over == Some(holder) || (holder == run_id && attempt.is_some_and(|attempt| attempt > 1))
            };
            if let Some(held) = held.filter(|held| !may_take(held.run)) {
                return Err(held.refusal(table));
            }
            db.execute(TAKE_LEASE, (table, run_id, after(now, self.seconds)))?;
            let took_over = held.filter(|held| taken_over == Some(held.run));
            took_over.map_or(Ok(()), |held| note_taken_over(db, run_id, table, held, now))?;
            let dead = holder.filter(|held| held.run != run_id);
            dead.map_or(Ok(()), |held| end_dead_run(db, run_id, (table, held.run), took_over.is_some(), now))?;
            let epoch = db.query_one("SELECT LeaseEpoch FROM BlobDeltaHighWatermark WHERE TableName = ?1", [table])?;
            Ok((Fence { table: table.clone(), run_id, epoch }, took_over.map(|held| held.run)))
        })
    }

    /// Within a transaction: checks that the fence is still ours, and renews a lease of which half is
    /// over, so that a transaction that has nothing else to write writes nothing.
    pub(super) fn check_fence(self, db: &Database, fence: &Fence) -> Result<()> {
        let now = db.server_time().utc;
        let until: Option<Option<Timestamp>> =
            db.query_optional(FENCE_UNTIL, (&fence.table, fence.run_id, fence.epoch), |row| row.get(0))?;
        match until.flatten() {
            Some(until) if until > after(now, self.seconds / 2) => Ok(()),
            _ => renew(&db.connection, fence, after(now, self.seconds)),
        }
    }
}

fn holder(db: &Database, table: &TableName) -> Result<Option<HeldLease>> {
    db.query_optional(HOLDER, [table], |row| Ok(HeldLease { run: row.get(0)?, until: row.get(1)? }))
}

/// What the run that takes over, and the one that lost the table, have to say about it.
fn note_taken_over(db: &Database, run_id: Guid, table: &TableName, held: HeldLease, now: Timestamp) -> Result<()> {
    let HeldLease { run: dead, until } = held;
    let note = format!(
        "the lease of run {dead}, which would have lasted until {}, was taken over as asked",
        until.rfc3339_utc()
    );
    db.execute(LOG_TAKEOVER, (run_id, table, now, note))?;
    db.execute(SUPERSEDE, (dead, table, format!("run {run_id} took the lease over"), run_id))?;
    Ok(())
}

/// A run that did not release its lease is ended by the one that has it now, unless it holds another that has not expired and
/// nobody has said that it is dead.
fn end_dead_run(
    db: &Database,
    run_id: Guid,
    (table, dead): (&TableName, Guid),
    is_named: bool,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        FAIL_DEAD_RUN,
        (dead, format!("it did not end: run {run_id} took the lease of {table} over"), now, is_named),
    )
    .map(drop)
}

/// Within a transaction: that the run is still this attempt's.
pub(super) fn check_attempt(db: &Database, run_id: Guid, attempt: u32) -> Result<()> {
    let current: u32 = db.query_one("SELECT Attempt FROM BlobDeltaRun WHERE RunId = ?1", [run_id])?;
    if current == attempt {
        return Ok(());
    }
    let text =
        format!("somebody else has resumed this run since attempt {attempt} of it began; nothing more was written");
    Err(Error::new(Kind::Superseded, text).run(run_id).hint("let that one end it; `blobdelta status` shows its state"))
}

/// Releases the lease if the fence is still ours.
pub(super) fn release(db: &Database, fence: &Fence) -> Result<()> {
    db.execute(RELEASE, (&fence.table, fence.run_id, fence.epoch))?;
    Ok(())
}

/// A lease that somebody has.
#[derive(Clone, Copy)]
struct HeldLease {
    run: Guid,
    until: Timestamp,
}

impl HeldLease {
    fn refusal(self, table: &TableName) -> Error {
        let Self { run, until } = self;
        Error::new(Kind::LeaseHeld, format!("run {run} holds the lease until {}", until.rfc3339_utc()))
            .table(table)
            .hint(format!(
                "wait for it to end. If it died, go on with it: `blobdelta run --resume {run} --out FOLDER`, or take it over: \
                 --take-over {run}"
            ))
    }
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus_ticks(i64::from(seconds) * TICKS_PER_SECOND)
}

fn renew(connection: &Connection, fence: &Fence, until: Timestamp) -> Result<()> {
    let renewed = connection
        .prepare_cached(RENEW)
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
