//! The proof of a masking, by somebody who may hold both: a masked bundle against its original.
//!
//! First row by row, side by side: keys, tree and NULLs fit, what is kept is the same, what is masked differs. Where keys or
//! paths are masked, the secret says which row became which, and the original's are put in the order of the masked ones. Then block by
//! block: no 16 bytes of a masked value are anywhere in the masked bundle. A filter of bounded size says which may be; those
//! are looked for once more.

mod blocks;
mod cells;
mod filter;
mod finding;
mod keys;
mod pair;
mod proof;
mod rows;
mod values;

pub use finding::{MaskCheck, MaskFinding, MaskProof};
pub use proof::check;
