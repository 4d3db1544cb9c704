//! Known content: whoever is given the bundles of a chain has all values.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::known::{
    as_in_the_source, leaving_out, left_out, long, of, received, received_in, root, three_weeks,
};
use crate::scenarios::world::{A, World, into_copy, key, name};
use blobdelta::backend::{KeyRequest, Sandbox};
use blobdelta::bundle::{Bundle, FileRole};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::engine::ContentChoice;
use blobdelta::error::Kind;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions, reconcile};
use blobdelta::replay::{ReplayOptions, check, replay};
use blobdelta::unpack::{UnpackOptions, UnpackReport, unpack};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn opened(paths: &[PathBuf]) -> Vec<Bundle> {
    paths.iter().map(|path| Bundle::open(path).unwrap()).collect()
}

fn compacted(paths: &[PathBuf], out: &Path, side_by_side: usize) -> blobdelta::error::Result<PathBuf> {
    std::fs::create_dir_all(out).unwrap();
    let options = CompactOptions { side_by_side, ..CompactOptions::default() };
    compact(opened(paths), &Local, out, &options, &Silent).map(|published| published.path().to_owned())
}

fn unpacked(paths: &[PathBuf], out: &Path) -> blobdelta::error::Result<(UnpackReport, BTreeMap<PathBuf, Vec<u8>>)> {
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(out) };
    let report = unpack(paths, &options, &Local, &Silent, &mut |_| ())?;
    let (mut files, mut folders) = (BTreeMap::new(), vec![out.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.strip_prefix(out).unwrap().to_owned(), std::fs::read(&path).unwrap())),
            }
        }
    }
    Ok((report, files))
}

/// What a new receiver has of bundles.
fn replayed(world: &World, paths: &[PathBuf]) -> BTreeMap<u32, Option<Vec<u8>>> {
    let mut target = world.target();
    replay(paths, &mut *target, &into_copy(), &Silent).unwrap();
    received(&mut *target)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().count() == 0
}

pub fn what_is_left_out_is_compacted_and_unpacked(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let place = |name: &str| world.dir.path().join(name);
    let all = [third.clone(), first.clone(), second.clone()];
    let (one, by_two) = (compacted(&all, &place("c1"), 8).unwrap(), compacted(&all, &place("c2"), 2).unwrap());
    assert_eq!((left_out(&one).len(), left_out(&by_two).len()), (0, 0));
    assert_eq!(Bundle::open(&one).unwrap().root_sha256(), Bundle::open(&by_two).unwrap().root_sha256());
    let (report, files) = unpacked(&all, &place("u1")).unwrap();
    assert_eq!((report.files, report.without_value), (3, 0));
    let mut values: Vec<Vec<u8>> = files.values().cloned().collect();
    values.sort();
    let mut due: Vec<Vec<u8>> = as_in_the_source().into_values().flatten().collect();
    due.sort();
    assert_eq!(values, due);
    assert_eq!(unpacked(std::slice::from_ref(&one), &place("u2")).unwrap().1, files);
    assert_eq!(replayed(&world, &[one]), as_in_the_source());
    // A compacted bundle of the first two holds what they hold.
    let two = compacted(&[first.clone(), second], &place("c3"), 8).unwrap();
    assert_eq!(unpacked(&[two.clone(), third.clone()], &place("u3")).unwrap().1, files);
    let of_two = compacted(&[third.clone(), two], &place("c4"), 8).unwrap();
    assert_eq!(left_out(&of_two).len(), 0);
    // Without the week between, nothing is written.
    let lacking = [third, first];
    let refused = [compacted(&lacking, &place("c5"), 8).unwrap_err(), unpacked(&lacking, &place("u5")).unwrap_err()];
    for error in refused {
        assert_eq!(error.kind(), Kind::ChainGap, "{error}");
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(error.what_to_do().unwrap().contains("--whole"), "{error:?}");
    }
    assert!(is_empty(&place("c5")) && !place("u5").exists());
}

