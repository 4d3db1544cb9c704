//! [`adapt`]: rows of one shape in another that takes all that the first can hold (rule 24).

use super::builder::encoder;
use super::plan::{ColumnPlan, PlannedColumn};
use super::rows::BatchRows;
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::digest::Sha256;
use crate::model::sqltype::SqlType;
use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, RecordBatch, new_null_array};
use std::sync::Arc;

const SHA256_BYTES: i32 = 32;

/// The rows with the fields of another plan. A column that they lack is NULL; one that the other plan lacks is left out.
/// Values in `blob/` stay where they are.
///
/// # Errors
/// Verification: a value that its own column cannot have; Internal: a type that does not take every value of the other.
pub fn adapt(rows: &BatchRows, to: &ColumnPlan) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(to.schema().fields().len());
    for wanted in to.planned() {
        let is_it = |there: &PlannedColumn| there.column.name.eq_ignore_ascii_case(&wanted.column.name);
        let from = rows.plan().planned().iter().position(is_it);
        match from {
            None => arrays.extend(fields_of(wanted).map(|field| nothing(rows, to, field))),
            Some(column) => column_of(rows, column, wanted, to, &mut arrays)?,
        }
    }
    RecordBatch::try_new(to.schema(), arrays)
        .map_err(|error| Error::internal("rows cannot be given the shape of another bundle's").caused_by(error))
}

/// The fields of a column, in their order: the value, and what stands beside it.
fn fields_of(planned: &PlannedColumn) -> impl Iterator<Item = usize> {
    let beside = [planned.ticks, planned.offset, planned.content_sha256, planned.blob_ref];
    std::iter::once(planned.value).chain(beside.into_iter().flatten())
}

fn nothing(rows: &BatchRows, to: &ColumnPlan, field: usize) -> ArrayRef {
    new_null_array(to.schema().field(field).data_type(), rows.rows())
}

fn column_of(
    rows: &BatchRows,
    column: usize,
    wanted: &PlannedColumn,
    to: &ColumnPlan,
    arrays: &mut Vec<ArrayRef>,
) -> Result<()> {
    let there = &rows.plan().planned()[column];
    let copied = |field: usize| Arc::clone(rows.batch().column(field));
    let of_one_kind = |one: &PlannedColumn, other: &PlannedColumn| {
        let beside = |planned: &PlannedColumn| fields_of(planned).count();
        rows.batch().column(one.value).data_type() == to.schema().field(other.value).data_type()
            && beside(one) == beside(other)
    };
    let (from, into) = (there.column.sql_type, wanted.column.sql_type);
    if from == into || (into.promotes(from) && of_one_kind(there, wanted)) {
        arrays.extend(fields_of(there).map(copied));
        return Ok(());
    }
    if !into.promotes(from) {
        let text = format!("a {into} does not take every {from}");
        return Err(Error::internal(text).column(&wanted.column.name));
    }
    let mut encoder = encoder(wanted.column.sql_type)?;
    let mut hashes = FixedSizeBinaryBuilder::new(SHA256_BYTES);
    for row in 0..rows.rows() {
        // What is large already is of the same type, or of a text that has no bound either: it is copied above.
        let cell = rows.cell(row, column)?;
        let incompatible = || Error::internal("a value does not fit the wider column").column(&wanted.column.name);
        encoder.push(promoted(cell, from, into)).ok_or_else(incompatible)?;
        match cell {
            Cell::Bytes(bytes) if wanted.content_sha256.is_some() => {
                let hash = Sha256::of(bytes);
                hashes.append_value(hash.as_bytes()).map_err(|error| incompatible().caused_by(error))?;
            }
            _ => hashes.append_null(),
        }
    }
    encoder.finish(arrays);
    arrays.extend(wanted.content_sha256.map(|_| Arc::new(hashes.finish()) as ArrayRef));
    arrays.extend(wanted.blob_ref.map(|field| nothing(rows, to, field)));
    Ok(())
}

/// A value as one of a type that promotes its own.
#[expect(clippy::cast_precision_loss, reason = "an int has fewer bits than a float keeps")]
fn promoted<'c>(cell: Cell<'c>, from: SqlType, into: SqlType) -> Cell<'c> {
    let ten_to = |digits: u8| 10_i128.pow(digits.into());
    match (cell, from, into) {
        (Cell::Int(value), _, SqlType::Decimal { scale, .. }) => Cell::Decimal(i128::from(value) * ten_to(scale)),
        (Cell::Decimal(value), SqlType::Decimal { scale: before, .. }, SqlType::Decimal { scale, .. }) => {
            Cell::Decimal(value * ten_to(scale - before))
        }
        (Cell::Bool(value), _, into) if into != SqlType::Bit => Cell::Int(value.into()),
        (Cell::Int(value), _, SqlType::Float) => Cell::Float(value as f64),
        (cell, ..) => cell,
    }
}
