//! Cells to Arrow and back; one file a type family.
//!
//! A [`ColumnPlan`] decides once per column what its Arrow fields are: the value, and the
//! companions that keep what the value's Arrow type cannot hold. A [`BatchBuilder`] then takes
//! cells and gives record batches; [`BatchRows`] takes a record batch and gives the cells back.
//! What goes in comes out, to the last digit; a cell that does not fit its column's type is an
//! error on both ways ([`value_range`](crate::model::value_range)), never a changed value.
//!
//! # How an exporter writes a table
//!
//! ```ignore
//! let plan = Arc::new(ColumnPlan::rows(&slice_columns, &table.key_column)?);
//! let mut builder = BatchBuilder::new(plan.clone(), RunStamp { started_at, run_id });
//! let mut parts = stage.parts(FileRole::Rows, plan.schema(), &options)?;  // bundle::TableStage
//! loop {
//!     let last = backend.read_slice(&fence, after.as_ref(), limits, &mut builder)?;
//!     for slot in builder.pending_large().to_vec() {
//!         let mut blob = stage.blob(&options)?;
//!         backend.read_large(&fence, slot.key, &plan.columns()[slot.column].name, &mut blob)?;
//!         let stored = blob.finish(slot.bytes)?;
//!         builder.resolve_large(slot, &stored.reference, stored.content_sha256)?;
//!     }
//!     if !builder.is_empty() { parts.write(&builder.finish()?)?; }
//!     match last { Some(position) => after = Some(position), None => break }
//! }
//! let files = parts.finish()?;
//! ```
//!
//! How a reader gets cells back out of the parts of a bundle is said in `rows`.

mod adapt;
mod binary;
mod builder;
mod encode;
mod fill;
mod guid;
mod numbers;
mod plan;
mod rows;
mod text;
mod times;

#[cfg(test)]
mod tests;

pub use adapt::adapt;
pub use builder::{BatchBuilder, LargeSlot, RowHead, RunStamp, UnsealedBatch};
pub use fill::FilledValue;
pub use plan::{ABSENT_CHILD_KEY, ABSENT_PARENT_KEY, ColumnPlan, PlannedColumn};
pub use rows::{BatchRows, LargeRef};
