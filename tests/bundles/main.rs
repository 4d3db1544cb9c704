//! Bundles: written, verified, unpacked, and what the page of their format says of them. One
//! program, because each program is linked with everything, and its tests run side by side.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod example;
mod format_page;
mod fuzz_corpus;
mod manifests;
mod unpack;
mod verify;
mod write;
