//! Folders that leave a business unit while something of it lies in them, and those that nothing needs any more; rules 7,
//! 14 and 17.

use crate::scenarios::deletions::{found, number, reconciled};
use crate::scenarios::destinations::stopped;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::id;
use crate::scenarios::world::{A, B, World, X, into_copy, minute, unit};
use blobdelta::engine;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::run::Scope;
use blobdelta::model::slice::DeletionReason;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions};
use blobdelta::replay::replay;
use std::collections::BTreeMap;

/// What left the unit by the slice that stands: numbers and times.
fn left(world: &mut World) -> Vec<(u32, Timestamp)> {
    let last = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(last.id, &world.table.name.clone(), 60).unwrap();
    let reported = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    assert!(reported.iter().all(|one| one.reason == DeletionReason::LeftScope));
    reported.into_iter().map(|one| (number(one.key), one.deleted_on)).collect()
}

/// Rows of the slice that came as ancestors without their blobs, and their stamps.
pub(crate) fn bare(world: &mut World) -> Vec<(u32, Option<Timestamp>)> {
    let rows = world.slice();
    let bare = rows.iter().filter(|(_, row)| row.step == 2 && row.bytes.is_none());
    bare.map(|(key, row)| (number(*key), row.modified)).collect()
}

/// Whose rows receivers of A have, and which of them whole, after all bundles of A in their order.
pub(crate) fn received(world: &World) -> Vec<(u32, bool)> {
    received_in(world, "Copy.dbo.Docs")
}

/// The same of a table of another name.
pub(crate) fn received_in(world: &World, table: &str) -> Vec<(u32, bool)> {
    let bundles: Vec<_> = std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let options = into_copy();
    let mut target = world.target();
    replay(&bundles, &mut *target, &options, &Silent).unwrap();
    let table = crate::scenarios::world::name(table);
    let all = target.columns(&table).unwrap();
    let columns: Vec<_> = ["stream_id", "file_stream"]
        .iter()
        .map(|name| all.iter().find(|column| column.name == *name).unwrap().clone())
        .collect();
    let mut rows = Rows::default();
    target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
    rows.done.into_iter().collect()
}

#[derive(Default)]
struct Rows {
    done: BTreeMap<u32, bool>,
    row: (u32, bool),
}

impl CellSink for Rows {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> blobdelta::error::Result<()> {
        match cell {
            key if column == 0 => self.row.0 = number(id(key).unwrap()),
            cell => self.row.1 = cell != Cell::Null,
        }
        Ok(())
    }

    fn end_row(&mut self) -> blobdelta::error::Result<()> {
        self.done.insert(self.row.0, self.row.1);
        Ok(())
    }
}

fn left_scope(world: &mut World) -> Vec<u32> {
    let of_a = ReconcileOptions { unit: Some(unit(A)), ..ReconcileOptions::default() };
    found(&reconciled(world, &of_a), DifferenceKind::LeftScope)
}

/// The bundle that said so was lost.
pub fn rule_17_a_run_that_goes_back_tells_again_what_left(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..4 {
        world.put(number, None, b"of A", 10, A);
    }
    let _ = world.run_unit(1000, A);
    world.stamp(1, 10, B);
    world.stamp(2, 10, B);
    let _ = world.run_unit(2000, A);
    assert_eq!(left(&mut world), [(1, minute(10)), (2, minute(10))]);
    world.stamp(2, 2100, A);
    let _ = world.run_unit(3000, A);
    assert_eq!((left(&mut world), world.numbers()), (vec![], vec![2]));
    let again = |world: &mut World, at: i64, from: i64| {
        world.at(at);
        let mut options = world.options();
        options.request.scope = Scope::BusinessUnit(unit(A));
        options.request.from = Some(minute(from));
        let report = world.run_with(&options).unwrap();
        assert!(report.tables[0].error.is_none(), "{:?}", report.tables[0].error);
        left(world)
    };
    assert_eq!(again(&mut world, 4000, 2001), [], "it was told before");
    assert_eq!(again(&mut world, 5000, 2000), [(1, minute(10))], "and what came back has not left");
    assert_eq!(world.numbers(), [2]);
    let _ = world.run_unit(6000, A);
    assert_eq!(left(&mut world), [], "once");
    assert_eq!(received(&world), [(2, true), (3, true)]);
}

