//! Parts in which few bytes stand for many, or for many rows: as [`super::malice`], with parts
//! that no library writes.

use super::damage::PART;
use super::forge::{Column, Forged, Kind, PLAIN, SNAPPY, arrays, install};
use super::made::{Content, Made, Row};
use super::malice::reported;
use blobdelta::bundle::manifest::ColumnInfo;
use blobdelta::bundle::{Bundle, PartRead, TableInfo};
use blobdelta::model::id::Guid;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::verify::{FindingKind, VerifyLevel, verify};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const DELETES: &str = "data/t001-Files/deletes-00000.parquet";
const ABSENT: &str = "data/t001-Files/absent-parents-00000.parquet";
/// A batch's rows at most.
const BATCH_ROWS: i32 = 8192;

/// What the default level and the deep one say of a bundle with a part that was forged.
fn forged(part: &str, forged: &Forged, change: impl FnOnce(&mut TableInfo), default: &[&str], deep: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = Made::sample().write(folder.path());
    install(&path, part, forged, change);
    for (level, due) in [("--", default), ("--deep", deep)] {
        let exit = if due.is_empty() { 0 } else { 3 };
        assert_eq!(reported(&path, level), (exit, due.iter().map(ToString::to_string).collect()), "{level}");
    }
}

fn bad_part(part: &Forged) {
    forged(PART, part, |_| {}, &["bad_part"], &["bad_part"]);
}

fn moment(name: &str, micros: i64, rows: i32) -> [Column; 2] {
    let from_year_1 = 621_355_968_000_000_000 + micros * 10;
    [
        Column::new(name, Kind::Micros, false).same(&micros.to_le_bytes(), rows),
        Column::new(&format!("{name}__ticks"), Kind::Long, false).same(&from_year_1.to_le_bytes(), rows),
    ]
}

/// The microsecond of [`super::made::at`], since 1970.
const fn since_1970(micros: i64) -> i64 {
    micros - 62_135_596_800_000_000
}

fn run_columns(rows: i32) -> Vec<Column> {
    let mut columns = moment("DeltaRunStartedAt", since_1970(1000), rows).to_vec();
    columns.push(Column::new("DeltaRunId", Kind::Fixed(16), false).same(&[1; 16], rows));
    columns
}

/// Rows that are all the same but for their keys.
fn rows(keys: &[u8]) -> Forged {
    let rows = i32::try_from(keys.len()).unwrap();
    let all: Vec<u8> = keys.iter().flat_map(|key| [*key; 16]).collect();
    let paths: Vec<_> = keys.iter().map(|key| vec![*key]).collect();
    let mut columns = vec![
        Column::new("stream_id", Kind::Fixed(16), false).plain(&all, rows),
        Column::new("path_locator", Kind::Bytes, false).plain(&arrays(&paths), rows),
        Column::new("parent_path_locator", Kind::Bytes, true).nulls(rows),
        Column::new("file_stream", Kind::Bytes, true).nulls(rows),
        Column::new("DeltaContentSha256", Kind::Fixed(32), true).nulls(rows),
        Column::new("DeltaBlobRef", Kind::Text, true).nulls(rows),
    ];
    columns.extend(moment("DeltaModifiedOn", since_1970(300), rows));
    columns.extend([
        Column::new("DeltaBusinessUnit", Kind::Fixed(16), true).nulls(rows),
        Column::new("DeltaStep", Kind::Int(11), false).same(&1_u32.to_le_bytes(), rows),
        Column::new("DeltaDepth", Kind::Int(16), false).same(&0_u32.to_le_bytes(), rows),
        Column::new("DeltaParentKey", Kind::Fixed(16), true).nulls(rows),
        Column::new("DeltaEarly", Kind::Boolean, false).plain(&vec![0; keys.len().div_ceil(8)], rows),
    ]);
    columns.extend(run_columns(rows));
    Forged::new(columns, rows)
}

/// Makes the counts of the manifest those of [`rows`], in the bundle whose one blob nobody names.
fn plain_counts(table: &mut TableInfo) {
    (table.counts.early, table.counts.late) = (0, 0);
}

