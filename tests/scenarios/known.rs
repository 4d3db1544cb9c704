//! Known content: bundles leave out what their chain has shipped for the same key, and nothing else.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::{COLUMNS, Rows};
use crate::scenarios::world::{A, B, World, into_copy, key, name};
use blobdelta::backend::{KeyRequest, Sandbox};
use blobdelta::bundle::{Bundle, FileRole, KNOWN_CONTENT};
use blobdelta::durable::{Faulty, Local, When};
use blobdelta::engine::{self, ContentChoice, PackOptions, PackRequest, RunReport};
use blobdelta::error::Kind;
use blobdelta::model::cell::{Cell, RowSource as _};
use blobdelta::model::column::Column;
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{ReconcileOptions, reconcile};
use blobdelta::replay::{ReplayOptions, check, replay};
use blobdelta::rows::{PartColumns, TableRows};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A value that is long enough to be left out.
pub fn long(letter: u8) -> Vec<u8> {
    vec![letter; 2000]
}

/// A world whose bundles leave out known content.
pub fn leaving_out(on: &Instance) -> World {
    let mut world = World::new(on);
    world.table.omit_known_content = true;
    world.backend.save_table(&world.table.clone()).unwrap();
    world
}

/// What a bundle leaves out: the number of each key, and the bundle that is said to hold its value.
pub fn left_out(path: &Path) -> BTreeMap<u32, Sha256> {
    let bundle = Bundle::open(path).unwrap();
    assert_eq!(findings(path), [] as [String; 0]);
    let mut found = BTreeMap::new();
    for table in &bundle.manifest().tables {
        let source = TableRows { bundle: &bundle, table };
        let columns = PartColumns::all(table, FileRole::Rows).unwrap();
        let each = |rows: blobdelta::convert::BatchRows| {
            for (row, _, known) in rows.known_refs()? {
                let number = u32::from_be_bytes(rows.key(row)?.as_bytes()[12..].try_into().unwrap());
                assert!(row < rows.rows());
                found.insert(number, known.root_sha256);
            }
            Ok(())
        };
        source.each(FileRole::Rows, &columns, &Silent, each).unwrap();
    }
    assert_eq!(bundle.manifest().requires.contains(&KNOWN_CONTENT.to_owned()), !found.is_empty());
    assert_eq!(bundle.manifest().left_out().0, found.len() as u64);
    found
}

pub fn root(report: &RunReport) -> Sha256 {
    Bundle::open(&report.bundles[0]).unwrap().root_sha256()
}

/// What the one bundle of a run leaves out.
pub fn of(report: &RunReport) -> BTreeMap<u32, Sha256> {
    assert_eq!(report.bundles.len(), 1);
    left_out(&report.bundles[0])
}

pub fn a_touch_is_not_a_change(on: &Instance) {
    let mut world = leaving_out(on);
    world.put(1, None, &long(1), 10, A);
    world.put(2, None, b"short", 10, A);
    world.put(3, None, b"", 10, A);
    world.put(4, None, &long(4), 10, A);
    let first = world.run(1000);
    assert_eq!(of(&first), BTreeMap::new());
    // Touched alone, and another with another value.
    (1..=3).for_each(|number| world.stamp(number, 1500, A));
    world.put(4, None, &long(44), 1500, A);
    world.put(5, None, &long(1), 1500, A);
    let second = world.run(2000);
    assert_eq!(of(&second), [(1, root(&first))].into());
    // What is left out again leads to the bundle that has the bytes; a value of another key is none of this one.
    [1, 4, 5].iter().for_each(|number| world.stamp(*number, 2500, A));
    let third = world.run(3000);
    assert_eq!(of(&third), [(1, root(&first)), (4, root(&second)), (5, root(&second))].into());
    // The value of the week before last is not the last one.
    world.put(4, None, &long(4), 3500, A);
    assert_eq!(of(&world.run(4000)), BTreeMap::new());
}

