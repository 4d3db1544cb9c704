//! Many bundles as one: the latest row of each key, and every key's latest tombstone (rule 14), so
//! that replaying the one gives what replaying the many gives.
//!
//! Two passes. The first reads keys, versions and parents alone, and settles in a store on disk which
//! versions are kept and how deep they stand now. The second reads the bundles side by side, each
//! in its own order, drops what is not kept, and writes the rest in the one order of a bundle. What
//! is held is a batch of each bundle, whatever the number of rows; of more bundles than are read
//! side by side, some are compacted first.
//!
//! The same bundles give the same bytes, whatever order they are named in.

mod inputs;
mod merge;
mod options;
mod places;
mod run;
mod stream;
mod survey;
mod table;

pub use options::CompactOptions;
pub use run::compact;
