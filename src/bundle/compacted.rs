//! The run id of a compacted bundle follows from what it was made from.

use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;

/// The id of the run of a bundle that was compacted from these root digests, ascending: a UUID of version 8
/// (RFC 9562, section 5.8) out of their SHA-256.
pub fn compacted_run_id<'a>(inputs: impl IntoIterator<Item = &'a Sha256>) -> Guid {
    let mut hasher = Hasher::default();
    inputs.into_iter().for_each(|input| hasher.update(input.as_bytes()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finish().as_bytes()[..16]);
    Guid::derived(bytes)
}
