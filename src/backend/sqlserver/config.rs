//! `BlobDeltaTableConfig` on a server.

use super::catalog;
use super::database::Database;
use super::engine::Engine;
use super::sql::{Sql, SqlParameter};
use super::values::{RowFields, number_at};
use crate::error::{Error, Kind, Result};
use crate::model::clock::ClockKind;
use crate::model::drift::SchemaDrift;
use crate::model::key::KeyType;
use crate::model::max_window::MaxWindow;
use crate::model::name::{TableName, join_names, parse_names};
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/config.sql");
const ADD_WATERMARK: &str = statement(SQL, "add_watermark");

/// The columns, in the order of [`values_of`] and [`read`].
const COLUMNS: [&str; 41] = [
    "TableName",
    "SourceDb",
    "SourceSchema",
    "SourceTable",
    "TargetDb",
    "TargetSchema",
    "TargetTable",
    "MetadataDb",
    "MetadataSchema",
    "MetadataTable",
    "MetadataIdColumn",
    "MetadataModifiedOnCol",
    "MetadataBusinessUnitCol",
    "BusinessUnitDb",
    "BusinessUnitSchema",
    "BusinessUnitTable",
    "BusinessUnitIdColumn",
    "KeyColumn",
    "PathColumn",
    "ParentPathColumn",
    "SafetyBufferMinutes",
    "InitialBaseline",
    "ModifiedOnIsUtc",
    "ExcludedStreamId",
    "IsActive",
    "IncludeDeletions",
    "RequireBundle",
    "AcceptedAbsentPercent",
    "AcceptedOrphanPercent",
    "MetadataFilter",
    "AcceptedHidden",
    "AcceptedLeftPercent",
    "AcceptedStandingPercent",
    "SchemaDrift",
    "ExcludedColumns",
    "MetadataColumns",
    "MetadataCreatedOnCol",
    "OmitKnownContent",
    "DeletedWhen",
    "MaxWindow",
    // The last, which is looked up and never written.
    "KeyType",
];

pub(super) fn configured_tables(db: &mut Database) -> Result<Vec<TableConfig>> {
    read_configs(db, Sql::new(" ORDER BY TableName"))
}

/// One of them, read now.
pub(super) fn configured_table(db: &mut Database, table: &TableName) -> Result<Option<TableConfig>> {
    // As the procedures' door: one that is spelled so, or else in another case.
    let sql = Sql::new(" WHERE LOWER(TableName) = LOWER(").bind(table).then(")");
    let mut found = read_configs(db, sql)?;
    let spelled = found.iter().position(|config| config.name.to_string() == table.to_string());
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(spelled.unwrap_or(0))) })
}

/// `rest` is what follows the name of the table.
fn read_configs(db: &mut Database, rest: Sql<'_>) -> Result<Vec<TableConfig>> {
    let text = format!("SELECT {} FROM dbo.BlobDeltaTableConfig{}", COLUMNS.join(", "), rest.text);
    let sql = Sql { text, values: rest.values };
    let rows = db.client.unit(|client| client.rows("read the configuration", sql.clone()))?;
    rows.iter().map(|row| read(&RowFields::of(row))).collect()
}

/// The configuration of a table, read again only after it was written by this session.
pub(super) fn config(engine: &mut Engine<'_>, table: &TableName) -> Result<TableConfig> {
    if let Some(known) = engine.state.known.configs.get(table) {
        return Ok(known.clone());
    }
    let config = configured_table(engine.db, table)?
        .ok_or_else(|| Error::config("this table is not configured").table(table))?;
    engine.state.known.configs.insert(table.clone(), config.clone());
    Ok(config)
}

