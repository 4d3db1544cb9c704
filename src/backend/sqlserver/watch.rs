//! [`ReadTimeouts`]: how long an answer is waited for, and who may end that.

use crate::error::{Error, Kind};
use std::pin::pin;
use std::time::{Duration, Instant};
use tiberius::error::Error as Tds;

/// How often it is looked whether to go on waiting.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// See the module's text.
#[derive(Clone, Copy)]
pub(super) struct ReadTimeouts {
    /// So long the server may say nothing; `None`: for ever.
    pub read_timeout: Option<Duration>,
    /// Whether to wait no longer. Asked again and again.
    pub give_up: fn() -> bool,
    /// So long a server that was reached before is waited for when it is away.
    pub reconnect: Duration,
}

/// Why there is no answer.
pub(super) enum Ended {
    /// The driver or the server says why.
    By(Tds),
    /// The server was silent for too long.
    Silent,
    /// It was to be given up.
    Stopped,
}

impl ReadTimeouts {
    /// Waits for the next that the server says. Unless that comes, the connection is of no use.
    pub(super) async fn over<T>(self, answer: impl Future<Output = Result<T, Tds>>) -> Result<T, Ended> {
        let (mut answer, began) = (pin!(answer), Instant::now());
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK, answer.as_mut()).await {
                return done.map_err(Ended::By);
            }
            if (self.give_up)() {
                return Err(Ended::Stopped);
            }
            if self.read_timeout.is_some_and(|most| began.elapsed() >= most) {
                return Err(Ended::Silent);
            }
        }
    }
}

/// A server that holds the connection and says nothing.
pub(super) fn silent(doing: &str, most: Option<Duration>) -> Error {
    let seconds = most.unwrap_or_default().as_secs();
    Error::new(Kind::Database, format!("cannot {doing}: the server said nothing for {seconds} seconds")).hint(
        "look whether it hangs, or is only slow: then set Command Timeout (queryTimeout in JDBC) in the connection \
         string to more seconds, or to 0 for no limit; what was committed stands, go on with --resume",
    )
}
