//! Known content: values that bundles leave out because bundles before them in their chain hold them, found in those.
//!
//! [`Holders`] knows which bundle that is at hand holds what another one leans on. [`KnownValues`] is told which values are
//! needed, looks for all of them in one pass over each bundle that is named, and has them then: in a temporary file, or in
//! `blob/` of the bundle where they were found. So memory is bounded, however many there are.
//!
//! A value is taken only from a row of the same key, in the same column, of the same chain, and only if it has the hash and the
//! length that the row says which leaves it out. So a reference that lies brings no value.

mod holders;
mod pieces;
mod values;

pub use holders::Holders;
pub use pieces::pieces;
pub use values::{KnownValues, UnfoundValue};
