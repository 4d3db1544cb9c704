//! Manifests of bundles that are made by hand; each test says what is another in its own.

use blobdelta::bundle::manifest::{
    BundleKind, ColumnInfo, HALF_OPEN, Producer, Rules, RunInfo, ScopeText, UtcTime, WindowInfo,
};
use blobdelta::bundle::{FileInfo, FormatVersion, Manifest, Missing, TableInfo};
use blobdelta::convert::ColumnPlan;
use blobdelta::model::clock::ClockKind;
use blobdelta::model::id::{Guid, KeyOrder};
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Scope, TableCounts};
use blobdelta::model::time::Timestamp;

/// The first window of a chain that ends here, without a buffer.
pub fn window(start: Timestamp, end: Timestamp) -> WindowInfo {
    WindowInfo {
        start,
        end,
        interval: HALF_OPEN.into(),
        clock: ClockKind::Utc,
        buffer_minutes: 0,
        active_transaction_floor: None,
        lag_only: true,
        watermark_before: None,
        watermark_after: end,
    }
}

/// A tree that all units share, captured from a table that is its own metadata.
pub fn table_info(
    (name, target): (&TableName, &str),
    (folder, files): (&str, Vec<FileInfo>),
    plan: &ColumnPlan,
    window: WindowInfo,
    counts: TableCounts,
) -> TableInfo {
    let info = |(nth, column)| ColumnInfo::new(column, plan.arrow_type_name(nth), plan.companion_names(nth));
    TableInfo {
        name: name.clone(),
        folder: folder.to_owned(),
        previous: None,
        scope: ScopeText(Scope::All),
        source: name.clone(),
        target: TableName::new("Db_Delta", "dbo", target).unwrap(),
        metadata: name.clone(),
        key_column: "stream_id".into(),
        key_order: KeyOrder::Rfc,
        path_column: Some("path_locator".into()),
        parent_path_column: Some("parent_path_locator".into()),
        window,
        counts,
        columns: plan.columns().iter().enumerate().map(info).collect(),
        new_business_units: Vec::new(),
        missing: Missing::default(),
        known_content: Vec::new(),
        schema_changes: Vec::new(),
        excluded_columns: Vec::new(),
        accepted_hidden: Vec::new(),
        changed_scripts: Vec::new(),
        schema_file: format!("schema/{folder}.sql"),
        files,
    }
}

/// What a run of all tables and units packed first.
pub fn manifest(run_id: Guid, started_at: Timestamp, tables: Vec<TableInfo>) -> Manifest {
    Manifest {
        format: FormatVersion::CURRENT.uri(),
        format_version: FormatVersion::CURRENT,
        requires: Vec::new(),
        kind: BundleKind::Delta,
        masked: None,
        inputs: Vec::new(),
        run: RunInfo {
            run_id,
            run_type: "AllTables".into(),
            business_unit: None,
            requested_by: "a test".into(),
            started_at: UtcTime(started_at),
            completed_at: None,
            producer: Producer::this(),
            source_id: Guid::from_bytes([0x50; 16]),
            pack_number: 1,
        },
        rules: Rules::default(),
        tables,
        failed_tables: Vec::new(),
    }
}
