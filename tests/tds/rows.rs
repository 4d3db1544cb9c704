//! Reading many rows, and values in chunks: what is asked for, and what a break costs.

use crate::tds::endpoint::Endpoint;
use crate::tds::reply::Reply;
use crate::tds::types::{Datum, Type};
use blobdelta::backend::{OpenOptions, Sandbox, TableScan};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::id::{Guid, KeyOrder};
use blobdelta::model::name::TableName;
use blobdelta::model::slice::ReadLimits;
use blobdelta::model::sqltype::SqlType;

const SCAN: &str = "SELECT CONVERT(bigint, 0)";
const BEHIND: &str = "WHERE (CONVERT(char(36), t.[k]) > @P1)";
const LIMITS: ReadLimits = ReadLimits { bytes: u64::MAX, rows: u32::MAX, inline_bytes: 100 };

fn session(endpoint: &Endpoint) -> Box<dyn Sandbox> {
    let options = OpenOptions { main_database: "Copy".into(), ..OpenOptions::default() };
    endpoint.connection().open_sandbox(&options).unwrap()
}

fn table() -> TableName {
    TableName::parse("Copy.dbo.Docs").unwrap()
}

fn key(nth: u8) -> Guid {
    Guid::from_bytes([nth; 16])
}

const ANSWER: [(&str, Type); 5] =
    [("", Type::Int(8)), ("", Type::Int(4)), ("k", Type::Guid), ("", Type::Int(8)), ("v", Type::VarBinary(None))];

/// A row with a value of this many bytes; one over the limit is not sent.
fn row(nth: u8, bytes: usize) -> Vec<Datum> {
    let value = if bytes > 100 { Datum::Null } else { Datum::Bytes(vec![nth; bytes]) };
    vec![Datum::Int(0), Datum::Null, Datum::Guid([nth; 16]), Datum::Int(i64::try_from(bytes).unwrap()), value]
}

#[derive(Default)]
struct Seen(Vec<String>);

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        self.0.push(format!("{cell:?}"));
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

fn scan(session: &mut dyn Sandbox, after: Option<Guid>, limits: ReadLimits) -> Result<(Option<Guid>, Vec<String>)> {
    let columns = [Column::new("v", SqlType::VarBinary(None), true)];
    let mut seen = Seen::default();
    let last =
        session.scan_page(TableScan { table: &table(), columns: &columns, key: "k" }, after, limits, &mut seen)?;
    Ok((last, seen.0))
}

pub fn rows_before_a_cut_are_given_once_and_reading_goes_on_behind_them() {
    let endpoint = Endpoint::start();
    let torn = Reply::new().columns(&ANSWER).row(&ANSWER, &row(1, 1)).row(&ANSWER, &row(2, 101));
    let torn = torn.row(&ANSWER, &row(3, 0)).cut();
    endpoint.answers(SCAN, [torn, Reply::rows(&ANSWER, &[row(3, 0), row(4, 2)])]);
    let (last, seen) = scan(&mut *session(&endpoint), None, LIMITS).unwrap();
    assert_eq!(last, Some(key(4)));
    assert_eq!(seen, ["Bytes([1])", "Large(101)", "Bytes([])", "Bytes([4, 4])"]);
    assert_eq!((endpoint.heard(SCAN), endpoint.heard(BEHIND)), (2, 1));
}

pub fn pages_come_from_one_statement_as_long_as_each_goes_on_behind_the_last() {
    let endpoint = Endpoint::start();
    let [all, behind_one, behind_two] = [1, 2, 3].map(|from| (from..=3).map(|nth| row(nth, 1)).collect::<Vec<_>>());
    endpoint.answers(SCAN, [all, behind_one, behind_two].map(|rows| Reply::rows(&ANSWER, &rows)));
    let mut session = session(&endpoint);
    let two = ReadLimits { rows: 2, ..LIMITS };
    let (last, seen) = scan(&mut *session, None, two).unwrap();
    assert_eq!((last, seen.len()), (Some(key(2)), 2));
    let (last, seen) = scan(&mut *session, last, two).unwrap();
    assert_eq!((last, seen.len()), (Some(key(3)), 1));
    assert_eq!(endpoint.heard(SCAN), 1);
    assert_eq!(endpoint.logins().len(), 2, "on a connection of its own");
    // From another place, and with other limits to its values, it is another reading.
    scan(&mut *session, Some(key(1)), two).unwrap();
    scan(&mut *session, Some(key(2)), ReadLimits { inline_bytes: 5, ..two }).unwrap();
    assert_eq!((endpoint.heard(SCAN), endpoint.heard(BEHIND)), (3, 2));
}

