//! Folders out of a scope that rows of it lie in: what becomes of them after they came, or before they can; rules 7, 15, 17
//! and 19. Each is run for a unit, whose folder is another unit's, and for all units, whose folder is of none in scope.

use crate::scenarios::deletions::{found, number, reconciled};
use crate::scenarios::destinations::stopped;
use crate::scenarios::instance::Instance;
use crate::scenarios::left_folders::bare;
use crate::scenarios::read::{COLUMNS, Rows};
use crate::scenarios::world::{A, B, World, X, into_copy, key, minute, name, unit};
use blobdelta::backend::KeyRequest;
use blobdelta::engine::{self, RunOptions};
use blobdelta::model::column::Column;
use blobdelta::model::run::Scope;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions, TableDifferences};
use blobdelta::replay::replay;
use std::collections::BTreeMap;

/// Whose runs there are, and whose the folders are.
const CASES: [(Option<u8>, u8); 2] = [(Some(A), B), (None, X)];
const NOTHING: [u32; 0] = [];

/// A world with runs of one scope alone.
struct Scoped {
    world: World,
    letter: Option<u8>,
    /// Whose the folders are.
    other: u8,
}

impl Scoped {
    /// One with this folder, a file of the scope in it, and a run at 1000 that brought both; or the file alone.
    fn new(on: &Instance, (letter, other): (Option<u8>, u8), is_absent: bool) -> Self {
        let mut world = World::new(on);
        world.put(1, None, b"folder", 10, other);
        world.put(2, Some(1), b"file", 10, A);
        if is_absent {
            world.lose(1);
        }
        let mut scoped = Self { world, letter, other };
        assert_eq!(scoped.run(1000), if is_absent { vec![2] } else { vec![1, 2] });
        scoped
    }

    /// One whose file came without its folder, which is absent; and folders, one in the other, that nothing of the scope lies in.
    fn beside_folders(on: &Instance, case: (Option<u8>, u8)) -> Self {
        let mut scoped = Self::new(on, case, true);
        scoped.world.put(8, None, b"folder", 10, scoped.other);
        scoped.world.put(9, Some(8), b"folder", 10, scoped.other);
        scoped
    }

    fn scope(&self) -> Scope {
        self.letter.map(unit).into()
    }

    fn options(&self) -> RunOptions {
        let mut options = self.world.options();
        options.request.scope = self.scope();
        options
    }

    /// What a run brings.
    fn run(&mut self, at: i64) -> Vec<u32> {
        self.world.at(at);
        let options = self.options();
        let report = self.world.run_with(&options).unwrap();
        assert_eq!(report.tables[0].counts.as_ref().unwrap().pending, 0, "nothing waits");
        self.world.numbers()
    }

    /// What a run brings that is given up.
    fn given_up(&mut self, at: i64) -> Vec<u32> {
        let options = self.options();
        let left = stopped(&mut self.world, at, &options);
        let brought = self.world.numbers();
        engine::give_up(&mut *self.world.backend, left, None, 600).unwrap();
        brought
    }

    fn rename(&mut self, number: u32, parent: Option<u32>) {
        self.world.named(number, parent, "renamed", b"folder");
    }

    /// What receivers have after all bundles in their order: names, and whether a row came with its blob.
    fn received(&self) -> BTreeMap<u32, (String, bool)> {
        let out = std::fs::read_dir(self.world.out()).unwrap();
        let bundles: Vec<_> = out.map(|entry| entry.unwrap().path()).collect();
        let options = into_copy();
        let mut target = self.world.target();
        replay(&bundles, &mut *target, &options, &Silent).unwrap();
        let table = name("Copy.dbo.Docs");
        let all = target.columns(&table).unwrap();
        let columns: Vec<Column> =
            COLUMNS.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = Rows::default();
        target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
        rows.done.into_iter().map(|(key, row)| (number(key), (row.name, row.bytes.is_some()))).collect()
    }

