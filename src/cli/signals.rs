//! Ctrl-C and SIGTERM: the first asks the work to stop where nothing is lost, the second ends
//! the process at once. What is committed stands either way.

use super::exit::Exit;
use crate::error::{Error, Kind, Result};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// Whether the operator asked to stop.
pub fn asked_to_stop() -> bool {
    ASKED_TO_STOP.load(Ordering::Relaxed)
}

/// Starts to listen; to be called once.
///
/// # Errors
/// Internal, if the system refuses.
pub fn listen() -> Result<()> {
    let heard = || {
        if ASKED_TO_STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Failed.code().into());
        }
        eprintln!("stopping as soon as nothing is lost by it; press again to stop at once");
    };
    ctrlc::set_handler(heard).map_err(|error| Error::new(Kind::Internal, "cannot listen for signals").caused_by(error))
}
