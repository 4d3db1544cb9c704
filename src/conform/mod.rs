//! Whether the rows of a bundle are what its manifest says: their content hashes, window, run, order and
//! keys, and that nothing lies in the future.
//!
//! [`RowRules`] and [`TombstoneRules`] look at one row at a time, and say every [`Deviation`] to whoever
//! asks: a verification collects them, and what applies rows ends at the first, in the pass that applies them.
//! [`Keys`] finds a key that comes twice, with bounded memory; [`each_key`] goes through the keys and ranks of a
//! part without its values.

mod deviation;
mod keys;
mod part_keys;
mod rows;
mod tombstones;

pub use deviation::{Deviation, first_of};
pub use keys::Keys;
pub use part_keys::{PartKeys, Wanted, each_key};
pub use rows::{Place, RowRules, Tally, Walk, check_version};
pub use tombstones::{TombstoneRules, TombstoneWalk};