/// Writes the row and has the server hold it against its catalog; leaves nothing if the
/// catalog refuses it.
pub(super) fn write_config(engine: &mut Engine<'_>, table: &TableConfig) -> Result<()> {
    engine.state.known.configs.remove(&table.name);
    let doing = "save the configuration of a table";
    let written = engine.db.client.transact(doing, |client| {
        if client.execute(doing, update(table))? == 0 {
            client.execute(doing, insert(table))?;
        }
        client.execute(doing, Sql::new(ADD_WATERMARK).with(&table.name))?;
        let inputs = vec![("TableName", (&table.name).into()), ("WithTarget", false.into())];
        client.call(doing, "dbo.usp_BlobDelta_ResolveTableConfig", inputs, &[]).map(drop)
    });
    written.map_err(|error| {
        let named = if error.kind() == Kind::Config { check_names(engine.db, table).err() } else { None };
        named.unwrap_or(error).table(&table.name)
    })
}

/// Says which columns a table has, where the configuration names one that is not there.
fn check_names(db: &mut Database, table: &TableConfig) -> Result<()> {
    let named = [
        (&table.source, "KeyColumn", Some(&table.key_column)),
        (&table.source, "PathColumn", table.path_column.as_ref()),
        (&table.source, "ParentPathColumn", table.parent_path_column.as_ref()),
        (&table.metadata, "MetadataIdColumn", Some(&table.metadata_id_column)),
        (&table.metadata, "MetadataModifiedOnCol", Some(&table.metadata_modified_on_column)),
        (&table.metadata, "MetadataCreatedOnCol", table.metadata_created_on_column.as_ref()),
        (&table.metadata, "MetadataBusinessUnitCol", table.metadata_business_unit_column.as_ref()),
    ];
    for (place, setting, column) in named {
        let (Some(column), Ok(columns)) = (column, catalog::columns(&mut db.client, place)) else { continue };
        if !columns.iter().any(|found| found.name.eq_ignore_ascii_case(column)) {
            let names: Vec<&str> = columns.iter().map(|found| found.name.as_str()).collect();
            return Err(Error::config(format!("{setting} names the column {column}, which {place} does not have"))
                .hint(format!("the table has: {}", names.join(", "))));
        }
    }
    Ok(())
}

/// Takes back what [`write_config`] wrote.
pub(super) fn restore_config(engine: &mut Engine<'_>, name: &TableName, before: Option<&TableConfig>) -> Result<()> {
    if let Some(before) = before {
        return write_config(engine, before);
    }
    engine.state.known.configs.remove(name);
    engine.db.client.transact("take back a configuration", |client| {
        for table in ["BlobDeltaTableConfig", "BlobDeltaHighWatermark"] {
            let sql = Sql::new(format!("DELETE FROM dbo.{table} WHERE TableName = ")).bind(name);
            client.execute("take back a configuration", sql)?;
        }
        Ok(())
    })
}

fn update(table: &TableConfig) -> Sql<'_> {
    let mut sql = Sql::new("UPDATE dbo.BlobDeltaTableConfig SET ");
    for (nth, (column, value)) in COLUMNS.iter().zip(values_of(table)).enumerate().skip(1) {
        sql.push_text(&format!("{}{column} = ", if nth > 1 { ", " } else { "" }));
        sql.push(value);
    }
    sql.then(" WHERE TableName = ").bind(&table.name)
}

fn insert(table: &TableConfig) -> Sql<'_> {
    let values = values_of(table);
    let written = COLUMNS[..values.len()].join(", ");
    let mut sql = Sql::new(format!("INSERT INTO dbo.BlobDeltaTableConfig ({written}) VALUES ("));
    for (nth, value) in values.into_iter().enumerate() {
        sql.push_text(if nth > 0 { ", " } else { "" });
        sql.push(value);
    }
    sql.then(")")
}

