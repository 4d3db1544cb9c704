//! [`TableRows`]: one table of one bundle, to be read.

use super::columns::PartColumns;
use super::part::PartRows;
use crate::bundle::{BlobReader, Bundle, FileInfo, FileRole, TableInfo};
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// See the module's text.
#[derive(Clone, Copy)]
pub struct TableRows<'b> {
    /// The bundle.
    pub bundle: &'b Bundle,
    /// One of its tables.
    pub table: &'b TableInfo,
}

impl<'b> TableRows<'b> {
    /// Hashes a part, and opens it.
    ///
    /// # Errors
    /// As [`Bundle::check_file`] and [`PartRows::open`].
    pub fn open(&self, file: &FileInfo, columns: &PartColumns, monitor: &dyn Monitor) -> Result<PartRows> {
        PartRows::open(self.bundle, self.bundle.check_file(file, monitor)?, columns)
    }

    /// Gives every batch of the parts of one role. Each part is hashed right before it is opened.
    ///
    /// # Errors
    /// Verification; Io; Cancelled; what `each` says.
    pub fn each(
        &self,
        role: FileRole,
        columns: &PartColumns,
        monitor: &dyn Monitor,
        mut each: impl FnMut(BatchRows) -> Result<()>,
    ) -> Result<()> {
        for file in self.table.files_of(role) {
            for rows in self.open(file, columns, monitor)? {
                monitor.check()?;
                each(rows?)?;
            }
        }
        Ok(())
    }

    /// The file of a value in `blob/`.
    ///
    /// # Errors
    /// Verification: there is none.
    pub fn blob_file(&self, reference: &str) -> Result<&'b FileInfo> {
        self.table.blob_file(reference).ok_or_else(|| {
            Error::verification(format!("a row names {reference:.120?}, which is not in the bundle"))
                .file(self.bundle.path())
                .hint("verify the bundle with --deep; do not use it")
        })
    }

    /// A value in `blob/`, in pieces. The last read fails if it is not the value that its name says.
    ///
    /// # Errors
    /// As [`TableRows::blob_file`], [`Bundle::check_file`] and [`Bundle::open_blob`].
    pub fn open_blob(&self, reference: &str, monitor: &dyn Monitor) -> Result<BlobReader> {
        self.bundle.open_blob(self.bundle.check_file(self.blob_file(reference)?, monitor)?)
    }

    /// Says how many bytes the values in `blob/` have that rows name.
    ///
    /// # Errors
    /// As [`TableRows::blob_file`].
    pub fn supply_sizes(&self, rows: &mut BatchRows) -> Result<()> {
        for large in rows.large_refs()? {
            let bytes = self.blob_file(&large.reference)?.content_bytes;
            rows.supply_size(&large, bytes.unwrap_or(0));
        }
        Ok(())
    }
}
