//! A look at a part before it is decoded: what its footer and the headers of its pages claim.
//!
//! The library that decodes Parquet makes room for what a page header says, and a page of some
//! kilobytes may say two gigabytes. So every header is read here first, without inflating
//! anything, and held against the bounds of the format (manifests/FORMAT.md, section 4) and
//! against the footer. The sums are those of the pages that are there, whatever the footer says.

use super::part::{MAX_CHUNKS, MAX_PART_BYTES};
use super::thrift::{self, Reader};
use crate::error::{Error, Result};
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;

/// Values of a row group, uncompressed: the format's 64 MiB, and one page over. A batch may hold
/// all of it, beside the pages that it comes out of, so a reader needs twice as much.
const MAX_ROW_GROUP_BYTES: u64 = (64 << 20) + MAX_PAGE_BYTES;
/// The values of a part, uncompressed: the format's 1 GiB, and one row group over.
const MAX_INFLATED_BYTES: u64 = MAX_PART_BYTES + MAX_ROW_GROUP_BYTES;
/// A page, uncompressed: one value of the highest inline limit, and the 1 MiB at which a page is closed.
const MAX_PAGE_BYTES: u64 = 34 << 20;
/// A dictionary, uncompressed: the 1 MiB at which a writer gives it up, and one batch.
const MAX_DICTIONARY_BYTES: u64 = 2 << 20;
/// Of a fixed width, the widest values of the format are hashes. A library makes room for a
/// value of the column's width for every NULL, and for every number of a dictionary.
const MAX_WIDTH_BYTES: i32 = 32;
/// A row, uncompressed: parts of all kinds have a key, no key comes twice, and so none is in fewer
/// bytes than its own, which are four for the smallest integers. Without this some hundred bytes could say billions of rows.
const MIN_ROW_BYTES: u64 = 4;
/// A page header: the fields of the format take some 30 bytes.
const MAX_HEADER_BYTES: u64 = 128;
/// Where the first page of a file stands: after `PAR1`.
const FIRST_PAGE: u64 = 4;
/// The length of the footer, and `PAR1`.
const TAIL_BYTES: u64 = 8;
/// A footer: 64 KiB, and so much for each column and for each column of each row group.
const FOOTER_BYTES: u64 = 64 << 10;
const COLUMN_FOOTER_BYTES: u64 = 8 << 10;
const CHUNK_FOOTER_BYTES: u64 = 1 << 10;

const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;

fn bad(what: impl Into<String>) -> Error {
    Error::verification(what).hint("no part that was written by the rules is like this; do not use this bundle")
}

/// Holds the footer against its bounds, before it is decoded: its length, a flat schema of at
/// most `columns` columns, and `row_groups` row groups of those.
///
/// # Errors
/// Verification; Io.
pub(super) fn footer(part: &impl ChunkReader, columns: usize, row_groups: u64) -> Result<()> {
    let unreadable = |error| Error::verification("this part cannot be read").caused_by(error);
    let none = || bad("this part is not Parquet: it has no footer");
    let tail_at = part.len().checked_sub(TAIL_BYTES).filter(|at| *at >= FIRST_PAGE).ok_or_else(none)?;
    let tail = part.get_bytes(tail_at, TAIL_BYTES as usize).map_err(unreadable)?;
    let (length, magic) = tail.split_first_chunk::<4>().ok_or_else(none)?;
    let length = u64::from(u32::from_le_bytes(*length));
    let columns = columns as u64;
    if row_groups.saturating_mul(columns) > MAX_CHUNKS {
        return Err(bad(format!("the manifest says {row_groups} row groups, too many for {columns} columns")));
    }
    let most = CHUNK_FOOTER_BYTES
        .saturating_mul(row_groups)
        .saturating_add(COLUMN_FOOTER_BYTES)
        .saturating_mul(columns)
        .saturating_add(FOOTER_BYTES);
    let start = tail_at.checked_sub(length).filter(|start| *start >= FIRST_PAGE);
    let start = start.filter(|_| magic == b"PAR1").ok_or_else(none)?;
    if length > most {
        return Err(bad(format!("the footer has {length} bytes, where {most} are the most for its columns")));
    }
    let footer = part.get_bytes(start, usize::try_from(length).unwrap_or(usize::MAX)).map_err(unreadable)?;
    match shape(&footer) {
        Some((found, _)) if found > columns => {
            Err(bad(format!("the part has {found} columns, where those of the manifest make {columns}")))
        }
        Some((_, found)) if found != row_groups => {
            Err(bad(format!("the part has {found} row groups, the manifest says {row_groups}")))
        }
        Some(_) => Ok(()),
        None => Err(bad("the footer does not hold a flat schema and row groups of its columns")),
    }
}

