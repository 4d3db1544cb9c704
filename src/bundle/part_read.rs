//! [`PartReader`]: record batches out of a part whose hash was checked.
//!
//! Memory is bounded: row groups are read one after the other, each in batches whose rows are
//! chosen by the bytes that the row group's rows have on average, and by their width in memory.
//! What the pages claim is looked at before any of them is inflated (`pages`).

use super::content::Content;
use super::manifest::{FileInfo, FileRole};
use super::pages;
use super::read::{Bundle, CheckedFile};
use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// Fields beside a column (`convert`), and behind all columns: the run's three, and the ticks.
const MOST_COMPANIONS: usize = 4;
const MOST_RUN_FIELDS: usize = 8;
const MAX_BATCH_ROWS: u64 = 8192;
/// What a value of no fixed width takes at least.
const OFFSET_BYTES: u64 = 4;

/// How a part is read.
#[derive(Clone, Debug)]
pub struct PartRead {
    /// The columns to read, by name; all, if `None`. They come in the order of the file.
    pub columns: Option<Vec<String>>,
    /// About how many bytes a batch has.
    pub batch_bytes: u64,
}

impl Default for PartRead {
    fn default() -> Self {
        Self { columns: None, batch_bytes: 4 << 20 }
    }
}

/// See the module's text.
pub struct PartReader {
    content: Content,
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// What each row group inflates to.
    group_bytes: Arc<[u64]>,
    mask: ProjectionMask,
    batch_bytes: u64,
    /// Those that are still to be opened.
    row_groups: Range<usize>,
    current: Option<ParquetRecordBatchReader>,
    /// Rows of it that are still to come.
    due: u64,
    failed: bool,
}

impl Bundle {
    /// Opens a part. Its footer agrees with the manifest when this returns.
    ///
    /// # Errors
    /// Verification: not Parquet, another number of rows or row groups than the manifest's, a
    /// row group that is too large, or a column that is not there.
    pub fn open_part(&self, file: CheckedFile, read: &PartRead) -> Result<PartReader> {
        let CheckedFile { content, path, info } = file;
        let reader = if info.role == FileRole::Blob {
            Err(Error::verification("this file is one value, and not a part"))
        } else {
            caught(|| open(content, path.clone(), read, &info, self.most_columns(&info)))
        };
        let reader = reader.map_err(|error| error.file(&path))?;
        let rows = u64::try_from(reader.metadata.metadata().file_metadata().num_rows()).ok();
        let groups = reader.metadata.metadata().num_row_groups() as u64;
        if rows != info.rows || Some(groups) != info.row_groups {
            let what = format!(
                "the footer says {rows:?} rows in {groups} row groups, the manifest {:?} in {:?}",
                info.rows, info.row_groups
            );
            return Err(Error::verification(what).file(&path));
        }
        Ok(reader)
    }

    /// The most columns that a part can have by the manifest, companions and the run's included.
    fn most_columns(&self, info: &FileInfo) -> usize {
        let table = self.manifest().tables.iter().find(|table| table.files.iter().any(|file| file.path == info.path));
        let columns = table.map_or(0, |table| table.columns.len());
        columns.saturating_mul(1 + MOST_COMPANIONS).saturating_add(MOST_RUN_FIELDS)
    }
}

fn open(content: Content, path: PathBuf, read: &PartRead, info: &FileInfo, most_columns: usize) -> Result<PartReader> {
    let bad = |error| Error::verification("this part cannot be read as Parquet").caused_by(error);
    pages::footer(&content, most_columns, info.row_groups.unwrap_or(0))?;
    let metadata = ArrowReaderMetadata::load(&content, ArrowReaderOptions::new()).map_err(bad)?;
    if metadata.metadata().file_metadata().schema_descr().num_columns() != metadata.schema().fields().len() {
        return Err(Error::verification("the part has nested columns, which the format does not"));
    }
    let group_bytes = pages::check(&content, metadata.metadata())?;
    let descriptor = metadata.metadata().file_metadata().schema_descr_ptr();
    let mask = match &read.columns {
        None => ProjectionMask::all(),
        Some(names) => {
            let index = |name: &String| {
                let found = metadata.schema().index_of(name);
                found.map_err(|_| Error::verification("the part has no such column").column(name))
            };
            ProjectionMask::roots(&descriptor, names.iter().map(index).collect::<Result<Vec<_>>>()?)
        }
    };
    let batch_bytes = read.batch_bytes.max(1);
    let row_groups = 0..metadata.metadata().num_row_groups();
    let (group_bytes, current, due, failed) = (group_bytes.into(), None, 0, false);
    Ok(PartReader { content, path, metadata, group_bytes, mask, batch_bytes, row_groups, current, due, failed })
}