    fn check_received(&self, expected: &[(u32, &str, bool)]) {
        let expected = expected.iter().map(|(number, name, whole)| (*number, ((*name).to_owned(), *whole)));
        assert_eq!(self.received(), expected.collect::<BTreeMap<_, _>>(), "{}", self.scope());
    }

    fn reconcile(&mut self, pend: bool) -> TableDifferences {
        let unit = self.letter.map(unit);
        reconciled(&mut self.world, &ReconcileOptions { unit, pend, ..ReconcileOptions::default() })
    }
}

pub fn rule_7_an_ancestor_out_of_scope_that_is_renamed_comes_again(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.rename(1, None);
        scoped.world.stamp(1, 1100, scoped.other);
        assert_eq!((scoped.run(9000), bare(&mut scoped.world)), (vec![1], vec![(1, None)]), "once, and bare");
        scoped.check_received(&[(1, "renamed", false), (2, "file 2", true)]);
        assert_eq!(scoped.run(20_000), NOTHING);
        // Into a folder that nobody had, which comes along; and one that a folder alone lies in, with its own new name.
        scoped.world.put(3, None, b"above", 10, scoped.other);
        scoped.world.named(1, Some(3), "moved", b"folder");
        scoped.world.stamp(1, 20_100, scoped.other);
        scoped.world.blob(2, Some(1), b"file");
        assert_eq!(scoped.run(30_000), [1, 3]);
        scoped.rename(3, None);
        scoped.world.stamp(3, 30_100, scoped.other);
        assert_eq!(scoped.run(40_000), [3]);
        scoped.check_received(&[(1, "moved", false), (2, "file 2", true), (3, "renamed", false)]);
        // What nothing lies in any more leaves.
        scoped.world.blob(2, None, b"file");
        scoped.world.stamp(2, 40_100, A);
        scoped.rename(1, Some(3));
        scoped.world.stamp(1, 40_100, scoped.other);
        assert_eq!(scoped.run(50_000), [2]);
        assert!(!scoped.received().contains_key(&1), "its receivers are told so");
    }
}

/// As where the database of the blobs is restored while a run is at work: nothing was logged.
pub fn rule_17_a_folder_that_is_away_for_a_run_has_not_left(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.world.lose(1);
        scoped.world.lose(2);
        assert_eq!(scoped.run(9000), NOTHING);
        scoped.check_received(&[(1, "file 1", false), (2, "file 2", true)]);
        scoped.world.blob(2, Some(1), b"file");
        scoped.rename(1, None);
        scoped.world.stamp(1, 9100, scoped.other);
        assert_eq!(scoped.run(20_000), [1]);
        scoped.check_received(&[(1, "renamed", false), (2, "file 2", true)]);
    }
}

pub fn rule_7_an_ancestor_that_was_absent_comes_once_it_is_there(on: &Instance) {
    for case in CASES {
        // One of the scope too: with its old stamp it lies in no window. And one without metadata.
        let mut scoped = Scoped::new(on, case, true);
        for (folder, file) in [(3, 4), (5, 6), (7, 8)] {
            scoped.world.blob(folder, None, b"folder");
            scoped.world.put(file, Some(folder), b"file", 1100, A);
            scoped.world.lose(folder);
        }
        // An ancestor above which one is absent is one itself.
        scoped.world.blob(9, None, b"above");
        scoped.world.put(10, Some(9), b"folder", 10, scoped.other);
        scoped.world.put(11, Some(10), b"file", 1100, A);
        scoped.world.lose(9);
        assert_eq!(scoped.run(9000), [4, 6, 8, 10, 11]);
        for folder in [1, 3, 5, 7, 9] {
            scoped.world.blob(folder, None, b"folder");
        }
        scoped.world.stamp(3, 20, A);
        // What is gone by then needs nothing.
        scoped.world.remove(8);
        scoped.world.at(9100);
        let report = scoped.reconcile(false);
        let found = (found(&report, DifferenceKind::Missing), report.pending);
        assert_eq!(found, (vec![3], 3), "the next run takes the others: {report:?}");
        assert_eq!(scoped.run(20_000), [1, 2, 3, 4, 5, 6, 9, 10]);
        let parents = [2, 4, 6, 10].map(|number| scoped.world.slice()[&key(number)].parent);
        assert_eq!(parents, [1, 3, 5, 9].map(|number| Some(key(number))), "they came without them");
        let received = scoped.received();
        let whole = [1, 3, 5, 9].map(|folder| received[&folder].1);
        assert_eq!(whole, [false, true, scoped.letter.is_none(), scoped.letter.is_none()]);
        assert_eq!(scoped.run(30_000), NOTHING);
    }
}

