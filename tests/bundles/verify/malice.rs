//! Bundles of somebody who mends the hashes, and means to hurt the reader: each is refused with
//! its finding, in bounded memory and time, by the binary itself.

use super::damage::{PART, mend};
use super::made::{Content, Made, Row};
use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Schema};
use blobdelta::model::digest::{Hasher, Sha256};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MOST_MEMORY_KIB: u64 = 256 << 10;
/// Not a benchmark: a loaded machine and a build without optimisation are waited for.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What the binary says of a bundle: the exit code, and the kinds of findings.
pub fn reported(path: &Path, level: &str) -> (i32, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    // As on a machine with many cores: memory does not grow with them.
    command
        .args(["verify", "--json", "--threads", "16", level])
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (started, mut peak) = (Instant::now(), 0);
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory_kib(child.id()).unwrap_or(0));
        if started.elapsed() > WATCHDOG {
            child.kill().unwrap();
            panic!("{level}: not done after {WATCHDOG:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = child.wait_with_output().unwrap();
    assert!(peak <= MOST_MEMORY_KIB, "{level}: {peak} KiB");
    let text = String::from_utf8(done.stdout).unwrap();
    let document: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&done.stderr)));
    let findings = document["bundles"][0]["findings"].as_array().unwrap().clone();
    let mut kinds: Vec<String> = findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect();
    kinds.dedup();
    (done.status.code().unwrap(), kinds)
}

/// The most memory that a process has had resident; nothing where the system does not tell, or
/// tells of the program that it was before it became this one: the tests, with all that they hold.
fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|line| *line == "Name:\tblobdelta")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Spoils a good bundle, mends its hashes, and holds what both levels say against what is due.
fn expect(made: &Made, spoil: impl FnOnce(&Path), default: &[&str], deep: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = made.write(folder.path());
    spoil(&path);
    mend(&path, |bytes| bytes);
    for (level, due) in [("--quick", &[] as &[&str]), ("--", default), ("--deep", deep)] {
        let exit = if due.is_empty() { 0 } else { 3 };
        assert_eq!(reported(&path, level), (exit, due.iter().map(ToString::to_string).collect()), "{level}");
    }
}

fn bad_part(made: &Made, spoil: impl FnOnce(&Path)) {
    expect(made, spoil, &["bad_part"], &["bad_part"]);
}

/// A bundle with `rows` rows of `bytes` bytes of zeros.
fn zeros(rows: u8, bytes: usize) -> Made {
    let mut made = Made::new(1, 1000, (100, 500));
    made.rows = (1..=rows).map(|nth| Row::root(nth, Some(100), &vec![0; bytes])).collect();
    made.sort();
    made
}

type Change = WriterPropertiesBuilder;

/// Writes the rows of a part anew, with other properties than the format's.
fn rewrite(path: &Path, change: impl FnOnce(Change) -> Change) {
    let part = path.join(PART);
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&part).unwrap()).unwrap();
    write_anew(&part, &reader.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), change);
}

fn write_anew(part: &Path, batches: &[RecordBatch], change: impl FnOnce(Change) -> Change) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_dictionary_enabled(false);
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(change(properties).build())).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    fs::write(part, writer.into_inner().unwrap()).unwrap();
}

/// Writes the rows of a part anew, under a schema of other words.
fn resay(path: &Path, change: impl FnOnce(Schema) -> Schema) {
    let part = path.join(PART);
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&part).unwrap()).unwrap();
    let schema = Arc::new(change(reader.schema().as_ref().clone()));
    let batches = reader
        .build()
        .unwrap()
        .map(|batch| RecordBatch::try_new(schema.clone(), batch.unwrap().columns().to_vec()).unwrap());
    write_anew(&part, &batches.collect::<Vec<_>>(), |properties| properties);
}

