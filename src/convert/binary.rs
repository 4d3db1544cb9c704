//! The binary types, rowversion, hierarchyid, geography and geometry, as raw bytes.

use super::encode::Encoder;
use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use crate::pool::{Pool, PoolBuffer};
use arrow::array::builder::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Of batches that are encoded, which come back while others are on their way.
const MOST_FREE_BYTES: usize = 32 << 20;
const MOST_FREE: usize = 6;

/// The Arrow type, if the type is of this family.
pub(super) fn arrow_type(sql_type: SqlType) -> Option<DataType> {
    matches!(
        sql_type,
        SqlType::Binary(_)
            | SqlType::VarBinary(_)
            | SqlType::Image
            | SqlType::RowVersion
            | SqlType::HierarchyId
            | SqlType::Geography
            | SqlType::Geometry
    )
    .then_some(DataType::Binary)
}

pub(super) fn encoder(sql_type: SqlType) -> Option<Box<dyn Encoder>> {
    arrow_type(sql_type)?;
    Some(Box::new(Binaries::new()))
}

/// The cell at a row that is not NULL.
pub(super) fn decode(sql_type: SqlType, array: &dyn Array, row: usize) -> Option<Cell<'_>> {
    arrow_type(sql_type)?;
    Some(Cell::Bytes(array.as_any().downcast_ref::<BinaryArray>()?.value(row)))
}

/// Values of a column, in a buffer that comes back when the batch is dropped.
struct Binaries {
    pool: Pool,
    values: PoolBuffer,
    /// Where each value begins, and where the last one ends.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Binaries {
    fn new() -> Self {
        let pool = Pool::new(MOST_FREE_BYTES, MOST_FREE);
        Self { values: pool.take(0), pool, offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }
}

impl Encoder for Binaries {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        match cell {
            // A large value lies in blob/, and is NULL here.
            Cell::Null | Cell::Large(_) => self.nulls.append_null(),
            Cell::Bytes(bytes) => {
                self.values.extend(bytes);
                self.nulls.append_non_null();
            }
            _ => return None,
        }
        self.offsets.push(i32::try_from(self.values.len()).ok()?);
        Some(())
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        // The next batch has about as many: what grows by doubling is copied once more on its way.
        let next = self.pool.take(self.values.len().saturating_mul(17) / 16);
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let values = Buffer::from(std::mem::replace(&mut self.values, next).freeze());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        out.push(Arc::new(BinaryArray::new(offsets, values, self.nulls.finish())));
    }
}
