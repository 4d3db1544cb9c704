//! [`pieces`]: rows in pieces whose values fit into memory once they are there.

use crate::convert::BatchRows;
use crate::error::Result;
use crate::model::cell::RowSource as _;

/// Rows in pieces of which each leaves out so many bytes together, or is one row alone.
///
/// # Errors
/// None that a checked batch could cause.
pub fn pieces(rows: BatchRows, most_bytes: u64) -> Result<Vec<BatchRows>> {
    let mut sizes = vec![0_u64; rows.rows()];
    for (row, _, known) in rows.known_refs()? {
        sizes[row] = sizes[row].saturating_add(known.bytes);
    }
    let (mut pieces, mut rest, mut sum, mut from) = (Vec::new(), rows, 0_u64, 0);
    for (row, bytes) in sizes.into_iter().enumerate() {
        if row > from && sum.saturating_add(bytes) > most_bytes {
            let (piece, more) = rest.split(row - from);
            pieces.push(piece);
            (rest, sum, from) = (more, 0, row);
        }
        sum = sum.saturating_add(bytes);
    }
    pieces.push(rest);
    Ok(pieces)
}