pub fn rule_17_a_folder_that_left_a_unit_stays_bare_while_a_child_of_it_does(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"above", 10, A);
    world.put(2, Some(1), b"folder", 10, A);
    world.put(3, Some(2), b"file", 10, A);
    let _ = world.run_unit(1000, A);
    world.stamp(1, 1100, B);
    world.stamp(2, 1100, B);
    world.at(1200);
    assert_eq!(left_scope(&mut world), [1, 2]);
    let _ = world.run_unit(9000, A);
    assert_eq!(left(&mut world), [], "the file needs both");
    assert_eq!(bare(&mut world), [(1, Some(minute(10))), (2, Some(minute(10)))], "and neither's blob");
    assert_eq!(received(&world), [(1, false), (2, false), (3, true)]);
    assert_eq!(left_scope(&mut world), [] as [u32; 0]);
    let _ = world.run_unit(9010, A);
    assert_eq!(world.numbers(), [] as [u32; 0], "once");
    world.put(4, Some(2), b"another file", 9100, A);
    world.stamp(3, 9100, B);
    let _ = world.run_unit(20_000, A);
    assert_eq!(world.numbers(), [1, 2, 4], "and so does the new one");
    assert_eq!(left(&mut world), [(3, minute(10))]);
    world.stamp(4, 20_100, B);
    let _ = world.run_unit(30_000, A);
    assert_eq!(left(&mut world), [(1, minute(10)), (2, minute(10)), (4, minute(9100))], "nothing of A is left below");
    assert_eq!(received(&world), []);
    world.put(5, Some(2), b"a later file", 30_100, A);
    let _ = world.run_unit(40_000, A);
    let same = Some(minute(10));
    assert_eq!(bare(&mut world), [(1, same), (2, same)], "a later run wins over what A was told");
    assert_eq!(received(&world), [(1, false), (2, false), (5, true)]);
    world.stamp(2, 40_100, A);
    let _ = world.run_unit(50_000, A);
    assert_eq!(received(&world), [(1, false), (2, true), (5, true)], "it came back");
}

pub fn rule_17_a_folder_comes_bare_unless_its_stamp_went_back(on: &Instance) {
    // Others, who have it whole by the earlier stamp, could lose it: it stays as it is, and is reported.
    for modified in [Some(minute(5)), None] {
        let mut world = World::new(on);
        world.put(1, None, b"folder", 10, A);
        world.put(2, Some(1), b"file", 10, A);
        let _ = world.run_unit(1000, A);
        world.stamp_as(1, 1, modified, Some(B));
        let _ = world.run_unit(9000, A);
        assert_eq!((bare(&mut world), received(&world)), (vec![], vec![(1, true), (2, true)]), "{modified:?}");
        assert_eq!(left_scope(&mut world), [1], "{modified:?}");
    }
    for modified in [Some(minute(10)), Some(minute(2000)), Some(minute(99_999))] {
        let mut world = World::new(on);
        world.put(1, None, b"folder", 10, A);
        world.put(2, Some(1), b"file", 10, A);
        let _ = world.run_unit(1000, A);
        world.stamp_as(1, 1, modified, Some(B));
        let _ = world.run_unit(9000, A);
        assert_eq!(bare(&mut world), [(1, Some(minute(10)))], "{modified:?}");
        assert_eq!(received(&world), [(1, false), (2, true)], "{modified:?}");
        assert_eq!(left_scope(&mut world), [] as [u32; 0], "{modified:?}");
    }
}

/// What `reconcile` says to type where receivers have it whole: here the bundle was lost that brought it without its blob.
pub fn rule_17_a_folder_comes_bare_again_where_its_leaving_is_logged(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder", 10, A);
    world.put(2, Some(1), b"file", 10, A);
    let _ = world.run_unit(1000, A);
    world.stamp(1, 10, B);
    let lost = world.run_unit(9000, A).bundles;
    assert_eq!(bare(&mut world), [(1, Some(minute(10)))]);
    std::fs::remove_dir_all(&lost[0]).unwrap();
    let logs = ReconcileOptions { unit: Some(unit(A)), log_deletions: true, ..ReconcileOptions::default() };
    assert_eq!(found(&reconciled(&mut world, &logs), DifferenceKind::LeftScope), [1]);
    let _ = world.run_unit(20_000, A);
    assert_eq!(bare(&mut world), [(1, Some(minute(10)))], "no later than others have it");
    assert_eq!(received(&world), [(1, false), (2, true)]);
    assert_eq!(found(&reconciled(&mut world, &logs), DifferenceKind::LeftScope), [] as [u32; 0]);
    let _ = world.run_unit(30_000, A);
    assert_eq!(bare(&mut world), [], "once");
}

