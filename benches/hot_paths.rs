//! Micro-benchmarks of what moves bytes, one step each; `benches/compare` times whole commands. The
//! data are the same in every run. With `TMPDIR=/dev/shm` no disk is measured along.
//!
//! ```text
//! cargo bench --bench hot_paths [part of a name] [--sample-count 20]
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use arrow::array::RecordBatch;
use blobdelta::bundle::{
    Bundle, FileInfo, FileRole, Manifest, PartOptions, PartRead, PartWriter, PublishForm, StagedBundle,
};
use blobdelta::convert::{BatchBuilder, BatchRows, ColumnPlan, RunStamp};
use blobdelta::durable::Local;
use blobdelta::model::cell::{Cell, RowSource as _};
use blobdelta::model::column::Column;
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::run::TableCounts;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use divan::counter::{BytesCount, BytesFormat, ItemsCount};
use divan::{Bencher, black_box};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const BLOB_BYTES: usize = 64 << 10;
const BATCH_BLOBS: usize = 128;
const BATCH_BYTES: usize = BATCH_BLOBS * BLOB_BYTES;
const BATCHES: usize = 8;
const PART_BYTES: usize = BATCHES * BATCH_BYTES;
/// Many times what a core has of caches, and hashed once.
const COLD_BYTES: usize = 512 << 20;
const COLD_CHUNK_BYTES: usize = 1 << 20;
const SMALL_ROWS: u32 = 8192;
/// Ten types; a row has each twice.
const SMALL_TYPES: &str =
    "uniqueidentifier int bigint bit float decimal(18,4) datetime2(7) date nvarchar(50) varbinary(16)";
const MANIFEST_FILES: u32 = 10_000;
/// Of one benchmark, on however slow a machine.
const MAX_TIME: Duration = Duration::from_secs(4);

/// A manifest with one table, whose columns the blobs are written with.
const MANIFEST: &[u8] = include_bytes!("../fixtures/bundles/v1/00010101T000000Z-01010101-1.bundle/manifest.json");

fn main() {
    divan::Divan::default().max_time(MAX_TIME).bytes_format(BytesFormat::Binary).config_with_args().main();
}

#[divan::bench]
fn sha256_of_hot_memory(bencher: Bencher) {
    let bytes = Random(1).bytes(BLOB_BYTES);
    bencher.counter(BytesCount::new(BLOB_BYTES)).bench(|| Sha256::of(black_box(&bytes)));
}

#[divan::bench(sample_count = (COLD_BYTES / COLD_CHUNK_BYTES) as u32, sample_size = 1)]
fn sha256_of_cold_memory(bencher: Bencher) {
    let bytes = vec![1; COLD_BYTES];
    let mut chunks = bytes.chunks_exact(COLD_CHUNK_BYTES).cycle();
    bencher.counter(BytesCount::new(COLD_CHUNK_BYTES)).bench_local(|| chunks.next().map(Sha256::of));
}

#[divan::bench(sample_size = 1)]
fn blobs_into_a_batch(bencher: Bencher) {
    let blobs = Content::Random.blobs(BATCH_BLOBS);
    let mut builder = builder(&blob_plan());
    bencher.counter(BytesCount::new(BATCH_BYTES)).bench_local(|| blob_batch(&mut builder, &blobs));
}

#[divan::bench(sample_size = 1)]
fn small_rows_into_a_batch(bencher: Bencher) {
    let mut builder = builder(&small_plan());
    bencher.counter(ItemsCount::new(SMALL_ROWS)).bench_local(|| small_batch(&mut builder));
}

#[divan::bench(sample_size = 1)]
fn small_rows_out_of_a_batch(bencher: Bencher) {
    let plan = small_plan();
    let rows = BatchRows::new(Arc::clone(&plan), small_batch(&mut builder(&plan))).unwrap();
    bencher.counter(ItemsCount::new(SMALL_ROWS)).bench_local(|| {
        for row in 0..rows.rows() {
            for column in 0..plan.columns().len() {
                black_box(rows.cell(row, column).unwrap());
            }
        }
    });
}