#[test]
fn what_is_forged_is_not_refused_for_being_forged() {
    forged(PART, &rows(&[1, 2, 8]), plain_counts, &[], &["unused_blob"]);
}

fn deletes(rows: i32, [keys, reasons]: [Column; 2]) -> Forged {
    let mut columns = vec![keys];
    columns.extend(moment("DeltaModifiedOn", since_1970(150), rows));
    columns.push(Column::new("DeltaBusinessUnit", Kind::Fixed(16), true).nulls(rows));
    columns.push(reasons);
    columns.extend(run_columns(rows));
    Forged::new(columns, rows)
}

fn absent(rows: i32, keys: Column) -> Forged {
    Forged::new(vec![keys, Column::new("ParentKey", Kind::Fixed(16), true).nulls(rows)], rows)
}

#[test]
fn rows_by_the_billion_in_some_hundred_bytes() {
    let keys = |name| Column::new(name, Kind::Fixed(16), false).same(&[8; 16], i32::MAX);
    let bad = |part, forged_part: &Forged| forged(part, forged_part, |_| {}, &["bad_part"], &["bad_part"]);
    let reasons = Column::new("DeltaReason", Kind::Text, true).nulls(i32::MAX);
    bad(DELETES, &deletes(i32::MAX, [keys("stream_id"), reasons]));
    bad(ABSENT, &absent(i32::MAX, keys("ChildKey")));
}

#[test]
fn one_key_by_the_million_is_given_up() {
    let rows = 200_000;
    let value = vec![8; 16 * rows as usize];
    let keys = |name| Column::new(name, Kind::Fixed(16), false).plain(&value, rows);
    let given_up = |part: &str, forged: &Forged, due: [FindingKind; 2]| {
        let folder = tempfile::tempdir().unwrap();
        let path = Made::sample().write(folder.path());
        install(&path, part, forged, |_| {});
        let mut findings = verify(&path, VerifyLevel::Deep, &Silent).unwrap().findings;
        findings.dedup_by_key(|finding| finding.kind);
        assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), due, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.file.as_deref() == Some(part)), "{findings:?}");
    };
    let reasons = arrays(&vec![b"Deleted".to_vec(); rows as usize]);
    let reasons = Column::new("DeltaReason", Kind::Text, false).plain(&reasons, rows);
    given_up(DELETES, &deletes(rows, [keys("stream_id"), reasons]), [FindingKind::DuplicateKey, FindingKind::BadPart]);
    given_up(ABSENT, &absent(rows, keys("ChildKey")), [FindingKind::OutOfOrder, FindingKind::BadPart]);
}

#[test]
fn keys_of_a_mebibyte_each() {
    for is_null in [false, true] {
        let mut part = rows(&[1; BATCH_ROWS as usize]);
        let wide = Column::new("DeltaParentKey", Kind::Fixed(1 << 20), true);
        *part.column("DeltaParentKey") =
            if is_null { wide.nulls(BATCH_ROWS) } else { wide.same(&vec![0; 1 << 20], BATCH_ROWS) };
        bad_part(&part);
    }
}

#[test]
fn references_of_30_mebibytes_each() {
    let mut part = rows(&[1, 2, 8]);
    let references: Vec<_> = (0..3).map(|_| vec![b'\n'; 30 << 20]).collect();
    let column = part.column("DeltaBlobRef");
    column.pages.clear();
    for reference in references {
        *column = column.clone().plain(&arrays(&[reference]), 1);
    }
    forged(PART, &part, plain_counts, &[], &["bad_blob", "unused_blob"]);
}

/// A bundle with rows of so many bytes of zeros, in one batch.
fn sized(sizes: impl Iterator<Item = usize>) -> (TempDir, PathBuf) {
    grouped(usize::MAX, sizes)
}

