//! Every type that a bundle carries, from cells to a Parquet file and back, to the last digit.

use super::sample::{RUN_ID, key, manifest, started_at, table_name};
use blobdelta::bundle::manifest::ColumnInfo;
use blobdelta::bundle::{
    Bundle, BundleName, FileRole, PartOptions, PartRead, PublishForm, StagedBundle, TableInfo, create_table,
};
use blobdelta::convert::{BatchBuilder, BatchRows, ColumnPlan, RunStamp};
use blobdelta::durable::Local;
use blobdelta::model::cell::{Cell, RowSource};
use blobdelta::model::column::{Column, delta_columns};
use blobdelta::model::id::Guid;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use std::path::Path;
use std::sync::Arc;

fn at(text: &str) -> Cell<'static> {
    Cell::DateTime(Timestamp::parse(text).unwrap())
}

fn offset(text: &str, minutes: i16) -> Cell<'static> {
    Cell::DateTimeOffset(Timestamp::parse(text).unwrap(), minutes)
}

/// Values of every type: both ends, empty, odd.
fn values(sql_type: &str) -> Vec<Cell<'static>> {
    let most_decimal = 10_i128.pow(38) - 1;
    match sql_type {
        "bit" => vec![Cell::Bool(false), Cell::Bool(true)],
        "tinyint" => vec![Cell::Int(0), Cell::Int(255)],
        "smallint" => vec![Cell::Int(i16::MIN.into()), Cell::Int(i16::MAX.into())],
        "int" => vec![Cell::Int(i32::MIN.into()), Cell::Int(i32::MAX.into())],
        "bigint" => vec![Cell::Int(i64::MIN), Cell::Int(i64::MAX), Cell::Int(0)],
        "real" => {
            vec![Cell::Float(f32::MIN.into()), Cell::Float(f32::MIN_POSITIVE.into()), Cell::Float(0.1_f32.into())]
        }
        "float" => vec![Cell::Float(f64::MIN), Cell::Float(-0.0), Cell::Float(0.1), Cell::Float(5e-324)],
        "decimal(38,38)" | "decimal(38,0)" => vec![Cell::Decimal(most_decimal), Cell::Decimal(-most_decimal)],
        "decimal(9,2)" => vec![Cell::Decimal(999_999_999), Cell::Decimal(-1), Cell::Decimal(0)],
        "decimal(1,1)" => vec![Cell::Decimal(9), Cell::Decimal(-9)],
        "money" => vec![Cell::Decimal(i64::MAX.into()), Cell::Decimal(i64::MIN.into())],
        "smallmoney" => vec![Cell::Decimal(i32::MAX.into()), Cell::Decimal(i32::MIN.into())],
        "char(3)" | "varchar(8000)" | "nchar(3)" | "nvarchar(4)" | "nvarchar(max)" | "varchar(max)" | "text"
        | "ntext" | "xml" => {
            vec![Cell::Text(""), Cell::Text("\u{0}\u{feff}\n"), Cell::Text("\u{1F600}"), Cell::Text("  ")]
        }
        "binary(4)" | "varbinary(892)" | "varbinary(max)" | "image" | "hierarchyid" | "geography" | "geometry" => {
            vec![Cell::Bytes(&[]), Cell::Bytes(&[0]), Cell::Bytes(&[0xff, 0, 0x80])]
        }
        "rowversion" => vec![Cell::Bytes(&[0; 8]), Cell::Bytes(&[0xff; 8])],
        "uniqueidentifier" => vec![Cell::Guid(Guid::from_bytes([0; 16])), Cell::Guid(Guid::from_bytes([0xff; 16]))],
        "date" => vec![Cell::Date(0), Cell::Date(719_162), Cell::Date(3_652_058)],
        "time(0)" => vec![Cell::Time(0), Cell::Time(863_990_000_000)],
        "time(7)" => vec![Cell::Time(0), Cell::Time(1), Cell::Time(863_999_999_999)],
        "datetime2(0)" | "smalldatetime" => vec![at("0001-01-01"), at("1969-12-31T23:59:00"), at("9999-12-31")],
        "datetime2(6)" => vec![at("0001-01-01T00:00:00.000001"), at("9999-12-31T23:59:59.999999")],
        "datetime2(7)" => {
            vec![
                at("0001-01-01T00:00:00.0000001"),
                at("1969-12-31T23:59:59.9999999"),
                at("9999-12-31T23:59:59.9999999"),
            ]
        }
        "datetime" => vec![at("1753-01-01"), at("2026-11-22T18:00:00.007"), at("9999-12-31T23:59:59.997")],
        "datetimeoffset(0)" => vec![offset("0001-01-01", 840), offset("2026-01-01T00:00:01", -840)],
        "datetimeoffset(7)" => {
            vec![offset("0001-01-01T00:00:00.0000001", 0), offset("9999-12-31T23:59:59.9999999", -1)]
        }
        other => panic!("no values for {other}"),
    }
}

const TYPES: &str = "bit tinyint smallint int bigint real float decimal(38,38) decimal(38,0) decimal(9,2) decimal(1,1) \
    money smallmoney char(3) varchar(8000) varchar(max) nchar(3) nvarchar(4) nvarchar(max) text ntext xml binary(4) \
    varbinary(892) varbinary(max) image rowversion uniqueidentifier date time(0) time(7) datetime2(0) datetime2(6) \
    datetime2(7) datetime smalldatetime datetimeoffset(0) datetimeoffset(7) hierarchyid geography geometry";

