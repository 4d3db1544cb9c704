//! [`Marker`]: the small object beside a bundle that says that it is whole, and which one it is.

use crate::bundle::marker_of;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::store::{Location, Store};

/// Its bytes.
pub(super) fn to_bytes(root: Sha256) -> Vec<u8> {
    format!("{root}\n").into_bytes()
}

/// Puts the marker of `name`, the last thing that makes it be there.
///
/// # Errors
/// Usage, if somebody else put another one meanwhile; Io.
pub(super) fn put(store: &dyn Store, at: &Location, name: &str, root: Sha256) -> Result<()> {
    if store.create(&marker_of(name), &to_bytes(root))? {
        return Ok(());
    }
    Err(other(at, name))
}

/// Another bundle has the name.
pub(super) fn other(at: &Location, name: &str) -> Error {
    Error::usage("another bundle with this name is there, with another root digest; nothing was overwritten")
        .file(at.join(name))
        .hint("look at both with `blobdelta inspect`; ship this one to another destination, or remove the other one there")
}