/// Compaction and unpacking ask for values of rows that they keep, and of no others.
pub fn a_holder_that_is_lost_stops_nothing_once_its_rows_came_whole(on: &Instance) {
    let mut world = leaving_out(on);
    let [_, second, third] = three_weeks(&mut world);
    let dir = world.dir.path().to_owned();
    let place = |name: &str| dir.join(name);
    let mut given = vec![second, third];
    for error in [compacted(&given, &place("c1"), 8).unwrap_err(), unpacked(&given, &place("u1")).unwrap_err()] {
        assert_eq!(error.kind(), Kind::ChainGap, "{error}");
        let advice = error.what_to_do().unwrap();
        assert!(advice.contains("--from 0001-01-01") && advice.contains("--whole"), "{advice}");
    }
    assert!(is_empty(&place("c1")) && !place("u1").exists());
    // What the refusal says to do.
    let mut options = world.options();
    (options.request.from, options.pack.content) = (Some(Timestamp::MIN), ContentChoice::Whole);
    world.at(4000);
    let whole = world.run_with(&options).unwrap();
    assert_eq!(of(&whole), BTreeMap::new());
    given.push(whole.bundles[0].clone());
    // What comes then leans on the bundle that is here.
    world.stamp(1, 4500, A);
    let fifth = world.run(5000);
    assert_eq!(of(&fifth), [(1, root(&whole))].into());
    for (nth, bundles) in [given.clone(), [given, fifth.bundles].concat()].into_iter().enumerate() {
        // However few are read side by side.
        let one = compacted(&bundles, &place(&format!("one{nth}")), 8).unwrap();
        let by_two = compacted(&bundles, &place(&format!("two{nth}")), 2).unwrap();
        let roots = [&one, &by_two].map(|path| Bundle::open(path).unwrap().root_sha256());
        assert_eq!(roots[0], roots[1]);
        assert_eq!((left_out(&one).len(), findings(&one)), (0, vec![]));
        let (report, files) = unpacked(&bundles, &place(&format!("all{nth}"))).unwrap();
        assert_eq!((report.files, report.without_value), (3, 0));
        assert_eq!(unpacked(std::slice::from_ref(&one), &place(&format!("of{nth}"))).unwrap().1, files);
        assert_eq!(replayed(&world, &[one]), as_in_the_source());
    }
}

pub fn large_values_that_are_left_out_come_from_where_they_lie(on: &Instance) {
    let mut world = leaving_out(on);
    let mut options = world.options();
    options.pack.parts.inline_bytes = Some(1 << 10);
    let run = |world: &mut World, at| {
        world.at(at);
        world.run_with(&options).unwrap().bundles.remove(0)
    };
    world.put(1, None, &long(1), 10, A);
    world.put(2, None, &long(2), 10, A);
    let first = run(&mut world, 1000);
    world.stamp(1, 1500, A);
    let second = run(&mut world, 2000);
    assert_eq!(left_out(&second).len(), 1);
    let both = [first.clone(), second.clone()];
    let one = compacted(&both, &world.dir.path().join("c"), 8).unwrap();
    let bundle = Bundle::open(&one).unwrap();
    assert_eq!(bundle.manifest().tables[0].files_of(FileRole::Blob).count(), 2);
    assert_eq!(left_out(&one).len(), 0);
    assert_eq!(unpacked(&both, &world.dir.path().join("u")).unwrap().0.files, 2);
    // In a target that lost a value, it comes out of the bundle that is given.
    let due: BTreeMap<u32, Option<Vec<u8>>> = [(1, Some(long(1))), (2, Some(long(2)))].into();
    let mut target = world.target();
    replay(&[first], &mut *target, &into_copy(), &Silent).unwrap();
    by_hand(&mut *target, 1);
    replay(&both, &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), due);
}

fn by_hand(target: &mut dyn Sandbox, number: u32) {
    let column = Column::new("file_stream", SqlType::VarBinary(None), true);
    let by_hand = [(&column, Cell::Bytes(b"by hand"))];
    assert!(target.update(&name("Copy.dbo.Docs"), ("stream_id", key(number)), &by_hand).unwrap());
}

