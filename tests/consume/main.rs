//! Consumers of bundles: verification, on bundles made by hand so that each can be
//! wrong in one chosen way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod bombs;
mod damage;
mod forge;
mod guard;
mod logic;
mod made;
mod malice;