pub fn what_was_deleted_or_comes_late_is_whole(on: &Instance) {
    let mut world = leaving_out(on);
    (1..=4).for_each(|number| world.put(number, None, &long(number as u8), 10, A));
    let first = world.run(1000);
    // Deleted and there again, in one bundle and in two.
    world.at(1500);
    world.log_deletion(1, 1400);
    world.stamp(1, 1500, A);
    world.log_deletion(2, 1400);
    let second = world.run(2000);
    assert_eq!(of(&second), BTreeMap::new());
    [1, 2, 3].iter().for_each(|number| world.stamp(*number, 2500, A));
    assert_eq!(of(&world.run(3000)), [(3, root(&first))].into());
    // A row that is older than what the chain has loses against it: it leaves nothing out, and nothing leads to it.
    world.put(4, None, &long(44), 5, A);
    world.backend.pend_key(&world.table.name.clone(), key(4), &KeyRequest::of(None, "asked")).unwrap();
    let late = world.run(4000);
    assert_eq!(of(&late), BTreeMap::new());
    // Nor is anything known of a key that was asked for, until a bundle brings it again.
    world.put(4, None, &long(44), 4500, A);
    let asked = world.run(5000);
    assert_eq!(of(&asked), BTreeMap::new());
    world.stamp(4, 5500, A);
    assert_eq!(of(&world.run(6000)), [(4, root(&asked))].into());
}

pub fn what_is_asked_for_comes_whole(on: &Instance) {
    let mut world = leaving_out(on);
    (1..=3).for_each(|number| world.put(number, None, &long(number as u8), 10, A));
    let lost = world.run(1000);
    world.stamp(1, 1500, A);
    let second = world.run(2000);
    assert_eq!(of(&second), [(1, root(&lost))].into());
    // The bundle that holds all is lost. What reconcile finds and what somebody names is asked for, and comes by a plain run.
    let options = ReconcileOptions { content: true, pend: true, ..ReconcileOptions::default() };
    reconcile(&second.bundles, &mut *world.backend, &options, &Silent).unwrap();
    world.backend.pend_key(&world.table.name.clone(), key(1), &KeyRequest::of(None, "asked")).unwrap();
    let third = world.run(3000);
    assert_eq!(of(&third), BTreeMap::new());
    let mut target = world.target();
    let options = ReplayOptions { allow_gap: true, ..into_copy() };
    let bundles = [second, third].map(|mut report| report.bundles.remove(0));
    replay(&bundles, &mut *target, &options, &Silent).unwrap();
    let due = (1..=3).map(|number| (number, Some(long(number as u8))));
    assert_eq!(received(&mut *target), due.collect());
}

pub fn a_large_value_is_left_out_without_a_file(on: &Instance) {
    let mut world = leaving_out(on);
    let mut options = world.options();
    options.pack.parts.inline_bytes = Some(1 << 10);
    world.put(1, None, &long(1), 10, A);
    world.at(1000);
    let first = world.run_with(&options).unwrap();
    let blobs = |report: &RunReport| {
        Bundle::open(&report.bundles[0]).unwrap().manifest().tables[0].files_of(FileRole::Blob).count()
    };
    assert_eq!((of(&first), blobs(&first)), (BTreeMap::new(), 1));
    world.stamp(1, 1500, A);
    world.at(2000);
    let second = world.run_with(&options).unwrap();
    assert_eq!((of(&second), blobs(&second)), ([(1, root(&first))].into(), 0));
    world.stamp(1, 2500, A);
    world.put(2, None, &long(2), 2500, A);
    world.at(3000);
    let third = world.run_with(&options).unwrap();
    assert_eq!((of(&third), blobs(&third)), ([(1, root(&first))].into(), 1));
}

