//! What a plan refuses, and what a builder refuses. That every value comes back is shown with
//! real files, in tests/bundle/types.rs.

use super::{BatchBuilder, BatchRows, ColumnPlan, RunStamp};
use crate::error::Kind;
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::value_range;
use std::sync::Arc;

fn key() -> Column {
    Column::new("id", SqlType::UniqueIdentifier, false)
}

fn column(name: &str, sql_type: &str) -> Column {
    Column::new(name, SqlType::parse(sql_type).unwrap(), true)
}

fn names(columns: &[Column]) -> Vec<String> {
    let plan = ColumnPlan::rows(columns, "id").unwrap();
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn builder(columns: &[Column]) -> BatchBuilder {
    let stamp = RunStamp { started_at: Timestamp::MIN, run_id: Guid::from_bytes([7; 16]) };
    BatchBuilder::new(Arc::new(ColumnPlan::rows(columns, "id").unwrap()), stamp)
}

#[test]
fn companions_stand_beside_their_columns() {
    let closing = ["DeltaRunStartedAt", "DeltaRunStartedAt__ticks", "DeltaRunId"];
    let one = [key(), column("m", "datetime2(7)"), column("o", "datetimeoffset(7)"), column("b", "varbinary(max)")];
    let due = ["id", "m", "m__ticks", "o", "o__ticks", "o__offset", "b", "DeltaContentSha256", "DeltaBlobRef"];
    assert_eq!(names(&one), [due.as_slice(), &closing].concat());
    let several = [key(), column("b", "image"), column("x", "xml"), column("c", "varbinary(max)")];
    let due = [
        "id",
        "b",
        "DeltaContentSha256_b",
        "DeltaBlobRef_b",
        "x",
        "DeltaBlobRef_x",
        "c",
        "DeltaContentSha256_c",
        "DeltaBlobRef_c",
    ];
    assert_eq!(names(&several), [due.as_slice(), &closing].concat());
    let mixed = [key(), column("b", "image"), column("n", "nvarchar(max)")];
    let due = ["id", "b", "DeltaContentSha256", "DeltaBlobRef_b", "n", "DeltaBlobRef_n"];
    assert_eq!(names(&mixed), [due.as_slice(), &closing].concat());
}

#[test]
fn names_that_a_companion_needs_are_refused() {
    for (name, other) in [
        ("m__TICKS", column("m", "datetime2(7)")),
        ("o__offset", column("o", "datetimeoffset(3)")),
        ("deltacontentsha256", column("b", "varbinary(max)")),
        ("DeltaBlobRef", column("b", "nvarchar(max)")),
        ("DeltaRunStartedAt__ticks", column("b", "int")),
        ("DeltaRunId", column("b", "int")),
    ] {
        let error = ColumnPlan::rows(&[key(), column(name, "int"), other], "id").unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{name}");
        assert!(error.place().column.is_some(), "{error}");
    }
    assert!(ColumnPlan::rows(&[column("id", "nvarchar(20)")], "id").is_err());
    assert!(ColumnPlan::rows(&[key()], "other").is_err());
    assert!(ColumnPlan::tombstones(&Column::new("DeltaModifiedOn", SqlType::UniqueIdentifier, false)).is_err());
}

#[test]
fn cells_that_do_not_fit_are_refused() {
    let tick = |ticks: i64| Cell::DateTime(Timestamp::from_ticks(ticks).unwrap());
    let wrong_values = [
        ("bit", Cell::Int(1)),
        ("tinyint", Cell::Int(256)),
        ("tinyint", Cell::Int(-1)),
        ("smallint", Cell::Int(32_768)),
        ("int", Cell::Int(1 << 31)),
        ("real", Cell::Float(0.1)),
        ("real", Cell::Float(1e39)),
        ("decimal(5,2)", Cell::Decimal(100_000)),
        ("money", Cell::Decimal(1 << 63)),
        ("smallmoney", Cell::Decimal(1 << 31)),
        ("nvarchar(3)", Cell::Text("\u{1F600}\u{1F600}")),
        ("varchar(1)", Cell::Text("ab")),
        ("binary(2)", Cell::Bytes(&[0; 3])),
        ("rowversion", Cell::Bytes(&[0; 7])),
        ("hierarchyid", Cell::Bytes(&[0; 893])),
        ("varbinary(9)", Cell::Large(5)),
        ("uniqueidentifier", Cell::Bytes(&[0; 16])),
        ("date", Cell::Date(-1)),
        ("date", Cell::Date(3_652_059)),
        ("time(7)", Cell::Time(TICKS_PER_DAY)),
        ("time(3)", Cell::Time(1)),
        ("datetime2(6)", tick(1)),
        ("datetime2(0)", tick(1_000_000)),
        ("datetime", tick(1)),
        ("datetimeoffset(7)", Cell::DateTimeOffset(Timestamp::MIN, 841)),
    ];
    for (sql_type, cell) in wrong_values {
        assert!(value_range::check(SqlType::parse(sql_type).unwrap(), &cell).is_err(), "{sql_type} {cell:?}");
        let mut builder = builder(&[key(), column("c", sql_type)]);
        let error = builder.push_row(&[Cell::Guid(Guid::from_bytes([1; 16])), cell]).unwrap_err();
        assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("c")), "{error}");
        assert_eq!(error.place().key.as_deref(), Some("01010101-0101-0101-0101-010101010101"));
    }
    let mut strict = column("c", "int");
    strict.nullable = false;
    assert!(builder(&[key(), strict]).push_row(&[Cell::Guid(Guid::from_bytes([1; 16])), Cell::Null]).is_err());
}