/// Columns and row groups of a footer (`FileMetaData`, fields 2 and 4), of which each row group
/// has all columns: the decoder makes room for as many as there are.
fn shape(footer: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader::new(footer);
    let (mut columns, mut groups) = (None, None);
    while let Some((id, kind)) = reader.field()? {
        match (id, kind) {
            (2, thrift::LIST) if columns.is_none() => columns = Some(schema(&mut reader)?),
            (4, thrift::LIST) if groups.is_none() => groups = Some(row_groups(&mut reader, columns?)?),
            (2 | 4, _) => return None,
            (_, kind) => reader.skip(kind)?,
        }
    }
    Some((columns?, groups?))
}

/// Row groups, of which each has so many columns (`RowGroup`, field 1).
fn row_groups(reader: &mut Reader<'_>, columns: u64) -> Option<u64> {
    let (length, element) = reader.list()?;
    for _ in 0..length {
        let found = reader.inner(|group| {
            let mut found = None;
            while let Some((id, kind)) = group.field()? {
                if (id, kind) == (1, thrift::LIST) && found.is_none() {
                    found = Some(group.clone().list()?.0 as u64);
                } else if id == 1 {
                    return None;
                }
                group.skip(kind)?;
            }
            Some(found)
        })?;
        if found != Some(columns) {
            return None;
        }
    }
    (element == thrift::STRUCT || length == 0).then_some(length as u64)
}

/// Columns of a flat schema: a root and its children, which have none.
fn schema(reader: &mut Reader<'_>) -> Option<u64> {
    let (length, element) = reader.list()?;
    if element != thrift::STRUCT || length == 0 {
        return None;
    }
    for nth in 0..length {
        let children = reader.inner(children)?;
        let due = if nth == 0 { Some(i32::try_from(length - 1).ok()?) } else { None };
        if children.filter(|children| nth == 0 || *children != 0) != due {
            return None;
        }
    }
    Some(length as u64 - 1)
}

/// `num_children` of a `SchemaElement`.
fn children(element: &mut Reader<'_>) -> Option<Option<i32>> {
    let mut children = None;
    while let Some((id, kind)) = element.field()? {
        match (id, kind) {
            (5, thrift::I32) => children = Some(element.i32()?),
            (5, _) => return None,
            (_, kind) => element.skip(kind)?,
        }
    }
    Some(children)
}