pub fn bundles_that_are_given_have_what_a_receiver_lost(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let mut target = world.target();
    replay(std::slice::from_ref(&first), &mut *target, &into_copy(), &Silent).unwrap();
    by_hand(&mut *target, 1);
    let refused = replay(&[second.clone(), third.clone()], &mut *target, &into_copy(), &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::ChainGap, "{refused}");
    assert!(refused.to_string().contains("the value there is another one"), "{refused}");
    // With the bundle that has the value, or a compacted one that was made of it.
    let made = compacted(&[first.clone(), second.clone()], &world.dir.path().join("c"), 8).unwrap();
    let given = [second.clone(), first.clone()];
    replay(&given, &mut *target, &into_copy(), &Silent).unwrap();
    by_hand(&mut *target, 1);
    by_hand(&mut *target, 2);
    replay(&[third.clone(), made], &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), as_in_the_source());
    // What was applied is applied again, and mends what was changed since.
    by_hand(&mut *target, 1);
    let repair = ReplayOptions { repair: true, ..into_copy() };
    let refused = replay(std::slice::from_ref(&third), &mut *target, &repair, &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::ChainGap, "{refused}");
    let all = [first, second, third];
    replay(&all, &mut *target, &repair, &Silent).unwrap();
    assert_eq!(received(&mut *target), as_in_the_source());
    assert!(check(&all, &mut *target, &into_copy(), &Silent).unwrap().findings.is_empty());
}

