//! Parts written byte by byte, so that footers and page headers can say what no library writes.

use super::damage::mend;
use super::made::adapt_schema;
use blobdelta::bundle::{Manifest, TableInfo};
use std::fs;
use std::path::Path;

/// What a column is in the file.
#[derive(Clone, Copy)]
pub enum Kind {
    Boolean,
    /// INT32, with a ConvertedType.
    Int(i32),
    Long,
    /// INT64, a timestamp without zone.
    Micros,
    Fixed(i32),
    Bytes,
    Text,
}

/// A page as its header says it, before compression.
#[derive(Clone)]
pub struct Page {
    pub is_dictionary: bool,
    pub values: i32,
    pub encoding: i32,
    pub body: Vec<u8>,
}

/// A column, whose pages each row group has.
#[derive(Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// 0 required, 1 optional, 2 repeated.
    pub repetition: i32,
    pub pages: Vec<Page>,
    /// How its pages are compressed, by parquet.thrift's `CompressionCodec`: [`ZSTD`], [`PLAIN`], or what is
    /// only said.
    pub codec: i32,
    /// Bytes that each page claims to inflate to, over those that it has.
    pub boast: i32,
}

pub const PLAIN: i32 = 0;
pub const SNAPPY: i32 = 1;
const ZSTD: i32 = 6;

impl Column {
    pub fn new(name: &str, kind: Kind, is_optional: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            repetition: i32::from(is_optional),
            pages: Vec::new(),
            codec: ZSTD,
            boast: 0,
        }
    }

    /// One value in every row, in some bytes.
    pub fn same(mut self, value: &[u8], rows: i32) -> Self {
        let mut body = self.levels(rows, 1);
        body.push(1);
        body.extend(run(rows, 0));
        self.pages = vec![
            Page { is_dictionary: true, values: 1, encoding: 0, body: value.to_vec() },
            Page { is_dictionary: false, values: rows, encoding: 8, body },
        ];
        self
    }

    /// NULL in every row.
    pub fn nulls(mut self, rows: i32) -> Self {
        self.pages = vec![Page { is_dictionary: false, values: rows, encoding: 0, body: self.levels(rows, 0) }];
        self
    }

    /// One page with these values as they are.
    pub fn plain(mut self, values: &[u8], rows: i32) -> Self {
        let mut body = self.levels(rows, 1);
        body.extend_from_slice(values);
        self.pages.push(Page { is_dictionary: false, values: rows, encoding: 0, body });
        self
    }

    fn levels(&self, rows: i32, level: u8) -> Vec<u8> {
        if self.repetition == 0 {
            return Vec::new();
        }
        let run = run(rows, level);
        [&u32::try_from(run.len()).unwrap().to_le_bytes()[..], &run].concat()
    }
}

/// A run of the hybrid of RLE and bit packing, of values of at most 8 bits.
fn run(count: i32, value: u8) -> Vec<u8> {
    let mut bytes = varint(u64::try_from(count).unwrap() << 1);
    bytes.push(value);
    bytes
}