pub fn rule_7_what_was_absent_comes_for_rows_that_are_still_of_the_scope(on: &Instance) {
    for case in CASES {
        let begin = || Scoped::beside_folders(on, case);
        // The row below was given away and moved: its new folders never were above a row of the scope.
        let mut scoped = begin();
        scoped.world.put(2, Some(9), b"file", 1500, scoped.other);
        assert_eq!(scoped.run(9000), NOTHING);
        // It was given away where it lies.
        let mut scoped = begin();
        scoped.world.stamp(2, 1500, scoped.other);
        scoped.world.put(1, None, b"folder", 10, scoped.other);
        assert_eq!(scoped.run(9000), NOTHING);
        // It was deleted, and another scope has made it again.
        let mut scoped = begin();
        scoped.world.log_deletion(2, 1400);
        scoped.world.put(2, Some(9), b"file", 1500, scoped.other);
        assert_eq!(scoped.run(9000), NOTHING);
        // Its folder was excluded and not absent.
        let mut scoped = begin();
        scoped.world.put(3, None, b"folder", 10, scoped.other);
        let table = scoped.world.table.name.clone();
        scoped.world.backend.exclude_key(&table, key(3), "cannot be read").unwrap();
        scoped.world.put(4, Some(3), b"file", 1100, A);
        assert_eq!(scoped.run(6000), [4]);
        scoped.world.put(4, Some(9), b"file", 6500, scoped.other);
        assert_eq!(scoped.run(9000), NOTHING);
        // An ancestor came without the one above it, and nothing lies below it any more.
        let mut scoped = begin();
        scoped.world.put(5, Some(9), b"folder", 10, scoped.other);
        scoped.world.put(6, Some(5), b"file", 1100, A);
        scoped.world.lose(9);
        assert_eq!(scoped.run(6000), [5, 6]);
        scoped.world.put(6, None, b"file", 6500, A);
        scoped.world.put(9, Some(8), b"folder", 10, scoped.other);
        assert_eq!(scoped.run(9000), [6]);
    }
}

pub fn rule_7_what_was_absent_comes_for_folders_that_rows_of_the_scope_lie_in(on: &Instance) {
    for case in CASES {
        let begin = || Scoped::beside_folders(on, case);
        // It was given away, and stays for what lies below it.
        let mut scoped = begin();
        scoped.world.put(7, Some(2), b"file", 1100, A);
        assert_eq!(scoped.run(6000), [2, 7]);
        scoped.world.stamp(2, 6500, scoped.other);
        scoped.world.put(1, None, b"folder", 10, scoped.other);
        assert_eq!(scoped.run(9000), [1, 2]);
        // It was given away without a stamp.
        let mut scoped = begin();
        scoped.world.put(7, Some(2), b"file", 1100, A);
        assert_eq!(scoped.run(6000), [2, 7]);
        scoped.world.stamp(2, 10, scoped.other);
        scoped.world.put(1, None, b"folder", 10, scoped.other);
        assert_eq!(scoped.run(9000), [1, 2]);
        // So were two, one in the other. All units are not told by themselves (docs/limits.md), but by name.
        let mut scoped = begin();
        scoped.world.put(6, Some(2), b"folder", 1100, A);
        scoped.world.put(7, Some(6), b"file", 1100, A);
        assert_eq!(scoped.run(6000), [2, 6, 7]);
        scoped.world.stamp(2, 10, scoped.other);
        scoped.world.stamp(6, 10, scoped.other);
        scoped.world.put(1, None, b"folder", 10, scoped.other);
        if scoped.letter.is_none() {
            assert_eq!(scoped.run(9000), NOTHING);
            let table = scoped.world.table.name.clone();
            scoped.world.backend.pend_key(&table, key(6), &KeyRequest::of(None, "its parents came")).unwrap();
        }
        let all = [1, 2, 6];
        assert_eq!(scoped.run(20_000), all[..if scoped.letter.is_none() { 3 } else { 2 }]);
    }
}

