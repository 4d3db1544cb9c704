//! Erasure: whether the values of some rows are left in the bundles of a place, and what is still to be done.
//!
//! Nothing is changed here. Bundles that were published are never changed; a row leaves them by its tombstone, a compaction
//! without it, and the removal of what was compacted. This looks at every bundle for rows of the keys: as long as there is
//! one, its values are there.

mod survey;

pub use survey::{ErasedKey, Erasure, ErasureState, survey};