impl PartReader {
    /// The schema of the file, whatever columns are read.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// All rows of the part.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// A reader for each row group, in order, to be read side by side; for a part of which nothing was read yet.
    pub fn by_row_group(&self) -> impl Iterator<Item = Self> {
        self.row_groups.clone().map(|group| Self {
            content: self.content.clone(),
            path: self.path.clone(),
            metadata: self.metadata.clone(),
            group_bytes: Arc::clone(&self.group_bytes),
            mask: self.mask.clone(),
            row_groups: group..group + 1,
            current: None,
            ..*self
        })
    }

    /// What its row groups inflate to, those that were read already aside.
    pub fn inflated_bytes(&self) -> u64 {
        self.group_bytes.get(self.row_groups.clone()).unwrap_or_default().iter().sum()
    }

    fn open_group(&self, row_group: usize) -> Result<ParquetRecordBatchReader> {
        let bad = |error| Error::verification("this part cannot be decoded").file(&self.path).caused_by(error);
        let group = self.metadata.metadata().row_group(row_group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let bytes = self.group_bytes.get(row_group).copied().unwrap_or(u64::MAX);
        let row_bytes = (bytes / rows).max(width(self.schema())).max(1);
        let batch_rows = (self.batch_bytes / row_bytes).clamp(1, MAX_BATCH_ROWS);
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.content.clone(), self.metadata.clone())
            .with_projection(self.mask.clone())
            .with_row_groups(vec![row_group])
            .with_batch_size(usize::try_from(batch_rows).unwrap_or(1))
            .build()
            .map_err(bad)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.current {
                match reader.next() {
                    Some(Ok(batch)) => {
                        self.due = self.due.saturating_sub(batch.num_rows() as u64);
                        return Ok(Some(batch));
                    }
                    Some(Err(error)) => {
                        let bad = Error::verification("this part cannot be decoded").file(&self.path);
                        return Err(bad.caused_by(error));
                    }
                    None if self.due > 0 => {
                        let what = format!("a row group of this part has {} rows less than its footer says", self.due);
                        return Err(Error::verification(what));
                    }
                    None => self.current = None,
                }
            }
            let Some(next) = self.row_groups.next() else { return Ok(None) };
            self.current = Some(self.open_group(next)?);
            self.due = u64::try_from(self.metadata.metadata().row_group(next).num_rows()).unwrap_or(0);
        }
    }
}

/// The least bytes of a row in memory, however few its values take in the file.
fn width(schema: &SchemaRef) -> u64 {
    let width = |field: &FieldRef| match field.data_type() {
        DataType::FixedSizeBinary(width) => u64::try_from(*width).unwrap_or(0),
        other => other.primitive_width().map_or(OFFSET_BYTES, |width| width as u64),
    };
    schema.fields().iter().map(width).sum()
}

/// Runs what a part with right hashes and hostile content may make panic. The one place where a
/// panic is caught: whatever was being decoded is dropped with the error, so no broken state is
/// seen again.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        let why = text.unwrap_or("no reason given");
        Err(Error::verification(format!("this part cannot be decoded; the reader gave up: {why:.200}")))
    })
}

impl Iterator for PartReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = caught(|| self.advance()).map_err(|error| error.file(&self.path)).transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_panic_of_the_reader_is_an_error_with_its_reason() {
        let error = caught(|| -> Result<()> { panic!("index {} is out of range", 7) }).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification);
        assert!(error.to_string().contains("index 7 is out of range"), "{error}");
    }
}