#[divan::bench(args = [Content::Random, Content::Text], sample_size = 1)]
fn batches_into_a_part(bencher: Bencher, content: Content) {
    let folder = tempfile::tempdir().unwrap();
    let batches = content.batches();
    bencher
        .counter(BytesCount::new(PART_BYTES))
        .with_inputs(|| staged(folder.path()))
        .bench_local_values(|(staged, parts)| (staged, write(parts, &batches)));
}

#[divan::bench(sample_size = 1)]
fn part_hashed(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = published(folder.path(), Content::Random);
    let file = part(&bundle);
    bencher.counter(BytesCount::new(file.bytes)).bench_local(|| bundle.check_file(file, &Silent).unwrap());
}

#[divan::bench(args = [Content::Random, Content::Text], sample_size = 1)]
fn batches_out_of_a_part(bencher: Bencher, content: Content) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = published(folder.path(), content);
    let checked = bundle.check_file(part(&bundle), &Silent).unwrap();
    bencher.counter(BytesCount::new(PART_BYTES)).bench_local(|| {
        let reader = bundle.open_part(checked.clone(), &PartRead::default()).unwrap();
        reader.for_each(|batch| drop(black_box(batch.unwrap())));
    });
}

#[divan::bench(sample_size = 1)]
fn manifest_parsed(bencher: Bencher) {
    let mut manifest = Manifest::from_bytes(MANIFEST).unwrap();
    let table = &mut manifest.tables[0];
    let blob = |nth: u32| {
        let sha256 = Sha256::of(&nth.to_le_bytes());
        let path = format!("data/{}/blob/{sha256}.zst", table.folder);
        let (rows, row_groups, content_bytes) = (None, None, Some(1 << 20));
        FileInfo { path, role: FileRole::Blob, bytes: 1 << 20, sha256, rows, row_groups, content_bytes }
    };
    let blobs: Vec<_> = (0..MANIFEST_FILES).map(blob).collect();
    table.files.extend(blobs);
    table.files.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = manifest.to_bytes().unwrap();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Manifest::from_bytes(black_box(&bytes)).unwrap());
}

/// The generator xorshift64 (Marsaglia, "Xorshift RNGs", 2003); its seed is not 0.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }

    fn word(&mut self) -> Vec<u8> {
        let letters = b"etaoinshrdlucmfwypvbgk";
        (0..2 + self.below(9)).map(|_| letters[self.below(letters.len())]).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Random,
    /// Words in an order that compresses about as text does, as in `benches/data.py`.
    Text,
}

impl Content {
    fn blobs(self, count: usize) -> Vec<Vec<u8>> {
        let mut random = Random(7);
        let words: Vec<_> = (0..20_000).map(|_| random.word()).collect();
        let mut text = || (0..BLOB_BYTES / 5).map(|_| words[random.below(words.len())].as_slice()).collect::<Vec<_>>();
        match self {
            Self::Text => (0..count).map(|_| text().join(&b' ')[..BLOB_BYTES].to_vec()).collect(),
            Self::Random => (0..count).map(|_| random.bytes(BLOB_BYTES)).collect(),
        }
    }

    fn batches(self) -> Vec<RecordBatch> {
        let mut builder = builder(&blob_plan());
        let blobs = self.blobs(BATCHES * BATCH_BLOBS);
        blobs.chunks(BATCH_BLOBS).map(|blobs| blob_batch(&mut builder, blobs)).collect()
    }
}

fn key(nth: u32) -> Guid {
    let mut random = Random(u64::from(nth) + 1);
    let (high, low) = (u128::from(random.next()), u128::from(random.next()));
    Guid::from_bytes((high << 64 | low).to_be_bytes())
}

fn builder(plan: &Arc<ColumnPlan>) -> BatchBuilder {
    BatchBuilder::new(Arc::clone(plan), RunStamp { started_at: Timestamp::MIN, run_id: key(0) })
}

