//! The one thread on which requests to object stores run, for the whole process.
//!
//! The core of the program is synchronous. A caller hands a future over and waits for its outcome,
//! or starts several and takes their outcomes as they come.

use crate::error::{Error, Result};
use std::future::{Future, pending};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Handle};

static ENGINE: Mutex<Option<Handle>> = Mutex::new(None);

fn handle() -> Result<Handle> {
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*engine {
        return Ok(handle.clone());
    }
    let failed = |error| Error::internal("no thread for object stores can be started").caused_by(error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    // It lives as long as the process: what waits on it is always a caller.
    let work = move || runtime.block_on(pending::<()>());
    std::thread::Builder::new().name("store".to_owned()).spawn(work).map_err(failed)?;
    *engine = Some(handle.clone());
    Ok(handle)
}

/// Starts a future; `done` takes its outcome, on the engine's thread, and must not block.
///
/// # Errors
/// Internal, if there can be no thread.
pub(super) fn start<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
    done: impl FnOnce(T) + Send + 'static,
) -> Result<()> {
    handle()?.spawn(async move { done(future.await) });
    Ok(())
}

/// Runs a future to its end.
///
/// # Errors
/// Internal, if there can be no thread, or the future panicked.
pub(super) fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (done, outcome) = sync_channel(1);
    // Who waits is there until it comes.
    start(future, move |value| drop(done.send(value)))?;
    outcome.recv().map_err(|_| Error::internal("a request to an object store ended without an outcome"))
}