pub fn a_row_that_comes_whole_later_stops_nothing(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let mut target = world.target();
    replay(std::slice::from_ref(&first), &mut *target, &into_copy(), &Silent).unwrap();
    by_hand(&mut *target, 1);
    // The bundle that has the value is lost, and the row has another one since.
    world.put(1, None, &long(111), 3500, A);
    let fourth = world.run(4000);
    assert_eq!(of(&fourth), BTreeMap::new());
    let given = [second.clone(), third.clone(), fourth.bundles[0].clone()];
    replay(&given, &mut *target, &into_copy(), &Silent).unwrap();
    let due: BTreeMap<u32, Option<Vec<u8>>> =
        [(1, Some(long(111))), (2, Some(long(22))), (3, Some(b"short".to_vec()))].into();
    assert_eq!(received(&mut *target), due);
    // The same value that comes whole is the one that was left out.
    world.stamp(1, 4500, A);
    let fifth = world.run(5000);
    assert_eq!(of(&fifth), [(1, root(&fourth))].into());
    by_hand(&mut *target, 1);
    let refused = replay(&fifth.bundles, &mut *target, &into_copy(), &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::ChainGap, "{refused}");
    world.backend.pend_key(&world.table.name.clone(), key(1), &KeyRequest::of(None, "asked")).unwrap();
    let mut options = world.options();
    options.pack.content = ContentChoice::Whole;
    world.at(6000);
    let whole = world.run_with(&options).unwrap();
    assert_eq!(of(&whole), BTreeMap::new());
    replay(&[fifth.bundles[0].clone(), whole.bundles[0].clone()], &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(received(&mut *target), due);
    assert_eq!(replayed(&world, &[first, given[0].clone(), third]), due);
}

pub fn rule_24_a_key_that_is_spelled_otherwise_is_the_same_one_when_bundles_are_compacted(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, &long(1), 10, A);
    world.put(2, Some(1), &long(2), 10, A);
    let first = world.run(1000);
    world.table.key_column = world.table.key_column.to_ascii_uppercase();
    world.table.path_column = world.table.path_column.map(|path| path.to_ascii_uppercase());
    world.backend.save_table(&world.table.clone()).unwrap();
    world.put(2, Some(1), &long(22), 1500, A);
    let second = world.run(2000);
    let both = [first.bundles[0].clone(), second.bundles[0].clone()];
    let spelled = |path: &Path| Bundle::open(path).unwrap().manifest().tables[0].key_column.clone();
    let one = compacted(&both, &world.dir.path().join("c"), 8).unwrap();
    assert_eq!(findings(&one), [] as [String; 0]);
    assert_eq!(spelled(&one), spelled(&both[1]));
    let mut target = world.target();
    replay(std::slice::from_ref(&one), &mut *target, &into_copy(), &Silent).unwrap();
    let checked = check(&[one], &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!((checked.findings.len(), checked.equal), (0, 2));
}

pub fn content_that_is_left_out_counts_only_if_a_bundle_holds_it(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let mut found = |bundles: &[&PathBuf], content| {
        let bundles: Vec<PathBuf> = bundles.iter().map(|path| (*path).clone()).collect();
        let options = ReconcileOptions { content, ..ReconcileOptions::default() };
        let report = reconcile(&bundles, &mut *world.backend, &options, &Silent).unwrap().remove(0);
        report.findings.iter().map(|finding| (finding.key, finding.kind)).collect::<BTreeSet<_>>()
    };
    assert_eq!(found(&[&first, &second, &third], true), BTreeSet::new());
    // Of the first week nothing else is needed; the second holds what the third leaves out of one row.
    let other = |number| (key(number), DifferenceKind::OtherContent);
    assert_eq!(found(&[&second, &third], true), [other(1)].into());
    assert_eq!(found(&[&third], true), [other(1), other(2)].into());
    assert_eq!(found(&[&third], false), BTreeSet::new());
}

/// Bundles come one by one, in every order; then one of them never comes; then all of them.
pub fn weeks_in_every_order_lost_late_and_twice_end_equal_or_refused(on: &Instance) {
    let mut world = leaving_out(on);
    let weeks = three_weeks(&mut world);
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let (mut refused, mut equal) = (0, 0);
    for (nth, order) in orders.into_iter().enumerate() {
        let database = format!("Copy{nth}");
        let mut give = |bundles: &[PathBuf]| {
            let options = ReplayOptions { database: Some(database.clone()), ..into_copy() };
            let before = received_in(&mut *world.target(), &database);
            match replay(bundles, &mut *world.target(), &options, &Silent) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind(), Kind::ChainGap, "{order:?}: {error}");
                    // Of the only bundle nothing was applied; of several, those before the one that is refused were.
                    let after = received_in(&mut *world.target(), &database);
                    assert!(bundles.len() > 1 || after == before, "{order:?}");
                    refused += 1;
                    false
                }
            }
        };
        for at in order.into_iter().chain([order[0]]) {
            give(&[weeks[at].clone()]);
        }
        // The last that came is lost here, and those before it are not.
        give(&[weeks[order[1]].clone(), weeks[order[0]].clone()]);
        assert!(give(&weeks), "{order:?}");
        assert_eq!(received_in(&mut *world.target(), &database).unwrap(), as_in_the_source(), "{order:?}");
        equal += 1;
    }
    assert!(refused > 3 && equal == orders.len(), "{refused}");
}

/// A replay that died when all rows were applied, and before the bundle was noted.
pub fn a_replay_that_died_before_it_noted_its_bundle_goes_on(on: &Instance) {
    let mut world = leaving_out(on);
    let [first, second, third] = three_weeks(&mut world);
    let mut target = world.target();
    replay(&[first, second.clone()], &mut *target, &into_copy(), &Silent).unwrap();
    let root = Bundle::open(&second).unwrap().root_sha256();
    let table = if world.is_embedded() { "main.BlobDeltaReplayBundle" } else { "Copy.dbo.BlobDeltaReplayBundle" };
    target.execute_script(&format!("DELETE FROM {table} WHERE RootSha256 = '{root}'")).unwrap();
    by_hand(&mut *target, 1);
    // What was applied is not looked for again.
    let report = replay(std::slice::from_ref(&second), &mut *target, &into_copy(), &Silent).unwrap();
    assert_eq!(report.bundles[0].tables[0].rows, 0);
    let refused = replay(&[third], &mut *target, &into_copy(), &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::ChainGap, "{refused}");
}
