//! Values: every size by every way that a driver needs, and every type.

use crate::made::{Content, Made, Row, at, key};
use crate::replay::place::Place;
use crate::replay::target::{entry, spec, version};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink, RowSource};
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::{TICKS_PER_DAY, Timestamp};
use std::collections::BTreeMap;

/// What no size, and no place in a chunk, can equal by chance.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|nth| u8::try_from(nth * 31 % 251).unwrap()).collect()
}

pub fn every_size_arrives_whole(place: &Place) {
    let sizes = [0, 1, 8000, 8001, 65_535, 65_536, 70_000, 300_000, 5_000_000];
    let mut made = Made::new(1, 1000, (0, 500));
    let contents = sizes.iter().map(|size| Content::Inline(bytes(*size)));
    let blobs = [70_000, 5_000_000, 9_000_000].map(|size| Content::Blob(bytes(size)));
    let all: Vec<Content> = contents.chain(blobs).chain([Content::Null]).collect();
    for (nth, content) in (1..).zip(&all) {
        made.rows.push(Row { content: content.clone(), ..Row::root(nth, Some(7), b"") });
    }
    let bundle = made.write(place.folder());
    let into = place.target("Into");
    assert_eq!(into.apply(&[bundle], false).unwrap().bundles[0].tables[0].written, all.len() as u64);
    // Once more over what stands, a run later.
    made.started = 2000;
    made.run = 2;
    made.row_run = 2;
    let bundle = made.write(place.folder());
    assert_eq!(into.apply(&[bundle], false).unwrap().bundles[0].tables[0].written, all.len() as u64);
    let due: BTreeMap<_, _> = (1..).zip(&all).map(|(nth, content)| (key(nth), value(content))).collect();
    let found = into.existing();
    for (key, value) in &due {
        assert!(found[key] == *value, "{key}: {:?} bytes", found[key].as_ref().map(Vec::len));
    }
    assert_eq!(found.len(), due.len());
}