/// BYTE_ARRAY values, PLAIN.
pub fn arrays(values: &[Vec<u8>]) -> Vec<u8> {
    let length = |value: &Vec<u8>| u32::try_from(value.len()).unwrap().to_le_bytes();
    values.iter().flat_map(|value| [&length(value)[..], value].concat()).collect()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7F {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Writes Thrift's compact protocol.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: Vec<i16>,
}

impl Thrift {
    fn field(&mut self, id: i16, kind: u8) -> &mut Self {
        let last = self.last.last_mut().unwrap();
        self.bytes.push(u8::try_from(id - *last).unwrap() << 4 | kind);
        *last = id;
        self
    }

    fn zigzag(&mut self, value: i64) {
        self.bytes.extend(varint(((value << 1) ^ (value >> 63)).cast_unsigned()));
    }

    fn i32(&mut self, id: i16, value: i32) {
        self.field(id, 5).zigzag(value.into());
    }

    fn i64(&mut self, id: i16, value: i64) {
        self.field(id, 6).zigzag(value);
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend(varint(text.len() as u64));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn list(&mut self, id: i16, element: u8, length: usize) {
        self.field(id, 9).bytes.push(0xF0 | element);
        self.bytes.extend(varint(length as u64));
    }

    fn inner(&mut self, write: impl FnOnce(&mut Self)) {
        self.last.push(0);
        write(self);
        self.last.pop();
        self.bytes.push(0);
    }
}

/// A part. What is `None` is what its pages make.
#[derive(Clone, Default)]
pub struct Forged {
    pub columns: Vec<Column>,
    /// Of each row group.
    pub rows: i32,
    pub groups: usize,
    pub footer_rows: Option<i64>,
    pub group_rows: Option<i64>,
    pub chunk_values: Option<i64>,
    /// Makes the chunk of the second column begin where the first does.
    pub is_overlapping: bool,
}

impl Forged {
    pub fn new(columns: Vec<Column>, rows: i32) -> Self {
        Self { columns, rows, groups: 1, ..Self::default() }
    }

    pub fn column(&mut self, name: &str) -> &mut Column {
        self.columns.iter_mut().find(|column| column.name == name).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"PAR1".to_vec();
        let mut footer = Thrift::default();
        let rows = i64::from(self.rows);
        footer.inner(|footer| {
            footer.i32(1, 1);
            self.schema(footer);
            footer.i64(3, self.footer_rows.unwrap_or(rows * self.groups as i64));
            footer.list(4, 12, self.groups);
            let pages: Vec<_> = self.columns.iter().map(chunk).collect();
            for _ in 0..self.groups {
                footer.inner(|footer| {
                    footer.list(1, 12, self.columns.len());
                    let first = file.len();
                    for (nth, (column, (dictionary, bytes))) in self.columns.iter().zip(&pages).enumerate() {
                        let at = if self.is_overlapping && nth == 1 { first } else { file.len() };
                        footer.inner(|footer| self.footer_chunk(footer, column, at, *dictionary, bytes.len()));
                        file.extend_from_slice(bytes);
                    }
                    // A size that nobody may rely on.
                    footer.i64(2, 1);
                    footer.i64(3, self.group_rows.unwrap_or(rows));
                });
            }
        });
        let length = u32::try_from(footer.bytes.len()).unwrap();
        [&file[..], &footer.bytes, &length.to_le_bytes(), b"PAR1"].concat()
    }

    fn schema(&self, footer: &mut Thrift) {
        footer.list(2, 12, self.columns.len() + 1);
        footer.inner(|root| {
            root.field(4, 8).text("arrow_schema");
            root.i32(5, i32::try_from(self.columns.len()).unwrap());
        });
        for column in &self.columns {
            footer.inner(|element| {
                element.i32(1, physical(column.kind));
                if let Kind::Fixed(width) = column.kind {
                    element.i32(2, width);
                }
                element.i32(3, column.repetition);
                element.field(4, 8).text(&column.name);
                match column.kind {
                    Kind::Int(converted) => element.i32(6, converted),
                    Kind::Text => element.i32(6, 0),
                    Kind::Micros => element.field(10, 12).inner(|logical| {
                        logical.field(8, 12).inner(|timestamp| {
                            timestamp.field(1, 2).field(2, 12).inner(|unit| unit.field(2, 12).inner(|_| {}));
                        });
                    }),
                    _ => {}
                }
            });
        }
    }

    fn footer_chunk(&self, footer: &mut Thrift, column: &Column, at: usize, dictionary: usize, length: usize) {
        let at = i64::try_from(at).unwrap();
        footer.i64(2, 0);
        footer.field(3, 12).inner(|chunk| {
            chunk.i32(1, physical(column.kind));
            chunk.list(2, 5, 1);
            chunk.zigzag(0);
            chunk.list(3, 8, 1);
            chunk.text(&column.name);
            chunk.i32(4, column.codec);
            chunk.i64(5, self.chunk_values.unwrap_or(self.rows.into()));
            chunk.i64(6, 1);
            chunk.i64(7, i64::try_from(length).unwrap());
            chunk.i64(9, at + i64::try_from(dictionary).unwrap());
            if dictionary > 0 {
                chunk.i64(11, at);
            }
        });
    }
}

/// Numbers of parquet.thrift's `Type`.
fn physical(kind: Kind) -> i32 {
    match kind {
        Kind::Boolean => 0,
        Kind::Int(_) => 1,
        Kind::Long | Kind::Micros => 2,
        Kind::Bytes | Kind::Text => 6,
        Kind::Fixed(_) => 7,
    }
}

/// The bytes of a column's dictionary with its header, and of all its pages.
fn chunk(column: &Column) -> (usize, Vec<u8>) {
    let (mut bytes, mut dictionary) = (Vec::new(), 0);
    for page in &column.pages {
        let body = match column.codec {
            PLAIN => page.body.clone(),
            _ => zstd::bulk::compress(&page.body, 1).unwrap(),
        };
        let mut header = Thrift::default();
        header.inner(|header| {
            header.i32(1, if page.is_dictionary { 2 } else { 0 });
            header.i32(2, i32::try_from(page.body.len()).unwrap() + column.boast);
            header.i32(3, i32::try_from(body.len()).unwrap());
            header.field(if page.is_dictionary { 7 } else { 5 }, 12).inner(|of| {
                of.i32(1, page.values);
                of.i32(2, page.encoding);
                if !page.is_dictionary {
                    of.i32(3, 3);
                    of.i32(4, 3);
                }
            });
        });
        bytes.extend(header.bytes);
        bytes.extend(body);
        if page.is_dictionary {
            dictionary = bytes.len();
        }
    }
    (dictionary, bytes)
}

/// Puts a part in the place of one of the bundle, and makes manifest and hashes fit it.
pub fn install(path: &Path, part: &str, forged: &Forged, change: impl FnOnce(&mut TableInfo)) {
    fs::write(path.join(part), forged.bytes()).unwrap();
    let name = path.join("manifest.json");
    let mut manifest = Manifest::from_bytes(&fs::read(&name).unwrap()).unwrap();
    let table = &mut manifest.tables[0];
    let rows = u64::try_from(forged.footer_rows.unwrap_or(i64::from(forged.rows) * forged.groups as i64)).unwrap();
    let file = table.files.iter_mut().find(|file| file.path == part).unwrap();
    (file.rows, file.row_groups) = (Some(rows), Some(forged.groups as u64));
    if part.contains("/part-") {
        (table.counts.roots, table.counts.missing_parents, table.counts.children) = (rows, 0, 0);
    }
    if part.contains("/deletes-") {
        table.counts.tombstones = rows;
    }
    change(table);
    fs::write(name, manifest.to_bytes().unwrap()).unwrap();
    adapt_schema(path, &manifest);
    mend(path, |bytes| bytes);
}