fn with_type(schema: &Schema, name: &str, sql_type: &str) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        if field.name() == name {
            metadata.insert("blobdelta.sql_type".to_owned(), sql_type.to_owned());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// What other readers go by, who know no manifest.
#[test]
fn attack_a_part_that_says_another_schema_of_itself_is_found() {
    let made = Made::sample();
    let same = |schema: Schema| with_type(&schema, "path_locator", "varbinary(892)");
    expect(&made, |path| resay(path, same), &[], &[]);
    bad_part(&made, |path| resay(path, |schema| with_type(&schema, "path_locator", "varbinary(8)")));
    bad_part(&made, |path| {
        resay(path, |schema| {
            let pandas = [("pandas".to_owned(), "{\"index_columns\": [\"DeltaStep\"]}".to_owned())];
            schema.with_metadata(std::collections::HashMap::from(pandas))
        });
    });
}

fn blob_column() -> ColumnPath {
    ColumnPath::from("file_stream")
}

#[test]
fn pages_that_inflate_beyond_their_bounds() {
    // A page of one value of 40 MiB, in some kilobytes.
    bad_part(&zeros(1, 40 << 20), |_| {});
    // A dictionary of one value, and rows that each name it.
    let mut many = zeros(200, 1 << 10);
    many.rows.iter_mut().for_each(|row| row.content = Content::Inline(vec![7; 10_000]));
    bad_part(&many, |path| rewrite(path, |properties| properties.set_column_dictionary_enabled(blob_column(), true)));
    // Values that name the beginning of those before them.
    bad_part(&many, |path| {
        rewrite(path, |properties| properties.set_column_encoding(blob_column(), Encoding::DELTA_BYTE_ARRAY));
    });
}

#[test]
fn pages_of_another_kind_than_the_formats() {
    let made = Made::sample();
    rewritten_is_read(&made);
    bad_part(&made, |path| rewrite(path, |properties| properties.set_writer_version(WriterVersion::PARQUET_2_0)));
}

/// Arrays that name values of another array instead of holding them, by the schema of the file.
#[test]
fn columns_that_are_to_be_read_as_dictionaries() {
    bad_part(&Made::sample(), |path| {
        let part = path.join(PART);
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&part).unwrap()).unwrap();
        let batch =
            concat_batches(&reader.schema().clone(), &reader.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap());
        let (schema, mut columns, _) = batch.unwrap().into_parts();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Binary));
        columns[1] = cast(&columns[1], &dictionary).unwrap();
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        fields[1] = Arc::new(fields[1].as_ref().clone().with_data_type(dictionary));
        write_anew(&part, &[RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()], |properties| {
            properties
        });
    });
}

/// That what is refused is not refused for having been written anew.
fn rewritten_is_read(made: &Made) {
    expect(made, |path| rewrite(path, |properties| properties), &[], &[]);
}

/// Where the pages of a column begin.
fn pages_at(part: &Path, column: &str) -> usize {
    let file = SerializedFileReader::new(fs::File::open(part).unwrap()).unwrap();
    let metadata: &ParquetMetaData = file.metadata();
    let chunks = metadata.row_group(0).columns();
    let chunk = chunks.iter().find(|chunk| chunk.column_path().string() == column).unwrap();
    usize::try_from(chunk.data_page_offset()).unwrap()
}

/// Changes bytes of the first page header of the blob column.
fn patch_page(path: &Path, offset: usize, due: &[u8], bytes: &[u8]) {
    let part = path.join(PART);
    let at = pages_at(&part, "file_stream") + offset;
    let mut file = fs::read(&part).unwrap();
    assert_eq!(&file[at..at + due.len()], due);
    file[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(part, file).unwrap();
}

#[test]
fn page_headers_that_lie() {
    // Field 1: a data page; field 2: the inflated size, a varint of four bytes.
    let made = zeros(1, 2 << 20);
    bad_part(&made, |path| patch_page(path, 0, &[0x15, 0, 0x15], &[0x15, 0, 0x15, 0xFE, 0xFF, 0xFF, 0x7F]));
    // Negative, and of a type that the format has not.
    bad_part(&made, |path| patch_page(path, 0, &[0x15, 0, 0x15], &[0x15, 0, 0x15, 0xFF, 0xFF, 0xFF, 0x7F]));
    bad_part(&made, |path| patch_page(path, 0, &[0x15, 0, 0x15], &[0x15, 2, 0x15]));
    // A size within the bounds that is not that of the page is found when it is inflated.
    let smaller = |path: &Path| patch_page(path, 0, &[0x15, 0, 0x15], &[0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x01]);
    expect(&made, smaller, &[], &["bad_part"]);
}

#[test]
fn footers_that_lie() {
    let made = Made::sample();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        bad_part(&made, |path| {
            let mut bytes = fs::read(path.join(PART)).unwrap();
            change(&mut bytes);
            fs::write(path.join(PART), bytes).unwrap();
        });
    };
    with(&|bytes| bytes.truncate(bytes.len() / 2));
    with(&|bytes| bytes.truncate(7));
    with(&|bytes| bytes.clear());
    with(&|bytes| *bytes.last_mut().unwrap() = b'2');
    for length in [0, 1, u32::MAX, i32::MAX as u32] {
        with(&|bytes| {
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        });
    }
    // A footer of zeros, of whatever length: larger than its columns can need.
    with(&|bytes| {
        let at = bytes.len() - 8;
        bytes.splice(at..at, vec![0; 3 << 20]);
        let length = u32::try_from(bytes.len() - 12).unwrap();
        let at = bytes.len() - 8;
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    });
}

