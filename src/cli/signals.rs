//! Ctrl-C and SIGTERM: the first asks the work to stop where nothing is lost, the second ends
//! the process at once. What is committed stands either way.
//!
//! Work looks between two batches or blocks; a statement that takes longer is broken off, and its
//! transaction rolled back ([`is_overdue`]). What looks nowhere, such as a disk that hangs, ends with
//! the process, as if by a second signal.

use super::exit::Exit;
use super::out::{Tone, print_line};
use crate::error::{Error, Kind, Result};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// After which a statement is broken off.
const GRACE_PERIOD: Duration = Duration::from_secs(2);
/// After which the process ends: it is promised to be gone within 5 s.
const MOST: Duration = Duration::from_millis(4_500);

static ASKED_AT: OnceLock<Instant> = OnceLock::new();

/// Whether the operator asked to stop.
pub fn asked_to_stop() -> bool {
    ASKED_AT.get().is_some()
}

/// Whether the operator asked so long ago that nothing more is waited for.
pub fn is_overdue() -> bool {
    ASKED_AT.get().is_some_and(|at| at.elapsed() >= GRACE_PERIOD)
}

/// Starts to listen; to be called once.
///
/// # Errors
/// Internal, if the system refuses.
pub fn listen() -> Result<()> {
    let heard = || {
        if ASKED_AT.set(Instant::now()).is_err() {
            std::process::exit(Exit::Failed.code().into());
        }
        print_line(Tone::Plain, "", "stopping as soon as nothing is lost by it; press again to stop at once");
        // Without a thread, only the second signal ends what hangs.
        let _ = std::thread::Builder::new().name("end".to_owned()).spawn(|| {
            std::thread::sleep(MOST);
            print_line(Tone::Plain, "", "the command did not stop in time, so it was killed; committed work is kept");
            std::process::exit(Exit::Failed.code().into());
        });
    };
    ctrlc::set_handler(heard).map_err(|error| Error::new(Kind::Internal, "cannot listen for signals").caused_by(error))
}