fn value(content: &Content) -> Option<Vec<u8>> {
    match content {
        Content::Inline(bytes) | Content::Blob(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

/// Rows of cells that live as long as the test.
struct Rows(Vec<Vec<Cell<'static>>>);

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        Ok(self.0[row][column])
    }
}

#[derive(Default)]
struct Texts(Vec<String>);

impl CellSink for Texts {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        self.0.push(format!("{cell:?}"));
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Of each type two values. What is last is kept to the microsecond by every server.
fn types() -> Vec<(SqlType, Cell<'static>, Cell<'static>)> {
    use Cell as C;
    use SqlType as T;
    let time = |text| C::DateTime(Timestamp::parse(text).unwrap());
    let long: &'static str = "ä€😀 ".repeat(20_000).leak();
    let precise = T::Decimal { precision: 38, scale: 10 };
    vec![
        (T::Bit, C::Bool(true), C::Bool(false)),
        (T::TinyInt, C::Int(0), C::Int(255)),
        (T::SmallInt, C::Int(-32_768), C::Int(32_767)),
        (T::Int, C::Int(i32::MIN.into()), C::Int(i32::MAX.into())),
        (T::BigInt, C::Int(i64::MIN), C::Int(i64::MAX)),
        (T::Real, C::Float(f64::from(0.1_f32)), C::Float(-1.5)),
        (T::Float, C::Float(0.1), C::Float(1e300)),
        (precise, C::Decimal(99_999_999_999_999_999_999_999_999_999_999_999_999), C::Decimal(-1)),
        (T::Decimal { precision: 28, scale: 0 }, C::Decimal(9_999_999_999_999_999_999_999_999_999), C::Decimal(0)),
        (T::Money, C::Decimal(i64::MAX.into()), C::Decimal(-1)),
        (T::SmallMoney, C::Decimal(i32::MIN.into()), C::Decimal(1)),
        (T::VarChar(Some(20)), C::Text("plain"), C::Text("")),
        (T::NChar(4), C::Text("äöüß"), C::Text("    ")),
        (T::NVarChar(Some(255)), C::Text("名前 😀"), C::Text("")),
        (T::NVarChar(None), C::Text(long), C::Text("")),
        (T::VarChar(None), C::Text("plain"), C::Text("")),
        (T::Binary(4), C::Bytes(&[0, 1, 2, 255]), C::Bytes(&[0; 4])),
        (T::VarBinary(Some(892)), C::Bytes(&[7; 892]), C::Bytes(&[])),
        (T::VarBinary(None), C::Bytes(&[7; 9000]), C::Bytes(&[])),
        (T::RowVersion, C::Bytes(&[0, 0, 0, 0, 0, 0, 7, 209]), C::Bytes(&[255; 8])),
        (T::UniqueIdentifier, C::Guid(key(0)), C::Guid(key(255))),
        (T::Date, C::Date(0), C::Date(3_652_058)),
        (T::Time(7), C::Time(0), C::Time(TICKS_PER_DAY - 10)),
        (T::Time(3), C::Time(0), C::Time(TICKS_PER_DAY - 10_000)),
        (T::DateTime2(7), time("0001-01-01"), time("9999-12-31T23:59:59.999999")),
        (T::DateTime2(0), time("0001-01-01"), time("9999-12-31T23:59:59")),
        (T::DateTime, time("1753-01-01"), time("9999-12-31T23:59:59")),
        (T::SmallDateTime, time("1900-01-01"), time("2079-06-06T23:59")),
        (T::DateTimeOffset(7), C::DateTimeOffset(at(0).plus_ticks(TICKS_PER_DAY * 400), 90), offset(-720)),
        (T::DateTimeOffset(0), offset(0), offset(840)),
    ]
}

fn offset(minutes: i16) -> Cell<'static> {
    Cell::DateTimeOffset(Timestamp::parse("2026-11-22T18:00:00").unwrap(), minutes)
}

pub fn every_type_comes_back_as_it_went(place: &Place) {
    let into = place.target("Into");
    let mut spec = spec(&into, "T");
    let (id, modified) = (spec.columns[1].clone(), spec.columns[2].clone());
    spec.columns = types().iter().enumerate().map(|(nth, of)| Column::new(&format!("v{nth}"), of.0, true)).collect();
    spec.columns.extend([id, modified]);
    let row = |nth: u8, values: Vec<Cell<'static>>| {
        values.into_iter().chain([Cell::Guid(key(nth)), Cell::DateTime(at(7))]).collect::<Vec<_>>()
    };
    let rows = Rows(vec![
        row(1, types().iter().map(|of| of.1).collect()),
        row(2, types().iter().map(|of| of.2).collect()),
        row(3, types().iter().map(|_| Cell::Null).collect()),
    ]);
    let mut backend = into.open().unwrap();
    backend.prepare_target(&spec, true).unwrap();
    let (keys, versions) = ([key(1), key(2), key(3)], [version(Some(7)); 3]);
    let written = backend.apply_rows(&spec, &rows, &keys, &versions, &entry(1, 3, true)).unwrap().written;
    assert_eq!(written, 3);
    // A second session finds the table as it was made.
    into.open().unwrap().prepare_target(&spec, false).unwrap();
    let mut found = Texts::default();
    backend.scan(&spec.target, &spec.columns, "id", &mut found).unwrap();
    let due = rows.0.iter().flatten().map(|cell| format!("{cell:?}"));
    for (nth, (found, due)) in found.0.iter().zip(due).enumerate() {
        let column = &spec.columns[nth % spec.columns.len()];
        assert!(*found == due, "row {}, {}: {found:.90} is not {due:.90}", nth / spec.columns.len(), column.sql_type);
    }
    assert_eq!(found.0.len(), 3 * spec.columns.len());
}

/// Whether the column can hold it is the server's collation to say.
pub fn a_text_is_never_changed_in_silence(place: &Place) {
    let into = place.target("Into");
    let mut spec = spec(&into, "T");
    spec.columns[0] = Column::new("text", SqlType::VarChar(Some(40)), true);
    let mut backend = into.open().unwrap();
    backend.prepare_target(&spec, true).unwrap();
    let mut apply = |root, text| {
        let rows = Rows(vec![vec![Cell::Text(text), Cell::Guid(key(root)), Cell::Null]]);
        backend.apply_rows(&spec, &rows, &[key(root)], &[version(None)], &entry(root, 1, true))
    };
    assert_eq!(apply(1, "abc ").unwrap().written, 1);
    let is_kept = match apply(2, "名前") {
        Ok(_) => true,
        Err(error) => {
            assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("text")), "{error}");
            false
        }
    };
    let error = apply(3, "x".repeat(41).leak()).unwrap_err();
    assert_eq!(error.kind(), Kind::Database, "{error}");
    let mut found = Texts::default();
    into.open().unwrap().scan(&spec.target, &spec.columns[..1], "id", &mut found).unwrap();
    let due = ["Text(\"abc \")", "Text(\"名前\")"];
    assert_eq!(found.0, due[..if is_kept { 2 } else { 1 }]);
}
