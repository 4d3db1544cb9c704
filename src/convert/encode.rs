//! What the type families share: encoders of one column.

use crate::model::cell::Cell;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveBuilder};
use std::sync::Arc;

/// Collects the cells of one column.
pub(super) trait Encoder: Send {
    /// Takes one cell that was found to fit; `None` if its variant is not the column's after all.
    fn push(&mut self, cell: Cell<'_>) -> Option<()>;

    /// Gives the value's array and those of ticks and offset, and starts anew.
    fn finish(&mut self, out: &mut Vec<ArrayRef>);
}

/// Cells of one Arrow primitive type.
pub(super) struct Primitive<T: ArrowPrimitiveType> {
    builder: PrimitiveBuilder<T>,
    native: fn(Cell<'_>) -> Option<T::Native>,
}

impl<T: ArrowPrimitiveType> Primitive<T> {
    pub(super) fn new(native: fn(Cell<'_>) -> Option<T::Native>) -> Self {
        Self { builder: PrimitiveBuilder::new(), native }
    }

    pub(super) fn with_type(mut self, data_type: arrow::datatypes::DataType) -> Self {
        self.builder = self.builder.with_data_type(data_type);
        self
    }

    pub(super) fn boxed(self) -> Option<Box<dyn Encoder>> {
        Some(Box::new(self))
    }
}

impl<T: ArrowPrimitiveType> Encoder for Primitive<T> {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        match cell {
            Cell::Null => self.builder.append_null(),
            cell => self.builder.append_value((self.native)(cell)?),
        }
        Some(())
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        out.push(Arc::new(self.builder.finish()));
    }
}

/// Two fields of one column.
pub(super) struct Pair<A, B>(pub(super) A, pub(super) B);

impl<A: Encoder, B: Encoder> Encoder for Pair<A, B> {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        self.0.push(cell)?;
        self.1.push(cell)
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        self.0.finish(out);
        self.1.finish(out);
    }
}

/// The value of a primitive array at a row, if it is of that type.
pub(super) fn value<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<T::Native> {
    array.as_any().downcast_ref::<arrow::array::PrimitiveArray<T>>().map(|array| array.value(row))
}