/// What each of two connections is asked for: the rows that stand first, third, … and the others.
const FIRST: &str = "% 2 = 1 ORDER BY";
const SECOND: &str = "% 2 = 0 ORDER BY";

fn over_two(endpoint: &Endpoint) -> Box<dyn Sandbox> {
    let options = OpenOptions { main_database: "Copy".into(), connections: 2, ..OpenOptions::default() };
    endpoint.connection().open_sandbox(&options).unwrap()
}

pub fn rows_of_two_connections_come_in_their_order() {
    let endpoint = Endpoint::start();
    endpoint.answers(FIRST, [Reply::rows(&ANSWER, &[row(1, 1), row(3, 1), row(5, 1)])]);
    endpoint.answers(SECOND, [Reply::rows(&ANSWER, &[row(2, 1), row(4, 1)])]);
    let mut session = over_two(&endpoint);
    let (last, seen) = scan(&mut *session, None, LIMITS).unwrap();
    assert_eq!(last, Some(key(5)));
    assert_eq!(seen, [1, 2, 3, 4, 5].map(|nth| format!("Bytes([{nth}])")));
    // The next reading goes over the same connections.
    scan(&mut *session, None, LIMITS).unwrap();
    assert_eq!((endpoint.heard(FIRST), endpoint.heard(SECOND), endpoint.logins().len()), (2, 2, 3));
}

pub fn a_cut_of_one_of_two_connections_costs_no_row() {
    let endpoint = Endpoint::start();
    let torn = Reply::new().columns(&ANSWER).row(&ANSWER, &row(2, 1)).row(&ANSWER, &row(4, 1)).cut();
    endpoint.answers(SECOND, [torn, Reply::rows(&ANSWER, &[row(5, 1)])]);
    let whole = Reply::rows(&ANSWER, &[row(1, 1), row(3, 1), row(5, 1)]);
    endpoint.answers(FIRST, [whole, Reply::rows(&ANSWER, &[row(4, 1)])]);
    let (last, seen) = scan(&mut *over_two(&endpoint), None, LIMITS).unwrap();
    assert_eq!(last, Some(key(5)));
    assert_eq!(seen, [1, 2, 3, 4, 5].map(|nth| format!("Bytes([{nth}])")));
    assert_eq!(endpoint.heard("WHERE (CONVERT(char(36), t.[k]) > @P1)"), 2);
}

pub fn connections_that_do_not_read_the_same_rows_are_found_out() {
    for (first, second) in [(vec![1, 3], vec![2, 4, 6]), (vec![1, 3, 5, 7], vec![2, 4])] {
        let endpoint = Endpoint::start();
        let rows = |keys: &[u8]| Reply::rows(&ANSWER, &keys.iter().map(|nth| row(*nth, 1)).collect::<Vec<_>>());
        endpoint.answers(FIRST, [rows(&first)]);
        endpoint.answers(SECOND, [rows(&second)]);
        let error = scan(&mut *over_two(&endpoint), None, LIMITS).unwrap_err();
        assert!(error.to_string().contains("do not read the same rows"), "{error}");
    }
    // As many rows, and yet not in one order.
    let endpoint = Endpoint::start();
    endpoint.answers(FIRST, [Reply::rows(&ANSWER, &[row(1, 1), row(3, 1)])]);
    endpoint.answers(SECOND, [Reply::rows(&ANSWER, &[row(3, 1), row(4, 1)])]);
    let error = scan(&mut *over_two(&endpoint), None, LIMITS).unwrap_err();
    assert!(error.to_string().contains("do not read the same rows"), "{error}");
}

