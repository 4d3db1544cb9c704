//! A small bundle with everything in it: a tree, a value in `blob/`, tombstones, absent parents.

use crate::manifests;
use blobdelta::bundle::manifest::{FailedTable, Previous, RunInfo, WindowInfo};
use blobdelta::bundle::{
    BundleName, FileInfo, FileRole, Manifest, PartOptions, PublishForm, Published, Sealed, StagedBundle, TableInfo,
    TableStage, create_table,
};
use blobdelta::convert::{BatchBuilder, ColumnPlan, RunStamp};
use blobdelta::durable::Disk;
use blobdelta::error::Result;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::{Column, delta_columns};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::TableCounts;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::ChangedScript;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// The run of the sample.
pub const RUN_ID: Guid = Guid::from_bytes([0x1B; 16]);
/// The value that lies in `blob/`.
pub const LARGE: &[u8] = b"a value that is called large here";

/// When the run of the sample started.
pub fn started_at() -> Timestamp {
    Timestamp::parse("2026-11-22T18:00:00.1234567").unwrap()
}

/// The n-th key.
pub fn key(nth: u8) -> Guid {
    Guid::from_bytes([nth; 16])
}

/// The table of the sample.
pub fn table_name() -> TableName {
    TableName::new("Db", "dbo", "Referral]Attachment").unwrap()
}

/// The columns of its slice.
pub fn columns() -> Vec<Column> {
    let mut name = Column::new("name", SqlType::NVarChar(Some(255)), false);
    name.collation = Some("Latin1_General_100_CI_AS".into());
    let mut columns = vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        name,
        Column::new("path_locator", SqlType::HierarchyId, false),
        Column::new("parent_path_locator", SqlType::HierarchyId, true),
        Column::new("file_stream", SqlType::VarBinary(None), true),
        Column::new("price", SqlType::Decimal { precision: 9, scale: 2 }, true),
    ];
    columns.extend(delta_columns(SqlType::UniqueIdentifier));
    columns
}

/// The plan of its rows.
pub fn plan() -> Arc<ColumnPlan> {
    Arc::new(ColumnPlan::rows(&columns(), "stream_id").unwrap())
}

fn stamp() -> RunStamp {
    RunStamp { started_at: started_at(), run_id: RUN_ID }
}

fn row(builder: &mut BatchBuilder, nth: u8, content: Cell<'_>) -> Result<()> {
    let parent = if nth == 1 { Cell::Null } else { Cell::Bytes(&[0x58]) };
    let parent_key = if nth == 1 { Cell::Null } else { Cell::Guid(key(1)) };
    builder.push_row(&[
        Cell::Guid(key(nth)),
        Cell::Text("a name \u{1F600}"),
        Cell::Bytes(&[0x58, nth]),
        parent,
        content,
        Cell::Decimal(-(i128::from(nth))),
        Cell::DateTime(started_at()),
        Cell::Guid(key(0xB0)),
        Cell::Int(if nth == 1 { 1 } else { 3 }),
        Cell::Int(if nth == 1 { 0 } else { 1 }),
        parent_key,
        Cell::Bool(false),
    ])
}

fn write_rows(stage: &mut TableStage, options: &PartOptions) -> Result<Vec<FileInfo>> {
    let plan = plan();
    let mut parts = stage.parts(FileRole::Rows, plan.schema(), options)?;
    let mut builder = BatchBuilder::new(plan, stamp());
    row(&mut builder, 1, Cell::Null)?;
    row(&mut builder, 2, Cell::Bytes(b"inline"))?;
    row(&mut builder, 3, Cell::Large(LARGE.len() as u64))?;
    row(&mut builder, 4, Cell::Large(LARGE.len() as u64))?;
    for slot in builder.pending_large().to_vec() {
        let mut blob = stage.blob(options)?;
        blob.write_all(LARGE).map_err(|error| blobdelta::error::Error::io("write", Path::new("blob"), error))?;
        let stored = blob.finish(slot.bytes)?;
        builder.resolve_large(slot, &stored.reference, stored.content_sha256)?;
    }
    parts.write(&builder.finish()?)?;
    row(&mut builder, 5, Cell::Bytes(b""))?;
    parts.write(&builder.finish()?)?;
    parts.finish()
}

fn write_others(stage: &TableStage, options: &PartOptions) -> Result<Vec<FileInfo>> {
    let deletions = Arc::new(ColumnPlan::tombstones(&Column::new("stream_id", SqlType::UniqueIdentifier, false))?);
    let mut parts = stage.parts(FileRole::Tombstones, deletions.schema(), options)?;
    let mut builder = BatchBuilder::new(deletions, stamp());
    builder.push_row(&[Cell::Guid(key(9)), Cell::DateTime(started_at()), Cell::Null, Cell::Text("Deleted")])?;
    parts.write(&builder.finish()?)?;
    let mut files = parts.finish()?;
    let absent = Arc::new(ColumnPlan::absent_parents(&Column::new("stream_id", SqlType::UniqueIdentifier, false))?);
    let mut parts = stage.parts(FileRole::AbsentParents, absent.schema(), options)?;
    let mut builder = BatchBuilder::new(absent, stamp());
    builder.push_row(&[Cell::Guid(key(5)), Cell::Null])?;
    parts.write(&builder.finish()?)?;
    files.extend(parts.finish()?);
    Ok(files)
}

/// The manifest of its table.
pub fn table_info(folder: &str, files: Vec<FileInfo>) -> TableInfo {
    let counts = TableCounts { roots: 1, children: 4, tombstones: 1, ..TableCounts::default() };
    let window = manifests::window(Timestamp::MIN, started_at().minus_minutes(240));
    let window = WindowInfo { buffer_minutes: 240, ..window };
    let names = (&table_name(), "Referral]Attachment");
    TableInfo {
        previous: Some(Previous { root_sha256: Sha256::of(b"the bundle before") }),
        new_business_units: vec![key(0xB1)],
        accepted_hidden: vec!["S.dbo.Files.Salary".into()],
        changed_scripts: vec![ChangedScript { name: "Roots (step 1)".into(), sha256: Sha256::of(b"script") }],
        ..manifests::table_info(names, (folder, files), &plan(), window, counts)
    }
}

/// A manifest of these tables.
pub fn manifest(tables: Vec<TableInfo>) -> Manifest {
    let manifest = manifests::manifest(RUN_ID, started_at(), tables);
    Manifest {
        run: RunInfo { requested_by: "a test\n\"of quotes\"".into(), ..manifest.run },
        failed_tables: vec![FailedTable { table: TableName::new("a", "b", "c").unwrap(), error: "it failed".into() }],
        ..manifest
    }
}

/// The bundle, whole but not published.
pub fn seal(disk: &dyn Disk, out_dir: &Path) -> Result<Sealed> {
    let options = PartOptions::default();
    let mut staged = StagedBundle::create(disk, out_dir, BundleName::new(started_at(), RUN_ID, 1))?;
    let ddl = create_table(&table_name(), &columns(), "stream_id")?;
    let mut stage = staged.add_table(&table_name(), &ddl)?;
    let mut files = write_rows(&mut stage, &options)?;
    files.extend(write_others(&stage, &options)?);
    let folder = stage.folder().as_str().to_owned();
    let info = table_info(&folder, stage.finish(files));
    staged.finish(&manifest(vec![info]))
}

/// The bundle, published.
pub fn publish(disk: &dyn Disk, out_dir: &Path) -> Result<Published> {
    seal(disk, out_dir)?.publish(&PublishForm::Folder, &Silent)
}
