//! Result sets: every type at its ends, as the library hands it on, and rows when the connection
//! breaks between them.

use crate::tds::endpoint::Endpoint;
use crate::tds::reply::Reply;
use crate::tds::types::{Datum, Type};
use blobdelta::backend::OpenOptions;
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::{TICKS_PER_DAY, Timestamp};

const TABLE: &str = "FROM [Db].[dbo].[Types] AS t";
const LAST_DAY: u32 = 3_652_058;
const LAST_TICK: u64 = TICKS_PER_DAY as u64 - 1;
const TEXT: &str = "a ü 汉 😀 ]]'";

/// A type of a column, what is sent for it, and values with the cells that they have to be.
type Case = (SqlType, Type, Vec<(Datum, Cell<'static>)>);

fn at(ticks: i64) -> Timestamp {
    Timestamp::from_ticks(ticks).unwrap()
}

fn text(text: &'static str) -> (Datum, Cell<'static>) {
    (Datum::Text(text.into()), Cell::Text(text))
}

fn bytes(bytes: &'static [u8]) -> (Datum, Cell<'static>) {
    (Datum::Bytes(bytes.into()), Cell::Bytes(bytes))
}

fn numbers(sql_type: SqlType, sent: u8, values: [i64; 3]) -> Case {
    (sql_type, Type::Int(sent), values.map(|value| (Datum::Int(value), Cell::Int(value))).into())
}

fn decimals(sql_type: SqlType, (precision, scale): (u8, u8), most: i128) -> Case {
    let values = [-most, 0, 1, most].map(|value| (Datum::Decimal(value), Cell::Decimal(value)));
    (sql_type, Type::Decimal(precision, scale), values.into())
}

fn plain_cases() -> Vec<Case> {
    let guid = [0xFE, 0xDC, 0xBA, 0x98, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let guids = [[0; 16], guid, [0xFF; 16]];
    let money = i128::from(i64::MAX);
    vec![
        (SqlType::Bit, Type::Bit, [false, true].map(|bit| (Datum::Int(bit.into()), Cell::Bool(bit))).into()),
        numbers(SqlType::TinyInt, 1, [0, 1, 255]),
        numbers(SqlType::SmallInt, 2, [i16::MIN.into(), -1, i16::MAX.into()]),
        numbers(SqlType::Int, 4, [i32::MIN.into(), -1, i32::MAX.into()]),
        numbers(SqlType::BigInt, 8, [i64::MIN, -1, i64::MAX]),
        (SqlType::Real, Type::Float(4), [-3.5, 1e30_f32.into()].map(|n| (Datum::Float(n), Cell::Float(n))).into()),
        (SqlType::Float, Type::Float(8), [f64::MIN, 5e-324].map(|n| (Datum::Float(n), Cell::Float(n))).into()),
        decimals(SqlType::Decimal { precision: 38, scale: 0 }, (38, 0), 10_i128.pow(38) - 1),
        decimals(SqlType::Decimal { precision: 9, scale: 9 }, (9, 9), 999_999_999),
        decimals(SqlType::Money, (19, 4), money),
        decimals(SqlType::SmallMoney, (19, 4), i32::MAX.into()),
        (
            SqlType::UniqueIdentifier,
            Type::Guid,
            guids.map(|guid| (Datum::Guid(guid), Cell::Guid(Guid::from_bytes(guid)))).into(),
        ),
    ]
}

fn time_cases() -> Vec<Case> {
    let last = at(i64::from(LAST_DAY + 1) * TICKS_PER_DAY - 1);
    let whole_second = at(i64::from(LAST_DAY + 1) * TICKS_PER_DAY - 10_000_000);
    let west = at(9 * TICKS_PER_DAY + 7);
    vec![
        (
            SqlType::Date,
            Type::Date,
            vec![(Datum::Date(0), Cell::Date(0)), (Datum::Date(LAST_DAY), Cell::Date(LAST_DAY as i32))],
        ),
        (
            SqlType::Time(7),
            Type::Time(7),
            vec![(Datum::Time(0), Cell::Time(0)), (Datum::Time(LAST_TICK), Cell::Time(LAST_TICK as i64))],
        ),
        (SqlType::Time(0), Type::Time(0), vec![(Datum::Time(86_399), Cell::Time(863_990_000_000))]),
        (
            SqlType::DateTime2(7),
            Type::DateTime2(7),
            vec![
                (Datum::DateTime2(0, 0), Cell::DateTime(Timestamp::MIN)),
                (Datum::DateTime2(LAST_DAY, LAST_TICK), Cell::DateTime(last)),
            ],
        ),
        (
            SqlType::DateTime2(0),
            Type::DateTime2(0),
            vec![(Datum::DateTime2(LAST_DAY, 86_399), Cell::DateTime(whole_second))],
        ),
        (
            SqlType::DateTimeOffset(7),
            Type::DateTimeOffset(7),
            vec![
                (Datum::DateTimeOffset(0, 0, 840), Cell::DateTimeOffset(Timestamp::MIN, 840)),
                (Datum::DateTimeOffset(9, 7, -839), Cell::DateTimeOffset(west, -839)),
            ],
        ),
        (
            SqlType::DateTime,
            Type::DateTime,
            vec![
                (Datum::Since1900(-53_690, 0), Cell::DateTime(Timestamp::parse("1753-01-01").unwrap())),
                (
                    Datum::Since1900(2_958_463, 25_919_999),
                    Cell::DateTime(Timestamp::parse("9999-12-31T23:59:59.997").unwrap()),
                ),
            ],
        ),
        (
            SqlType::SmallDateTime,
            Type::SmallDateTime,
            vec![(Datum::Since1900(65_535, 1439), Cell::DateTime(Timestamp::parse("2079-06-06T23:59:00").unwrap()))],
        ),
    ]
}

/// As they are selected: text as nvarchar whatever it was, what has bytes of its own as those.
fn long_cases() -> Vec<Case> {
    let texts = || vec![text(""), text(TEXT)];
    let binaries = || vec![bytes(b""), bytes(&[0, 0xFF, 0])];
    let (any_text, any_binary) = (Type::NVarChar(None), Type::VarBinary(None));
    vec![
        (SqlType::NChar(3), Type::NChar(6), vec![text("   "), text("ab ")]),
        (SqlType::NVarChar(Some(20)), Type::NVarChar(Some(40)), texts()),
        (SqlType::NVarChar(None), any_text, texts()),
        (SqlType::Char(20), any_text, texts()),
        (SqlType::VarChar(Some(20)), any_text, texts()),
        (SqlType::VarChar(None), any_text, texts()),
        (SqlType::Text, any_text, texts()),
        (SqlType::NText, any_text, texts()),
        (SqlType::Xml, any_text, texts()),
        (SqlType::Binary(3), Type::Binary(3), vec![bytes(&[0, 0xFF, 0])]),
        (SqlType::VarBinary(Some(20)), Type::VarBinary(Some(20)), binaries()),
        (SqlType::VarBinary(None), any_binary, binaries()),
        (SqlType::Image, any_binary, binaries()),
        (SqlType::RowVersion, Type::Binary(8), vec![bytes(&[0, 0, 0, 0, 0, 0, 7, 0xD1])]),
        (SqlType::HierarchyId, any_binary, vec![bytes(b""), bytes(&[0x58])]),
        (SqlType::Geography, any_binary, binaries()),
        (SqlType::Geometry, any_binary, binaries()),
    ]
}

/// The place of a row in the order, and per column a value, with its length before it where it
/// may be large.
fn scanned(cases: &[Case]) -> Vec<(&'static str, Type)> {
    let mut columns = vec![("depth", Type::Int(8)), ("path", Type::VarBinary(Some(1))), ("key", Type::Guid)];
    for (sql_type, sent, _) in cases {
        columns.extend(sql_type.is_large().then_some(("length", Type::Int(8))));
        columns.push(("value", *sent));
    }
    columns
}

fn scanned_row(cases: &[Case], nth: usize) -> Vec<Datum> {
    let mut row = vec![Datum::Int(0), Datum::Null, Datum::Guid([u8::try_from(nth).unwrap(); 16])];
    for (sql_type, _, values) in cases {
        let datum = nth.checked_sub(1).and_then(|nth| values.get(nth)).map_or(Datum::Null, |(datum, _)| datum.clone());
        let length = match &datum {
            Datum::Bytes(bytes) => Datum::Int(bytes.len() as i64),
            Datum::Text(text) => Datum::Int(2 * text.encode_utf16().count() as i64),
            _ => Datum::Null,
        };
        row.extend(sql_type.is_large().then_some(length));
        row.push(datum);
    }
    row
}

/// What was read, as text.
#[derive(Default)]
struct Shown(Vec<Vec<String>>, Vec<String>);

impl CellSink for Shown {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        self.1.push(format!("{cell:?}"));
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.0.push(std::mem::take(&mut self.1));
        Ok(())
    }
}

fn scan(endpoint: &Endpoint, cases: &[Case]) -> Result<Vec<Vec<String>>> {
    let columns: Vec<Column> =
        (0_u32..).zip(cases).map(|(n, case)| Column::new(&format!("c{n}"), case.0, true)).collect();
    let mut session = endpoint.connection().open_sandbox(&OpenOptions::default())?;
    let mut shown = Shown::default();
    session.scan(&TableName::parse("Db.dbo.Types").unwrap(), &columns, "Id", &mut shown)?;
    Ok(shown.0)
}

pub fn every_type_comes_through_at_its_ends_and_as_null() {
    let cases = [plain_cases(), time_cases(), long_cases()].concat();
    let most = cases.iter().map(|case| case.2.len()).max().unwrap();
    let endpoint = Endpoint::start();
    let rows: Vec<_> = (0..=most).map(|nth| scanned_row(&cases, nth)).collect();
    endpoint.answers(TABLE, [Reply::rows(&scanned(&cases), &rows), Reply::rows(&scanned(&cases), &[])]);
    let found = scan(&endpoint, &cases).unwrap();
    assert_eq!(found.len(), most + 1);
    for (column, (sql_type, _, values)) in cases.iter().enumerate() {
        assert_eq!(found[0][column], "Null", "{sql_type}");
        for (nth, (_, wanted)) in values.iter().enumerate() {
            assert_eq!(found[nth + 1][column], format!("{wanted:?}"), "{sql_type}");
        }
    }
}

pub fn a_value_of_another_type_than_the_catalog_says_is_an_error_with_its_column() {
    let cases: Vec<Case> = vec![(SqlType::Bit, Type::Int(4), vec![(Datum::Int(1), Cell::Null)])];
    let endpoint = Endpoint::start();
    endpoint.answers(TABLE, [Reply::rows(&scanned(&cases), &[scanned_row(&cases, 1)])]);
    let error = scan(&endpoint, &cases).unwrap_err();
    assert!(error.to_string().contains("another type than bit"), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("c0"));
}

pub fn a_scan_goes_on_behind_the_last_whole_row_when_the_connection_is_cut() {
    let cases = vec![numbers(SqlType::Int, 4, [10, 20, 30])];
    let columns = scanned(&cases);
    let row = |nth| scanned_row(&cases, nth);
    let cut = Reply::new().columns(&columns).row(&columns, &row(1)).row(&columns, &row(2)).cut();
    let endpoint = Endpoint::start();
    endpoint.answers(TABLE, [cut, Reply::rows(&columns, &[row(2), row(3)])]);
    assert_eq!(scan(&endpoint, &cases).unwrap().concat(), ["Int(10)", "Int(20)", "Int(30)"]);
    // From the beginning; behind the first row, which came whole; behind the last nobody has to ask.
    assert_eq!(endpoint.heard(TABLE), 2);
    assert_eq!(endpoint.heard(&format!("{TABLE} WHERE (CONVERT(char(36), t.[Id]) > @P1)")), 1);
}

pub fn an_error_after_some_rows_ends_the_scan() {
    let cases = vec![numbers(SqlType::Int, 4, [10, 20, 30])];
    let columns = scanned(&cases);
    let endpoint = Endpoint::start();
    let torn = Reply::new().columns(&columns).row(&columns, &scanned_row(&cases, 1)).failed(824, 16, "torn page", "");
    endpoint.answers(TABLE, [torn]);
    let error = scan(&endpoint, &cases).unwrap_err();
    assert!(error.to_string().contains("torn page") && error.to_string().contains("Db.dbo.Types"), "{error}");
    assert_eq!(endpoint.heard(TABLE), 1);
}
