//! [`Deviation`]: one way in which a row is not what the manifest says.

use crate::bundle::Bundle;
use crate::error::{Error, Result};

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// A value's hash is not the one beside it.
    WrongContentHash,
    /// The row does not stand after the row before it.
    OutOfOrder,
    /// The key came before.
    DuplicateKey,
    /// The row lies outside of the window, unmarked.
    OutsideWindow,
    /// The row is from another run.
    WrongRun,
    /// The row is another business unit's than the bundle's.
    WrongUnit,
    /// A time is later than any can be (rule 27).
    InTheFuture,
    /// Rows are not as many as the manifest's counts say, by step or kind.
    WrongCount,
    /// A parent is neither in the bundle nor listed as absent.
    MissingParent,
    /// A row is not deeper than its parent.
    WrongDepth,
    /// A value is left out, and what is said of it is wrong.
    BadKnownContent,
    /// A row is listed as one without parent, and is not there; or a parent as absent, and is.
    WrongAbsentParent,
}

/// Runs what says deviations, and makes an error of the first.
///
/// # Errors
/// Verification, with the bundle; what `work` says.
pub fn first_of<T>(bundle: &Bundle, work: impl FnOnce(&mut dyn FnMut(Deviation, String)) -> Result<T>) -> Result<T> {
    let mut first = None;
    let done = work(&mut |deviation, detail| {
        first.get_or_insert((deviation, detail));
    })?;
    let Some((_, detail)) = first else { return Ok(done) };
    Err(Error::verification(detail).file(bundle.path()).hint("verify the bundle with --deep; do not use it"))
}
