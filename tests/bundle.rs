//! Bundles from cells to files and back: types, bytes, publishing, crashes, damage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "bundle/damage.rs"]
mod damage;
#[path = "bundle/publish.rs"]
mod publish;
#[path = "bundle/sample.rs"]
mod sample;
#[path = "bundle/sizes.rs"]
mod sizes;
#[path = "bundle/types.rs"]
mod types;
