//! blobdelta: weekly deltas of hierarchical blob tables.
//!
//! # The way of the data
//!
//! ```text
//! connection → start_run → for each table: start_table (lease, window, empty slice, queue the window's keys)
//!    → batches of Roots, MissingParents, Children → finish_table (slice complete, watermark)
//!    → slice rows → Arrow batches → Parquet parts, hashed as they are written → manifest
//!    → publish (atomic) → record the bundle → release the leases
//! bundle → ship → receive → verify → replay | compact | chain | unpack | reconcile
//! ```
//!
//! # The layers
//!
//! A module imports from lower layers only, and from no other module of its own layer;
//! `tests/structure.rs` holds the `use` lines against this table.
//!
//! | layer | modules |
//! |---|---|
//! | 0 | `error`, `model` |
//! | 1 | `durable`, `scripts`, `monitor`, `pool` |
//! | 2 | `store` |
//! | 3 | `backend`, `convert`, `bundle` |
//! | 4 | `links`, `rows`, `latest` |
//! | 5 | `conform`, `known` |
//! | 6 | `verify` |
//! | 7 | `engine`, `replay`, `compact`, `mask`, `chain`, `unpack`, `erase`, `ship` |
//! | 8 | `demo`, `reconcile`, `shipping` |
//! | 9 | `cli` |
//!
//! (`model` may import `error`, and nothing else of the crate.)
//!
//! # What must hold
//!
//! The three promises of README.md, with what the code does for each above all (`docs/rules.md` has
//! the rules):
//!
//! 1. No change is missed: a watermark moves only in the transaction that completes the slice of its
//!    window, and whoever lost the lease writes nothing more.
//! 2. A wrong bundle is not used unnoticed: a bundle has its final name only when it is whole and
//!    synced, and a receiver parses nothing in it before its hash is checked.
//! 3. No receiver gets rows that belong to somebody else: a run for a unit publishes no row of another
//!    unit, and a bundle goes only where its own run was told to (rule 18).

pub mod backend;
pub mod bundle;
pub mod chain;
pub mod cli;
pub mod compact;
pub mod conform;
pub mod convert;
pub mod demo;
pub mod durable;
pub mod engine;
pub mod erase;
pub mod error;
pub mod known;
pub mod latest;
pub mod links;
pub mod mask;
pub mod model;
pub mod monitor;
pub mod pool;
pub mod reconcile;
pub mod replay;
pub mod rows;
pub mod scripts;
pub mod ship;
pub mod shipping;
pub mod store;
pub mod unpack;
pub mod verify;