fn values_of(table: &TableConfig) -> [SqlParameter<'_>; 40] {
    let units = table.business_unit_table.as_ref();
    [
        (&table.name).into(),
        (&table.source.db).into(),
        (&table.source.schema).into(),
        (&table.source.table).into(),
        (&table.target.db).into(),
        (&table.target.schema).into(),
        (&table.target.table).into(),
        (&table.metadata.db).into(),
        (&table.metadata.schema).into(),
        (&table.metadata.table).into(),
        (&table.metadata_id_column).into(),
        (&table.metadata_modified_on_column).into(),
        table.metadata_business_unit_column.as_ref().into(),
        units.map(|units| &units.db).into(),
        units.map(|units| &units.schema).into(),
        units.map(|units| &units.table).into(),
        table.business_unit_id_column.as_ref().into(),
        (&table.key_column).into(),
        table.path_column.as_ref().into(),
        table.parent_path_column.as_ref().into(),
        table.safety_buffer_minutes.into(),
        table.initial_baseline.into(),
        (table.clock == ClockKind::Utc).into(),
        table.excluded_stream_id.into(),
        table.is_active.into(),
        table.include_deletions.into(),
        table.require_bundle.into(),
        i32::from(table.accepted_absent_percent).into(),
        i32::from(table.accepted_orphan_percent).into(),
        table.metadata_filter.as_ref().into(),
        table.accepted_hidden.as_ref().into(),
        i32::from(table.accepted_left_percent).into(),
        i32::from(table.accepted_standing_percent).into(),
        table.schema_drift.as_str().into(),
        (!table.excluded_columns.is_empty()).then(|| join_names(&table.excluded_columns)).into(),
        (!table.metadata_columns.is_empty()).then(|| join_names(&table.metadata_columns)).into(),
        table.metadata_created_on_column.as_ref().into(),
        table.omit_known_content.into(),
        table.deleted_when.as_ref().into(),
        table.max_window.map(|most| most.to_string()).into(),
    ]
}

fn read(fields: &RowFields<'_>) -> Result<TableConfig> {
    let text = |at| fields.must(at, RowFields::text);
    let optional = |at| Ok::<_, Error>(fields.text(at)?.map(str::to_owned));
    let bit = |at| Ok::<_, Error>(fields.must(at, RowFields::number)? != 0);
    let table = TableName::parse(text(0)?)?;
    let name = |at| {
        let name = TableName::new(text(at)?, text(at + 1)?, text(at + 2)?);
        name.map_err(|error| error.table(&table))
    };
    let units = match (fields.text(13)?, fields.text(14)?, fields.text(15)?) {
        (Some(db), schema, Some(table)) => Some(TableName::new(db, schema.unwrap_or("dbo"), table)?),
        _ => None,
    };
    let config = TableConfig {
        source: name(1)?,
        target: name(4)?,
        metadata: name(7)?,
        metadata_id_column: text(10)?.to_owned(),
        metadata_modified_on_column: text(11)?.to_owned(),
        metadata_created_on_column: optional(36)?,
        metadata_business_unit_column: optional(12)?,
        business_unit_table: units,
        business_unit_id_column: optional(16)?,
        key_column: text(17)?.to_owned(),
        key_type: KeyType::from_name(text(40)?).map_err(|error| error.table(&table))?,
        path_column: optional(18)?,
        parent_path_column: optional(19)?,
        safety_buffer_minutes: u32::try_from(fields.must(20, RowFields::number)?)
            .map_err(|_| Error::config("SafetyBufferMinutes is negative").table(&table))?,
        initial_baseline: fields.time(21)?,
        max_window: fields.text(39)?.map(MaxWindow::parse).transpose().map_err(|error| error.table(&table))?,
        clock: if bit(22)? { ClockKind::Utc } else { ClockKind::Local },
        excluded_stream_id: fields.guid(23)?,
        is_active: bit(24)?,
        include_deletions: bit(25)?,
        omit_known_content: bit(37)?,
        require_bundle: fields.number(26)?.map(|bit| bit != 0),
        accepted_absent_percent: number_at(fields, 27)?,
        accepted_orphan_percent: number_at(fields, 28)?,
        metadata_filter: optional(29)?,
        deleted_when: optional(38)?,
        accepted_hidden: optional(30)?,
        accepted_left_percent: number_at(fields, 31)?,
        accepted_standing_percent: number_at(fields, 32)?,
        schema_drift: SchemaDrift::parse(text(33)?).map_err(|error| error.table(&table))?,
        excluded_columns: parse_names(fields.text(34)?.unwrap_or_default()).map_err(|error| error.table(&table))?,
        metadata_columns: parse_names(fields.text(35)?.unwrap_or_default()).map_err(|error| error.table(&table))?,
        name: table,
    };
    Ok(config.with_one_spelling())
}
