//! One value, masked.

use super::column::ColumnMask;
use super::permute;
use super::placeholder::{FileType, Placeholder, placeholder};
use super::rule::{MaskKind, Otherwise};
use super::secret::MaskStream;
use super::{numbers, texts};
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::digest::Sha256;
use crate::model::sqltype::SqlType;
use std::io::{self, Write};

/// What becomes of a value.
pub(super) enum Masked<'c> {
    Cell(Cell<'c>),
    Text(String),
    /// Bytes, or a text, that are made when they are written.
    Made(MadeValue),
}

/// A masked key or path.
pub(super) enum PlaceValue {
    Text(String),
    Bytes(Vec<u8>),
    Cell(Cell<'static>),
}

impl PlaceValue {
    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Cell(cell) => *cell,
        }
    }
}

/// How the bytes of a value are made.
pub(super) struct MadeValue {
    pub(super) bytes: u64,
    pub(super) from: MadeFrom,
}

pub(super) enum MadeFrom {
    Words([u8; 32]),
    Noise([u8; 32]),
    Placeholder(Placeholder),
    /// The original in `blob/`, letter by letter.
    Tokens,
    /// The original in `blob/`, as it is.
    Original,
}

/// What a mask may look at beside the value.
pub(super) struct MaskContext<'a> {
    /// The id of the row's key, before it is masked.
    pub(super) key: &'a [u8; 16],
    /// Of a value in `blob/`: the SHA-256 that it is named by.
    pub(super) sha256: Option<Sha256>,
    /// Of a value that is to become a placeholder: its type.
    pub(super) file_type: Option<FileType>,
}

impl Masked<'_> {
    /// Bytes of the value, for columns that say its size; NULL has none.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Cell(Cell::Text(text)) => Some(text.len() as u64),
            Self::Cell(Cell::Bytes(bytes)) => Some(bytes.len() as u64),
            Self::Cell(Cell::Large(bytes)) => Some(*bytes),
            Self::Cell(_) => None,
            Self::Text(text) => Some(text.len() as u64),
            Self::Made(made) => Some(made.bytes),
        }
    }
}

impl MadeValue {
    /// Writes what does not need the original.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.from {
            MadeFrom::Words(seed) => texts::words(*seed, self.bytes, out),
            MadeFrom::Placeholder(placeholder) => placeholder.write_to(out),
            MadeFrom::Noise(seed) => {
                let (mut stream, mut left) = (MaskStream::new(*seed), self.bytes);
                let mut block = [0; 8192];
                while left > 0 {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
                    stream.fill(&mut block[..taken]);
                    out.write_all(&block[..taken])?;
                    left -= taken as u64;
                }
                Ok(())
            }
            MadeFrom::Tokens | MadeFrom::Original => Err(io::Error::other("the original is needed for this value")),
        }
    }
}