pub fn a_unit_leans_on_its_own_chain_and_an_ancestor_without_its_blob_is_no_content(on: &Instance) {
    let mut world = leaving_out(on);
    world.put(1, None, &long(1), 10, B);
    world.put(2, Some(1), &long(2), 10, A);
    let all = world.run(1000);
    // The chain of all units has both; that of the unit has neither.
    let unit = world.run_unit(1100, A);
    assert_eq!(of(&unit), BTreeMap::new());
    // The folder goes to the unit, so its blob comes for the first time: it came without before.
    world.stamp(1, 1500, A);
    world.stamp(2, 1500, A);
    assert_eq!(of(&world.run_unit(2000, A)), [(2, root(&unit))].into());
    assert_eq!(of(&world.run(2100)), [(1, root(&all)), (2, root(&all))].into());
}

/// Whatever a run dies of, what bundles leave out is in a bundle before them.
pub fn a_crash_leaves_no_bundle_that_leans_on_what_is_not_there(on: &Instance) {
    let mut crashes = 0;
    for at in (1..).step_by(7) {
        let mut world = leaving_out(on);
        world.put(1, None, &long(1), 10, A);
        world.put(2, None, &long(2), 10, A);
        let first = world.run(1000);
        world.stamp(1, 1500, A);
        world.put(2, None, &long(22), 1500, A);
        world.at(2000);
        let disk = Faulty::new(When::CrashAt(at));
        world.fail_with(&disk);
        let died = world.run_with(&world.options());
        if !disk.has_failed() {
            assert!(died.is_ok());
            break;
        }
        crashes += 1;
        world.restart();
        (1..=2).for_each(|number| world.stamp(number, 2100, A));
        let after = world.run(3000);
        let mut bundles: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()) {
            bundles.insert(path.file_name().unwrap().to_string_lossy().into_owned(), path);
        }
        let mut before = BTreeSet::new();
        for path in bundles.values() {
            let known = left_out(path);
            assert!(known.values().all(|root| before.contains(root)), "crash at {at}: {known:?}");
            before.insert(Bundle::open(path).unwrap().root_sha256());
        }
        let last = left_out(after.bundles.last().unwrap());
        assert_eq!(last.get(&1), Some(&root(&first)), "crash at {at}");
    }
    assert!(crashes > 2, "only {crashes} operations were counted");
}

pub fn what_is_written_again_is_the_same_bundle(on: &Instance) {
    let mut world = leaving_out(on);
    world.put(1, None, &long(1), 10, A);
    world.run(1000);
    world.stamp(1, 1500, A);
    world.put(2, None, &long(2), 1500, A);
    let second = world.run(2000);
    let again = world.dir.path().join("again");
    std::fs::create_dir(&again).unwrap();
    let options = PackOptions { waive: world.options().pack.waive, ..PackOptions::default() };
    let request = PackRequest { run_id: second.run.id, out: &again, options: &options, lease_seconds: 600 };
    let packed = engine::pack(&mut *world.backend, &request, &Local, &Silent).unwrap();
    assert_eq!(Bundle::open(&packed.bundles[0]).unwrap().root_sha256(), root(&second));
    // And what is known is what it was.
    world.stamp(2, 2500, A);
    assert_eq!(of(&world.run(3000)), [(2, root(&second))].into());
}

pub fn options_of_a_run_outweigh_the_table(on: &Instance) {
    let mut world = World::new(on);
    let run = |world: &mut World, at: i64, content| {
        world.stamp(1, at - 500, A);
        world.at(at);
        let mut options = world.options();
        options.pack.content = content;
        world.run_with(&options).unwrap()
    };
    world.blob(1, None, &long(1));
    run(&mut world, 1000, ContentChoice::Configured);
    // Nothing was remembered before the first run that was to leave something out.
    let second = run(&mut world, 2000, ContentChoice::LeaveOut);
    assert_eq!(of(&second), BTreeMap::new());
    assert_eq!(of(&run(&mut world, 3000, ContentChoice::LeaveOut)), [(1, root(&second))].into());
    // A bundle that was made without forgets, because what it brought is not remembered.
    run(&mut world, 4000, ContentChoice::Configured);
    assert_eq!(of(&run(&mut world, 5000, ContentChoice::LeaveOut)), BTreeMap::new());
    world.table.omit_known_content = true;
    world.backend.save_table(&world.table.clone()).unwrap();
    let whole = run(&mut world, 6000, ContentChoice::Whole);
    assert_eq!(of(&whole), BTreeMap::new());
    assert_eq!(of(&run(&mut world, 7000, ContentChoice::Configured)), [(1, root(&whole))].into());
}

