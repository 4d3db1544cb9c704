//! The binary types, rowversion, hierarchyid, geography and geometry, as raw bytes.

use super::encode::Encoder;
use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use arrow::array::{Array, ArrayRef, BinaryArray, BinaryBuilder};
use arrow::datatypes::DataType;
use std::sync::Arc;

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
    Some(Box::new(Binaries(BinaryBuilder::new())))
}

/// The cell at a row that is not NULL.
pub(super) fn decode(sql_type: SqlType, array: &dyn Array, row: usize) -> Option<Cell<'_>> {
    arrow_type(sql_type)?;
    Some(Cell::Bytes(array.as_any().downcast_ref::<BinaryArray>()?.value(row)))
}

struct Binaries(BinaryBuilder);

impl Encoder for Binaries {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        match cell {
            // A large value lies in blob/, and is NULL here.
            Cell::Null | Cell::Large(_) => self.0.append_null(),
            Cell::Bytes(bytes) => self.0.append_value(bytes),
            _ => return None,
        }
        Some(())
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        let array = self.0.finish();
        // The next batch has about as many: what grows by doubling is copied once more on its way.
        self.0 = BinaryBuilder::with_capacity(array.len(), array.value_data().len().saturating_mul(17) / 16);
        out.push(Arc::new(array));
    }
}