pub fn rule_7_an_ancestor_that_was_excluded_comes_once_it_is_not(on: &Instance) {
    for case in CASES {
        let mut world = World::new(on);
        let table = world.table.name.clone();
        for (folder, file) in [(1, 2), (3, 4)] {
            world.put(folder, None, b"folder", 10, case.1);
            world.put(file, Some(folder), b"file", 10, A);
            world.backend.exclude_key(&table, key(folder), "cannot be read").unwrap();
        }
        let mut scoped = Scoped { world, letter: case.0, other: case.1 };
        assert_eq!(scoped.run(1000), [2, 4]);
        assert_eq!(scoped.run(2000), NOTHING, "they are excluded still");
        scoped.world.backend.include_key(&table, key(1)).unwrap();
        scoped.world.script("DELETE FROM BlobDeltaExcludedKey", "DELETE FROM dbo.BlobDeltaExcludedKey");
        assert_eq!((scoped.run(9000), bare(&mut scoped.world)), (vec![1, 3], vec![(1, None), (3, None)]));
        assert_eq!(scoped.run(20_000), NOTHING);
    }
}

pub fn rule_7_an_ancestor_that_stands_outlives_a_deletion_of_its_key(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.world.at(1050);
        scoped.world.log_deletion(1, 1050);
        assert_eq!(scoped.run(9000), [1]);
        scoped.check_received(&[(1, "file 1", false), (2, "file 2", true)]);
        assert_eq!(scoped.run(20_000), NOTHING);
        // Another stamp than the deletion's; and once more, after another deletion.
        scoped.rename(1, None);
        scoped.world.stamp(1, 20_100, scoped.other);
        scoped.world.at(20_200);
        scoped.world.log_deletion(1, 20_150);
        assert_eq!(scoped.run(30_000), [1]);
        scoped.check_received(&[(1, "renamed", false), (2, "file 2", true)]);
        // Of one that nothing lies in it is told, and that is all.
        scoped.world.blob(2, None, b"file");
        scoped.world.at(30_200);
        scoped.world.log_deletion(1, 30_150);
        assert_eq!(scoped.run(40_000), NOTHING);
        scoped.check_received(&[(2, "file 2", true)]);
    }
}

pub fn rule_7_an_ancestor_that_comes_back_outlives_the_deletion_that_was_told(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.world.remove(1);
        scoped.world.at(1050);
        scoped.world.log_deletion(1, 1050);
        assert_eq!(scoped.run(9000), NOTHING);
        scoped.check_received(&[(2, "file 2", true)]);
        scoped.world.blob(1, None, b"folder");
        scoped.world.stamp(1, 10, scoped.other);
        scoped.world.at(9100);
        let report = scoped.reconcile(false);
        assert_eq!((report.counts.len(), report.pending), (0, 1), "the next run takes it: {report:?}");
        assert_eq!(scoped.run(20_000), [1]);
        scoped.check_received(&[(1, "file 1", false), (2, "file 2", true)]);
        assert_eq!(scoped.run(30_000), NOTHING);
        let report = scoped.reconcile(false);
        assert_eq!((report.counts.len(), report.pending), (0, 0), "{report:?}");
    }
}

