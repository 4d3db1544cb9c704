//! Columns, as a catalog describes them.

use super::sqltype::SqlType;
use serde::{Deserialize, Serialize};

/// A column of a source, a slice or a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as the catalog spells it.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Whether the source computes it (it is a plain column everywhere else).
    pub computed: bool,
    /// Its collation, where the server has one for it.
    pub collation: Option<String>,
}

impl Column {
    /// A plain column.
    pub fn new(name: &str, sql_type: SqlType, nullable: bool) -> Self {
        Self { name: name.into(), sql_type, nullable, computed: false, collation: None }
    }
}

/// The name in a slice of a column of the metadata that comes along: [`super::table::TableConfig::metadata_columns`].
pub fn meta_name(column: &str) -> String {
    format!("Meta_{column}")
}

/// Where the values of a column come from that is none of the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnOrigin {
    /// The metadata row whose stamp is the row's.
    Metadata,
}

/// The columns that the engine adds to a slice, after those of the source; the parent's key is of the type of the table's
/// own. A source that has a column of one of these names is refused.
pub const DELTA_COLUMNS: [(&str, SqlType, bool); 6] = [
    (DELTA_MODIFIED_ON, SqlType::DateTime2(7), true),
    (DELTA_BUSINESS_UNIT, SqlType::UniqueIdentifier, true),
    (DELTA_STEP, SqlType::TinyInt, false),
    (DELTA_DEPTH, SqlType::SmallInt, false),
    (DELTA_PARENT_KEY, SqlType::UniqueIdentifier, true),
    (DELTA_EARLY, SqlType::Bit, false),
];

/// The `ModifiedOn` by which versions of a row compete; NULL where none is known or it must lose.
pub const DELTA_MODIFIED_ON: &str = "DeltaModifiedOn";
/// The row's business unit.
pub const DELTA_BUSINESS_UNIT: &str = "DeltaBusinessUnit";
/// The step that copied it: 1 Roots, 2 MissingParents, 3 Children.
pub const DELTA_STEP: &str = "DeltaStep";
/// The number of its ancestors; a parent's depth is less than its children's.
pub const DELTA_DEPTH: &str = "DeltaDepth";
/// The key of its parent; NULL for roots and where the source has no such parent.
pub const DELTA_PARENT_KEY: &str = "DeltaParentKey";
/// Whether rule 4 took it before its window.
pub const DELTA_EARLY: &str = "DeltaEarly";

/// Why a tombstone stands: [`super::slice::DeletionReason`].
pub const DELTA_REASON: &str = "DeltaReason";

/// When the run started that captured a row, UTC, in bundles and targets; `datetime2(7)`.
pub const DELTA_RUN_STARTED_AT: &str = "DeltaRunStartedAt";
/// The run that captured a row.
pub const DELTA_RUN_ID: &str = "DeltaRunId";
/// The SHA-256 of a large binary value; with the column's name behind it, where there are several.
pub const DELTA_CONTENT_SHA256: &str = "DeltaContentSha256";
/// The file of a value in `blob/`; with the column's name behind it, where there are several.
pub const DELTA_BLOB_REF: &str = "DeltaBlobRef";
/// Key of the metadata of a field of a part that holds the column's T-SQL type.
pub const SQL_TYPE_KEY: &str = "blobdelta.sql_type";

/// Whether this is a name of [`DELTA_COLUMNS`], in any case.
pub fn is_delta(name: &str) -> bool {
    DELTA_COLUMNS.iter().any(|(delta, _, _)| delta.eq_ignore_ascii_case(name))
}

/// [`DELTA_COLUMNS`] as columns, of a table whose keys are of this type.
pub fn delta_columns(key: SqlType) -> Vec<Column> {
    let typed = |name, sql_type| if name == DELTA_PARENT_KEY { key } else { sql_type };
    DELTA_COLUMNS
        .iter()
        .map(|(name, sql_type, nullable)| Column::new(name, typed(*name, *sql_type), *nullable))
        .collect()
}
