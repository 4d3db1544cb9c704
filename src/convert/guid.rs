//! uniqueidentifier: 16 bytes in the order of RFC 9562, with the extension type `arrow.uuid`
//! (<https://arrow.apache.org/docs/format/CanonicalExtensions.html#uuid>), which Parquet writes
//! as its logical type UUID.

use super::encode::Encoder;
use crate::model::cell::Cell;
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, FixedSizeBinaryBuilder};
use arrow::datatypes::DataType;
use std::sync::Arc;

const GUID_BYTES: i32 = 16;

/// The Arrow type, if the type is of this family.
pub(super) fn arrow_type(sql_type: SqlType) -> Option<DataType> {
    (sql_type == SqlType::UniqueIdentifier).then_some(DataType::FixedSizeBinary(GUID_BYTES))
}

pub(super) fn encoder(sql_type: SqlType) -> Option<Box<dyn Encoder>> {
    arrow_type(sql_type)?;
    Some(Box::new(Guids(FixedSizeBinaryBuilder::new(GUID_BYTES))))
}

/// The cell at a row that is not NULL.
pub(super) fn decode(sql_type: SqlType, array: &dyn Array, row: usize) -> Option<Cell<'_>> {
    arrow_type(sql_type)?;
    let bytes = array.as_any().downcast_ref::<FixedSizeBinaryArray>()?.value(row);
    Some(Cell::Guid(Guid::from_bytes(bytes.try_into().ok()?)))
}

struct Guids(FixedSizeBinaryBuilder);

impl Encoder for Guids {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        match cell {
            Cell::Null => self.0.append_null(),
            Cell::Guid(guid) => self.0.append_value(guid.as_bytes()).ok()?,
            _ => return None,
        }
        Some(())
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        out.push(Arc::new(self.0.finish()));
    }
}
