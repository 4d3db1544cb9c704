//! From a part to its rows: the one way by which what bundles hold is read.
//!
//! [`TableRows`] is one table of one bundle. It opens parts, each hashed before it is decoded, and finds the values that rows
//! keep in `blob/`. [`PartColumns`] says what of a part is read, [`PartRows`] gives it batch by batch, each checked against the
//! columns of the manifest. [`TableRows::each_key`] gives keys and versions without values.
//!
//! Memory is bounded as [`PartReader`](crate::bundle::PartReader) says: a batch, and the next one where a thread decodes it
//! meanwhile. Whether rows are what their manifest says is asked of `conform`.
//!
//! ```ignore
//! let source = TableRows { bundle: &bundle, table };
//! let columns = PartColumns::all(table, FileRole::Rows)?;
//! source.each(FileRole::Rows, &columns, monitor, |mut rows| {
//!     source.supply_sizes(&mut rows)?;                             // of values that lie in blob/
//!     let (keys, versions) = (rows.keys()?, rows.versions()?);     // rule 14
//!     target.apply_rows(&spec, &rows, &keys, &versions, &entry)    // BatchRows is a RowSource
//! })
//! ```

mod columns;
mod keys;
mod part;
mod picked;
mod place;
mod runs;
mod sort;
mod spool;
mod table;

pub use columns::PartColumns;
pub use keys::{PartKeys, Wanted};
pub use part::{PartRows, RowsToSkip};
pub use picked::SortMemory;
pub use place::RowPlace;
pub use sort::{RowSorter, SortedWithin};
pub use spool::ValueSpool;
pub use table::TableRows;