pub fn a_run_that_a_wrong_clock_dated_is_forgotten_when_it_is_given_up(on: &Instance) {
    let mut world = leaving_out(on);
    world.put(1, None, &long(1), 10, A);
    world.put(2, None, &long(2), 10, A);
    let first = world.run(1000);
    world.put(1, None, &long(11), 1500, A);
    // The clock is ahead.
    let ahead = world.run(900_000);
    std::fs::remove_dir_all(&ahead.bundles[0]).unwrap();
    world.at(2000);
    engine::give_up(&mut *world.backend, ahead.run.id, None, 600).unwrap();
    let second = world.run(2100);
    assert_eq!(of(&second), BTreeMap::new());
    (1..=2).for_each(|number| world.stamp(number, 2500, A));
    assert_eq!(of(&world.run(3000)), [(1, root(&second)), (2, root(&first))].into());
}

/// Values by the number of their key, as a replay left them.
pub fn received(target: &mut dyn Sandbox) -> BTreeMap<u32, Option<Vec<u8>>> {
    received_in(target, "Copy").unwrap()
}

/// The same of a database; nothing, if it is not there.
pub fn received_in(target: &mut dyn Sandbox, database: &str) -> Option<BTreeMap<u32, Option<Vec<u8>>>> {
    let table = name(&format!("{database}.dbo.Docs"));
    let all = target.columns(&table).ok()?;
    let columns: Vec<Column> =
        COLUMNS.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
    let mut rows = Rows::default();
    target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
    let number = |key: Guid| u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap());
    Some(rows.done.into_iter().map(|(key, row)| (number(key), row.bytes)).collect())
}

/// Three weeks: full load, a touch and a change, and both again.
pub fn three_weeks(world: &mut World) -> [PathBuf; 3] {
    world.put(1, None, &long(1), 10, A);
    world.put(2, Some(1), &long(2), 10, A);
    world.put(3, None, b"short", 10, A);
    let first = world.run(1000);
    world.stamp(1, 1500, A);
    world.put(2, Some(1), &long(22), 1500, A);
    let second = world.run(2000);
    (1..=3).for_each(|number| world.stamp(number, 2500, A));
    let third = world.run(3000);
    assert_eq!(of(&second), [(1, root(&first))].into());
    assert_eq!(of(&third), [(1, root(&first)), (2, root(&second))].into());
    [first, second, third].map(|mut report| report.bundles.remove(0))
}

pub fn as_in_the_source() -> BTreeMap<u32, Option<Vec<u8>>> {
    [(1, Some(long(1))), (2, Some(long(22))), (3, Some(b"short".to_vec()))].into()
}

pub fn receivers_have_what_is_left_out(on: &Instance) {
    let mut world = leaving_out(on);
    let bundles = three_weeks(&mut world);
    let mut target = world.target();
    // Together, one by one, and again.
    replay(&bundles, &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), as_in_the_source());
    let checked = check(&bundles, &mut *target, &into_copy(), &Silent).unwrap();
    assert!(checked.findings.is_empty(), "{checked:?}");
    let again = ReplayOptions { repair: true, ..into_copy() };
    replay(&bundles, &mut *target, &again, &Silent).unwrap();
    assert_eq!(received(&mut *target), as_in_the_source());
    let mut other = leaving_out(on);
    let bundles = three_weeks(&mut other);
    let mut target = other.target();
    for bundle in &bundles {
        replay(std::slice::from_ref(bundle), &mut *target, &into_copy(), &Silent).unwrap();
    }
    assert_eq!(received(&mut *target), as_in_the_source());
}