/// The same in row groups of so many rows.
fn grouped(rows_in_group: usize, sizes: impl Iterator<Item = usize>) -> (TempDir, PathBuf) {
    let mut made = Made { rows_in_group, ..Made::new(1, 1000, (100, 500)) };
    let row = |(nth, bytes): (usize, usize)| {
        let nth = u16::try_from(nth).unwrap().to_be_bytes();
        Row {
            key: Guid::from_bytes(std::array::from_fn(|at| nth[at % 2])),
            path: nth.to_vec(),
            content: Content::Inline(vec![0; bytes]),
            ..Row::root(1, Some(100), b"")
        }
    };
    made.rows = sizes.enumerate().map(row).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = made.write(folder.path());
    (folder, path)
}

#[test]
fn a_row_group_whose_bytes_stand_in_few_of_its_rows() {
    let (_folder, path) = sized((0..8000).map(|nth| if nth < 60 { 1 << 20 } else { 0 }));
    assert_eq!(reported(&path, "--deep"), (0, vec![]));
}

#[test]
fn row_groups_side_by_side_take_no_more_memory_for_more_threads() {
    let (_folder, path) = grouped(1, (0..12).map(|_| 30 << 20));
    assert_eq!(reported(&path, "--deep"), (0, vec![]));
}

/// What a batch may be at most, and the largest value that an inline limit allows in its end.
#[test]
fn the_largest_pages_that_are_written_are_read() {
    let (_folder, path) = sized((0..17).map(|nth| if nth < 16 { (1 << 20) - 1 } else { 32 << 20 }));
    assert_eq!(reported(&path, "--deep"), (0, vec![]));
    let (_folder, path) = sized((0..300).map(|_| 64 << 10));
    assert_eq!(reported(&path, "--deep"), (0, vec![]));
    assert!(largest_page(&path.join(PART)) <= (1 << 20) + (64 << 10) + 1024);
}

/// What the largest page of a part inflates to.
fn largest_page(part: &Path) -> usize {
    let file = SerializedFileReader::new(File::open(part).unwrap()).unwrap();
    let group = file.get_row_group(0).unwrap();
    let pages = (0..group.num_columns()).flat_map(|column| group.get_column_page_reader(column).unwrap());
    pages.map(|page| page.unwrap().buffer().len()).max().unwrap()
}

/// Columns more than the sample has, in the part and in the manifest.
fn with_columns(
    part: &mut Forged,
    count: usize,
    sql_type: SqlType,
    column: impl Fn(&str) -> Column,
) -> Box<dyn FnOnce(&mut TableInfo)> {
    let name = |nth: usize| format!("c{nth:04}");
    let at = part.columns.iter().position(|column| column.name == "DeltaModifiedOn").unwrap();
    part.columns.splice(at..at, (0..count).map(|nth| column(&name(nth))));
    Box::new(move |table: &mut TableInfo| {
        plain_counts(table);
        let arrow_type = if sql_type == SqlType::BigInt { "int64" } else { "binary" };
        let column = |nth| blobdelta::model::column::Column::new(&name(nth), sql_type, true);
        let more = (0..count).map(|nth| ColumnInfo::new(&column(nth), arrow_type.into(), [None; 4]));
        table.columns.splice(4..4, more);
    })
}

/// The page of each column is in memory as long as values are taken out of it.
#[test]
fn columns_whose_bytes_all_stand_in_one_row() {
    let with = |count| {
        let mut part = rows(&[8; 4000]);
        let mut values = vec![Vec::new(); 4000];
        values[0] = vec![0; 31 << 20];
        let values = arrays(&values);
        let column = |name: &str| Column::new(name, Kind::Bytes, true).plain(&values, 4000);
        let change = with_columns(&mut part, count, SqlType::VarBinary(Some(8000)), column);
        (part, change)
    };
    let (part, change) = with(3);
    let deep = ["bad_row", "out_of_order", "wrong_count", "unused_blob", "duplicate_key"];
    forged(PART, &part, change, &[], &deep);
    let (part, change) = with(4);
    forged(PART, &part, change, &["bad_part"], &["bad_part"]);
}

