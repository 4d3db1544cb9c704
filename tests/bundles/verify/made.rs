//! Bundles made by hand.

use crate::manifests;
use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::nullif;
use blobdelta::bundle::manifest::{BundleKind, Previous};
use blobdelta::bundle::{
    BundleName, FileInfo, FileRole, KNOWN_CONTENT, KnownContent, Manifest, PartOptions, PublishForm, StagedBundle,
    TableInfo, TableStage, compacted_run_id, create_table,
};
use blobdelta::convert::{BatchBuilder, ColumnPlan, RunStamp};
use blobdelta::durable::Local;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::{Column, delta_columns};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::known::KnownRef;
use blobdelta::model::name::TableName;
use blobdelta::model::run::TableCounts;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn key(nth: u8) -> Guid {
    Guid::from_bytes([nth; 16])
}

/// Microseconds: there are servers that keep no more.
pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_ticks(micros * 10).unwrap()
}

pub fn table_name() -> TableName {
    TableName::new("Db", "dbo", "Files").unwrap()
}

/// Makes the text in `schema/` fit the first table of a manifest that was changed, and the list of tag files fit it.
pub fn adapt_schema(path: &Path, manifest: &Manifest) {
    let table = &manifest.tables[0];
    let due = create_table(&table.target, &table.model_columns().unwrap(), &table.key_column).unwrap();
    let (file, list) = (path.join(&table.schema_file), path.join("tagmanifest-sha256.txt"));
    let before = std::fs::read(&file).unwrap();
    let tags = std::fs::read_to_string(&list).unwrap();
    std::fs::write(list, tags.replace(&Sha256::of(&before).to_string(), &Sha256::of(due.as_bytes()).to_string()))
        .unwrap();
    std::fs::write(file, due).unwrap();
}