#[test]
fn counts_and_columns_that_lie() {
    let mut made = Made::sample();
    made.spoil = |manifest| {
        let table = &mut manifest.tables[0];
        table.counts.roots += 1;
        let part = table.files.iter_mut().find(|file| file.path.ends_with("part-00000.parquet")).unwrap();
        part.rows = part.rows.map(|rows| rows + 1);
    };
    bad_part(&made, |_| {});
    made.spoil = |manifest| {
        let part = manifest.tables[0].files.iter_mut().find(|file| file.path.ends_with("part-00000.parquet")).unwrap();
        part.row_groups = Some(u64::from(u32::MAX));
    };
    bad_part(&made, |_| {});
    let spoils: [fn(&mut blobdelta::bundle::Manifest); 3] = [
        |manifest| manifest.tables[0].columns[3].name = "other".into(),
        |manifest| manifest.tables[0].columns.swap(1, 3),
        |manifest| drop(manifest.tables[0].columns.remove(3)),
    ];
    for spoil in spoils {
        made.spoil = spoil;
        bad_part(&made, |_| {});
    }
}

/// A zstd frame by hand (RFC 8878, section 3.1.1): this window descriptor, and blocks of zeros of
/// 128 KiB each.
fn frame(window: u8, blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, window];
    for nth in 1..=blocks {
        let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(nth == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Puts a frame in the place of the bundle's one blob, whose name and size stay.
fn replace_blob(path: &Path, frame: &[u8]) {
    fs::write(only_blob(path), frame).unwrap();
}

fn only_blob(path: &Path) -> PathBuf {
    let folder = path.join("data/t001-Files/blob");
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

const WINDOW_1_MIB: u8 = 10 << 3;
const WINDOW_2_GIB: u8 = 21 << 3;
const GIB_2: u64 = 2 << 30;

#[test]
fn values_in_blob_that_inflate_to_anything() {
    let bad_blob = |frame: &[u8]| expect(&Made::sample(), |path| replace_blob(path, frame), &[], &["bad_blob"]);
    bad_blob(&frame(WINDOW_2_GIB, 1));
    bad_blob(&frame(WINDOW_1_MIB, usize::try_from(GIB_2 >> 17).unwrap()));
    bad_blob(b"no frame");
    bad_blob(b"");
    // Frames that are to be skipped, before the value and behind it, and a second one.
    let good = zstd::encode_all(&[7_u8; 5000][..], 1).unwrap();
    let skipped = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, b'e', b'v', b'i', b'l'];
    expect(&Made::sample(), |path| replace_blob(path, &good), &[], &[]);
    bad_blob(&[&skipped[..], &good].concat());
    bad_blob(&[&good, &skipped[..]].concat());
    bad_blob(&[&good[..], &good].concat());
}

#[test]
fn a_value_of_two_gibibytes_in_64_kib_is_read_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Made::new(1, 1000, (100, 500));
    made.rows = vec![Row { content: Content::Blob(vec![7; 5000]), ..Row::root(1, Some(100), b"") }];
    let path = made.write(folder.path());
    let frame = frame(WINDOW_1_MIB, usize::try_from(GIB_2 >> 17).unwrap());
    let mut hasher = Hasher::default();
    (0..GIB_2 >> 20).for_each(|_| hasher.update(&[0; 1 << 20]));
    let content = hasher.finish();
    let blob = only_blob(&path);
    fs::write(blob.with_file_name(format!("{content}.zst")), &frame).unwrap();
    fs::remove_file(blob).unwrap();
    rename_in_manifest(&path, content);
    mend(&path, |bytes| bytes);
    // The rows still name the value that was there.
    assert_eq!(reported(&path, "--"), (0, vec![]));
    assert_eq!(reported(&path, "--deep"), (3, vec!["bad_blob".into(), "unused_blob".into()]));
}

/// Makes the manifest name another value, of 2 GiB.
fn rename_in_manifest(path: &Path, content: Sha256) {
    let name = path.join("manifest.json");
    let mut manifest = blobdelta::bundle::Manifest::from_bytes(&fs::read(&name).unwrap()).unwrap();
    let file = manifest.tables[0].files.iter_mut().find(|file| file.content_bytes.is_some()).unwrap();
    file.path = format!("data/t001-Files/blob/{content}.zst");
    file.content_bytes = Some(GIB_2);
    fs::write(name, manifest.to_bytes().unwrap()).unwrap();
}

#[test]
fn a_part_in_which_every_row_is_wrong_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Made::new(1, 1000, (100, 500));
    made.rows = vec![Row::root(1, Some(100), &[0; 16]); 60_000];
    let path = made.write(folder.path());
    let (exit, kinds) = reported(&path, "--deep");
    assert_eq!((exit, kinds), (3, vec!["out_of_order".to_owned(), "bad_part".to_owned()]));
}
