//! `manifest.json`, field for field as manifests/FORMAT.md describes it.
//!
//! Only [`Manifest::to_bytes`] writes it and only [`Manifest::from_bytes`] reads it, so that
//! there is one byte form for one content (`canonical`), and nothing of it is believed before
//! its version, its limits and its paths were checked (`check`).

use super::canonical::few;
use super::known::KnownContent;
use super::layout::{BundleName, TableFolder, data_path};
use super::masked::MaskedInfo;
use super::missing::Missing;
use super::version::FormatVersion;
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::column::{Column, ColumnOrigin};
use crate::model::digest::Sha256;
use crate::model::drift::SchemaChange;
use crate::model::id::{Guid, KeyOrder};
use crate::model::name::TableName;
use crate::model::run::{Scope, TableCounts};
use crate::model::sqltype::SqlType;
use crate::model::table::ChangedScript;
use crate::model::time::{TICKS_PER_MINUTE, Timestamp};
use crate::model::window::Window;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The URI of the format, with the major version.
    pub format: String,
    /// The version of the format.
    pub format_version: FormatVersion,
    /// What a reader must know to read this bundle rightly; unknown entries are refused.
    #[serde(deserialize_with = "few::<100, _, _>")]
    pub requires: Vec<String>,
    /// What the bundle was made from.
    pub kind: BundleKind,
    /// Root digests of the deltas that a compacted bundle was made from, by way of others too, ascending; none in a delta.
    #[serde(deserialize_with = "few::<20_000, _, _>")]
    pub inputs: Vec<Sha256>,
    /// Rule 29: how it was masked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<MaskedInfo>,
    /// The run.
    pub run: RunInfo,
    /// The rules that a consumer needs.
    pub rules: Rules,
    /// The tables, by folder.
    #[serde(deserialize_with = "few::<10_000, _, _>")]
    pub tables: Vec<TableInfo>,
    /// Tables of the run that are not here because they failed.
    #[serde(deserialize_with = "few::<10_000, _, _>")]
    pub failed_tables: Vec<FailedTable>,
}

/// What a bundle was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BundleKind {
    /// One run's slices.
    Delta,
    /// Several bundles, of which the latest row a key was kept.
    Compacted,
}

/// The run that a bundle ships. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run.
    pub run_id: Guid,
    /// `AllTables` or `SingleTable`.
    pub run_type: String,
    /// The unit of a run for one business unit.
    pub business_unit: Option<Guid>,
    /// Who asked.
    pub requested_by: String,
    /// The database server's clock at the start.
    pub started_at: UtcTime,
    /// When it completed, where that was known at packing.
    pub completed_at: Option<UtcTime>,
    /// The program that packed, with its version.
    pub producer: Producer,
    /// Given once to the job database: chains never cross it.
    pub source_id: Guid,
    /// Which pack of the run this is, from 1.
    pub pack_number: u32,
}

/// The program that packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// `blobdelta`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Producer {
    /// This program.
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// A point in time, UTC; RFC 3339 with seven digits and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcTime(pub Timestamp);

impl TryFrom<String> for UtcTime {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let parsed = Timestamp::parse(&text).ok().map(Self);
        parsed
            .filter(|parsed| parsed.0.rfc3339_utc() == text)
            .ok_or_else(|| Error::verification(format!("{text:.40?} is not a time in UTC with seven digits")))
    }
}

impl From<UtcTime> for String {
    fn from(time: UtcTime) -> String {
        time.0.rfc3339_utc()
    }
}

/// Rules that a consumer needs, spelled out for one who has only this file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Rule 14.
    pub latest_by_modified_on: LatestRule,
}

/// Which version of a key wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestRule {
    /// Rows are versions of one row if this column is equal.
    pub key: String,
    /// The winner is the first in this order.
    #[serde(deserialize_with = "few::<100, _, _>")]
    pub order: Vec<String>,
    /// Where a NULL `DeltaModifiedOn` stands.
    pub null_modified_on: String,
    /// How a tombstone competes.
    pub tombstones: String,
}