pub fn an_error_of_the_server_is_no_end_of_the_rows() {
    let endpoint = Endpoint::start();
    let failed = Reply::new().columns(&ANSWER).row(&ANSWER, &row(1, 1)).failed(245, 16, "Conversion failed.", "");
    endpoint.answers(SCAN, [failed]);
    let error = scan(&mut *session(&endpoint), None, LIMITS).unwrap_err();
    assert_eq!(error.kind(), Kind::Database);
    assert!(error.to_string().contains("Conversion failed."), "{error}");
    assert_eq!(endpoint.heard(SCAN), 1);
}

/// Keys with one byte set, as they stand in an order.
fn sorted(order: KeyOrder) -> Reply {
    let set = |at: usize| {
        let mut bytes = [0; 16];
        bytes[at] = 1;
        Guid::from_bytes(bytes)
    };
    let mut keys: Vec<Guid> = (0..16).map(set).collect();
    keys.sort_by_key(|key| order.sort_key(*key));
    let rows: Vec<Vec<Datum>> = keys.iter().map(|key| vec![Datum::Guid(*key.as_bytes())]).collect();
    Reply::rows(&[("g", Type::Guid)], &rows)
}

pub fn the_order_of_keys_is_asked_for_once() {
    for order in [KeyOrder::Rfc, KeyOrder::SqlServer] {
        let endpoint = Endpoint::start();
        endpoint.answers("ORDER BY k.g", [sorted(order)]);
        let mut session = session(&endpoint);
        assert_eq!((session.key_order().unwrap(), session.key_order().unwrap()), (order, order));
        assert_eq!(endpoint.heard("ORDER BY k.g"), 1);
    }
    let endpoint = Endpoint::start();
    endpoint.answers("ORDER BY k.g", [Reply::rows(&[("g", Type::Guid)], &[vec![Datum::Guid([0; 16])]])]);
    assert_eq!(session(&endpoint).key_order().unwrap_err().kind(), Kind::Database);
}

pub fn what_is_lost_on_the_way_is_no_answer_of_what_a_server_has() {
    let endpoint = Endpoint::start();
    endpoint.answers(".WRITE(0x00", [Reply::done(0).cut(), Reply::done(0)]);
    endpoint.answers("ORDER BY k.g", [sorted(KeyOrder::SqlServer).cut(), sorted(KeyOrder::SqlServer)]);
    endpoint.answers("UPDATE [Copy]", [Reply::done(1)]);
    let column = Column::new("v", SqlType::VarBinary(None), true);
    let bytes = vec![7; 1_200_000];
    let from = &mut &bytes[..];
    session(&endpoint).write_value(&table(), ("k", key(1)), &column, bytes.len() as u64, from).unwrap();
    assert_eq!(endpoint.heard("SET [v].WRITE(@P1, NULL, 0)"), 2, "it was taken for one that has no .WRITE");
    assert_eq!(endpoint.logins().len(), 3);
}

pub fn a_large_value_is_written_in_chunks_where_the_server_takes_them() {
    let column = Column::new("v", SqlType::VarBinary(None), true);
    let bytes = vec![7; 1_200_000];
    let write = |endpoint: &Endpoint| {
        endpoint.answers("ORDER BY k.g", [sorted(KeyOrder::SqlServer)]);
        endpoint.answers("UPDATE [Copy]", [Reply::done(1)]);
        let from = &mut &bytes[..];
        session(endpoint).write_value(&table(), ("k", key(1)), &column, bytes.len() as u64, from).unwrap();
        (endpoint.heard("SET [v] = @P1"), endpoint.heard("SET [v].WRITE(@P1, NULL, 0)"))
    };
    assert_eq!(write(&Endpoint::start()), (1, 2));
    let endpoint = Endpoint::start();
    endpoint.answers(".WRITE(0x00", [Reply::error(102, 15, "Incorrect syntax near '.'.")]);
    assert_eq!(write(&endpoint), (1, 0));
}