/// Holds every page header of a part against its bounds and its footer. Gives the bytes that each
/// row group inflates to.
///
/// # Errors
/// Verification; Io.
pub(super) fn check(part: &impl ChunkReader, metadata: &ParquetMetaData) -> Result<Vec<u64>> {
    let (mut at, mut rows, mut sizes) = (FIRST_PAGE, 0_i64, Vec::new());
    for (nth, group) in metadata.row_groups().iter().enumerate() {
        let mut bytes = 0_u64;
        for column in group.columns() {
            let mut chunk = Chunk::new(part, column, group.num_rows(), at)?;
            chunk.read_pages().map_err(|error| error.column(column.column_path().string()))?;
            at = chunk.end;
            bytes = bytes.saturating_add(chunk.uncompressed);
        }
        if bytes > MAX_ROW_GROUP_BYTES {
            return Err(bad(format!("row group {nth} inflates to {bytes} bytes, over {MAX_ROW_GROUP_BYTES}")));
        }
        let held = i64::try_from(bytes / MIN_ROW_BYTES).unwrap_or(i64::MAX);
        if !(1..=held).contains(&group.num_rows()) {
            let what = format!("row group {nth} has {} rows, and keys for {held} at most", group.num_rows());
            return Err(bad(what));
        }
        rows = rows.saturating_add(group.num_rows());
        sizes.push(bytes);
    }
    let bytes = sizes.iter().sum::<u64>();
    if bytes > MAX_INFLATED_BYTES {
        return Err(bad(format!("the part inflates to {bytes} bytes, over {MAX_INFLATED_BYTES}")));
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(bad(format!("the row groups have {rows} rows, the footer says another number")));
    }
    Ok(sizes)
}

/// A page header, of the fields that the format has.
#[derive(Clone, Copy, Debug, Default)]
struct PageHeader {
    kind: i32,
    uncompressed: i32,
    compressed: i32,
    values: i32,
    encoding: i32,
}

impl PageHeader {
    /// Reads one, and how many bytes it has.
    fn read(bytes: &[u8]) -> Option<(Self, u64)> {
        let mut reader = Reader::new(bytes);
        let mut header = Self { kind: -1, ..Self::default() };
        let mut has_body = false;
        while let Some((id, kind)) = reader.field()? {
            match (id, kind) {
                (1, thrift::I32) => header.kind = reader.i32()?,
                (2, thrift::I32) => header.uncompressed = reader.i32()?,
                (3, thrift::I32) => header.compressed = reader.i32()?,
                // A checksum, which is not used: the whole file is hashed.
                (4, thrift::I32) => drop(reader.i32()?),
                (5, thrift::STRUCT) if header.kind == DATA_PAGE && !has_body => {
                    (header.values, header.encoding) = reader.inner(data_page)?;
                    has_body = true;
                }
                (7, thrift::STRUCT) if header.kind == DICTIONARY_PAGE && !has_body => {
                    (header.values, header.encoding) = reader.inner(dictionary_page)?;
                    has_body = true;
                }
                _ => return None,
            }
        }
        has_body.then(|| (header, (bytes.len() - reader.left()) as u64))
    }
}

/// `DataPageHeader`: number of values and their encoding; levels are RLE, and there are no
/// statistics.
fn data_page(body: &mut Reader<'_>) -> Option<(i32, i32)> {
    let (mut values, mut encoding) = (-1, -1);
    while let Some(field) = body.field()? {
        match field {
            (1, thrift::I32) => values = body.i32()?,
            (2, thrift::I32) => encoding = body.i32()?,
            (3 | 4, thrift::I32) if body.i32()? == RLE => {}
            _ => return None,
        }
    }
    Some((values, encoding))
}

/// `DictionaryPageHeader`: number of values and their encoding.
fn dictionary_page(body: &mut Reader<'_>) -> Option<(i32, i32)> {
    let (mut values, mut encoding) = (-1, -1);
    while let Some(field) = body.field()? {
        match field {
            (1, thrift::I32) => values = body.i32()?,
            (2, thrift::I32) => encoding = body.i32()?,
            // Whether it is sorted.
            (3, 1 | 2) => {}
            _ => return None,
        }
    }
    Some((values, encoding))
}

/// A column's pages in one row group.
struct Chunk<'a, R> {
    part: &'a R,
    column: &'a ColumnChunkMetaData,
    rows: i64,
    at: u64,
    end: u64,
    uncompressed: u64,
}

