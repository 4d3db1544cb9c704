//! Bundles like those of a FileTable, made by hand, so that names, parents and values can be
//! anything.

use crate::manifests;
use blobdelta::bundle::{
    BundleName, FileInfo, FileRole, Manifest, PartOptions, PublishForm, StagedBundle, TableStage, create_table,
};
use blobdelta::convert::{BatchBuilder, ColumnPlan, RunStamp};
use blobdelta::durable::Local;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::{Column, delta_columns};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::TableCounts;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn key(nth: u8) -> Guid {
    Guid::from_bytes([nth; 16])
}

/// Seconds of 2026.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus_ticks(seconds * 10_000_000 + 7)
}

pub fn table_name() -> TableName {
    TableName::new("Db", "dbo", "Files").unwrap()
}

#[derive(Clone, Debug)]
pub enum Content {
    Null,
    Inline(Vec<u8>),
    Blob(Vec<u8>),
    /// With the hash of something else beside it.
    WrongBlob(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Row {
    pub key: Guid,
    pub name: String,
    pub is_directory: bool,
    pub parent: Option<Guid>,
    pub has_parent_path: bool,
    /// Where it lies; by its key, if not said.
    pub path: Option<&'static str>,
    /// Where its folder lies, if that is said and it lies in one.
    pub parent_path: &'static str,
    pub content: Content,
    pub modified: i64,
    pub depth: i64,
}

impl Row {
    pub fn file(nth: u8, parent: Option<u8>, name: &str, content: &[u8]) -> Self {
        Self {
            key: key(nth),
            name: name.into(),
            is_directory: false,
            parent: parent.map(key),
            has_parent_path: parent.is_some(),
            path: None,
            parent_path: "p",
            content: Content::Inline(content.to_vec()),
            modified: 10,
            depth: i64::from(parent.is_some()),
        }
    }

    pub fn folder(nth: u8, parent: Option<u8>, name: &str) -> Self {
        Self { is_directory: true, content: Content::Null, ..Self::file(nth, parent, name, b"") }
    }
}

/// Publishes a bundle of run `run` with these rows and tombstones (key, second).
pub fn write(out: &Path, run: u8, rows: &[Row], tombstones: &[(u8, i64)]) -> PathBuf {
    let started = at(i64::from(run) * 1000);
    let mut staged = StagedBundle::create(&Local, out, BundleName::new(started, key(run), 1)).unwrap();
    let ddl = create_table(&table_name(), &columns(), "stream_id").unwrap();
    let mut stage = staged.add_table(&table_name(), &ddl).unwrap();
    let stamp = RunStamp { started_at: started, run_id: key(run) };
    let mut files = write_rows(&mut stage, rows, stamp);
    files.extend(write_tombstones(&stage, tombstones, stamp));
    let folder = stage.folder().as_str().to_owned();
    let manifest = manifest(run, started, (rows.len(), tombstones.len()), &folder, stage.finish(files));
    staged.finish(&manifest).unwrap().publish(&PublishForm::Folder, &Silent).unwrap().path().to_owned()
}

fn columns() -> Vec<Column> {
    let mut columns = vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        Column::new("name", SqlType::NVarChar(Some(255)), false),
        Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
        Column::new("is_directory", SqlType::Bit, false),
        Column::new("notes", SqlType::NVarChar(None), true),
        Column::new("file_stream", SqlType::VarBinary(None), true),
    ];
    columns.extend(delta_columns(SqlType::UniqueIdentifier));
    columns
}

fn plan() -> Arc<ColumnPlan> {
    Arc::new(ColumnPlan::rows(&columns(), "stream_id").unwrap())
}

fn write_rows(stage: &mut TableStage, rows: &[Row], stamp: RunStamp) -> Vec<FileInfo> {
    let options = PartOptions::default();
    let mut parts = stage.parts(FileRole::Rows, plan().schema(), &options).unwrap();
    let mut builder = BatchBuilder::new(plan(), stamp);
    for row in rows {
        let content = match &row.content {
            Content::Null => Cell::Null,
            Content::Inline(bytes) => Cell::Bytes(bytes),
            Content::Blob(bytes) | Content::WrongBlob(bytes) => Cell::Large(bytes.len() as u64),
        };
        builder
            .push_row(&[
                Cell::Guid(row.key),
                Cell::Text(&row.name),
                Cell::Bytes(row.path.map_or(row.key.as_bytes().as_slice(), str::as_bytes)),
                if row.has_parent_path { Cell::Bytes(row.parent_path.as_bytes()) } else { Cell::Null },
                Cell::Bool(row.is_directory),
                Cell::Null,
                content,
                Cell::DateTime(at(row.modified)),
                Cell::Null,
                Cell::Int(1),
                Cell::Int(row.depth),
                row.parent.map_or(Cell::Null, Cell::Guid),
                Cell::Bool(false),
            ])
            .unwrap();
        if let Some(slot) = builder.pending_large().first().copied() {
            let (Content::Blob(bytes) | Content::WrongBlob(bytes)) = &row.content else { unreachable!() };
            let mut blob = stage.blob(&options).unwrap();
            blob.write_all(bytes).unwrap();
            let stored = blob.finish(bytes.len() as u64).unwrap();
            let is_wrong = matches!(row.content, Content::WrongBlob(_));
            let sha = if is_wrong { Sha256::of(b"other") } else { stored.content_sha256 };
            builder.resolve_large(slot, &stored.reference, sha).unwrap();
        }
    }
    parts.write(&builder.finish().unwrap()).unwrap();
    parts.finish().unwrap()
}

fn write_tombstones(stage: &TableStage, tombstones: &[(u8, i64)], stamp: RunStamp) -> Vec<FileInfo> {
    let plan = Arc::new(ColumnPlan::tombstones(&Column::new("stream_id", SqlType::UniqueIdentifier, false)).unwrap());
    let mut parts = stage.parts(FileRole::Tombstones, plan.schema(), &PartOptions::default()).unwrap();
    let mut builder = BatchBuilder::new(plan, stamp);
    for (nth, deleted) in tombstones {
        builder
            .push_row(&[Cell::Guid(key(*nth)), Cell::DateTime(at(*deleted)), Cell::Null, Cell::Text("Deleted")])
            .unwrap();
    }
    if !tombstones.is_empty() {
        parts.write(&builder.finish().unwrap()).unwrap();
    }
    parts.finish().unwrap()
}

fn manifest(
    run: u8,
    started: Timestamp,
    (rows, tombstones): (usize, usize),
    folder: &str,
    files: Vec<FileInfo>,
) -> Manifest {
    let counts = TableCounts { roots: rows as u64, tombstones: tombstones as u64, ..TableCounts::default() };
    let window = manifests::window(Timestamp::MIN, started);
    let table = manifests::table_info((&table_name(), "Files"), (folder, files), &plan(), window, counts);
    manifests::manifest(key(run), started, vec![table])
}