#[test]
fn large_values_are_placed_before_the_batch_ends() {
    let mut builder = builder(&[column("b", "varbinary(max)"), key(), column("t", "nvarchar(max)")]);
    let guid = |nth| Cell::Guid(Guid::from_bytes([nth; 16]));
    builder.push_row(&[Cell::Large(5), guid(1), Cell::Text("t")]).unwrap();
    builder.push_row(&[Cell::Null, guid(2), Cell::Large(4)]).unwrap();
    let slots = builder.pending_large().to_vec();
    assert_eq!(
        slots.iter().map(|slot| (slot.row, slot.column, slot.bytes)).collect::<Vec<_>>(),
        [(0, 0, 5), (1, 2, 4)]
    );
    assert_eq!(slots[1].key, Guid::from_bytes([2; 16]));
    assert!(builder.finish().is_err());
    for slot in slots {
        builder.resolve_large(slot, "blob/x.zst", Sha256::of(b"x")).unwrap();
        assert!(builder.resolve_large(slot, "blob/x.zst", Sha256::of(b"x")).is_err());
    }
    let plan = Arc::new(
        ColumnPlan::rows(&[column("b", "varbinary(max)"), key(), column("t", "nvarchar(max)")], "id").unwrap(),
    );
    let mut rows = BatchRows::new(plan, builder.finish().unwrap()).unwrap();
    assert_eq!(rows.content_sha256(0, 0).unwrap(), Some(Sha256::of(b"x")));
    assert_eq!(rows.blob_ref(0, 2).unwrap(), None);
    let large = rows.large_refs().unwrap();
    rows.supply_size(&large[0], 5);
    assert_eq!(rows.cell(0, 0).unwrap(), Cell::Large(5));
    assert!(rows.supply(&large[1], vec![0xff]).is_err());
    rows.supply(&large[1], b"text".to_vec()).unwrap();
    assert_eq!(rows.cell(1, 2).unwrap(), Cell::Text("text"));
}

/// Taken for NULL it would be a row without a parent, or without a key.
#[test]
fn a_binary_that_is_shorter_than_keys_are_is_no_key() {
    let columns = [Column::new("id", SqlType::Binary(4), false), column("DeltaParentKey", "binary(4)")];
    let whole = Cell::Bytes(&[1, 0, 0, 0]);
    let read = |parent: Cell<'_>| {
        let mut builder = builder(&columns);
        builder.push_row(&[whole, parent]).unwrap();
        let plan = Arc::new(ColumnPlan::rows(&columns, "id").unwrap());
        BatchRows::new(plan, builder.finish().unwrap()).unwrap()
    };
    assert_eq!(read(Cell::Null).id(0, 1).unwrap(), None);
    let rows = read(whole);
    assert_eq!(rows.id(0, 1).unwrap(), Some(rows.key(0).unwrap()));
    let error = read(Cell::Bytes(&[1])).id(0, 1).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification);
    assert!(error.to_string().contains("it is no binary(4)") && error.to_string().contains("0x01000000"), "{error}");
    assert!(builder(&columns).push_row(&[Cell::Bytes(&[1]), Cell::Null]).is_err());
}

#[test]
fn cells_out_of_order_are_refused() {
    let mut builder = builder(&[key(), column("c", "int")]);
    use crate::model::cell::CellSink;
    assert!(builder.cell(1, Cell::Int(1)).is_err());
    builder.cell(0, Cell::Guid(Guid::from_bytes([1; 16]))).unwrap();
    assert!(builder.end_row().is_err());
    assert!(builder.finish().is_err());
}

#[test]
fn a_batch_of_another_plan_is_refused() {
    let one = [key(), column("c", "int")];
    let mut builder = builder(&one);
    builder.push_row(&[Cell::Guid(Guid::from_bytes([1; 16])), Cell::Int(1)]).unwrap();
    let batch = builder.finish().unwrap();
    for other in [vec![key()], vec![key(), column("d", "int")], vec![key(), column("c", "bigint")]] {
        let plan = Arc::new(ColumnPlan::rows(&other, "id").unwrap());
        assert_eq!(BatchRows::new(plan, batch.clone()).map(drop).unwrap_err().kind(), Kind::Verification);
    }
}
