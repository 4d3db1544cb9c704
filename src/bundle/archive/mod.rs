//! The archive form: a bundle as one tar file, and that file encrypted for transport.
//!
//! There is one form for one bundle (manifests/FORMAT.md, section 7): POSIX ustar, regular files
//! alone, the list of tag files first, then the signature, the other tag files and the payload,
//! each in the order of paths. A reader makes every header anew from the three things that it
//! says (path, size, time) and refuses one that is not the same in every byte, so that nothing
//! of tar is believed that a bundle does not need: no links, no devices, no sparse members, no
//! extensions.

mod header;
mod index;
mod transport;
mod write;

pub use transport::{Identities, Recipients, is_identity};

pub(super) use index::Archive;
pub(super) use transport::{decrypt, is_encrypted};
pub(super) use write::{ArchiveSink, file_name, write};
