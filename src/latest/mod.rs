//! Rule 14 beyond memory: the latest version of each key over several bundles, and whatever else is kept by key.
//!
//! [`KeyMap`] holds values by key, in memory up to a number of keys and in a temporary file from then on, so that neither the
//! number of rows nor of bundles bounds what can be done. [`LatestIndex`] is the latest-version index: keys are upserted,
//! matched, and asked for as unmatched.
//!
//! What compaction asks is another thing, and has a store of its own in the backend (`Versions`): which rows of a bundle are
//! kept, in the order in which they stand there, and how deep each lies below rows of other bundles.

mod index;
mod map;
mod stored;

pub use index::{LatestIndex, Versioned};
pub use map::{KeyMap, KeyMemory};
pub use stored::Stored;
pub(crate) use stored::stored;
