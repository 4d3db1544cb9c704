use super::*;
use crate::backend::{OpenOptions, Sandbox as _};
use crate::error::Kind;
use crate::model::cell::CellSink;
use crate::model::name::TableName;
use crate::model::slice::ReadLimits;
use crate::model::sqltype::SqlType;
use std::io::Read;

struct Rows(Vec<(Guid, Option<Timestamp>, Vec<u8>)>);

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let (key, modified, bytes) = &self.0[row];
        Ok(match column {
            0 => Cell::Large(bytes.len() as u64),
            1 => Cell::Guid(*key),
            _ => modified.map_or(Cell::Null, Cell::DateTime),
        })
    }

    fn large(&self, row: usize, _: usize) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(&self.0[row].2[..]))
    }
}

struct Seen(Vec<Vec<u8>>);

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        if let Cell::Bytes(bytes) = cell {
            self.0.push(bytes.to_vec());
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

fn spec(session: &mut Session) -> TargetSpec {
    let spec = TargetSpec {
        table: TableName::parse("Src.dbo.T").unwrap(),
        target: TableName::parse("Copy.dbo.T").unwrap(),
        columns: vec![
            Column::new("bytes", SqlType::VarBinary(None), true),
            Column::new("id", SqlType::UniqueIdentifier, false),
            Column::new(DELTA_MODIFIED_ON, SqlType::DateTime2(7), true),
        ],
        key_column: "id".into(),
        path_column: None,
    };
    session.prepare_target(&spec, true).unwrap();
    spec
}

fn entry(spec: &TargetSpec, root: u8, rows: u64, complete: bool) -> LedgerEntry {
    LedgerEntry {
        root_sha256: Sha256::from_bytes([root; 32]),
        table: spec.table.clone(),
        part: "data/part".into(),
        rows,
        complete,
        applied_at: Timestamp::MIN,
    }
}

fn version(modified: i64) -> Version {
    Version {
        modified_on: Timestamp::from_ticks(modified),
        tombstone: false,
        run_started_at: Timestamp::from_ticks(5).unwrap(),
        run_id: Guid::from_bytes([5; 16]),
    }
}

fn put(session: &mut Session, spec: &TargetSpec, root: u8, modified: i64, bytes: &[u8]) -> Result<u64> {
    let key = Guid::from_bytes([1; 16]);
    let version = version(modified);
    let rows = Rows(vec![(key, version.modified_on, bytes.to_vec())]);
    session.apply_rows(spec, &rows, &[key], &[version], &entry(spec, root, 1, true))
}

fn standing(session: &mut Session, spec: &TargetSpec) -> Vec<Vec<u8>> {
    let mut seen = Seen(Vec::new());
    let limits = ReadLimits { bytes: u64::MAX, rows: 9, inline_bytes: 1 << 30 };
    session.scan_page(&spec.target, &spec.columns[..1], "id", None, limits, &mut seen).unwrap();
    seen.0
}

fn open(folder: &tempfile::TempDir) -> Session {
    let main_database = "Copy".to_owned();
    Session::open(folder.path(), &OpenOptions { create: true, main_database, ..OpenOptions::default() }).unwrap()
}

#[test]
fn rule_14_the_latest_version_stands_whatever_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let spec = spec(&mut session);
    assert_eq!(put(&mut session, &spec, 1, 50, b"new").unwrap(), 1);
    assert_eq!(put(&mut session, &spec, 2, 40, b"old").unwrap(), 0);
    assert_eq!(standing(&mut session, &spec), [b"new"]);
    assert_eq!(put(&mut session, &spec, 3, 60, &[9; 300_000]).unwrap(), 1);
    assert_eq!(standing(&mut session, &spec), [[9; 300_000]]);
}

#[test]
fn rule_15_a_tombstone_that_came_first_still_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let spec = spec(&mut session);
    let tombstone = |modified| [TombstoneRow { key: Guid::from_bytes([1; 16]), version: version(modified) }];
    let bury = |session: &mut Session, root, modified| {
        session.apply_tombstones(&spec, &tombstone(modified), &entry(&spec, root, 1, true)).unwrap()
    };
    assert_eq!(bury(&mut session, 1, 50), 0);
    assert_eq!(bury(&mut session, 2, 30), 0);
    assert_eq!(put(&mut session, &spec, 3, 50, b"tie").unwrap(), 0);
    assert_eq!(put(&mut session, &spec, 4, 51, b"later").unwrap(), 1);
    assert_eq!(bury(&mut session, 5, 50), 0);
    assert_eq!(bury(&mut session, 6, 52), 1);
    assert!(standing(&mut session, &spec).is_empty());
}

#[test]
fn a_batch_out_of_its_place_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let spec = spec(&mut session);
    let key = Guid::from_bytes([1; 16]);
    let rows = Rows(vec![(key, None, vec![1])]);
    let apply = |session: &mut Session, at, complete| {
        session.apply_rows(&spec, &rows, &[key], &[version(9)], &entry(&spec, 1, at, complete))
    };
    assert_eq!(apply(&mut session, 2, false).unwrap_err().kind(), Kind::Internal);
    assert!(standing(&mut session, &spec).is_empty());
    apply(&mut session, 1, false).unwrap();
    apply(&mut session, 2, true).unwrap();
    assert_eq!(apply(&mut session, 3, true).unwrap_err().kind(), Kind::Internal);
    let ledger = session.ledger(&spec, Sha256::from_bytes([1; 32])).unwrap();
    assert_eq!((ledger.len(), ledger[0].rows, ledger[0].complete), (1, 2, true));
}

#[test]
fn a_target_that_would_cut_values_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let mut spec = spec(&mut session);
    session.prepare_target(&spec, false).unwrap();
    spec.columns.push(Column::new("more", SqlType::Int, true));
    let error = session.prepare_target(&spec, true).unwrap_err();
    assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("more")));
    spec.target = TableName::parse("Copy.dbo.Absent").unwrap();
    assert_eq!(session.prepare_target(&spec, false).unwrap_err().kind(), Kind::Config);
    session.execute_script("CREATE TABLE NoKey AS SELECT * FROM T").unwrap();
    spec.target = TableName::parse("Copy.dbo.NoKey").unwrap();
    spec.columns.pop();
    assert_eq!(session.prepare_target(&spec, false).unwrap_err().kind(), Kind::Config);
}

#[test]
fn a_large_text_is_written_in_pieces_and_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let mut spec = spec(&mut session);
    spec.target = TableName::parse("Copy.dbo.Texts").unwrap();
    spec.columns[0] = Column::new("bytes", SqlType::NVarChar(None), true);
    session.prepare_target(&spec, true).unwrap();
    let text = "ä€\u{1F600}".repeat(60_000);
    for (root, modified) in [(1, 50), (2, 60)] {
        assert_eq!(put(&mut session, &spec, root, modified, text.as_bytes()).unwrap(), 1);
    }
    let found: String = session.query_one("SELECT bytes FROM Texts WHERE typeof(bytes) = 'text'", []).unwrap();
    assert!(found == text);
}

#[test]
fn a_chain_never_ends_earlier_than_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = open(&folder);
    let spec = spec(&mut session);
    let source = Guid::from_bytes([3; 16]);
    let root = Sha256::from_bytes([1; 32]);
    let at = |ticks| Timestamp::from_ticks(ticks).unwrap();
    assert_eq!(session.chain_end(&spec, source, "all").unwrap(), None);
    for end in [50, 40, 45] {
        session.note_chain(&spec, source, "all", root, at(end)).unwrap();
        assert_eq!(session.chain_end(&spec, source, "all").unwrap(), Some(at(50)));
    }
}