pub fn rule_17_an_ancestor_that_nothing_needs_leaves_and_comes_again(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"without metadata");
    world.put(2, Some(1), b"folder of b", 10, B);
    world.put(3, Some(2), b"file", 10, A);
    let _ = world.run_unit(1000, A);
    assert_eq!(bare(&mut world), [(1, None), (2, None)], "whoever has the whole row keeps it");
    world.stamp(3, 1100, B);
    let _ = world.run_unit(9000, A);
    assert_eq!(left(&mut world), [(2, Timestamp::MIN), (3, minute(10))], "whose stamp nobody knows, stays");
    assert_eq!(received(&world), [(1, false)]);
    world.put(4, Some(2), b"another file", 9100, A);
    let _ = world.run_unit(20_000, A);
    assert_eq!(bare(&mut world), [(1, None), (2, Some(Timestamp::MIN))]);
    assert_eq!(received(&world), [(1, false), (2, false), (4, true)]);
}

pub fn rule_17_an_empty_folder_out_of_scope_of_all_units_leaves_and_comes_again(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder of nobody", 10, X);
    world.put(2, Some(1), b"another in it", 10, X);
    world.put(3, Some(2), b"file", 10, A);
    world.put(4, None, b"in scope", 10, A);
    world.put(5, Some(4), b"of nobody", 10, X);
    let _ = world.run(1000);
    assert_eq!(bare(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    let _ = world.run(1100);
    assert_eq!(left(&mut world), [], "something lies in them");
    // The file goes to another folder.
    world.put(3, Some(4), b"file", 1200, A);
    let options = world.options();
    let given_up = stopped(&mut world, 9000, &options);
    assert_eq!(left(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    engine::give_up(&mut *world.backend, given_up, None, 600).unwrap();
    let _ = world.run(9010);
    assert_eq!(left(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(received(&world), [(3, true), (4, true)]);
    let _ = world.run(10_000);
    assert_eq!(left(&mut world), [], "once");
    // As a run that goes back tells it again.
    world.at(10_100);
    let mut back = world.options();
    back.request.from = Some(minute(9000));
    assert!(world.run_with(&back).unwrap().tables[0].error.is_none());
    assert_eq!(left(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    assert!(reconciled(&mut world, &ReconcileOptions::default()).counts.is_empty());
    world.put(6, Some(2), b"another file", 10_200, A);
    let _ = world.run(20_000);
    assert_eq!(bare(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(received(&world), [(1, false), (2, false), (3, true), (4, true), (6, true)]);
}

pub fn rule_17_a_folder_is_bare_once_that_was_handed_out(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder", 10, A);
    world.put(2, Some(1), b"file", 10, A);
    let _ = world.run_unit(1000, A);
    world.stamp(1, 1100, B);
    let mut options = world.options();
    options.request.scope = Scope::BusinessUnit(unit(A));
    let given_up = stopped(&mut world, 9000, &options);
    engine::give_up(&mut *world.backend, given_up, None, 600).unwrap();
    let _ = world.run_unit(9010, A);
    assert_eq!(bare(&mut world), [(1, Some(minute(10)))]);
    assert_eq!(received(&world), [(1, false), (2, true)]);
}

pub fn rule_17_a_folder_that_is_logged_to_have_left_all_units_orphans_nothing(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"above", 10, A);
    world.put(2, Some(1), b"folder", 10, A);
    world.put(3, Some(2), b"file", 10, A);
    world.put(4, None, b"by itself", 10, A);
    let _ = world.run(1000);
    // Nobody but a reconciliation sees what left the scope of all units.
    for (number, modified) in [(1, 1100), (2, 10), (4, 10)] {
        world.stamp(number, modified, X);
    }
    world.at(1200);
    let log = ReconcileOptions { log_deletions: true, ..ReconcileOptions::default() };
    assert_eq!(found(&reconciled(&mut world, &log), DifferenceKind::LeftScope), [1, 2, 4]);
    let _ = world.run(9000);
    assert_eq!(left(&mut world), [(4, minute(10))]);
    assert_eq!(bare(&mut world).into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(received(&world), [(1, false), (2, false), (3, true)]);
    let report = reconciled(&mut world, &log);
    assert_eq!((report.counts.len(), report.logged), (0, 0), "{report:?}");
}

pub fn rule_17_what_is_in_its_unit_again_with_its_old_stamp_comes_again(on: &Instance) {
    let mut world = World::new(on);
    for number in [1, 2, 3] {
        world.put(number, None, b"of A", 10, A);
    }
    let _ = world.run_unit(1000, A);
    // As under a filter or a table of units that was wrong for one run.
    for number in [1, 2] {
        world.stamp(number, 10, B);
    }
    let _ = world.run_unit(9000, A);
    assert_eq!(left(&mut world), [(1, minute(10)), (2, minute(10))]);
    assert_eq!(received(&world), [(3, true)]);
    for number in [1, 2] {
        world.stamp(number, 10, A);
    }
    world.at(9100);
    let of_a = ReconcileOptions { unit: Some(unit(A)), ..ReconcileOptions::default() };
    let report = reconciled(&mut world, &of_a);
    assert_eq!(found(&report, DifferenceKind::Missing), [1, 2], "nothing outranks what a later run hands out");
    let _ = world.run_unit(20_000, A);
    assert_eq!((world.numbers(), left(&mut world)), (vec![1, 2], vec![]));
    assert_eq!(received(&world), [(1, true), (2, true), (3, true)]);
    let _ = world.run_unit(30_000, A);
    assert_eq!(world.numbers(), [] as [u32; 0], "once");
}

pub fn rule_17_a_folder_that_left_all_units_is_reported_though_it_came_last_as_an_ancestor(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"folder", 10, A);
    world.put(2, Some(1), b"file", 20, A);
    let _ = world.run(1000);
    world.put(3, Some(1), b"another", 1100, A);
    let _ = world.run(9000);
    assert_eq!(world.numbers(), [1, 3], "the folder comes along");
    world.stamp(1, 9100, X);
    world.at(9200);
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!(found(&report, DifferenceKind::LeftScope), [1]);
    // An ancestor that was never in scope is there for what lies below it.
    world.put(4, None, b"of nobody", 9300, X);
    world.put(5, Some(4), b"below it", 9300, A);
    let _ = world.run(20_000);
    assert_eq!(
        world.numbers(),
        [1, 4, 5],
        "the first once more: it could have taken another's place, and wins nowhere"
    );
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!(found(&report, DifferenceKind::LeftScope), [1]);
    // It was moved since. To ask for it changes nothing, and nobody is advised to: to log that it left brings it.
    world.put(6, None, b"another folder", 20_100, A);
    world.blob(1, Some(6), b"folder");
    world.put(7, Some(1), b"below it", 20_100, A);
    let _ = world.run(30_000);
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert_eq!(found(&report, DifferenceKind::LeftScope), [1]);
    assert!(!found(&report, DifferenceKind::Moved).contains(&1), "{report:?}");
}

pub fn rule_17_what_left_goes_though_the_server_s_clock_went_back_since(on: &Instance) {
    let mut world = World::new(on);
    world.table.clock = ClockKind::Local;
    world.backend.save_table(&world.table.clone()).unwrap();
    world.put(1, None, b"folder", 10, A);
    world.put(2, Some(1), b"file", 10, A);
    world.put(3, None, b"alone", 10, A);
    let _ = world.run_unit(9000, A);
    // Summer comes, so that windows go on, and the clock is corrected by half an hour.
    world.local_time_is_ahead_by(60);
    world.stamp(3, 10, B);
    world.stamp(1, 8990, B);
    let _ = world.run_unit(8970, A);
    assert_eq!(received(&world), [(1, false), (2, true)], "neither the row nor the folder's blob");
}

/// What lies in a folder that is excluded keeps what lies above that.
pub fn rule_7_a_folder_above_an_excluded_one_stays_for_what_lies_below(on: &Instance) {
    for owner in [A, B] {
        let mut world = World::new(on);
        let table = world.table.name.clone();
        world.put(1, None, b"above", 10, B);
        world.put(2, Some(1), b"excluded", 10, owner);
        world.put(3, Some(2), b"file", 10, A);
        world.backend.exclude_key(&table, crate::scenarios::world::key(2), "a scenario").unwrap();
        let _ = world.run_unit(1000, A);
        for at in [2000, 3000] {
            let _ = world.run_unit(at, A);
            assert_eq!((world.numbers(), left(&mut world)), (vec![], vec![]), "{owner} {at}");
        }
        assert_eq!(received(&world), [(1, false), (3, true)]);
        // Whoever lost it is given it again.
        let scope = Scope::BusinessUnit(unit(A));
        let asked = blobdelta::backend::KeyRequest::of(Some(scope), "a scenario");
        world.backend.pend_key(&table, crate::scenarios::world::key(1), &asked).unwrap();
        let _ = world.run_unit(4000, A);
        assert_eq!(bare(&mut world), [(1, None)]);
    }
}
