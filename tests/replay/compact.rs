//! Compaction against replay: the one bundle gives what the many give.

use crate::made::{Content, Made, Row, key};
use crate::replay::place::Place;
use blobdelta::bundle::Bundle;
use blobdelta::bundle::manifest::Companions;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::verify::{VerifyLevel, verify};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const KEYS: u8 = 7;
const STAMPS: i64 = 5;

/// A version of a row: its parent, if it has one, and its stamp.
type Version = (Option<prop::sample::Index>, Option<i64>);

#[derive(Clone, Debug)]
struct Part {
    rows: BTreeMap<u8, Version>,
    tombstones: BTreeMap<u8, i64>,
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let version = (prop::option::weighted(0.7, any::<prop::sample::Index>()), prop::option::weighted(0.8, 0..STAMPS));
    let rows = prop::collection::btree_map(1..=KEYS, version, 0..=KEYS as usize);
    let tombstones = prop::collection::btree_map(1..=KEYS, 0..STAMPS, 0..3);
    let part = (rows, tombstones).prop_map(|(rows, tombstones)| Part { rows, tombstones });
    prop::collection::vec(part, 2..6)
}

/// A bundle of these rows. A parent has a lower key, so no row is its own ancestor; one that is not
/// in the bundle is listed.
fn made(nth: usize, part: &Part) -> Made {
    let run = u8::try_from(nth).unwrap() + 1;
    let mut made = Made::new(run, 1000 + i64::from(run / 2), (0, 500));
    let mut placed: BTreeMap<u8, (i64, Vec<u8>)> = BTreeMap::new();
    for (nth, (parent, stamp)) in &part.rows {
        let parent = parent
            .as_ref()
            .filter(|_| *nth > 1)
            .map(|index| u8::try_from(index.index(usize::from(*nth) - 1)).unwrap() + 1);
        let mut row = Row::root(*nth, *stamp, &[run, *nth]);
        if let Some(parent) = parent {
            let (depth, path) = placed.get(&parent).cloned().unwrap_or((0, vec![parent]));
            if !part.rows.contains_key(&parent) {
                made.absent.push((key(*nth), Some(key(parent))));
            }
            row.parent_path = Some(path.clone());
            row.path = [path, vec![*nth]].concat();
            (row.depth, row.step, row.parent) = (depth + 1, 3, Some(key(parent)));
        }
        placed.insert(*nth, (row.depth, row.path.clone()));
        if nth % 3 == 0 {
            row.content = Content::Blob(vec![run; 3000 + usize::from(*nth)]);
        }
        made.rows.push(row);
    }
    made.sort();
    made.tombstones = part.tombstones.iter().map(|(nth, stamp)| (key(*nth), *stamp)).collect();
    made
}

fn compacted(paths: &[PathBuf], out: &Path, side_by_side: usize) -> PathBuf {
    std::fs::create_dir_all(out).unwrap();
    let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let options = CompactOptions { side_by_side, ..CompactOptions::default() };
    let published = compact(bundles, &Local, out, &options, &Silent).unwrap();
    let report = verify(published.path(), VerifyLevel::Deep, &Silent).unwrap();
    assert!(report.is_good(), "{report:#?}");
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 1, "nothing is left but the bundle");
    published.path().to_owned()
}

pub fn one_bundle_gives_what_many_give(place: &Place) {
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&parts(), |parts| {
        check(place, &parts);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

fn check(place: &Place, parts: &[Part]) {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    std::fs::create_dir(out("in")).unwrap();
    let mut paths: Vec<PathBuf> =
        parts.iter().enumerate().map(|(nth, part)| made(nth, part).write(&out("in"))).collect();
    let target = || place.target(&Guid::random().to_string());
    let many = target();
    many.apply(&paths, false).unwrap();
    let one = compacted(&paths, &out("one"), 8);
    let from_one = target();
    from_one.apply(std::slice::from_ref(&one), false).unwrap();
    assert_eq!(from_one.existing(), many.existing());
    // Tombstones came along: what is older and comes late still loses.
    from_one.apply(&paths, true).unwrap();
    assert_eq!(from_one.existing(), many.existing());

    paths.reverse();
    let again = compacted(&paths, &out("again"), 8);
    let root = |path: &Path| Bundle::open(path).unwrap().root_sha256();
    assert_eq!(root(&one), root(&again), "the same bundles give the same bytes");
    // By twos, and with what is compacted already among them.
    let by_twos = compacted(&paths, &out("by twos"), 2);
    paths.push(one);
    let with_one = compacted(&paths, &out("with one"), 8);
    for path in [by_twos, with_one] {
        let target = target();
        target.apply(std::slice::from_ref(&path), false).unwrap();
        assert_eq!(target.existing(), many.existing());
        assert_eq!(Bundle::open(&path).unwrap().manifest().inputs.len(), parts.len());
    }
}

pub fn what_makes_no_chain_is_not_compacted(_: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let row = |run: u8, window: (i64, i64)| {
        let mut made = Made::new(run, 1000 + i64::from(run), window);
        made.rows = vec![Row::root(1, Some(window.0), b"x")];
        made
    };
    let refused = |made: &[Made]| {
        let bundles = made.iter().map(|made| Bundle::open(&made.write(folder.path())).unwrap()).collect();
        let error = compact(bundles, &Local, folder.path(), &CompactOptions::default(), &Silent).unwrap_err();
        (error.kind(), error.to_string())
    };
    let first = row(1, (0, 100));
    assert_eq!(refused(&[row(2, (0, 100))]).0, Kind::Usage);
    assert_eq!(refused(&[first.clone(), row(3, (200, 300))]).0, Kind::ChainGap);
    let mut foreign = row(4, (100, 200));
    foreign.spoil = |manifest| manifest.run.source_id = key(9);
    assert!(refused(&[first.clone(), foreign]).1.contains("several sources"));
    let mut other = row(5, (100, 200));
    other.spoil = |manifest| {
        let column = &mut manifest.tables[0].columns[3];
        (column.sql_type, column.length, column.arrow_type) = ("date".into(), None, "date32[day]".into());
        column.companions = Companions::default();
    };
    assert!(refused(&[first.clone(), other]).1.contains("neither takes every value of the other"));
    let mut keyed = row(6, (100, 200));
    keyed.spoil = |manifest| manifest.tables[0].path_column = None;
    assert!(refused(&[first, keyed]).1.contains("key or path columns of this table changed"));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 6, "nothing was written: {names:?}");
}

pub fn a_moved_folder_stands_before_what_lies_in_it(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Made::new(1, 1000, (0, 100));
    let child =
        |nth: u8, parent: u8, depth: i64, stamp: i64| Row { depth, ..Row::child(nth, parent, Some(stamp), b"x") };
    first.rows = vec![Row::root(5, Some(1), b""), Row::root(6, Some(1), b""), child(1, 6, 1, 1), child(2, 1, 2, 1)];
    first.sort();
    // 6 goes below 5; what lies in it is not stamped.
    let mut second = Made::new(2, 2000, (100, 200));
    second.rows = vec![Row { step: 2, ..Row::root(5, Some(1), b"") }, child(6, 5, 1, 150)];
    let paths = [first.write(folder.path()), second.write(folder.path())];
    let path = compacted(&paths, &folder.path().join("out"), 8);
    let target = place.target("Moved");
    target.apply(&[path], false).unwrap();
    assert_eq!(target.existing().len(), 4);
}