impl Default for LatestRule {
    fn default() -> Self {
        let order = [
            "DeltaModifiedOn__ticks descending, NULL last",
            "a tombstone before a row",
            "DeltaRunStartedAt__ticks descending",
            "DeltaRunId descending, by its bytes in the order of RFC 9562",
        ];
        Self {
            key: "tables[].key_column".into(),
            order: order.map(String::from).to_vec(),
            null_modified_on: "least".into(),
            tombstones: "the key is deleted if a tombstone wins; it stays so until a version that wins against the \
                         tombstone; one with DeltaReason LeftScope competes with rows of its own chain alone"
                .into(),
        }
    }
}

/// The link to the bundle before in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its root digest.
    pub root_sha256: Sha256,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    /// The table's configured name.
    pub name: TableName,
    /// `t001-<slug>`.
    pub folder: String,
    /// The bundle before in this table's chain; null in the first.
    pub previous: Option<Previous>,
    /// Whose rows: `all`, or a business unit.
    pub scope: ScopeText,
    /// The blob table.
    pub source: TableName,
    /// The slice table.
    pub target: TableName,
    /// The table that held `ModifiedOn`.
    pub metadata: TableName,
    /// The key's column.
    pub key_column: String,
    /// How keys are sorted where they decide the order of rows.
    pub key_order: KeyOrder,
    /// The column of the row's path; null in flat tables.
    pub path_column: Option<String>,
    /// The column of the parent's path; null in flat tables.
    pub parent_path_column: Option<String>,
    /// What was taken.
    pub window: WindowInfo,
    /// What there is to tell.
    pub counts: TableCounts,
    /// The slice's columns, in order.
    #[serde(deserialize_with = "few::<4_096, _, _>")]
    pub columns: Vec<ColumnInfo>,
    /// Units new in scope, whose older rows no run has taken.
    #[serde(deserialize_with = "few::<100_000, _, _>")]
    pub new_business_units: Vec<Guid>,
    /// What the login that captured the rows did not see, and was accepted by name: masked columns, filtered tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few::<10_000, _, _>")]
    pub accepted_hidden: Vec<String>,
    /// Script templates that are not as the program ships them, which copied the rows: as they were at packing.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few::<1_000, _, _>")]
    pub changed_scripts: Vec<ChangedScript>,
    /// Rule 24: what changed about the columns since the bundle before; in a compacted one, since that before its first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few::<20_000, _, _>")]
    pub schema_changes: Vec<SchemaChange>,
    /// Columns of the source that are left out on purpose, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few::<4_096, _, _>")]
    pub excluded_columns: Vec<String>,
    /// What it was compacted without.
    #[serde(default, skip_serializing_if = "Missing::is_empty")]
    pub missing: Missing,
    /// Values that are left out, by the bundle that holds them, sorted by its root digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few::<20_000, _, _>")]
    pub known_content: Vec<KnownContent>,
    /// The file of the slice's DDL.
    pub schema_file: String,
    /// The table's files under `data/`, by path.
    #[serde(deserialize_with = "few::<300_000, _, _>")]
    pub files: Vec<FileInfo>,
}

/// [`Scope`] as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeText(pub Scope);

impl TryFrom<String> for ScopeText {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text == "all" {
            return Ok(Self(Scope::All));
        }
        let unit = Guid::parse(&text).ok().filter(|unit| unit.to_string() == text);
        let unit = unit.ok_or_else(|| Error::verification(format!("{text:.60?} is neither \"all\" nor a GUID")));
        unit.map(|unit| Self(Scope::BusinessUnit(unit)))
    }
}

impl From<ScopeText> for String {
    fn from(scope: ScopeText) -> String {
        scope.0.to_string()
    }
}

