//! Whether the rows of a bundle are what its manifest says: their content hashes, window, run, order, keys, parents and
//! counts, and that nothing lies in the future.
//!
//! [`RowRules`] and [`TombstoneRules`] look at one row at a time, and [`Closure`] at what rows say of each other, with
//! bounded memory. They say every [`Deviation`] to whoever asks: a verification collects them, and what applies rows ends
//! at the first, in the pass that applies them. [`each_key`] goes through the keys and ranks of a part without its values;
//! [`row_digest`] says whether two rows are the same.

mod closure;
mod deviation;
mod digest;
mod keys;
mod part_keys;
mod rows;
mod tombstones;

pub use closure::Closure;
pub use deviation::{Deviation, first_of};
pub use digest::row_digest;
pub use part_keys::{PartKeys, Wanted, each_key};
pub use rows::{RowPosition, RowRules, RowWalk, Tally, check_version, plan_without_values};
pub use tombstones::{TombstoneRules, TombstoneWalk};
