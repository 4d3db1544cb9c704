//! What a target promises, call by call.

use crate::made::{at, key};
use crate::replay::place::{Into, Place};
use blobdelta::backend::{AppliedBundle, LedgerEntry, Sandbox, TableScan, TargetSpec, TombstoneRow};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink, RowSource};
use blobdelta::model::column::{Column, DELTA_MODIFIED_ON};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Scope;
use blobdelta::model::slice::{DeletionReason, ReadLimits};
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::version::Version;
use std::io::Read;

/// Rows of a key, a stamp and bytes, which come as a large value; no bytes are NULL.
struct Rows(Vec<(Guid, Option<i64>, Vec<u8>)>);

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let (key, modified, bytes) = &self.0[row];
        Ok(match column {
            0 if bytes.is_empty() => Cell::Null,
            0 => Cell::Large(bytes.len() as u64),
            1 => Cell::Guid(*key),
            _ => modified.map_or(Cell::Null, |modified| Cell::DateTime(at(modified))),
        })
    }

    fn large(&self, row: usize, _: usize) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(&self.0[row].2[..]))
    }
}

struct Seen(Vec<Vec<u8>>);

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        self.0.push(match cell {
            Cell::Bytes(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        });
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

pub fn spec(into: &Into, table: &str) -> TargetSpec {
    TargetSpec {
        evolve: blobdelta::backend::Evolve::Never,
        table: TableName::parse("Src.dbo.T").unwrap(),
        scope: Scope::All,
        target: TableName::new(&into.database, "dbo", table).unwrap(),
        columns: vec![
            Column::new("bytes", SqlType::VarBinary(None), true),
            Column::new("id", SqlType::UniqueIdentifier, false),
            Column::new(DELTA_MODIFIED_ON, SqlType::DateTime2(7), true),
        ],
        key_column: "id".into(),
        key_type: blobdelta::model::key::KeyType::UniqueIdentifier,
        path_column: None,
        displace: false,
        removes: false,
        repair: false,
    }
}

pub fn entry(root: u8, rows: u64, complete: bool) -> LedgerEntry {
    LedgerEntry {
        root_sha256: Sha256::from_bytes([root; 32]),
        part: "data/part".into(),
        rows,
        complete,
        passed_by: 0,
        applied_at: at(0),
    }
}

pub fn version(modified: Option<i64>) -> Version {
    Version { modified_on: modified.map(at), tombstone: None, run_started_at: at(5), run_id: key(5) }
}

fn put(backend: &mut dyn Sandbox, spec: &TargetSpec, root: u8, modified: i64, bytes: &[u8]) -> u64 {
    let rows = Rows(vec![(key(1), Some(modified), bytes.to_vec())]);
    backend.apply_rows(spec, &rows, &[key(1)], &[version(Some(modified))], &entry(root, 1, true)).unwrap().written
}

fn existing(backend: &mut dyn Sandbox, spec: &TargetSpec) -> Vec<Vec<u8>> {
    let mut seen = Seen(Vec::new());
    let limits = ReadLimits { bytes: u64::MAX, rows: 9, inline_bytes: 1 << 30 };
    let scan = TableScan { table: &spec.target, columns: &spec.columns[..1], key: "id" };
    backend.scan_page(scan, None, limits, &mut seen).unwrap();
    seen.0
}

fn prepared(place: &Place) -> (Box<dyn Sandbox>, TargetSpec, Into) {
    let into = place.target("Into");
    let mut backend = into.open().unwrap();
    let spec = spec(&into, "T");
    backend.prepare_target(&spec, true).unwrap();
    (backend, spec, into)
}

pub fn rule_14_the_latest_version_stands_whatever_came_first(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    let backend = &mut *backend;
    assert_eq!(put(backend, &spec, 1, 50, b"new"), 1);
    assert_eq!(put(backend, &spec, 2, 40, b"old"), 0);
    assert_eq!(existing(backend, &spec), [b"new"]);
    assert_eq!(put(backend, &spec, 3, 60, &[9; 300_000]), 1);
    assert_eq!(put(backend, &spec, 4, 60, &[8; 300_000]), 0);
    assert!(existing(backend, &spec) == [[9; 300_000]]);
    // NULL is least, whenever it was captured and whenever it comes.
    let unstamped = Version { run_started_at: at(9), ..version(None) };
    let rows = Rows(vec![(key(1), None, vec![7])]);
    let applied = backend.apply_rows(&spec, &rows, &[key(1)], &[unstamped], &entry(5, 1, true)).unwrap();
    assert_eq!(applied.written, 0, "a row without ModifiedOn that came late");
    // A later run wins a tie, and then the greater RunId in RFC order, which is not the server's.
    let (low, high) =
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let ties =
        [(4, key(9), 0), (6, Guid::from_bytes(low), 1), (6, Guid::from_bytes(high), 1), (6, Guid::from_bytes(low), 0)];
    for (nth, (started, run_id, due)) in (10..).zip(ties) {
        let version = Version { run_started_at: at(started), run_id, ..version(Some(60)) };
        let rows = Rows(vec![(key(1), Some(60), vec![nth])]);
        let entry = entry(nth, 1, true);
        assert_eq!(backend.apply_rows(&spec, &rows, &[key(1)], &[version], &entry).unwrap().written, due, "tie {nth}");
    }
    assert_eq!(existing(backend, &spec), [[12]]);
}

pub fn rule_15_a_tombstone_that_came_first_still_wins(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    let backend = &mut *backend;
    let write_tombstones = |backend: &mut dyn Sandbox, root, modified| {
        let tombstone = TombstoneRow { key: key(1), version: version(modified), reason: DeletionReason::Deleted };
        backend.apply_tombstones(&spec, &[tombstone], &entry(root, 1, true)).unwrap()
    };
    assert_eq!(write_tombstones(backend, 1, Some(50)), 0);
    assert_eq!(write_tombstones(backend, 2, Some(30)), 0);
    assert_eq!(put(backend, &spec, 3, 50, b"tie"), 0);
    assert_eq!(put(backend, &spec, 4, 51, b"later"), 1);
    assert_eq!(write_tombstones(backend, 5, Some(50)), 0);
    assert_eq!(write_tombstones(backend, 6, None), 0);
    assert_eq!(write_tombstones(backend, 7, Some(52)), 1);
    assert!(existing(backend, &spec).is_empty());
    assert_eq!(put(backend, &spec, 8, 52, b"tie"), 0);
}

pub fn a_batch_out_of_its_place_changes_nothing(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    let rows = Rows(vec![(key(1), None, vec![1])]);
    let apply = |backend: &mut dyn Sandbox, at, complete| {
        backend.apply_rows(&spec, &rows, &[key(1)], &[version(Some(9))], &entry(1, at, complete))
    };
    assert_eq!(apply(&mut *backend, 2, false).unwrap_err().kind(), Kind::Internal);
    assert!(existing(&mut *backend, &spec).is_empty());
    apply(&mut *backend, 1, false).unwrap();
    assert_eq!(apply(&mut *backend, 1, false).unwrap_err().kind(), Kind::Internal);
    apply(&mut *backend, 2, true).unwrap();
    assert_eq!(apply(&mut *backend, 3, true).unwrap_err().kind(), Kind::Internal);
    let ledger = backend.ledger(&spec, Sha256::from_bytes([1; 32])).unwrap();
    assert_eq!((ledger.len(), ledger[0].rows, ledger[0].complete), (1, 2, true));
    assert_eq!((ledger[0].part.as_str(), ledger[0].applied_at), ("data/part", at(0)));
}

pub fn a_target_that_would_cut_values_is_refused(place: &Place) {
    let (mut backend, mut spec, into) = prepared(place);
    backend.prepare_target(&spec, false).unwrap();
    spec.columns.push(Column::new("more", SqlType::Int, true));
    let error = backend.prepare_target(&spec, true).unwrap_err();
    assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("more")));
    spec.columns.pop();
    spec.target.table = "Absent".into();
    assert_eq!(backend.prepare_target(&spec, false).unwrap_err().kind(), Kind::Config);
    // The key is not unique by itself.
    let key = Column::new("other", SqlType::UniqueIdentifier, false);
    spec.target.table = "NoKey".into();
    spec.columns.push(key);
    let own = [
        Column::new("DeltaRunStartedAt", SqlType::DateTime2(7), true),
        Column::new("DeltaRunId", SqlType::UniqueIdentifier, true),
    ];
    backend.create_table(&spec.target, &[&spec.columns[..], &own].concat(), "other", &[]).unwrap();
    let error = into.open().unwrap().prepare_target(&spec, false).unwrap_err();
    assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("id")));
}

