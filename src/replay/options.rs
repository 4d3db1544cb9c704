//! What is asked of a replay, and what it answers.

use super::source_table::SourceTable;
use crate::backend::Evolve;
use crate::bundle::{Access, Bundle, Scopes, TableInfo};
use crate::model::digest::Sha256;
use crate::model::key::ShownKey;
use crate::model::memory::Memory;
use crate::model::name::TableName;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// See [`super::replay`].
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The database to write; that of the source, if `None`.
    pub database: Option<String>,
    /// Whether missing databases and tables may be created.
    pub create: bool,
    /// Whether a bundle may be applied though one before it is missing; the target keeps that with the bundle.
    pub allow_gap: bool,
    /// Tables of sources whose rows may come into a target that has those of another.
    pub also_from: Vec<SourceTable>,
    /// Whether the target may be the instance that bundles come from, or a table that is captured.
    pub into_source: bool,
    /// Whether columns that a standing target lacks, or that are too narrow there, are added and widened. Those of
    /// a table that a replay made are, where tables may be created.
    pub evolve: bool,
    /// Whether a column that the source dropped keeps what it had; else it is NULL in every row that comes after.
    pub keep_dropped: bool,
    /// Whether, of two rows that a unique constraint of the target keeps from standing side by
    /// side, the older is removed.
    pub displace: bool,
    /// Whether what was applied before is applied again, so that rows which were changed or deleted in the target since
    /// are what the bundles say.
    pub repair: bool,
    /// What opens encrypted archives.
    pub access: Access,
    /// What it may take of memory, and twice the largest value that lies in its row on top.
    pub memory: Memory,
}

impl ReplayOptions {
    pub(super) fn evolve(&self) -> Evolve {
        match (self.evolve, self.create) {
            (true, _) => Evolve::Any,
            (false, true) => Evolve::Own,
            (false, false) => Evolve::Never,
        }
    }
}

/// What was done with one table of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReplayOutcome {
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
    /// Rows that were removed, or not written, because of a unique constraint.
    pub displaced: u64,
    /// Columns that the target does not take.
    pub skipped: Vec<String>,
    /// What is missing before the bundle, where that was allowed.
    pub gap: Option<String>,
    /// What else there is to tell of its place in its chain.
    pub reported: Vec<String>,
}

/// What was done with one bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleOutcome {
    /// Its folder or archive.
    pub path: PathBuf,
    /// Its root digest.
    pub root_sha256: Sha256,
    /// Its tables.
    pub tables: Vec<TableReplayOutcome>,
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
    /// Whose rows each table holds now.
    pub scopes: Vec<TargetScopes>,
}

/// Whose rows a table of a target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetScopes {
    /// The table that was written.
    pub target: TableName,
    /// The scopes of the chains that came into it, now and before.
    pub scopes: Scopes,
}

/// What a replay would do with one table of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTable {
    /// The bundle's folder or archive.
    pub path: PathBuf,
    /// The configured table.
    pub table: TableName,
    /// The table that would be written.
    pub target: TableName,
    /// Whether that table would be created.
    pub creates_table: bool,
    /// Parts that are not applied yet, or not whole.
    pub parts: u64,
    /// Rows of them that are not applied yet.
    pub rows: u64,
    /// Of them, rows whose key does not stand.
    pub inserted: u64,
    /// Rows that are later than what stands under their key.
    pub replaced: u64,
    /// Rows that lose against what stands, or against a tombstone.
    pub outranked: u64,
    /// Tombstones that are not applied yet.
    pub tombstones: u64,
    /// Rows that they would remove.
    pub removed: u64,
    /// What is missing before the bundle, where that is allowed.
    pub gap: Option<String>,
    /// What else there is to tell of its place in its chain.
    pub reported: Vec<String>,
}

impl PlannedTable {
    pub(super) fn new(bundle: &Bundle, table: &TableInfo, target: &TableName) -> Self {
        Self {
            path: bundle.path().to_owned(),
            table: table.name.clone(),
            target: target.clone(),
            creates_table: false,
            parts: 0,
            rows: 0,
            inserted: 0,
            replaced: 0,
            outranked: 0,
            tombstones: 0,
            removed: 0,
            gap: None,
            reported: Vec::new(),
        }
    }
}

/// How a target can differ from a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// A row does not stand, and nothing later explains it.
    Missing,
    /// An older version of the row stands.
    Older,
    /// The row is the one of the bundle's run, with a later ModifiedOn than it came with.
    Ahead,
    /// The row stands with another content.
    OtherContent,
    /// A row stands that was deleted.
    NotRemoved,
}

impl CheckKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Ahead => "ahead",
            Self::OtherContent => "other-content",
            Self::NotRemoved => "not-removed",
        }
    }
}

/// One row in which a target differs from a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// How.
    pub kind: CheckKind,
    /// The bundle's folder or archive.
    pub path: PathBuf,
    /// The table that was looked at.
    pub target: TableName,
    /// The row.
    pub key: ShownKey,
    /// The column, of another content.
    pub column: Option<String>,
}

/// Findings that are kept; all are counted.
const MOST_FINDINGS: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows of the bundles that were looked up.
    pub rows: u64,
    /// Of them, rows that stand with the content that the bundle says.
    pub equal: u64,
    /// Rows in whose place something later stands, or a tombstone.
    pub outranked: u64,
    /// Tombstones of the bundles that were looked up.
    pub tombstones: u64,
    /// How often each kind was found.
    pub counts: BTreeMap<CheckKind, u64>,
    /// The first hundred findings.
    pub findings: Vec<CheckFinding>,
}

impl CheckReport {
    pub(super) fn note(&mut self, finding: CheckFinding) {
        *self.counts.entry(finding.kind).or_default() += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}