pub fn a_column_that_went_and_came_back_is_whole(on: &Instance) {
    let mut world = leaving_out(on);
    world.put(1, None, &long(1), 10, A);
    world.put(2, None, &long(2), 10, A);
    let first = world.run(1000);
    world.table.excluded_columns = vec!["file_stream".into()];
    world.backend.save_table(&world.table.clone()).unwrap();
    world.stamp(1, 1500, A);
    let second = world.run(2000);
    world.table.excluded_columns.clear();
    world.backend.save_table(&world.table.clone()).unwrap();
    world.stamp(1, 2500, A);
    world.stamp(2, 2500, A);
    let third = world.run(3000);
    // Of the first, receivers have NULL since; of the second, nothing is known either.
    assert_eq!(of(&third), BTreeMap::new());
    world.stamp(1, 3500, A);
    let fourth = world.run(4000);
    world.stamp(1, 4500, A);
    assert_eq!(of(&fourth), BTreeMap::new());
    let fifth = world.run(5000);
    assert_eq!(of(&fifth), [(1, root(&fourth))].into());
    let bundles = [first, second, third, fourth, fifth].map(|mut report| report.bundles.remove(0));
    let mut target = world.target();
    replay(&bundles, &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), [(1, Some(long(1))), (2, Some(long(2)))].into());
}

pub fn what_is_left_out_and_does_not_stand_is_refused_before_anything_is_applied(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let into = |bundles: &[&PathBuf]| {
        let bundles: Vec<PathBuf> = bundles.iter().map(|path| (*path).clone()).collect();
        // A replay that takes back what it made ends its session.
        let mut target = world.target();
        let done = replay(&bundles, &mut *target, &into_copy(), &Silent);
        let mut target = if done.is_ok() { target } else { world.target() };
        (done.map(drop), target.columns(&name("Copy.dbo.Docs")).is_ok().then(|| received(&mut *target)))
    };
    // The bundle that holds the value never came.
    let (refused, left) = into(&[&second]);
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), left), (Kind::ChainGap, None), "{refused}");
    assert!(refused.to_string().contains("there is no row of this key"), "{refused}");
    into(&[&first]).0.unwrap();
    let loaded = into(&[&first]).1.unwrap();
    // The week between is missing: of the one row the value stands, of the other it does not, and neither is written.
    let (refused, left) = into(&[&third]);
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), left), (Kind::ChainGap, Some(loaded)), "{refused}");
    assert!(refused.to_string().contains("the value there is another one"), "{refused}");
    assert_eq!(refused.place().key.as_deref(), Some(&*world.keys.shown(2)));
    into(&[&second, &third]).0.unwrap();
    assert_eq!(into(&[&third]).1.unwrap(), as_in_the_source());
}

pub fn a_row_that_was_changed_by_hand_gets_its_value_from_a_whole_bundle(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let mut target = world.target();
    replay(&[first], &mut *target, &into_copy(), &Silent).unwrap();
    let column = Column::new("file_stream", SqlType::VarBinary(None), true);
    let by_hand = [(&column, Cell::Bytes(b"by hand"))];
    assert!(target.update(&name("Copy.dbo.Docs"), ("stream_id", key(1)), &by_hand).unwrap());
    let refused = replay(&[second.clone(), third.clone()], &mut *target, &into_copy(), &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::ChainGap, "{refused}");
    assert_eq!(received(&mut *target)[&2], Some(long(2)), "nothing of the bundle was applied");
    // What the message says to do works.
    world.backend.pend_key(&world.table.name.clone(), key(1), &KeyRequest::of(None, "asked")).unwrap();
    let mut options = world.options();
    options.pack.content = ContentChoice::Whole;
    world.at(4000);
    let whole = world.run_with(&options).unwrap();
    assert_eq!(of(&whole), BTreeMap::new());
    replay(&whole.bundles, &mut *target, &into_copy(), &Silent).unwrap();
    replay(&[second, third], &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), as_in_the_source());
}
