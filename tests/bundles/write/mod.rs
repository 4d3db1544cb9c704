//! Bundles from cells to files and back: types, bytes, publishing, crashes, damage.

mod damage;
mod publish;
pub mod sample;
mod sizes;
mod types;
