//! All texts and binaries of a table, in pieces.

use crate::bundle::{Bundle, FileRole, TableInfo};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::id::Guid;
use crate::monitor::Monitor;
use crate::rows::{PartColumns, TableRows};
use std::io::Read;

/// A multiple of the size of a block.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Where a value is.
#[derive(Clone, Copy)]
pub(super) struct ValuePlace<'v> {
    pub(super) key: Guid,
    pub(super) column: &'v str,
}

/// Takes a piece of the value of a place; whether it is its first.
pub(super) type TakePiece<'t> = &'t mut dyn FnMut(ValuePlace<'_>, &[u8], bool) -> Result<()>;

/// Gives every value of the columns that `is_wanted` names. A piece has [`PIECE_BYTES`] unless it is the last of its value;
/// the first of a value is marked.
pub(super) fn each(
    (bundle, table): (&Bundle, &TableInfo),
    is_wanted: &dyn Fn(&str) -> bool,
    monitor: &dyn Monitor,
    take: TakePiece<'_>,
) -> Result<()> {
    let source = TableRows { bundle, table };
    let columns = PartColumns::all(table, FileRole::Rows)?;
    let mut piece = vec![0; PIECE_BYTES];
    source.each(FileRole::Rows, &columns, monitor, |mut rows| {
        source.supply_sizes(&mut rows)?;
        for (nth, column) in rows.plan().columns().iter().enumerate().filter(|(_, column)| is_wanted(&column.name)) {
            for row in 0..rows.rows() {
                let place = ValuePlace { key: rows.key(row)?, column: &column.name };
                let whole = match rows.cell(row, nth)? {
                    Cell::Text(text) => text.as_bytes(),
                    Cell::Bytes(bytes) => bytes,
                    Cell::Large(_) => {
                        let reference = rows.blob_ref(row, nth)?.unwrap_or_default();
                        let mut value = source.open_blob(reference, monitor)?;
                        large(&mut value, &mut piece, monitor, &mut |bytes, first| take(place, bytes, first))
                            .map_err(|error| error.file(reference))?;
                        continue;
                    }
                    _ => continue,
                };
                for (nth, piece) in whole.chunks(PIECE_BYTES).enumerate() {
                    take(place, piece, nth == 0)?;
                }
            }
        }
        Ok(())
    })
}

fn large(
    value: &mut dyn Read,
    piece: &mut [u8],
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(&[u8], bool) -> Result<()>,
) -> Result<()> {
    let mut is_first = true;
    loop {
        monitor.check()?;
        let mut filled = 0;
        while filled < piece.len() {
            let read = value.read(&mut piece[filled..]);
            let read = read.map_err(|error| Error::verification("this value cannot be read").caused_by(error))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        if filled > 0 {
            take(&piece[..filled], is_first)?;
        }
        if filled < piece.len() {
            return Ok(());
        }
        is_first = false;
    }
}
