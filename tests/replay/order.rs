//! Rule 22: in which order bundles are applied, where a chain begins, and what fills a gap.

use crate::made::{Made, Row};
use crate::replay::place::{Into, Place};
use blobdelta::bundle::Bundle;
use blobdelta::bundle::manifest::Manifest;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};

/// A bundle of one row after another bundle.
fn after(place: &Place, run: u8, window: (i64, i64), previous: Option<&Path>) -> PathBuf {
    after_root(place, run, window, previous.map(root), |_| {})
}

fn after_root(
    place: &Place,
    run: u8,
    window: (i64, i64),
    previous: Option<Sha256>,
    spoil: fn(&mut Manifest),
) -> PathBuf {
    let mut made = Made::new(run, i64::from(run) * 1000, window);
    made.rows = vec![Row::root(run, Some(window.1 - 1), &[run])];
    (made.previous, made.spoil) = (previous, spoil);
    made.write(place.folder())
}

fn root(path: &Path) -> Sha256 {
    Bundle::open(path).unwrap().root_sha256()
}

/// Three weeks, the third set back to long before the second.
fn three(place: &Place) -> [PathBuf; 3] {
    let first = after(place, 1, (0, 100), None);
    let second = after(place, 2, (90, 200), Some(&first));
    let third = after(place, 3, (10, 300), Some(&second));
    [first, second, third]
}

fn gaps(into: &Into) -> Vec<Option<String>> {
    let spec = crate::replay::target::spec(into, "Files");
    into.open().unwrap().applied_bundles(&spec).unwrap().into_iter().map(|noted| noted.gap).collect()
}

pub fn bundles_are_applied_by_their_links_and_not_by_windows(place: &Place) {
    let [first, second, third] = three(place);
    // A clock that was set back: this run started before the one that it follows.
    let fourth = {
        let mut made = Made::new(4, 500, (290, 400));
        (made.rows, made.previous) = (vec![Row::root(4, Some(399), &[4])], Some(root(&third)));
        made.write(place.folder())
    };
    let into = place.target("Into");
    let named = [third.clone(), fourth.clone(), first.clone(), second.clone(), first.clone()];
    let report = into.apply(&named, false).unwrap();
    let applied: Vec<PathBuf> = report.bundles.into_iter().map(|bundle| bundle.path).collect();
    assert_eq!(applied, [first, second, third, fourth]);
    assert_eq!((into.existing().len(), gaps(&into)), (4, vec![None; 4]));
}

pub fn a_chain_begins_with_its_first_bundle_and_what_fills_a_gap_clears_the_note(place: &Place) {
    let [first, second, third] = three(place);
    let into = place.target("Into");
    let error = into.apply(std::slice::from_ref(&third), false).unwrap_err();
    assert_eq!(error.kind(), Kind::ChainGap);
    assert!(error.to_string().contains("not the first of its chain"), "{error}");
    let report = into.apply(std::slice::from_ref(&third), true).unwrap();
    assert!(report.bundles[0].tables[0].gap.as_ref().is_some_and(|gap| gap.contains(&root(&second).to_string())));
    assert!(gaps(&into)[0].is_some());
    assert_eq!(into.apply(std::slice::from_ref(&second), false).unwrap_err().kind(), Kind::ChainGap);
    into.apply(&[second, first], false).unwrap();
    assert_eq!((into.existing().len(), gaps(&into)), (3, vec![None; 3]));
}

pub fn a_chain_begins_with_a_compacted_bundle_that_was_made_from_its_start(place: &Place) {
    let [first, second, third] = three(place);
    let compacted = |paths: &[&PathBuf], out: &str| {
        let out = place.folder().join(out);
        std::fs::create_dir(&out).unwrap();
        let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
        compact(bundles, &Local, &out, &CompactOptions::default(), &Silent).map(|made| made.path().to_owned())
    };
    assert_eq!(compacted(&[&third, &first], "holed").unwrap_err().kind(), Kind::ChainGap);
    let start = compacted(&[&second, &first], "start").unwrap();
    let into = place.target("Into");
    into.apply(&[third.clone(), start.clone()], false).unwrap();
    assert_eq!((into.existing().len(), gaps(&into)), (3, vec![None; 4]));
    into.apply(&[second.clone(), first.clone()], false).unwrap();
    let middle = compacted(&[&third, &second], "middle").unwrap();
    assert_eq!(place.target("New").apply(std::slice::from_ref(&middle), false).unwrap_err().kind(), Kind::ChainGap);
    let into = place.target("New");
    into.apply(&[middle, first], false).unwrap();
    assert_eq!((into.existing().len(), gaps(&into)), (3, vec![None; 4]));
}