/// How a row's value lies in the bundle.
#[derive(Clone, Debug)]
pub enum Content {
    Null,
    Inline(Vec<u8>),
    Blob(Vec<u8>),
    /// In `blob/`, with the hash of something else beside it.
    WrongHash(Vec<u8>),
    /// In a file of `blob/` that is not there.
    Nowhere,
    /// Left out, because the bundle with this root digest is said to hold it.
    Known(Vec<u8>, Sha256),
    /// Taken out of its row, with its hash left there.
    Taken(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Row {
    pub key: Guid,
    pub path: Vec<u8>,
    pub parent_path: Option<Vec<u8>>,
    pub parent: Option<Guid>,
    pub modified: Option<i64>,
    pub step: i64,
    pub depth: i64,
    pub early: bool,
    pub content: Content,
}

impl Row {
    pub fn root(nth: u8, modified: Option<i64>, content: &[u8]) -> Self {
        Self {
            key: key(nth),
            path: vec![nth],
            parent_path: None,
            parent: None,
            modified,
            step: 1,
            depth: 0,
            early: false,
            content: Content::Inline(content.to_vec()),
        }
    }

    pub fn child(nth: u8, parent: u8, modified: Option<i64>, content: &[u8]) -> Self {
        Self {
            path: vec![parent, nth],
            parent_path: Some(vec![parent]),
            parent: Some(key(parent)),
            step: 3,
            depth: 1,
            ..Self::root(nth, modified, content)
        }
    }
}

/// One bundle of one table.
#[derive(Clone)]
pub struct Made {
    pub run: u8,
    pub started: i64,
    pub start: i64,
    pub end: i64,
    pub rows: Vec<Row>,
    /// The run that the rows say.
    pub row_run: u8,
    pub tombstones: Vec<(Guid, i64)>,
    /// Of these.
    pub reason: &'static str,
    /// Tombstones of keys that left the scope.
    pub left: Vec<(Guid, i64)>,
    pub absent: Vec<(Guid, Option<Guid>)>,
    pub spoil: fn(&mut Manifest),
    /// The business unit of all rows.
    pub unit: Option<Guid>,
    /// The bundle before it.
    pub previous: Option<Sha256>,
    /// Those that it says it was compacted from, ascending.
    pub inputs: Vec<Sha256>,
    /// Rows of a row group.
    pub rows_in_group: usize,
}

impl Made {
    /// A run that started at `started`, with the window `[start, end)`.
    pub fn new(run: u8, started: i64, (start, end): (i64, i64)) -> Self {
        Self {
            run,
            started,
            start,
            end,
            rows: Vec::new(),
            row_run: run,
            tombstones: Vec::new(),
            reason: "Deleted",
            left: Vec::new(),
            absent: Vec::new(),
            spoil: |_| {},
            unit: None,
            previous: None,
            inputs: Vec::new(),
            rows_in_group: usize::MAX,
        }
    }

    /// A bundle with some of everything, and nothing wrong.
    pub fn sample() -> Self {
        let mut made = Self::new(1, 1000, (100, 500));
        let mut ancestor = Row::root(2, None, b"");
        ancestor.step = 2;
        ancestor.content = Content::Null;
        let mut early = Row::child(6, 1, Some(600), b"early");
        early.early = true;
        let mut orphan = Row::child(8, 9, Some(200), b"orphan");
        orphan.parent = None;
        made.rows = vec![
            Row::root(1, Some(100), b"one"),
            ancestor,
            Row::child(5, 1, Some(499), b"five"),
            early,
            Row { content: Content::Blob(vec![7; 5000]), ..Row::child(7, 2, Some(300), b"") },
            Row::child(3, 2, Some(50), b"late"),
            orphan,
        ];
        made.sort();
        made.tombstones = vec![(key(20), 150), (key(21), 160)];
        made.absent = vec![(key(8), None)];
        made
    }

    /// Puts the rows into their order.
    pub fn sort(&mut self) {
        self.rows.sort_by_key(|row| (row.depth, row.path.clone(), row.key));
    }

    pub fn row(&mut self, nth: u8) -> &mut Row {
        self.rows.iter_mut().find(|row| row.key == key(nth)).unwrap()
    }

    /// Writes and publishes it.
    pub fn write(&self, out: &Path) -> PathBuf {
        self.write_changed(out, &|_| {})
    }

    /// The same, with the fields of each batch of rows changed.
    pub fn write_changed(&self, out: &Path, change: &dyn Fn(&mut [ArrayRef])) -> PathBuf {
        let mut staged =
            StagedBundle::create(&Local, out, BundleName::new(at(self.started), self.run_id(), 1)).unwrap();
        let ddl = create_table(&table_name(), &columns(), "stream_id").unwrap();
        let mut stage = staged.add_table(&table_name(), &ddl).unwrap();
        let mut files = self.write_rows(&mut stage, change);
        files.extend(self.write_tombstones(&stage));
        files.extend(self.write_absent(&stage));
        let folder = stage.folder().as_str().to_owned();
        let mut manifest = self.manifest(&folder, stage.finish(files));
        (self.spoil)(&mut manifest);
        let path = staged.finish(&manifest).unwrap().publish(&PublishForm::Folder, &Silent).unwrap().path().to_owned();
        adapt_schema(&path, &manifest);
        path
    }

    fn run_id(&self) -> Guid {
        if self.inputs.is_empty() { key(self.run) } else { compacted_run_id(&self.inputs) }
    }

    fn write_rows(&self, stage: &mut TableStage, change: &dyn Fn(&mut [ArrayRef])) -> Vec<FileInfo> {
        let options = PartOptions { row_group_bytes: 1, ..PartOptions::default() };
        let mut parts = stage.parts(FileRole::Rows, plan().schema(), &options).unwrap();
        let stamp = RunStamp { started_at: at(self.started), run_id: key(self.row_run) };
        let mut builder = BatchBuilder::new(plan(), stamp);
        for rows in self.rows.chunks(self.rows_in_group) {
            for row in rows {
                push(&mut builder, row, self.unit);
                if let Some(slot) = builder.pending_large().first().copied() {
                    let (reference, sha) = place(stage, row, &options);
                    builder.resolve_large(slot, &reference, sha).unwrap();
                }
            }
            let batch = without_taken(&builder.finish().unwrap(), rows);
            let mut columns = batch.columns().to_vec();
            change(&mut columns);
            parts.write(&RecordBatch::try_new(batch.schema(), columns).unwrap()).unwrap();
        }
        parts.finish().unwrap()
    }

    fn write_tombstones(&self, stage: &TableStage) -> Vec<FileInfo> {
        let plan =
            Arc::new(ColumnPlan::tombstones(&Column::new("stream_id", SqlType::UniqueIdentifier, false)).unwrap());
        let stamp = RunStamp { started_at: at(self.started), run_id: key(self.row_run) };
        let row = |(key, deleted): &(Guid, i64), reason| {
            (*key, vec![Cell::Guid(*key), Cell::DateTime(at(*deleted)), Cell::Null, Cell::Text(reason)])
        };
        let left = self.left.iter().map(|left| row(left, "LeftScope"));
        let mut rows: Vec<_> = self.tombstones.iter().map(|deleted| row(deleted, self.reason)).chain(left).collect();
        if !self.left.is_empty() {
            rows.sort_by_key(|(key, _)| *key);
        }
        write_part(stage, FileRole::Tombstones, plan, stamp, rows.into_iter().map(|(_, row)| row).collect())
    }

    fn write_absent(&self, stage: &TableStage) -> Vec<FileInfo> {
        let plan =
            Arc::new(ColumnPlan::absent_parents(&Column::new("stream_id", SqlType::UniqueIdentifier, false)).unwrap());
        let stamp = RunStamp { started_at: at(self.started), run_id: key(self.run) };
        let rows =
            self.absent.iter().map(|(child, parent)| vec![Cell::Guid(*child), parent.map_or(Cell::Null, Cell::Guid)]);
        write_part(stage, FileRole::AbsentParents, plan, stamp, rows.collect())
    }

    fn counts(&self) -> TableCounts {
        let count = |is: &dyn Fn(&&Row) -> bool| self.rows.iter().filter(is).count() as u64;
        let is_late =
            |row: &&Row| row.step != 2 && !row.early && row.modified.is_none_or(|modified| modified < self.start);
        TableCounts {
            roots: count(&|row| row.step == 1),
            missing_parents: count(&|row| row.step == 2),
            children: count(&|row| row.step == 3),
            early: count(&|row| row.early),
            late: count(&is_late),
            tombstones: (self.tombstones.len() + self.left.len()) as u64,
            ..TableCounts::default()
        }
    }

    fn known_content(&self) -> Vec<KnownContent> {
        let mut known: BTreeMap<Sha256, KnownContent> = BTreeMap::new();
        for row in &self.rows {
            if let Content::Known(bytes, root_sha256) = row.content.clone() {
                let sum = known.entry(root_sha256).or_insert(KnownContent { root_sha256, values: 0, bytes: 0 });
                (sum.values, sum.bytes) = (sum.values + 1, sum.bytes + bytes.len() as u64);
            }
        }
        known.into_values().collect()
    }

    fn manifest(&self, folder: &str, files: Vec<FileInfo>) -> Manifest {
        let window = manifests::window(at(self.start), at(self.end));
        let table = manifests::table_info((&table_name(), "Files"), (folder, files), &plan(), window, self.counts());
        let previous = self.previous.map(|root_sha256| Previous { root_sha256 });
        let known_content = self.known_content();
        let requires = if known_content.is_empty() { Vec::new() } else { vec![KNOWN_CONTENT.to_owned()] };
        let tables = vec![TableInfo { previous, known_content, ..table }];
        Manifest {
            requires,
            kind: if self.inputs.is_empty() { BundleKind::Delta } else { BundleKind::Compacted },
            inputs: self.inputs.clone(),
            ..manifests::manifest(self.run_id(), at(self.started), tables)
        }
    }
}

/// The batch of these rows, without the values that were taken out.
fn without_taken(batch: &RecordBatch, rows: &[Row]) -> RecordBatch {
    let is_taken: BooleanArray = rows.iter().map(|row| Some(matches!(row.content, Content::Taken(_)))).collect();
    let at = batch.schema().index_of("file_stream").unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = nullif(&columns[at], &is_taken).unwrap();
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// Bytes with this value in the place of the first.
pub fn filled(bytes: &ArrayRef, first: &'static [u8]) -> ArrayRef {
    let bytes = bytes.as_binary::<i32>();
    let rest = (1..bytes.len()).map(|nth| bytes.is_valid(nth).then(|| bytes.value(nth)));
    Arc::new(std::iter::once(Some(first)).chain(rest).collect::<BinaryArray>())
}

pub fn columns() -> Vec<Column> {
    let mut columns = vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
        Column::new("file_stream", SqlType::VarBinary(None), true),
    ];
    columns.extend(delta_columns(SqlType::UniqueIdentifier));
    columns
}

fn plan() -> Arc<ColumnPlan> {
    Arc::new(ColumnPlan::rows(&columns(), "stream_id").unwrap())
}

fn push(builder: &mut BatchBuilder, row: &Row, unit: Option<Guid>) {
    let content = match &row.content {
        Content::Null => Cell::Null,
        Content::Inline(bytes) | Content::Taken(bytes) => Cell::Bytes(bytes),
        Content::Blob(bytes) | Content::WrongHash(bytes) | Content::Known(bytes, _) => Cell::Large(bytes.len() as u64),
        Content::Nowhere => Cell::Large(1),
    };
    let cells = [
        Cell::Guid(row.key),
        Cell::Bytes(&row.path),
        row.parent_path.as_deref().map_or(Cell::Null, Cell::Bytes),
        content,
        row.modified.map_or(Cell::Null, |modified| Cell::DateTime(at(modified))),
        unit.map_or(Cell::Null, Cell::Guid),
        Cell::Int(row.step),
        Cell::Int(row.depth),
        row.parent.map_or(Cell::Null, Cell::Guid),
        Cell::Bool(row.early),
    ];
    builder.push_row(&cells).unwrap();
}

fn place(stage: &mut TableStage, row: &Row, options: &PartOptions) -> (String, Sha256) {
    let bytes = match &row.content {
        Content::Known(bytes, root) => {
            let known = KnownRef { root_sha256: *root, bytes: bytes.len() as u64 };
            return (known.to_string(), Sha256::of(bytes));
        }
        Content::Blob(bytes) | Content::WrongHash(bytes) => bytes,
        _ => {
            let sha = Sha256::of(b"nothing of this bundle");
            return (format!("blob/{sha}.zst"), sha);
        }
    };
    let mut blob = stage.blob(options).unwrap();
    blob.write_all(bytes).unwrap();
    let stored = blob.finish(bytes.len() as u64).unwrap();
    let is_wrong = matches!(row.content, Content::WrongHash(_));
    let sha = if is_wrong { Sha256::of(b"something else") } else { stored.content_sha256 };
    (stored.reference, sha)
}

fn write_part(
    stage: &TableStage,
    role: FileRole,
    plan: Arc<ColumnPlan>,
    stamp: RunStamp,
    rows: Vec<Vec<Cell<'_>>>,
) -> Vec<FileInfo> {
    let mut parts = stage.parts(role, plan.schema(), &PartOptions::default()).unwrap();
    let mut builder = BatchBuilder::new(plan, stamp);
    for row in &rows {
        builder.push_row(row).unwrap();
    }
    if !rows.is_empty() {
        parts.write(&builder.finish().unwrap()).unwrap();
    }
    parts.finish().unwrap()
}
