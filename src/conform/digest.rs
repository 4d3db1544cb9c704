//! [`row_digest`]: all that a row says, as one hash: two rows of one version are the same row where it is the same.

use crate::bundle::layout::PayloadFile;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_DEPTH;
use crate::model::digest::{Hasher, Sha256};

/// The digest of a row or tombstone over all columns of its plan by name, but for its depth, which follows from the rows above it
/// and is counted anew where bundles are compacted. Of a large value its hash is in it, wherever it lies; it is not read.
///
/// # Errors
/// Verification: values that no row can have.
pub fn row_digest(batch: &BatchRows, row: usize) -> Result<Sha256> {
    let mut hasher = Hasher::default();
    for (at, column) in batch.plan().columns().iter().enumerate().filter(|(_, column)| column.name != DELTA_DEPTH) {
        text(&mut hasher, column.name.as_bytes());
        match column.sql_type.is_large() {
            true => large(&mut hasher, batch, (row, at))?,
            false => small(&mut hasher, batch.cell(row, at)?),
        }
    }
    Ok(hasher.finish())
}

fn text(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// The hash that stands beside the value, or in the name of the file in `blob/`, or that of a text in its row.
fn large(hasher: &mut Hasher, batch: &BatchRows, (row, at): (usize, usize)) -> Result<()> {
    let hash = match (batch.plan().planned()[at].content_sha256, batch.blob_ref(row, at)?) {
        (Some(_), _) => batch.content_sha256(row, at)?.map(|hash| hash.to_string()),
        (None, Some(reference)) => {
            let named = PayloadFile::sha256_of_reference(reference);
            Some(named.map_or_else(|| reference.to_owned(), |hash| hash.to_string()))
        }
        (None, None) => match batch.cell(row, at)? {
            Cell::Text(value) => Some(Sha256::of(value.as_bytes()).to_string()),
            _ => None,
        },
    };
    hasher.update(&[u8::from(hash.is_some())]);
    text(hasher, hash.unwrap_or_default().as_bytes());
    Ok(())
}

/// A kind, and the value in its one form.
fn small(hasher: &mut Hasher, cell: Cell<'_>) {
    let mut value = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        text(hasher, bytes);
    };
    match cell {
        Cell::Null => value(0, &[]),
        Cell::Bool(bit) => value(1, &[u8::from(bit)]),
        Cell::Int(int) => value(2, &int.to_be_bytes()),
        Cell::Float(float) => value(3, &float.to_bits().to_be_bytes()),
        Cell::Decimal(unscaled) => value(4, &unscaled.to_be_bytes()),
        Cell::Text(text) => value(5, text.as_bytes()),
        Cell::Bytes(bytes) => value(6, bytes),
        Cell::Guid(guid) => value(7, guid.as_bytes()),
        Cell::Date(days) => value(8, &days.to_be_bytes()),
        Cell::Time(ticks) => value(9, &ticks.to_be_bytes()),
        Cell::DateTime(at) => value(10, &at.ticks().to_be_bytes()),
        Cell::DateTimeOffset(at, minutes) => {
            value(11, &at.ticks().to_be_bytes());
            value(12, &minutes.to_be_bytes());
        }
        Cell::Large(bytes) => value(13, &bytes.to_be_bytes()),
    }
}