impl ColumnMask {
    /// Masks a value; not one of `size_of`, which follows others of the row.
    ///
    /// # Errors
    /// Internal: a value that is not of the column's type.
    pub(super) fn mask<'c>(&'c self, cell: Cell<'c>, context: &MaskContext<'_>) -> Result<Masked<'c>> {
        let is_null = cell == Cell::Null;
        let is_empty = matches!(cell, Cell::Text("") | Cell::Bytes([]) | Cell::Large(0));
        match self.kind {
            MaskKind::Keep | MaskKind::SizeOf => return Ok(self.kept(cell)),
            MaskKind::Null => return Ok(Masked::Cell(Cell::Null)),
            _ if (is_null && !self.also_null) || (is_empty && !self.also_empty) => return Ok(Masked::Cell(cell)),
            MaskKind::Fixed => {
                return Ok(Masked::Cell(self.fixed.as_ref().map_or(Cell::Null, |fixed| fixed.cell())));
            }
            MaskKind::Empty => return Ok(Masked::Cell(self.empty())),
            MaskKind::Extension => {
                let Cell::Text(text) = cell else { return Ok(Masked::Cell(self.empty())) };
                return Ok(Masked::Text(texts::extension(text)));
            }
            _ => {}
        }
        let bytes = match cell {
            Cell::Text(text) => text.len() as u64,
            Cell::Bytes(bytes) => bytes.len() as u64,
            Cell::Large(bytes) => bytes,
            other => return self.number(other, context).map(Masked::Cell),
        };
        Ok(match self.kind {
            MaskKind::Token => match cell {
                Cell::Text(text) => Masked::Text(texts::token(self.key()?, text)),
                _ => Masked::Made(MadeValue { bytes, from: MadeFrom::Tokens }),
            },
            MaskKind::Path => match cell {
                Cell::Text(text) => Masked::Text(texts::path(self.key()?, text)?),
                _ => return Err(Error::internal("the mask path met what is no text of limited length")),
            },
            MaskKind::Placeholder => Masked::Made(self.placeholder(bytes, context)?),
            MaskKind::Noise => Masked::Made(MadeValue { bytes, from: MadeFrom::Noise(self.seed(cell, context)?) }),
            MaskKind::Words => {
                let bytes = self.limit.map_or(bytes, |limit| bytes.min(limit as u64));
                Masked::Made(MadeValue { bytes, from: MadeFrom::Words(self.seed(cell, context)?) })
            }
            _ => {
                let seed = self.seed(cell, context)?;
                let name = if let Cell::Text(name) = cell { name } else { "" };
                Masked::Text(match self.kind {
                    MaskKind::Person => texts::person(seed, self.limit),
                    MaskKind::FileName => texts::file_name(seed, name),
                    MaskKind::Email => texts::email(seed),
                    MaskKind::Phone => texts::phone(seed),
                    kind => return Err(Error::internal(format!("the mask {kind} met a text or binary"))),
                })
            }
        })
    }

    fn kept<'c>(&self, cell: Cell<'c>) -> Masked<'c> {
        match cell {
            Cell::Large(bytes) => Masked::Made(MadeValue { bytes, from: MadeFrom::Original }),
            cell => Masked::Cell(cell),
        }
    }

    fn empty(&self) -> Cell<'static> {
        match self.sql_type {
            SqlType::VarBinary(_) | SqlType::Image => Cell::Bytes(&[]),
            _ => Cell::Text(""),
        }
    }

    fn placeholder(&self, bytes: u64, context: &MaskContext<'_>) -> Result<MadeValue> {
        let made = match (context.file_type, self.otherwise) {
            (Some(file_type), _) => placeholder(file_type, bytes),
            (None, Otherwise::Text) => Placeholder::text(bytes),
            (None, Otherwise::Noise) => {
                let seed = self.key()?.mac(&[b"noise", context.key, &bytes.to_be_bytes()]);
                return Ok(MadeValue { bytes, from: MadeFrom::Noise(seed) });
            }
        };
        Ok(MadeValue { bytes: made.bytes(), from: MadeFrom::Placeholder(made) })
    }

    fn number(&self, cell: Cell<'_>, context: &MaskContext<'_>) -> Result<Cell<'static>> {
        let key = self.key()?;
        let masked = match (self.kind, cell) {
            (MaskKind::Rekey, Cell::Guid(value)) => Some(Cell::Guid(permute::guid(key, value))),
            (MaskKind::Rekey, Cell::Int(value)) => self.rekeyed(value).map(Cell::Int),
            (MaskKind::DateShift, cell) => numbers::shifted(key, (cell, self.sql_type), self.days, context.key),
            (MaskKind::Number, cell) => numbers::noisy(key, (cell, self.sql_type), self.within, self.within_float),
            _ => None,
        };
        masked.ok_or_else(|| Error::internal(format!("the mask {} met a value of another type", self.kind)))
    }

    fn rekeyed(&self, value: i64) -> Option<i64> {
        let (width, is_signed) = match self.sql_type {
            SqlType::BigInt => (64, true),
            SqlType::Int => (32, true),
            SqlType::SmallInt => (16, true),
            SqlType::TinyInt => (8, false),
            _ => return None,
        };
        Some(permute::integer(self.key.as_ref()?, value, width, is_signed))
    }

    /// A key or a path, masked: a value that is in its row.
    ///
    /// # Errors
    /// As [`ColumnMask::mask`]; Config: a path that is too long to be in its row.
    pub(super) fn place(&self, cell: Cell<'_>) -> Result<PlaceValue> {
        let context = MaskContext { key: &[0; 16], sha256: None, file_type: None };
        Ok(match self.mask(cell, &context)? {
            Masked::Text(text) => PlaceValue::Text(text),
            Masked::Cell(Cell::Text(text)) => PlaceValue::Text(text.to_owned()),
            Masked::Cell(Cell::Bytes(bytes)) => PlaceValue::Bytes(bytes.to_vec()),
            Masked::Cell(Cell::Guid(guid)) => PlaceValue::Cell(Cell::Guid(guid)),
            Masked::Cell(Cell::Int(value)) => PlaceValue::Cell(Cell::Int(value)),
            Masked::Cell(Cell::Null) => PlaceValue::Cell(Cell::Null),
            Masked::Cell(_) | Masked::Made(_) => return Err(Error::config("a key or path is too long to be masked")),
        })
    }

    pub(super) fn key(&self) -> Result<&super::secret::MaskKey> {
        self.key.as_ref().ok_or_else(|| Error::internal(format!("the mask {} has no key", self.kind)))
    }

    /// What follows from domain and value. A value in `blob/` is known by its hash, and so is every other.
    fn seed(&self, cell: Cell<'_>, context: &MaskContext<'_>) -> Result<[u8; 32]> {
        let sha256 = match cell {
            Cell::Text(text) => Sha256::of(text.as_bytes()),
            Cell::Bytes(bytes) => Sha256::of(bytes),
            _ => context.sha256.ok_or_else(|| Error::internal("a value in blob/ has no name"))?,
        };
        Ok(self.key()?.mac(&[b"value", sha256.as_bytes()]))
    }
}
