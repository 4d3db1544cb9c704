//! [`RowStream`]: one SELECT over many rows, on a connection and a thread of its own. A connection that has read all
//! of its rows can read others: opening one costs more than a small table.
//!
//! **Why.** A page a statement would sort the table a page; one statement sorts it once, and the
//! server sends while the last rows are still being encoded.
//!
//! **Why one connection, unless told otherwise (`readers`).** The reading is not the limit. 20,000 rows of 64
//! KiB of random bytes (1.31 GB), release build, seconds of CPU on two cores that the server shares: the
//! driver 2.3 (of which 1.1 in copying each packet byte by byte, `Extend for BytesMut`, which nobody outside
//! of it can help), the server 16 to 21, all of `pack` 9.8, of which two hashes of each byte are 2.4. The
//! server's sort of them is nothing beside it (80 ms: it sorts references to values, not values), and neither
//! is the CASE around a value.
//!
//! **How it lives.** The thread reads rows and hands them over in batches; it waits while
//! [`BATCHES`] of so many bytes (and one row more) are not taken yet, so what is held is bounded.
//! A connection cannot be stopped in the middle of an answer, so when the reader is dropped the
//! thread drops the connection. It also does so when nobody took anything for [`UNREAD_TIMEOUT`]: the
//! table's locks are then free again, and the reader opens another stream where it stands.
//!
//! **Never:** a row twice or left out. Rows are handed over in order, and an end is said apart
//! from a break.

use super::address::Address;
use super::client::Client;
use super::sql::Sql;
use super::watch::ReadTimeouts;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tiberius::{ColumnData, Row};

/// What one batch holds of values before it is handed over, at most.
pub(super) const MOST_BATCH_BYTES: usize = 4 << 20;
/// Batches of a reading that are held at once: those that wait, the one that grows, and the one that is taken.
pub(super) const BATCHES_HELD: usize = BATCHES + 2;
/// So many batches wait for the reader.
const BATCHES: usize = 2;
/// Less than the 60 s for which a statement of ours waits for a lock.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// See the module's text.
pub(super) struct RowStream {
    shared: Arc<StreamQueue>,
    taken: VecDeque<Row>,
}

/// What comes next.
pub(super) enum Next {
    /// A row.
    Row(Row),
    /// There are no more.
    End,
    /// The stream was given up because nobody read; another one goes on from here.
    Lapsed,
    /// It broke, and whether another one may go on from here.
    Broken(Error, bool),
}

#[derive(Default)]
struct StreamQueue {
    state: Mutex<StreamState>,
    changed: Condvar,
}

#[derive(Default)]
struct StreamState {
    batches: VecDeque<Vec<Row>>,
    /// Said once all rows are in `batches`.
    outcome: Option<Next>,
    /// The connection, where it read to the end.
    client: Option<Client>,
    is_dropped: bool,
}

/// What reads, and how much of it at once.
#[derive(Clone)]
pub(super) struct RowReading {
    pub(super) address: Address,
    pub(super) timeouts: ReadTimeouts,
    /// Of rows that are handed over at once, about.
    pub(super) batch_bytes: usize,
    /// What is done, for errors.
    pub(super) doing: &'static str,
}

impl RowStream {
    /// Sends the statement, and gives it up when that is asked for. All names in it are in three parts. `spare` is
    /// the [connection](Self::into_client) of another reading that came to its end.
    pub(super) fn open(reading: &RowReading, spare: Option<Client>, sql: Sql<'static>) -> Result<Self> {
        let shared = Arc::new(StreamQueue::default());
        let (theirs, reading) = (Arc::clone(&shared), reading.clone());
        let thread = std::thread::Builder::new().name("rows".into());
        let started = thread.spawn(move || {
            let (outcome, client) = produce(&reading, spare, sql, &theirs);
            let mut state = theirs.lock();
            (state.outcome, state.client) = (Some(outcome), client);
            drop(state);
            theirs.changed.notify_all();
        });
        started.map_err(|error| Error::internal("cannot start a thread to read rows").caused_by(error))?;
        Ok(Self { shared, taken: VecDeque::new() })
    }

    /// The connection, once [`Next::End`] was said.
    pub(super) fn into_client(self) -> Option<Client> {
        self.shared.lock().client.take()
    }

    /// Waits for the next row.
    pub(super) fn next(&mut self) -> Next {
        loop {
            if let Some(row) = self.taken.pop_front() {
                return Next::Row(row);
            }
            let mut state = self.shared.lock();
            if let Some(batch) = state.batches.pop_front() {
                self.taken.extend(batch);
                self.shared.changed.notify_all();
            } else if let Some(outcome) = state.outcome.take() {
                return outcome;
            } else {
                drop(self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        self.shared.lock().is_dropped = true;
        self.shared.changed.notify_all();
    }
}

impl StreamQueue {
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a batch over; `false` says that nobody wants it.
    fn put(&self, batch: Vec<Row>) -> bool {
        let full = |state: &mut StreamState| state.batches.len() >= BATCHES && !state.is_dropped;
        let waited = self.changed.wait_timeout_while(self.lock(), UNREAD_TIMEOUT, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() || state.is_dropped {
            return false;
        }
        state.batches.push_back(batch);
        self.changed.notify_all();
        true
    }
}

/// Reads to the end; the connection ends with this call unless it got there.
fn produce(
    reading: &RowReading,
    spare: Option<Client>,
    sql: Sql<'static>,
    shared: &StreamQueue,
) -> (Next, Option<Client>) {
    let mut client = match spare.map_or_else(|| Client::connect(&reading.address, None, reading.timeouts), Ok) {
        Ok(client) => client,
        Err(error) => return (Next::Broken(error, true), None),
    };
    let (mut batch, mut bytes, mut is_wanted) = (Vec::new(), 0, true);
    let read = client.stream(reading.doing, sql, |row| {
        bytes += size(&row);
        batch.push(row);
        if bytes >= reading.batch_bytes {
            bytes = 0;
            is_wanted = shared.put(std::mem::take(&mut batch));
        }
        // An error, because a break would read the rest of the answer.
        if is_wanted { Ok(ControlFlow::Continue(())) } else { Err(Error::internal("nobody reads these rows")) }
    });
    if !is_wanted || (!batch.is_empty() && !shared.put(batch)) {
        return (Next::Lapsed, None);
    }
    match read {
        Ok(()) => (Next::End, Some(client)),
        Err(error) => (Next::Broken(error, client.may_try_again()), None),
    }
}

/// About what a row holds.
fn size(row: &Row) -> usize {
    row.cells()
        .map(|(_, value)| match value {
            ColumnData::String(Some(text)) => text.len(),
            ColumnData::Binary(Some(bytes)) => bytes.len(),
            _ => 0,
        } + size_of::<ColumnData<'static>>())
        .sum()
}
