//! Names, columns and configuration of the demo's databases: those of the design documents.

use crate::error::Result;
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;

/// The database of the blob tables.
pub const BLOBS: &str = "Gwent_LA_FileTable";
/// The database of their metadata.
pub const METADATA: &str = "AdvancedRBS_MetaData";
/// The database of the slices.
pub const SLICES: &str = "Gwent_LA_FileTable_Delta";
/// The database that a demo on a server replays into.
pub const REPLAYED: &str = "Gwent_LA_FileTable_Replayed";
/// The two tables, of the same name in each database.
pub const TABLES: [&str; 2] = ["ReferralAttachment", "ClientAttachment"];
/// The key of the blob tables.
pub const KEY: &str = "stream_id";
/// The key of the metadata tables.
pub const METADATA_KEY: &str = "AttachmentId";
/// The key of the business units.
pub const UNIT_KEY: &str = "BusinessUnitId";

/// The business units in scope, with their names; the first digit tells them apart.
pub const UNITS: [(Guid, &str); 3] = [(unit(1), "Blaenau Gwent"), (unit(2), "Monmouthshire"), (unit(3), "Torfaen")];
/// A business unit that is not in `LA_BU`, so that its rows are out of scope.
pub const FOREIGN_UNIT: Guid = unit(4);

const fn unit(number: u8) -> Guid {
    Guid::from_bytes([number << 4, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, number])
}

/// `Gwent_LA_FileTable.dbo.<table>`.
pub fn source(table: usize) -> Result<TableName> {
    TableName::new(BLOBS, "dbo", TABLES[table])
}

/// `AdvancedRBS_MetaData.dbo.<table>`.
pub fn metadata(table: usize) -> Result<TableName> {
    TableName::new(METADATA, "dbo", TABLES[table])
}

/// `Gwent_LA_FileTable.dbo.LA_BU`.
pub fn units() -> Result<TableName> {
    TableName::new(BLOBS, "dbo", "LA_BU")
}

/// What `table add` is given.
pub fn config(table: usize) -> Result<TableConfig> {
    let mut config = TableConfig::new(source(table)?, metadata(table)?);
    config.metadata_id_column = METADATA_KEY.into();
    config.metadata_business_unit_column = Some("BusinessUnit".into());
    config.business_unit_table = Some(units()?);
    config.business_unit_id_column = Some(UNIT_KEY.into());
    Ok(config)
}

/// Columns like those of a FileTable, each at its index in [`index`]. The value without bound
/// stands last, where SQLite writes it in pieces.
pub fn source_columns() -> Vec<Column> {
    let bit = |name| Column::new(name, SqlType::Bit, false);
    let time = |name| Column::new(name, SqlType::DateTimeOffset(7), true);
    vec![
        Column::new(KEY, SqlType::UniqueIdentifier, false),
        Column::new("name", SqlType::NVarChar(Some(255)), false),
        Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
        Column::new("file_type", SqlType::NVarChar(Some(255)), true),
        Column::new("cached_file_size", SqlType::BigInt, true),
        time("creation_time"),
        time("last_write_time"),
        time("last_access_time"),
        bit("is_directory"),
        bit("is_offline"),
        bit("is_hidden"),
        bit("is_readonly"),
        bit("is_archive"),
        bit("is_system"),
        bit("is_temporary"),
        Column::new("file_stream", SqlType::VarBinary(None), true),
    ]
}

/// Where columns stand in [`source_columns`] and [`metadata_columns`].
pub mod index {
    /// The column of its name.
    pub const PATH: usize = 2;
    /// The column of its name.
    pub const PARENT_PATH: usize = 3;
    /// The column of its name.
    pub const SIZE: usize = 5;
    /// The column of its name.
    pub const WRITTEN: usize = 7;
    /// The column of its name.
    pub const BYTES: usize = 16;
    /// The column of its name.
    pub const MODIFIED_ON: usize = 1;
    /// The column of its name.
    pub const BUSINESS_UNIT: usize = 2;
}

/// Columns of the metadata tables.
pub fn metadata_columns() -> Vec<Column> {
    vec![
        Column::new(METADATA_KEY, SqlType::UniqueIdentifier, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
        Column::new("FileName", SqlType::NVarChar(Some(255)), false),
    ]
}

/// Columns of `LA_BU`.
pub fn unit_columns() -> Vec<Column> {
    vec![
        Column::new(UNIT_KEY, SqlType::UniqueIdentifier, false),
        Column::new("Name", SqlType::NVarChar(Some(100)), false),
    ]
}