pub fn rule_7_what_a_slice_that_is_given_up_brought_of_ancestors_comes_again(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        let (table, scope) = (scoped.world.table.name.clone(), scoped.scope());
        for (folder, file) in [(3, 4), (5, 6)] {
            scoped.world.put(folder, None, b"folder", 10, scoped.other);
            scoped.world.put(file, Some(folder), b"file", 1100, A);
        }
        scoped.world.lose(3);
        assert_eq!(scoped.run(9000), [4, 5, 6]);
        scoped.world.lose(5);
        scoped.world.at(9100);
        scoped.world.log_deletion(5, 9050);
        assert_eq!(scoped.run(20_000), NOTHING);
        // Renamed; absent before; told to be deleted by a run before.
        scoped.rename(1, None);
        scoped.world.stamp(1, 20_100, scoped.other);
        scoped.world.blob(3, None, b"folder");
        scoped.world.blob(5, None, b"folder");
        assert_eq!((scoped.given_up(30_000), scoped.run(30_010)), (vec![1, 3, 4, 5], vec![1, 3, 4, 5]));
        // Asked for; told to be deleted by the slice itself.
        scoped.world.backend.pend_key(&table, key(1), &KeyRequest::of(Some(scope), "a scenario")).unwrap();
        scoped.world.log_deletion(5, 30_000);
        assert_eq!((scoped.given_up(40_000), scoped.run(40_010)), (vec![1, 5], vec![1, 5]));
        // Excluded before.
        scoped.world.backend.exclude_key(&table, key(3), "cannot be read").unwrap();
        scoped.world.stamp(4, 40_100, A);
        assert_eq!(scoped.run(50_000), [4]);
        scoped.world.script("DELETE FROM BlobDeltaExcludedKey", "DELETE FROM dbo.BlobDeltaExcludedKey");
        assert_eq!((scoped.given_up(60_000), scoped.run(60_010), scoped.run(70_000)), (vec![3], vec![3], vec![]));
        let received = scoped.received();
        assert_eq!(received.len(), 6);
        assert_eq!(received[&1], ("renamed".to_owned(), false));
    }
}

pub fn rule_17_an_ancestor_out_of_scope_comes_where_it_is_asked_for(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.rename(1, None);
        let (table, scope) = (scoped.world.table.name.clone(), scoped.scope());
        scoped.world.backend.pend_key(&table, key(1), &KeyRequest::of(Some(scope), "a scenario")).unwrap();
        if scoped.letter.is_some() {
            // What a unit does not need is the other's alone.
            scoped.world.put(3, None, b"folder", 10, B);
            scoped.world.backend.pend_key(&table, key(3), &KeyRequest::of(Some(scope), "a scenario")).unwrap();
        }
        assert_eq!((scoped.run(9000), bare(&mut scoped.world)), (vec![1], vec![(1, None)]));
        scoped.check_received(&[(1, "renamed", false), (2, "file 2", true)]);
        assert_eq!(scoped.run(20_000), NOTHING, "and is forgotten");
    }
}

/// As under a filter or a table of units that was wrong for one run.
pub fn rule_17_an_ancestor_that_is_in_its_unit_again_comes_whole(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder", 10, A);
    world.put(2, Some(1), b"file", 10, A);
    let mut scoped = Scoped { world, letter: Some(A), other: B };
    assert_eq!(scoped.run(1000), [1, 2]);
    scoped.world.stamp(1, 10, B);
    assert_eq!((scoped.run(9000), bare(&mut scoped.world)), (vec![1], vec![(1, Some(minute(10)))]));
    scoped.world.stamp(1, 10, A);
    assert_eq!(scoped.run(20_000), [1]);
    scoped.check_received(&[(1, "file 1", true), (2, "file 2", true)]);
    assert_eq!(scoped.run(30_000), NOTHING);
}

