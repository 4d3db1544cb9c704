//! Replay: values, gaps, crashes.

use super::made::{Content, Made, Row, columns, key, table_name};
use blobdelta::backend::{Backend, Connection, OpenOptions};
use blobdelta::durable::{Disk, Faulty, Local, When};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, ReplayReport, replay, target_database};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Default)]
pub struct Seen {
    key: Option<Guid>,
    pub rows: BTreeMap<Guid, Option<Vec<u8>>>,
}

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        match cell {
            Cell::Guid(key) => {
                self.key = Some(key);
                self.rows.insert(key, None);
            }
            Cell::Bytes(bytes) => drop(self.rows.insert(self.key.unwrap(), Some(bytes.to_vec()))),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

pub fn open(folder: &Path, disk: Arc<dyn Disk>) -> Result<Box<dyn Backend>> {
    let options = OpenOptions { disk, main_database: "Db".into(), create: true, ..OpenOptions::default() };
    Connection::Embedded(folder.to_owned()).open(&options)
}

pub fn apply(bundles: &[PathBuf], into: &Path, allow_gap: bool) -> Result<ReplayReport> {
    let options = ReplayOptions { database: None, create: true, allow_gap };
    replay(bundles, &mut *open(into, Arc::new(Local))?, &options, &Silent)
}

/// Key and value of every row of the target.
pub fn standing(folder: &Path) -> BTreeMap<Guid, Option<Vec<u8>>> {
    let mut seen = Seen::default();
    let columns = [columns()[0].clone(), columns()[3].clone()];
    open(folder, Arc::new(Local)).unwrap().scan(&table_name(), &columns, "stream_id", &mut seen).unwrap();
    seen.rows
}

#[test]
fn values_inline_and_in_blob_arrive_whole_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Made::sample().write(folder.path());
    let into = folder.path().join("into");
    let options = ReplayOptions::default();
    assert_eq!(target_database(std::slice::from_ref(&bundle), &options).unwrap(), "Db");
    let twice = [bundle.clone(), bundle];
    let report = apply(&twice, &into, false).unwrap();
    assert_eq!(report.bundles.len(), 1);
    let table = &report.bundles[0].tables[0];
    assert_eq!((table.rows, table.written, table.tombstones, table.removed), (7, 7, 2, 0));
    let rows = standing(&into);
    assert_eq!(rows[&key(7)], Some(vec![7; 5000]));
    assert_eq!(rows[&key(2)], None);
    assert_eq!(rows[&key(5)].as_deref(), Some(&b"five"[..]));
    let again = apply(&twice, &into, false).unwrap();
    assert!(again.bundles[0].was_applied_before());
}

#[test]
fn a_gap_is_refused_and_a_late_older_bundle_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let make = |run: u8, window: (i64, i64)| {
        let mut made = Made::new(run, i64::from(run) * 1000, window);
        made.rows = vec![Row::root(run, Some(window.0), &[run])];
        made.write(folder.path())
    };
    let (one, two, three) = (make(1, (0, 100)), make(2, (100, 200)), make(3, (200, 300)));
    let into = folder.path().join("into");
    apply(std::slice::from_ref(&one), &into, false).unwrap();
    let error = apply(std::slice::from_ref(&three), &into, false).unwrap_err();
    assert_eq!((error.kind(), standing(&into).len()), (Kind::ChainGap, 1));
    assert_eq!(
        apply(&[three.clone(), one.clone()], &folder.path().join("new"), false).unwrap_err().kind(),
        Kind::ChainGap
    );
    apply(std::slice::from_ref(&three), &into, true).unwrap();
    apply(std::slice::from_ref(&two), &into, false).unwrap();
    assert_eq!(standing(&into).len(), 3);
    apply(&[three, two, one], &folder.path().join("whole"), false).unwrap();
}

#[test]
fn a_changed_bundle_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Made::sample().write(folder.path());
    let part = bundle.join("data/t001-Files/part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let into = folder.path().join("into");
    assert_eq!(apply(std::slice::from_ref(&bundle), &into, false).unwrap_err().kind(), Kind::Verification);
    assert!(standing(&into).is_empty());
    std::fs::remove_file(&part).unwrap();
    assert_eq!(apply(&[bundle], &into, false).unwrap_err().kind(), Kind::Verification);
    assert_eq!(apply(&[], &into, false).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn another_database_of_the_instance_can_be_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = [Made::sample().write(folder.path())];
    let into = folder.path().join("into");
    apply(&bundle, &into, false).unwrap();
    let mut options = ReplayOptions { database: Some("Copy".into()), ..ReplayOptions::default() };
    let mut backend = open(&into, Arc::new(Local)).unwrap();
    assert_eq!(replay(&bundle, &mut *backend, &options, &Silent).unwrap_err().kind(), Kind::Config);
    options.create = true;
    let report = replay(&bundle, &mut *backend, &options, &Silent).unwrap();
    assert_eq!(report.bundles[0].tables[0].target.to_string(), "Copy.dbo.Files");
    assert_eq!(report.bundles[0].tables[0].written, 7);
    options.create = false;
    assert!(replay(&bundle, &mut *backend, &options, &Silent).unwrap().bundles[0].was_applied_before());
}

/// Enough rows for two batches a part.
fn large() -> Made {
    let mut made = Made::new(1, 1000, (0, 500));
    for nth in 0..9000_u16 {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&nth.to_be_bytes());
        let row = Row::root(1, Some(7), &nth.to_be_bytes());
        made.rows.push(Row { key: Guid::from_bytes(bytes), path: nth.to_be_bytes().to_vec(), ..row });
    }
    made.rows[3].content = Content::Blob(vec![3; 4000]);
    made.tombstones = vec![(made.rows[5].key, 8), (made.rows[6].key, 6)];
    made
}

#[test]
fn a_replay_that_died_at_any_commit_is_taken_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = [large().write(folder.path())];
    let options = ReplayOptions { create: true, ..ReplayOptions::default() };
    let whole = folder.path().join("whole");
    let counting = Faulty::new(When::Never);
    replay(&bundle, &mut *open(&whole, Arc::new(counting.clone())).unwrap(), &options, &Silent).unwrap();
    let due = standing(&whole);
    assert_eq!(due.len(), 8999);
    assert!(counting.count() >= 5, "{}", counting.count());
    let mut resumed_inside = false;
    for nth in 1..=counting.count() {
        let into = folder.path().join(format!("crashed-{nth}"));
        let dying = Arc::new(Faulty::new(When::CrashAt(nth)));
        let died = open(&into, dying).and_then(|mut backend| replay(&bundle, &mut *backend, &options, &Silent));
        assert!(died.is_err(), "operation {nth}");
        let report = apply(&bundle, &into, false).unwrap();
        assert_eq!(standing(&into), due, "operation {nth}");
        resumed_inside |= (1..9000).contains(&report.bundles[0].tables[0].rows);
        assert!(apply(&bundle, &into, false).unwrap().bundles[0].was_applied_before());
    }
    assert!(resumed_inside, "no crash fell between two batches of one part");
}