pub fn what_was_noted_of_a_bundle_stays(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    assert_eq!(backend.applied_bundles(&spec).unwrap(), []);
    let noted = |root, window, gap: Option<&str>, within| AppliedBundle {
        columns: Vec::new(),
        source_id: key(3),
        table: spec.table.clone(),
        scope: "all".into(),
        root_sha256: Sha256::from_bytes([root; 32]),
        window,
        previous: window.map(|_| Sha256::from_bytes([9; 32])),
        gap: gap.map(str::to_owned),
        is_other_source: gap.is_some(),
        within,
    };
    let window = Some((at(10), at(50)));
    let within = noted(2, None, None, Some(Sha256::from_bytes([1; 32])));
    let whole = noted(1, window, Some("a week"), None);
    backend.note_bundles(&spec, &[whole.clone(), within.clone()]).unwrap();
    backend.note_bundles(&spec, &[noted(1, Some((at(11), at(51))), None, None)]).unwrap();
    assert_eq!(backend.applied_bundles(&spec).unwrap(), [within, whole.clone()]);
    let alone = noted(2, Some((at(20), at(30))), None, None);
    backend.note_bundles(&spec, std::slice::from_ref(&alone)).unwrap();
    assert_eq!(backend.applied_bundles(&spec).unwrap(), [whole.clone(), alone.clone()]);
    backend.note_gap(&spec, whole.root_sha256, None).unwrap();
    backend.note_gap(&spec, alone.root_sha256, Some("a day")).unwrap();
    let gaps: Vec<_> = backend.applied_bundles(&spec).unwrap().into_iter().map(|noted| noted.gap).collect();
    assert_eq!(gaps, [None, Some("a day".to_owned())]);
}

