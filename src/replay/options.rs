//! What is asked of a replay, and what it answers.

use crate::bundle::Identities;
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use std::path::PathBuf;

/// See [`super::replay`].
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The database to write; that of the source, if `None`.
    pub database: Option<String>,
    /// Whether missing databases and tables may be created.
    pub create: bool,
    /// Whether a bundle may be applied though the one before it is missing.
    pub allow_gap: bool,
    /// What opens encrypted archives.
    pub identities: Identities,
}

/// What was done with one table of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOutcome {
    /// The configured table.
    pub table: TableName,
    /// The table that was written.
    pub target: TableName,
    /// Rows of the bundle that this call went through.
    pub rows: u64,
    /// Of them, rows that were written; the others lost against what stood there.
    pub written: u64,
    /// Tombstones that this call went through.
    pub tombstones: u64,
    /// Rows that they removed.
    pub removed: u64,
}

/// What was done with one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleOutcome {
    /// Its folder or archive.
    pub path: PathBuf,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// Its tables.
    pub tables: Vec<TableOutcome>,
}

impl BundleOutcome {
    /// Whether the target had all of it before.
    pub fn was_applied_before(&self) -> bool {
        self.tables.iter().all(|table| table.rows == 0 && table.tombstones == 0)
    }
}

/// What a replay did, bundle by bundle in the order of application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// The bundles.
    pub bundles: Vec<BundleOutcome>,
}
