//! What is asked of an unpacking, and what it answers.

use crate::bundle::Access;
use crate::error::{Error, Result};
use crate::model::key::ShownKey;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::path::{Path, PathBuf};

/// A condition on a row: a column of short text contains this text, ASCII letters in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column.
    pub column: String,
    /// What its value has to contain.
    pub text: String,
}

impl Filter {
    /// Parses `column~text`.
    ///
    /// # Errors
    /// Usage, without a `~` or a column.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once('~') {
            Some((column, text)) if !column.is_empty() => Ok(Self { column: column.into(), text: text.into() }),
            _ => Err(Error::usage(format!("{text:?} is no condition")).hint("write it as name~invoice")),
        }
    }

    /// Whether a value meets it; NULL never does.
    pub fn is_met(&self, value: Option<&str>) -> bool {
        let due = self.text.to_ascii_lowercase();
        value.is_some_and(|value| value.to_ascii_lowercase().contains(&due))
    }
}

/// See [`super::unpack`].
#[derive(Clone, Debug)]
pub struct UnpackOptions {
    /// The folder to write, which is not there yet or is empty.
    pub out: PathBuf,
    /// Whether several bundles are taken together: of each key the latest version, by rule 14, and
    /// nothing of a key that a tombstone beats. Otherwise one bundle is unpacked as it is.
    pub latest: bool,
    /// This configured table alone.
    pub table: Option<TableName>,
    /// The row of this key alone, as the source has it.
    pub key: Option<String>,
    /// Rows that meet all of these alone.
    pub filters: Vec<Filter>,
    /// The column of names; `name` if `None`, where a table has one.
    pub name_column: Option<String>,
    /// The column of values; if `None`, `file_stream`, or else the only one of a large binary type.
    pub blob_column: Option<String>,
    /// Whether bundles may be missing between those that are taken together.
    pub allow_gap: bool,
    /// What opens encrypted archives, and who has to vouch.
    pub access: Access,
    /// Versions that are held in memory, at most, with more of them in a temporary file; the default of a million takes some
    /// 100 MB.
    pub keys_in_memory: usize,
}

impl UnpackOptions {
    /// Everything of one bundle, into `out`.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            latest: false,
            table: None,
            key: None,
            filters: Vec::new(),
            name_column: None,
            blob_column: None,
            allow_gap: false,
            access: Access::default(),
            keys_in_memory: 1_000_000,
        }
    }
}

/// What a row became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A row that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// Its configured table.
    pub table: &'a TableName,
    /// Its key.
    pub key: ShownKey,
    /// What it became.
    pub kind: WrittenKind,
    /// Where, from the folder of the unpacking on.
    pub path: &'a Path,
    /// Bytes of a file; 0 for a folder.
    pub bytes: u64,
    /// Its `DeltaModifiedOn`, in the clock of the table; the time of the file.
    pub modified_on: Option<Timestamp>,
    /// The bundle that it was taken from.
    pub bundle: &'a Path,
}

/// What an unpacking did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnpackReport {
    /// Files.
    pub files: u64,
    /// Rows that are folders; those that were made on the way alone are not counted.
    pub folders: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Rows whose value is NULL and that are no folders: nothing was written for them.
    pub without_value: u64,
    /// Of files and folders, those that stand in the folder that has the path of their parent, because the one whose key they carry
    /// is not in the bundles.
    pub by_path: u64,
    /// Of files and folders, those that stand in `_orphans`, because their parent is not in the bundles.
    pub orphans: u64,
    /// Of files and folders, those that got their key into the name, because the name was taken.
    pub marked: u64,
}