/// What was lost for good is allowed to be missing, and stays known as missing until it comes.
pub fn what_is_compacted_over_a_gap_says_so_until_what_was_missing_comes(place: &Place) {
    let first = after(place, 1, (0, 100), None);
    let second = after(place, 2, (90, 200), Some(&first));
    let third = after(place, 3, (250, 300), Some(&second));
    let fourth = after(place, 4, (290, 400), Some(&third));
    let made = |paths: &[&PathBuf], out: &str, allows_gap: bool| {
        let out = place.folder().join(out);
        std::fs::create_dir(&out).unwrap();
        let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
        let options = CompactOptions { allows_gap, side_by_side: 2, ..CompactOptions::default() };
        compact(bundles, &Local, &out, &options, &Silent).map(|made| made.path().to_owned())
    };
    let error = made(&[&first, &third, &fourth], "refused", false).unwrap_err();
    assert_eq!(error.kind(), Kind::ChainGap);
    assert!(error.what_to_do().unwrap().contains("--allow-gap"), "{error:?}");
    let holed = made(&[&first, &third, &fourth], "holed", true).unwrap();
    let missing = Bundle::open(&holed).unwrap().manifest().tables[0].missing.clone();
    assert_eq!((missing.bundles.as_slice(), missing.windows.len()), ([root(&second)].as_slice(), 1));
    let again = made(&[&holed, &after(place, 5, (390, 500), Some(&fourth))], "again", true).unwrap();
    assert_eq!(Bundle::open(&again).unwrap().manifest().tables[0].missing, missing, "and is not forgotten");
    assert!(made(&[&holed, &second], "whole", false).is_err(), "a time that nothing covers is left");
    let into = place.target("Into");
    let error = into.apply(std::slice::from_ref(&holed), false).unwrap_err();
    assert!(error.kind() == Kind::ChainGap && error.to_string().contains("was compacted without"), "{error}");
    into.apply(std::slice::from_ref(&holed), true).unwrap();
    let noted = |into: &Into| gaps(into).into_iter().flatten().count();
    // Of the bundle itself, of the one that it lacks, and of the time.
    assert_eq!((into.existing().len(), noted(&into)), (3, 3));
    let fifth = after(place, 5, (390, 500), Some(&fourth));
    into.apply(std::slice::from_ref(&fifth), false).unwrap();
    assert_eq!(noted(&into), 3, "what comes later does not clear it");
    into.apply(std::slice::from_ref(&second), false).unwrap();
    assert_eq!((into.existing().len(), noted(&into)), (5, 2), "the time is left");
    let cover = after(place, 6, (190, 600), Some(&fifth));
    into.apply(std::slice::from_ref(&cover), false).unwrap();
    assert_eq!((into.existing().len(), noted(&into)), (6, 1), "which the note of the time alone remembers");
}

/// It came within another: the one that was compacted without it has nothing to say any more.
pub fn what_was_missing_may_come_compacted(place: &Place) {
    let [first, second, third] = three(place);
    let made = |paths: &[&PathBuf], out: &str| {
        let out = place.folder().join(out);
        std::fs::create_dir(&out).unwrap();
        let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
        let options = CompactOptions { allows_gap: true, ..CompactOptions::default() };
        compact(bundles, &Local, &out, &options, &Silent).unwrap().path().to_owned()
    };
    let holed = made(&[&first, &third], "holed");
    // What comes behind fills nothing, and the target remembers what is missing within.
    let into = place.target("New");
    into.apply(std::slice::from_ref(&holed), true).unwrap();
    into.apply(&[after(place, 5, (290, 400), Some(&third))], false).unwrap();
    assert_eq!(gaps(&into).into_iter().flatten().count(), 2);
    let into = place.target("Into");
    into.apply(&[holed], true).unwrap();
    assert_eq!(gaps(&into).into_iter().flatten().count(), 2);
    into.apply(&[made(&[&first, &second], "filled")], false).unwrap();
    assert_eq!(gaps(&into).into_iter().flatten().count(), 0);
    into.apply(&[after(place, 4, (290, 400), Some(&third))], false).unwrap();
    assert_eq!((into.existing().len(), gaps(&into).into_iter().flatten().count()), (4, 0));
}

/// By hand: a run that was set back to the beginning of time. It has what stands; it is not where the chain begins.
pub fn a_bundle_from_the_beginning_of_time_begins_no_chain(place: &Place) {
    let [first, second, _] = three(place);
    let spoil: fn(&mut Manifest) = |manifest| manifest.tables[0].window.start = blobdelta::model::time::Timestamp::MIN;
    let back = after_root(place, 4, (0, 400), Some(root(&second)), spoil);
    let into = place.target("Into");
    let error = into.apply(std::slice::from_ref(&back), false).unwrap_err();
    assert!(error.kind() == Kind::ChainGap && error.to_string().contains("not the first of its chain"), "{error}");
    assert_eq!(into.apply(&[first.clone(), back.clone()], false).unwrap_err().kind(), Kind::ChainGap);
    into.apply(&[first, second, back], false).unwrap();
    assert_eq!(gaps(&into), [const { None }; 3]);
}

pub fn a_chain_that_forks_is_reported_and_circles_are_refused(place: &Place) {
    let [first, second, _] = three(place);
    let fork = after(place, 5, (90, 500), Some(&first));
    let report = place.target("Into").apply(&[fork.clone(), second.clone(), first.clone()], false).unwrap();
    let reported: Vec<usize> = report.bundles.iter().map(|bundle| bundle.tables[0].reported.len()).collect();
    assert_eq!((&report.bundles[2].path, reported), (&fork, vec![0, 0, 1]));
    assert!(report.bundles[2].tables[0].reported[0].contains(&root(&second).to_string()), "{report:?}");
    // The other branch may have come by itself, before.
    let into = place.target("New");
    into.apply(&[first, second], false).unwrap();
    assert_eq!(into.apply(&[fork], false).unwrap().bundles[0].tables[0].reported.len(), 1);
    let mut circle = Made::new(6, 6000, (0, 10));
    circle.rows = vec![Row::root(6, Some(9), &[6])];
    circle.previous = Some(Sha256::of(b"itself"));
    circle.inputs = vec![Sha256::of(b"another"), Sha256::of(b"itself")];
    circle.inputs.sort();
    let circle = circle.write(place.folder());
    let error = into.apply(&[circle], true).unwrap_err();
    assert!(error.kind() == Kind::Verification && error.to_string().contains("circle"), "{error}");
}