impl<'a, R: ChunkReader> Chunk<'a, R> {
    /// Chunks follow each other without a gap, so none can be read twice.
    fn new(part: &'a R, column: &'a ColumnChunkMetaData, rows: i64, at: u64) -> Result<Self> {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let length = u64::try_from(column.compressed_size()).ok();
        let end = length.and_then(|length| at.checked_add(length)).filter(|end| *end <= part.len() - TAIL_BYTES);
        let wrong = |what: &str| bad(what).column(column.column_path().string());
        if u64::try_from(start) != Ok(at) {
            return Err(wrong("the pages of a column do not stand behind those before them"));
        }
        let end = end.ok_or_else(|| wrong("the pages of a column leave the part"))?;
        if !matches!(column.compression(), Compression::ZSTD(_) | Compression::UNCOMPRESSED) {
            return Err(wrong("a column is compressed, and not with zstd"));
        }
        let width = column.column_descr().type_length();
        if column.column_type() == Type::FIXED_LEN_BYTE_ARRAY && !(1..=MAX_WIDTH_BYTES).contains(&width) {
            return Err(wrong("a column's values are wider than any of the format"));
        }
        if column.num_values() != rows {
            return Err(wrong("a column does not have as many values as its row group has rows"));
        }
        Ok(Self { part, column, rows, at, end, uncompressed: 0 })
    }

    fn read_pages(&mut self) -> Result<()> {
        let (mut values, mut dictionary) = (0_i64, false);
        let first = self.at;
        while self.at < self.end {
            let room = (self.end - self.at).min(MAX_HEADER_BYTES);
            let bytes = self.part.get_bytes(self.at, room as usize);
            let bytes = bytes.map_err(|error| Error::verification("this part cannot be read").caused_by(error))?;
            let at = self.at;
            let (header, length) = PageHeader::read(&bytes)
                .ok_or_else(|| bad(format!("the page at byte {at} has no header of the format")))?;
            let compressed = u64::try_from(header.compressed).ok();
            let next = compressed.and_then(|bytes| at.checked_add(length)?.checked_add(bytes));
            self.at = next.filter(|next| *next <= self.end).ok_or_else(|| bad("a page leaves its column"))?;
            if self.column.compression() == Compression::UNCOMPRESSED && header.uncompressed != header.compressed {
                return Err(bad(format!("the page at byte {at} is not compressed, and has two sizes")));
            }
            let uncompressed = u64::try_from(header.uncompressed).unwrap_or(u64::MAX);
            self.uncompressed = self.uncompressed.saturating_add(uncompressed);
            if header.kind == DICTIONARY_PAGE {
                self.dictionary(&header, at == first)?;
                dictionary = true;
                continue;
            }
            if uncompressed > MAX_PAGE_BYTES {
                return Err(bad(format!("a page inflates to {uncompressed} bytes, over {MAX_PAGE_BYTES}")));
            }
            if header.encoding != PLAIN && !(header.encoding == RLE_DICTIONARY && dictionary) {
                return Err(bad(format!("a page has encoding {}, which the format has not", header.encoding)));
            }
            // Each page has a value at least, so there are no more pages than the rows that are reported.
            if header.values <= 0 {
                return Err(bad("a page has no values"));
            }
            values = values.saturating_add(i64::from(header.values));
        }
        if values == self.rows {
            Ok(())
        } else {
            Err(bad(format!("the pages have {values} values, not {}", self.rows)))
        }
    }

    /// A dictionary, of values of one width alone: of others, few bytes could stand for many.
    fn dictionary(&self, header: &PageHeader, is_first: bool) -> Result<()> {
        let width = match self.column.column_type() {
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => i64::from(self.column.column_descr().type_length()),
            Type::BOOLEAN | Type::BYTE_ARRAY => return Err(bad("a column has a dictionary, which its type must not")),
        };
        let bytes = i64::from(header.uncompressed);
        let fits = width > 0 && i64::from(header.values).checked_mul(width) == Some(bytes);
        if !is_first || !fits || header.encoding != PLAIN || bytes > MAX_DICTIONARY_BYTES as i64 {
            return Err(bad("a dictionary is not one of the format"));
        }
        Ok(())
    }
}