fn columns() -> Vec<Column> {
    let mut columns = vec![Column::new("key", SqlType::UniqueIdentifier, false)];
    let named = |sql_type: &str| Column::new(&format!("a.{sql_type}"), SqlType::parse(sql_type).unwrap(), true);
    columns.extend(TYPES.split_whitespace().map(named));
    columns.extend(delta_columns(SqlType::UniqueIdentifier));
    columns
}

/// Row n has the n-th value of each type; after the last value NULL.
fn rows() -> Vec<Vec<Cell<'static>>> {
    let all: Vec<Vec<Cell>> = TYPES.split_whitespace().map(values).collect();
    let row = |nth: u8| {
        let mut row = vec![Cell::Guid(key(nth))];
        row.extend(all.iter().map(|values| values.get(usize::from(nth)).copied().unwrap_or(Cell::Null)));
        let delta = [Cell::Null, Cell::Null, Cell::Int(1), Cell::Int(0), Cell::Null, Cell::Bool(nth == 0)];
        row.extend(delta);
        row
    };
    (0..6).map(row).collect()
}

fn write(out_dir: &Path, plan: &Arc<ColumnPlan>) -> std::path::PathBuf {
    let mut staged = StagedBundle::create(&Local, out_dir, BundleName::new(started_at(), RUN_ID, 1)).unwrap();
    let ddl = create_table(&table_name(), plan.columns(), "key").unwrap();
    let stage = staged.add_table(&table_name(), &ddl).unwrap();
    let mut parts = stage.parts(FileRole::Rows, plan.schema(), &PartOptions::default()).unwrap();
    let mut builder = BatchBuilder::new(plan.clone(), RunStamp { started_at: started_at(), run_id: RUN_ID });
    rows().iter().for_each(|row| builder.push_row(row).unwrap());
    parts.write(&builder.finish().unwrap()).unwrap();
    let folder = stage.folder().as_str().to_owned();
    let files = stage.finish(parts.finish().unwrap());
    let info = |(nth, column)| ColumnInfo::new(column, plan.arrow_type_name(nth), plan.companion_names(nth));
    let mut table = super::sample::table_info(&folder, files);
    table.columns = plan.columns().iter().enumerate().map(info).collect();
    (table.key_column, table.path_column, table.parent_path_column) = ("key".into(), None, None);
    (table.counts.roots, table.counts.children, table.counts.tombstones) = (6, 0, 0);
    staged.finish(&manifest(vec![table])).unwrap().publish(&PublishForm::Folder, &Silent).unwrap().path().to_owned()
}

fn read(bundle: &Bundle, table: &TableInfo) -> Vec<BatchRows> {
    let plan = Arc::new(ColumnPlan::rows(&table.model_columns().unwrap(), &table.key_column).unwrap());
    let file = table.files_of(FileRole::Rows).next().unwrap();
    let checked = bundle.check_file(file, &Silent).unwrap();
    let batches = bundle.open_part(checked, &PartRead::default()).unwrap();
    batches.map(|batch| BatchRows::new(plan.clone(), batch.unwrap()).unwrap()).collect()
}

#[test]
fn every_value_of_every_type_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(ColumnPlan::rows(&columns(), "key").unwrap());
    let bundle = Bundle::open(&write(folder.path(), &plan)).unwrap();
    let read = read(&bundle, &bundle.manifest().tables[0]);
    assert_eq!(read.len(), 1);
    for (nth, row) in rows().iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let found = read[0].cell(nth, column).unwrap();
            assert_eq!(found, *cell, "row {nth} of {}", plan.columns()[column].name);
            if let (Cell::Float(found), Cell::Float(due)) = (found, *cell) {
                assert_eq!(found.to_bits(), due.to_bits());
            }
        }
        assert_eq!(read[0].run_id(nth).unwrap(), RUN_ID);
        assert_eq!(read[0].run_started_at(nth).unwrap(), started_at());
    }
}

#[test]
fn parquet_knows_its_types_without_arrow() {
    use parquet::basic::LogicalType;
    use parquet::file::reader::FileReader;
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(ColumnPlan::rows(&columns(), "key").unwrap());
    let path = write(folder.path(), &plan).join("data/t001-Referral-Attachment/part-00000.parquet");
    let reader = parquet::file::reader::SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let column = |name: &str| schema.columns().iter().position(|column| column.name() == name).unwrap();
    assert_eq!(schema.column(column("key")).logical_type_ref(), Some(&LogicalType::Uuid));
    assert_eq!(schema.column(column("a.decimal(9,2)")).logical_type_ref().cloned(), Some(LogicalType::decimal(2, 9)));
    let group = reader.metadata().row_group(0);
    for large in ["a.varbinary(max)", "a.image", "a.nvarchar(max)", "a.xml"] {
        let chunk = group.column(column(large));
        assert!(chunk.dictionary_page_offset().is_none() && chunk.statistics().is_none(), "{large}");
        assert!(chunk.bloom_filter_offset().is_none(), "{large}");
    }
    assert!(group.column(column("a.int")).statistics().is_some());
    let field = plan.schema().field_with_name("a.decimal(9,2)").unwrap().clone();
    assert_eq!(field.metadata()["blobdelta.sql_type"], "decimal(9,2)");
}