/// Nobody stamps what lies in it.
pub fn rule_13_a_row_carries_the_key_of_the_folder_that_took_the_place_of_its_own(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.world.replace(1, 3);
        scoped.world.log_deletion(1, 1100);
        scoped.world.stamp(3, 1100, A);
        assert_eq!(scoped.run(2000), [3], "the folder is of the scope");
        let report = scoped.reconcile(true);
        assert_eq!((found(&report, DifferenceKind::Moved), report.counts.len()), (vec![2], 1), "{case:?} {report:?}");
        assert_eq!(scoped.run(3000), [2, 3], "{case:?}");
        assert_eq!(scoped.world.slice()[&key(2)].parent, Some(key(3)));
        assert_eq!(scoped.reconcile(false).counts.len(), 0, "{case:?}");
        scoped.check_received(&[(2, "file 2", true), (3, "file 3", true)]);
    }
}

pub fn rule_7_a_folder_that_took_the_place_of_an_ancestor_comes_by_its_stamp(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, false);
        scoped.world.replace(1, 3);
        scoped.world.log_deletion(1, 1100);
        scoped.world.stamp(3, 1100, scoped.other);
        assert_eq!(scoped.run(2000), [3], "{case:?}");
        scoped.check_received(&[(2, "file 2", true), (3, "file 3", false)]);
    }
}

/// Nothing brings it without its blob, and nobody is told that it left while something lies in it.
pub fn rule_6_a_folder_that_left_and_is_excluded_is_counted_as_excluded(on: &Instance) {
    for (letter, other) in CASES {
        let mut world = World::new(on);
        world.put(1, None, b"folder", 10, A);
        world.put(2, Some(1), b"file", 10, A);
        let mut scoped = Scoped { world, letter, other };
        assert_eq!(scoped.run(1000), [1, 2]);
        let table = scoped.world.table.name.clone();
        scoped.world.backend.exclude_key(&table, key(1), "left as it is").unwrap();
        scoped.world.stamp(1, 1100, other);
        let unit = letter.map(unit);
        let options = ReconcileOptions { unit, pend: true, log_deletions: true, ..ReconcileOptions::default() };
        for at in [2000, 3000] {
            assert_eq!(scoped.run(at), NOTHING);
            let report = reconciled(&mut scoped.world, &options);
            assert_eq!((report.counts.len(), report.excluded, report.deletions), (0, 1, 0), "{letter:?} {report:?}");
        }
        scoped.check_received(&[(1, "file 1", true), (2, "file 2", true)]);
    }
}

pub fn rule_7_reconcile_reports_ancestors_out_of_scope_that_are_missing_or_elsewhere(on: &Instance) {
    for case in CASES {
        let mut scoped = Scoped::new(on, case, true);
        // As where a bundle is lost.
        scoped.world.script("DELETE FROM BlobDeltaAbsentParent", "DELETE FROM dbo.BlobDeltaAbsentParent");
        scoped.world.put(3, None, b"above", 10, scoped.other);
        scoped.world.blob(1, Some(3), b"folder");
        scoped.world.blob(2, Some(1), b"file");
        scoped.world.at(1100);
        let report = scoped.reconcile(true);
        assert_eq!(
            (found(&report, DifferenceKind::Missing), found(&report, DifferenceKind::Moved)),
            (vec![1, 3], vec![2])
        );
        assert_eq!(report.pended, 3);
        assert_eq!(scoped.run(9000), [1, 2, 3]);
        assert_eq!(scoped.reconcile(false).counts.len(), 0);
        scoped.world.blob(1, None, b"folder");
        scoped.world.blob(2, Some(1), b"file");
        let report = scoped.reconcile(true);
        let mut moved = found(&report, DifferenceKind::Moved);
        moved.sort_unstable();
        assert_eq!(moved, [1, 2]);
        assert_eq!(scoped.run(20_000), [1, 2]);
        assert_eq!(scoped.reconcile(false).counts.len(), 0);
    }
}
