//! [`Cell`]: one value on its way between a backend and a bundle, borrowed from whoever holds
//! it. Backends know nothing of Arrow, and the converter knows nothing of drivers.

use super::id::Guid;
use super::time::Timestamp;
use crate::error::Result;

/// One value. The variant is decided by the column's [`super::sqltype::SqlType`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// bit.
    Bool(bool),
    /// tinyint, smallint, int, bigint.
    Int(i64),
    /// real, float. A real is widened.
    Float(f64),
    /// decimal and money, unscaled: the column knows the scale (money 4).
    Decimal(i128),
    /// All character types and xml.
    Text(&'a str),
    /// All binary types, rowversion, hierarchyid, geography, geometry.
    Bytes(&'a [u8]),
    /// uniqueidentifier.
    Guid(Guid),
    /// Days since 0001-01-01.
    Date(i32),
    /// 100 ns ticks since midnight.
    Time(i64),
    /// datetime2, datetime, smalldatetime.
    DateTime(Timestamp),
    /// datetimeoffset: the moment in UTC, and the offset in minutes east.
    DateTimeOffset(Timestamp, i16),
    /// A value over the inline limit that was not read: this many bytes (of UTF-8, for text).
    Large(u64),
}

/// Takes rows, cell by cell, in the order of the columns that were agreed before.
pub trait CellSink {
    /// The next cell of the current row.
    ///
    /// # Errors
    /// Config, with the column, if the cell does not fit the column's type.
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()>;

    /// The current row is complete.
    ///
    /// # Errors
    /// Whatever the sink does with a full row.
    fn end_row(&mut self) -> Result<()>;
}

/// Rows that are held in memory, at any index.
pub trait RowSource {
    /// How many rows.
    fn rows(&self) -> usize;

    /// One cell.
    ///
    /// # Errors
    /// Verification, if what is held there does not fit the column's type.
    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>>;

    /// The bytes of a cell that is [`Cell::Large`], in chunks; exactly as many as it says. A
    /// source that never gives such a cell has nothing to add here.
    ///
    /// # Errors
    /// Io or Verification, if the value cannot be reached; Internal, if the cell is not large.
    fn large(&self, row: usize, column: usize) -> Result<Box<dyn std::io::Read + '_>> {
        Err(crate::error::Error::internal(format!("row {row}, column {column}: this source has no large values")))
    }
}