#[test]
fn thousands_of_columns_with_a_value_each() {
    let mut part = rows(&[1; BATCH_ROWS as usize]);
    let column = |name: &str| Column::new(name, Kind::Long, true).same(&[0; 8], BATCH_ROWS);
    let more = with_columns(&mut part, 4000, SqlType::BigInt, column);
    let folder = tempfile::tempdir().unwrap();
    let path = Made::sample().write(folder.path());
    install(&path, PART, &part, more);
    let bundle = Bundle::open(&path).unwrap();
    let checked = bundle.check_file(bundle.file_info(PART).unwrap(), &Silent).unwrap();
    let read = PartRead { batch_bytes: 1 << 20, ..PartRead::default() };
    let batch = bundle.open_part(checked, &read).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_columns(), part.columns.len());
    assert!(batch.get_array_memory_size() < 4 << 20, "{} bytes", batch.get_array_memory_size());
}

#[test]
fn pages_that_are_not_compressed_with_zstd() {
    let mut part = rows(&[1, 2, 8]);
    part.column("file_stream").codec = PLAIN;
    forged(PART, &part, plain_counts, &[], &["unused_blob"]);
    part.column("file_stream").boast = 1;
    bad_part(&part);
    part.column("file_stream").boast = 30 << 20;
    bad_part(&part);
    part.column("file_stream").boast = 0;
    part.column("file_stream").codec = SNAPPY;
    bad_part(&part);
}

#[test]
fn pages_without_values() {
    let mut part = rows(&[1, 2]);
    let empty = super::forge::Page { is_dictionary: false, values: 0, encoding: 0, body: vec![0; 4] };
    part.column("file_stream").pages.extend(vec![empty; 100_000]);
    bad_part(&part);
}

#[test]
fn a_part_that_inflates_to_two_gibibytes() {
    let mut part = rows(&[1]);
    *part.column("file_stream") = Column::new("file_stream", Kind::Bytes, true).plain(&arrays(&[vec![0; 30 << 20]]), 1);
    part.groups = 70;
    bad_part(&part);
}

#[test]
fn footers_with_more_row_groups_than_rows() {
    let column = Column::new("stream_id", Kind::Fixed(16), false);
    bad_part(&Forged { groups: 400_000, ..Forged::new(vec![column], 0) });
}

#[test]
fn counts_that_lie_in_the_footer() {
    let good = rows(&[1, 2, 8]);
    bad_part(&Forged { footer_rows: Some(4), ..good.clone() });
    bad_part(&Forged { footer_rows: Some(2), ..good.clone() });
    bad_part(&Forged { group_rows: Some(4), ..good.clone() });
    bad_part(&Forged { group_rows: Some(-1), ..good.clone() });
    bad_part(&Forged { group_rows: Some(i64::MAX), ..good.clone() });
    bad_part(&Forged { chunk_values: Some(4), ..good.clone() });
    bad_part(&Forged { is_overlapping: true, ..good.clone() });
    let mut pages = good;
    pages.column("path_locator").pages[0].values = i32::MAX;
    bad_part(&pages);
    pages.column("path_locator").pages[0].values = -1;
    bad_part(&pages);
}

/// Whatever footer and page headers agree on.
#[test]
fn pages_that_hold_fewer_rows_than_they_say() {
    let mut part = rows(&[1, 2, 8]);
    part.rows = 4;
    for column in &mut part.columns {
        column.pages.iter_mut().filter(|page| !page.is_dictionary).for_each(|page| page.values = 4);
    }
    forged(PART, &part, plain_counts, &[], &["bad_part"]);
}

#[test]
fn columns_of_another_shape_than_the_manifests() {
    let changed = |change: &dyn Fn(&mut Forged)| {
        let mut part = rows(&[1, 2, 8]);
        change(&mut part);
        bad_part(&part);
    };
    changed(&|part| part.column("DeltaBlobRef").repetition = 2);
    changed(&|part| part.column("DeltaBlobRef").kind = Kind::Bytes);
    changed(&|part| part.column("DeltaBlobRef").name = "DeltaBlobRef2".into());
    changed(&|part| part.columns.swap(1, 2));
    changed(&|part| drop(part.columns.pop()));
    changed(&|part| part.columns.push(Column::new("more", Kind::Bytes, true).nulls(3)));
}
