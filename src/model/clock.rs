//! Clocks. The engine asks the database server for the time, never the machine it runs on;
//! the embedded instance is its own server and takes a [`Clock`].

use super::time::{TICKS_PER_DAY, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// The clock that a table's `ModifiedOn` is written by (`ModifiedOnIsUtc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockKind {
    /// Coordinated universal time.
    Utc,
    /// The server's local time, in which one hour of the year comes twice.
    Local,
}

impl ClockKind {
    /// A time in UTC that is not later than this one in the table's clock: no local time is a day away from it.
    pub fn not_after_utc(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Utc => at,
            Self::Local => at.plus_ticks(-TICKS_PER_DAY),
        }
    }
}

/// One reading of a server's clock, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// Coordinated universal time.
    pub utc: Timestamp,
    /// The same moment in the server's local time.
    pub local: Timestamp,
}

impl ServerTime {
    /// The reading of one clock.
    pub fn of(&self, clock: ClockKind) -> Timestamp {
        match clock {
            ClockKind::Utc => self.utc,
            ClockKind::Local => self.local,
        }
    }
}

/// Where an embedded instance reads the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> ServerTime;
}

/// The clock of this machine.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> ServerTime {
        let now = chrono::Local::now();
        ServerTime {
            utc: Timestamp::from_naive(now.naive_utc()).unwrap_or(Timestamp::MIN),
            local: Timestamp::from_naive(now.naive_local()).unwrap_or(Timestamp::MIN),
        }
    }
}

/// A clock that stands until it is set; for tests and for the demo's past. Local time is UTC
/// plus a fixed number of minutes.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, i64)>,
}

impl ManualClock {
    /// A clock that stands at this moment of UTC.
    pub fn at(utc: Timestamp) -> Self {
        Self { state: Mutex::new((utc, 0)) }
    }

    /// Sets the moment.
    pub fn set(&self, utc: Timestamp) {
        self.lock().0 = utc;
    }

    /// Moves on by this many ticks (back, if negative).
    pub fn advance(&self, ticks: i64) {
        let mut state = self.lock();
        state.0 = state.0.plus_ticks(ticks);
    }

    /// Sets how many minutes local time is ahead of UTC.
    pub fn set_offset_minutes(&self, minutes: i64) {
        self.lock().1 = minutes;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, i64)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> ServerTime {
        let (utc, offset) = *self.lock();
        ServerTime { utc, local: utc.plus_ticks(offset * super::time::TICKS_PER_MINUTE) }
    }
}
