//! Consumers of bundles: verification, on bundles made by hand so that each can be
//! wrong in one chosen way.

mod archive;
mod bombs;
mod damage;
mod forge;
mod guard;
mod known;
mod logic;
pub mod made;
mod malice;
