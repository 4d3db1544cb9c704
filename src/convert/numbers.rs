//! bit, the integers, the floats, decimal and money.

use super::encode::{Encoder, Primitive, value};
use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use crate::model::value_range::narrow;
use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBuilder};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt8Type,
};
use std::sync::Arc;

/// The Arrow type, if the type is of this family.
pub(super) fn arrow_type(sql_type: SqlType) -> Option<DataType> {
    Some(match sql_type {
        SqlType::Bit => DataType::Boolean,
        SqlType::TinyInt => DataType::UInt8,
        SqlType::SmallInt => DataType::Int16,
        SqlType::Int => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::Real => DataType::Float32,
        SqlType::Float => DataType::Float64,
        // Scale is at most 38, so that the conversion never fails.
        SqlType::Decimal { precision, scale } => DataType::Decimal128(precision, i8::try_from(scale).ok()?),
        SqlType::Money => DataType::Decimal128(19, 4),
        SqlType::SmallMoney => DataType::Decimal128(10, 4),
        _ => return None,
    })
}

pub(super) fn encoder(sql_type: SqlType) -> Option<Box<dyn Encoder>> {
    match sql_type {
        SqlType::Bit => Some(Box::new(Bits(BooleanBuilder::new()))),
        SqlType::TinyInt => Primitive::<UInt8Type>::new(|cell| u8::try_from(int(cell)?).ok()).boxed(),
        SqlType::SmallInt => Primitive::<Int16Type>::new(|cell| i16::try_from(int(cell)?).ok()).boxed(),
        SqlType::Int => Primitive::<Int32Type>::new(|cell| i32::try_from(int(cell)?).ok()).boxed(),
        SqlType::BigInt => Primitive::<Int64Type>::new(int).boxed(),
        SqlType::Real => Primitive::<Float32Type>::new(|cell| Some(narrow(float(cell)?))).boxed(),
        SqlType::Float => Primitive::<Float64Type>::new(float).boxed(),
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            Primitive::<Decimal128Type>::new(decimal).with_type(arrow_type(sql_type)?).boxed()
        }
        _ => None,
    }
}

/// The cell at a row that is not NULL.
pub(super) fn decode(sql_type: SqlType, array: &dyn Array, row: usize) -> Option<Cell<'_>> {
    Some(match sql_type {
        SqlType::Bit => Cell::Bool(array.as_any().downcast_ref::<BooleanArray>()?.value(row)),
        SqlType::TinyInt => Cell::Int(value::<UInt8Type>(array, row)?.into()),
        SqlType::SmallInt => Cell::Int(value::<Int16Type>(array, row)?.into()),
        SqlType::Int => Cell::Int(value::<Int32Type>(array, row)?.into()),
        SqlType::BigInt => Cell::Int(value::<Int64Type>(array, row)?),
        SqlType::Real => Cell::Float(value::<Float32Type>(array, row)?.into()),
        SqlType::Float => Cell::Float(value::<Float64Type>(array, row)?),
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            Cell::Decimal(value::<Decimal128Type>(array, row)?)
        }
        _ => return None,
    })
}

fn int(cell: Cell<'_>) -> Option<i64> {
    if let Cell::Int(value) = cell { Some(value) } else { None }
}

fn float(cell: Cell<'_>) -> Option<f64> {
    if let Cell::Float(value) = cell { Some(value) } else { None }
}

fn decimal(cell: Cell<'_>) -> Option<i128> {
    if let Cell::Decimal(value) = cell { Some(value) } else { None }
}

struct Bits(BooleanBuilder);

impl Encoder for Bits {
    fn push(&mut self, cell: Cell<'_>) -> Option<()> {
        match cell {
            Cell::Null => self.0.append_null(),
            Cell::Bool(bit) => self.0.append_value(bit),
            _ => return None,
        }
        Some(())
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        out.push(Arc::new(self.0.finish()));
    }
}
