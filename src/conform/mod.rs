//! Whether the rows of a bundle are what its manifest says: their content hashes, window, run, order, keys, parents and
//! counts, and that nothing lies in the future.
//!
//! [`RowRules`] and [`TombstoneRules`] look at one row at a time, and [`Closure`] at what rows say of each other, with
//! bounded memory. They say every [`Deviation`] to whoever asks: a verification collects them, and what applies rows ends
//! at the first, in the pass that applies them: that is [`TableWalk`]. [`row_digest`] says whether two rows are the same.

mod closure;
mod deviation;
mod digest;
mod rows;
mod tombstones;
mod walk;

pub use closure::Closure;
pub use deviation::{Deviation, first_of};
pub use digest::row_digest;
pub use rows::{RowPosition, RowRules, RowWalk, Tally, check_version};
pub use tombstones::{TombstoneRules, TombstoneWalk};
pub use walk::TableWalk;