pub fn of_one_key_twice_in_a_batch_the_later_version_stands(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    let stamps = [5_i64, 7, 6];
    let rows = Rows(stamps.iter().map(|stamp| (key(1), Some(*stamp), stamp.to_be_bytes().to_vec())).collect());
    let versions = stamps.map(|stamp| version(Some(stamp)));
    backend.apply_rows(&spec, &rows, &[key(1); 3], &versions, &entry(1, 3, true)).unwrap();
    assert_eq!(existing(&mut *backend, &spec), [7_i64.to_be_bytes()]);
}

/// Two chains of one key: what each hands out, in the order of its runs. A row is its stamp and its bytes, and without
/// bytes an ancestor that came without its blob.
const SHARED: [(u8, u8, i64, Option<&[u8]>); 5] = [
    (0xA, 1, 20, Some(b"whole")),
    (0xB, 2, 20, Some(b"whole")),
    (0xA, 3, 20, Some(b"")),
    (0xB, 4, 20, None),
    (0xA, 5, 30, Some(b"again")),
];

fn hand_out(backend: &mut dyn Sandbox, spec: &TargetSpec, root: u8, nth: usize) {
    let (of, run, stamp, bytes) = SHARED[nth];
    let spec = TargetSpec { scope: Scope::BusinessUnit(key(of)), ..spec.clone() };
    let version = Version { run_started_at: at(run.into()), run_id: key(run), ..version(Some(stamp)) };
    let entry = entry(root, 1, true);
    match bytes {
        Some(bytes) => {
            let rows = Rows(vec![(key(1), Some(stamp), bytes.to_vec())]);
            let _ = backend.apply_rows(&spec, &rows, &[key(1)], &[version], &entry).unwrap();
        }
        None => {
            let left = TombstoneRow { key: key(1), version, reason: DeletionReason::LeftScope };
            backend.apply_tombstones(&spec, &[left], &entry).unwrap();
        }
    }
}

pub fn rule_14_between_chains_the_whole_row_wins_and_what_is_left_is_what_its_chain_has(place: &Place) {
    let (mut backend, spec, _) = prepared(place);
    // In which order they come, and what stands then.
    let orders: [(&[usize], &[&[u8]]); 8] = [
        (&[0, 1, 2], &[b"whole"]),
        (&[2, 1], &[b"whole"]),
        (&[1, 2], &[b"whole"]),
        (&[0, 2], &[b""]),
        (&[0, 1, 2, 3], &[b""]),
        (&[1, 3, 0, 2], &[b""]),
        (&[2, 1, 3], &[b""]),
        (&[3, 2, 0, 1, 4], &[b"again"]),
    ];
    for (root, (order, due)) in (1..).step_by(10).zip(orders) {
        let spec = TargetSpec { table: TableName::new("Src", "dbo", &format!("T{root}")).unwrap(), ..spec.clone() };
        let target = TableName { table: format!("T{root}"), ..spec.target.clone() };
        let spec = TargetSpec { target, ..spec };
        backend.prepare_target(&spec, true).unwrap();
        for (at, nth) in (0..).zip(order) {
            hand_out(&mut *backend, &spec, root + at, *nth);
        }
        assert_eq!(existing(&mut *backend, &spec), due, "{order:?}");
    }
}