/// A window and what it was computed from. Times are in `clock`, seven digits, no zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowInfo {
    /// The first moment that belongs to it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Always `[start,end)`.
    pub interval: String,
    /// The clock of `ModifiedOn`, and of every time here.
    pub clock: ClockKind,
    /// `SafetyBufferMinutes`.
    pub buffer_minutes: u32,
    /// Start of the oldest open transaction (rule 2); null if `lag_only`.
    pub active_transaction_floor: Option<Timestamp>,
    /// Whether open transactions could not be looked at, so that the buffer alone covers them.
    pub lag_only: bool,
    /// The scope's watermark before the run; null in the first.
    pub watermark_before: Option<Timestamp>,
    /// The scope's watermark after the run.
    pub watermark_after: Timestamp,
}

/// The only interval that a window has.
pub const HALF_OPEN: &str = "[start,end)";

impl WindowInfo {
    /// The window itself.
    pub fn window(&self) -> Window {
        Window { start: self.start, end: self.end, clock: self.clock }
    }

    /// Rule 27: the latest that anything can be that a run captured which began at this moment, UTC; in `clock`: a
    /// day later, and where the clock is a local one, as much more as local time is ahead of UTC anywhere.
    pub fn latest_of(&self, run_started_at: Timestamp) -> Timestamp {
        let hours = match self.clock {
            ClockKind::Utc => 24,
            ClockKind::Local => 24 + 14,
        };
        run_started_at.plus_ticks(hours * 60 * TICKS_PER_MINUTE)
    }
}

/// A column of the slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name, and that of its field in the files.
    pub name: String,
    /// Its T-SQL declaration, such as `decimal(9,2)`.
    pub sql_type: String,
    /// Its declared length in the declaration's unit, −1 for `max`; null where the type has none.
    pub length: Option<i64>,
    /// Of decimals.
    pub precision: Option<u8>,
    /// Of decimals, and the fractional digits of times.
    pub scale: Option<u8>,
    /// Where the server has one for it.
    pub collation: Option<String>,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Whether the source computes it.
    pub computed: bool,
    /// The Arrow type of its field, as pyarrow spells it.
    pub arrow_type: String,
    /// Fields that stand beside it.
    pub companions: Companions,
    /// Where its values come from; absent for a column of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ColumnOrigin>,
}

/// Names of the fields beside a column's; null where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companions {
    /// 100 ns since 0001-01-01: the exact value.
    pub ticks: Option<String>,
    /// Minutes east of UTC.
    pub offset: Option<String>,
    /// SHA-256 of the value.
    pub content_sha256: Option<String>,
    /// The file, from the table's folder on, that holds the value.
    pub blob_ref: Option<String>,
}

impl ColumnInfo {
    /// From the column, its Arrow type and its companions in the order ticks, offset, content
    /// hash, blob reference (both from the converter's plan).
    pub fn new(column: &Column, arrow_type: String, companions: [Option<&str>; 4]) -> Self {
        let [ticks, offset, content_sha256, blob_ref] = companions.map(|name| name.map(str::to_owned));
        let (length, precision, scale) = facets(column.sql_type);
        Self {
            name: column.name.clone(),
            sql_type: column.sql_type.to_string(),
            length,
            precision,
            scale,
            collation: column.collation.clone(),
            nullable: column.nullable,
            computed: column.computed,
            arrow_type,
            companions: Companions { ticks, offset, content_sha256, blob_ref },
            origin: None,
        }
    }

    /// The column again.
    ///
    /// # Errors
    /// Verification: a type that no bundle can carry.
    pub fn to_column(&self) -> Result<Column> {
        let sql_type = SqlType::parse(&self.sql_type).ok().filter(|parsed| parsed.to_string() == self.sql_type);
        let sql_type = sql_type.ok_or_else(|| {
            Error::verification(format!("{:.60?} is not a T-SQL type that a bundle carries", self.sql_type))
                .column(&self.name)
        })?;
        Ok(Column {
            name: self.name.clone(),
            sql_type,
            nullable: self.nullable,
            computed: self.computed,
            collation: self.collation.clone(),
        })
    }
}