fn blob_plan() -> Arc<ColumnPlan> {
    let table = &Manifest::from_bytes(MANIFEST).unwrap().tables[0];
    Arc::new(ColumnPlan::rows(&table.model_columns().unwrap(), &table.key_column).unwrap())
}

fn blob_batch(builder: &mut BatchBuilder, blobs: &[Vec<u8>]) -> RecordBatch {
    for (nth, blob) in (0_u32..).zip(blobs) {
        let path = nth.to_be_bytes();
        let source = [Cell::Guid(key(nth)), Cell::Bytes(&path), Cell::Null, Cell::Bytes(blob)];
        let (modified, step, depth) = (Cell::DateTime(Timestamp::MIN), Cell::Int(1), Cell::Int(0));
        let delta = [modified, Cell::Null, step, depth, Cell::Null, Cell::Bool(false)];
        builder.push_row(&[&source[..], &delta].concat()).unwrap();
    }
    builder.finish().unwrap()
}

fn small_plan() -> Arc<ColumnPlan> {
    let types = SMALL_TYPES.split(' ').map(|text| SqlType::parse(text).unwrap());
    let twice = types.clone().chain(types).enumerate();
    let columns: Vec<_> = twice.map(|(nth, of)| Column::new(&format!("c{nth}"), of, nth >= 10)).collect();
    Arc::new(ColumnPlan::rows(&columns, "c0").unwrap())
}

fn small_batch(builder: &mut BatchBuilder) -> RecordBatch {
    for n in 0..SMALL_ROWS {
        let int = i64::from(n);
        let path = n.to_be_bytes();
        let cells = [
            Cell::Guid(key(n)),
            Cell::Int(int),
            Cell::Int(int * 1_000_003),
            Cell::Bool(n % 2 == 1),
            Cell::Float(f64::from(n) / 7.0),
            Cell::Decimal(i128::from(n) * 1250),
            Cell::DateTime(Timestamp::MIN.plus_ticks(int * 1_000_003)),
            Cell::Date(730_000),
            Cell::Text("A name of a row"),
            Cell::Bytes(&path),
        ];
        // Each fourth has NULL where NULL may be.
        let again = cells.map(|cell| if n % 4 == 0 { Cell::Null } else { cell });
        builder.push_row(&[cells, again].concat()).unwrap();
    }
    builder.finish().unwrap()
}

/// A bundle in the making, with its first part open.
fn staged(folder: &Path) -> (StagedBundle, PartWriter) {
    let manifest = Manifest::from_bytes(MANIFEST).unwrap();
    let mut staged = StagedBundle::create(&Local, folder, manifest.bundle_name()).unwrap();
    let stage = staged.add_table(&manifest.tables[0].name, "-- nothing reads it here\n").unwrap();
    let parts = stage.parts(FileRole::Rows, blob_plan().schema(), &PartOptions::default()).unwrap();
    (staged, parts)
}

fn write(mut parts: PartWriter, batches: &[RecordBatch]) -> Vec<FileInfo> {
    batches.iter().for_each(|batch| parts.write(batch).unwrap());
    parts.finish().unwrap()
}

fn published(folder: &Path, content: Content) -> Bundle {
    let (staged, parts) = staged(folder);
    let mut manifest = Manifest::from_bytes(MANIFEST).unwrap();
    let table = &mut manifest.tables[0];
    table.files = write(parts, &content.batches());
    table.counts = TableCounts { roots: (BATCHES * BATCH_BLOBS) as u64, ..TableCounts::default() };
    let published = staged.finish(&manifest).unwrap().publish(&PublishForm::Folder, &Silent).unwrap();
    Bundle::open(published.path()).unwrap()
}

fn part(bundle: &Bundle) -> &FileInfo {
    bundle.manifest().tables[0].files_of(FileRole::Rows).next().unwrap()
}
