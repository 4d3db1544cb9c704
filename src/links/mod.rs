//! The order of bundles, and what is missing between them (rules 16 and 22): the one place from
//! which replay, chain, compact, unpack and reconcile take it.
//!
//! Each table of a bundle names the bundle before it in its chain; a compacted bundle names those
//! whose place it takes as well. That is the order. Where it does not say which of two comes first,
//! the run that started first does; windows say nothing, for a run may be set back. A bundle holds
//! several tables, which may stand at different places of their chains, so what is put in order is
//! a table of a bundle.
//!
//! Manifests may lie: a circle of links is found and told, and no work here grows faster than the
//! links and what they name, sorted.

mod judge;
mod model;
mod order;
#[cfg(test)]
mod tests;
mod whole;

pub use judge::{ChainFault, Gap, Judgement, judge};
pub use model::{ChainId, Link, RunOrder, Span};
pub use order::{Ordered, bundles_in_order, in_order, tables_in_order};
pub use whole::{brings_again, check_whole, missing_between, report_links};