/// Length, precision and scale of a type.
pub(super) fn facets(sql_type: SqlType) -> (Option<i64>, Option<u8>, Option<u8>) {
    let length = |length: Option<u16>| (Some(length.map_or(-1, i64::from)), None, None);
    match sql_type {
        SqlType::Char(n) | SqlType::NChar(n) | SqlType::Binary(n) => length(Some(n)),
        SqlType::VarChar(n) | SqlType::NVarChar(n) | SqlType::VarBinary(n) => length(n),
        SqlType::Decimal { precision, scale } => (None, Some(precision), Some(scale)),
        SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => (None, None, Some(scale)),
        _ => (None, None, None),
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// Rows of the slice.
    Rows,
    /// Deletions.
    Tombstones,
    /// Parents that the source lacks or that are excluded.
    AbsentParents,
    /// One value over the inline limit.
    Blob,
}

/// A file under `data/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// From the bundle's folder on.
    pub path: String,
    /// What it holds.
    pub role: FileRole,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub sha256: Sha256,
    /// Rows; null for `blob`.
    pub rows: Option<u64>,
    /// Row groups; null for `blob`.
    pub row_groups: Option<u64>,
    /// The size of the value in a `blob`; null for others.
    pub content_bytes: Option<u64>,
}

/// A table of the run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTable {
    /// The table.
    pub table: TableName,
    /// Why, in one line.
    pub error: String,
}

impl TableInfo {
    /// The columns as the rest of the crate knows them.
    ///
    /// # Errors
    /// Verification: a type that no bundle can carry.
    pub fn model_columns(&self) -> Result<Vec<Column>> {
        self.columns.iter().map(ColumnInfo::to_column).collect::<Result<_>>().map_err(|error| error.table(&self.name))
    }

    /// Its folder, from the bundle's on.
    pub fn data_path(&self) -> String {
        data_path(&self.folder)
    }

    /// The files of one role, in order.
    pub fn files_of(&self, role: FileRole) -> impl Iterator<Item = &FileInfo> {
        self.files.iter().filter(move |file| file.role == role)
    }

    /// The files that hold versions of keys: rows and tombstones.
    pub fn files_of_versions(&self) -> impl Iterator<Item = &FileInfo> {
        self.files.iter().filter(|file| matches!(file.role, FileRole::Rows | FileRole::Tombstones))
    }

    /// The file that a `DeltaBlobRef` (`blob/<sha256>.zst`) of this table names.
    pub fn blob_file(&self, reference: &str) -> Option<&FileInfo> {
        let path = format!("{}/{reference}", self.data_path());
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(&path)).ok()?;
        Some(&self.files[at]).filter(|file| file.role == FileRole::Blob)
    }

    /// The folder, as a checked name.
    ///
    /// # Errors
    /// Verification: not the name of a table's folder.
    pub fn table_folder(&self) -> Result<TableFolder> {
        TableFolder::parse(&self.folder)
            .ok_or_else(|| Error::verification(format!("{:.80?} is not the name of a table's folder", self.folder)))
    }
}

impl Manifest {
    /// Whether its run began, or ended, more than a day later than now, UTC.
    pub fn is_to_come(&self, now: Timestamp) -> bool {
        let latest = now.plus_ticks(24 * 60 * TICKS_PER_MINUTE);
        self.run.started_at.0 > latest || self.run.completed_at.is_some_and(|at| at.0 > latest)
    }

    /// The name of the bundle.
    pub fn bundle_name(&self) -> BundleName {
        BundleName::new(self.run.started_at.0, self.run.run_id, self.run.pack_number)
    }

    /// When the run started, in whole seconds since 1970 (never before): the time of files in archives.
    pub(super) fn started_seconds(&self) -> u64 {
        u64::try_from(self.run.started_at.0.unix_micros_floor().div_euclid(1_000_000)).unwrap_or(0)
    }

    /// A table by its configured name.
    pub fn table(&self, name: &TableName) -> Option<&TableInfo> {
        self.tables.iter().find(|table| table.name == *name)
    }
}
