//! Replay: values, gaps, crashes.

use crate::made::{Content, Made, Row, key};
use crate::replay::place::{Into, Place};
use crate::replay::target::spec;
use blobdelta::error::Kind;
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::replay::{OpenedBundles, ReplayOptions, replay};

pub fn values_inline_and_in_blob_arrive_whole_and_once(place: &Place) {
    let bundle = Made::sample().write(place.folder());
    let into = place.target("Into");
    let options = ReplayOptions::default();
    let opened = OpenedBundles::open(std::slice::from_ref(&bundle), &options.access, &Silent).unwrap();
    assert_eq!(opened.target_database(&options).unwrap(), "Db");
    let twice = [bundle.clone(), bundle];
    let report = into.apply(&twice, false).unwrap();
    assert_eq!(report.bundles.len(), 1);
    let table = &report.bundles[0].tables[0];
    assert_eq!((table.rows, table.written, table.tombstones, table.removed), (7, 7, 2, 0));
    let rows = into.existing();
    assert_eq!(rows[&key(7)], Some(vec![7; 5000]));
    assert_eq!(rows[&key(2)], None);
    assert_eq!(rows[&key(5)].as_deref(), Some(&b"five"[..]));
    let again = into.apply(&twice, false).unwrap();
    assert!(again.bundles[0].was_applied_before());
}

pub fn a_gap_is_refused_and_a_late_older_bundle_is_not(place: &Place) {
    let make = |run: u8, window: (i64, i64)| {
        let mut made = Made::new(run, i64::from(run) * 1000, window);
        made.rows = vec![Row::root(run, Some(window.0), &[run])];
        made.write(place.folder())
    };
    let (one, two, three) = (make(1, (0, 100)), make(2, (100, 200)), make(3, (200, 300)));
    let into = place.target("Into");
    into.apply(std::slice::from_ref(&one), false).unwrap();
    let error = into.apply(std::slice::from_ref(&three), false).unwrap_err();
    assert_eq!((error.kind(), into.existing().len()), (Kind::ChainGap, 1));
    assert_eq!(place.target("New").apply(&[three.clone(), one.clone()], false).unwrap_err().kind(), Kind::ChainGap);
    into.apply(std::slice::from_ref(&three), true).unwrap();
    into.apply(std::slice::from_ref(&two), false).unwrap();
    assert_eq!(into.existing().len(), 3);
    place.target("New").apply(&[three, two, one], false).unwrap();
}

pub fn a_changed_bundle_is_refused_before_anything_is_written(place: &Place) {
    let bundle = Made::sample().write(place.folder());
    let part = bundle.join("data/t001-Files/part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let into = place.target("Into");
    assert_eq!(into.apply(std::slice::from_ref(&bundle), false).unwrap_err().kind(), Kind::Verification);
    assert!(into.existing().is_empty());
    std::fs::remove_file(&part).unwrap();
    assert_eq!(into.apply(&[bundle], false).unwrap_err().kind(), Kind::Verification);
    assert_eq!(into.apply(&[], false).unwrap_err().kind(), Kind::Usage);
}

pub fn another_database_of_the_instance_can_be_the_target(place: &Place) {
    let bundle = [Made::sample().write(place.folder())];
    let into = place.target("Into");
    into.apply(&bundle, false).unwrap();
    let copy = if place.server.is_some() { place.target("Copy").database } else { "Copy".into() };
    let mut options = ReplayOptions { database: Some(copy.clone()), ..ReplayOptions::default() };
    let mut backend = into.open().unwrap();
    assert_eq!(replay(&bundle, &mut *backend, &options, &Silent).unwrap_err().kind(), Kind::Config);
    options.create = true;
    let report = replay(&bundle, &mut *backend, &options, &Silent).unwrap();
    assert_eq!(report.bundles[0].tables[0].target.to_string(), format!("{copy}.dbo.Files"));
    assert_eq!(report.bundles[0].tables[0].written, 7);
    options.create = false;
    assert!(replay(&bundle, &mut *backend, &options, &Silent).unwrap().bundles[0].was_applied_before());
}

/// Enough rows for two batches a part.
pub fn large() -> Made {
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

/// Each of several sessions makes the target, where it is first, and writes what it has.
pub fn replays_that_make_one_target_at_the_same_time_end_whole(place: &Place) {
    let make = |run: u8| {
        let mut made = Made::new(run, i64::from(run) * 1000, (i64::from(run) * 100, i64::from(run) * 100 + 100));
        made.rows = vec![Row::root(run, Some(i64::from(run) * 100), &[run])];
        made.write(place.folder())
    };
    let bundles: Vec<_> = (1..=4).map(make).collect();
    for round in 0..5 {
        let into = place.target(&format!("into{round}"));
        let start = std::sync::Barrier::new(bundles.len());
        std::thread::scope(|scope| {
            let replays: Vec<_> = bundles
                .iter()
                .map(|bundle| {
                    let (into, start) = (&into, &start);
                    scope.spawn(move || {
                        start.wait();
                        into.apply(std::slice::from_ref(bundle), true).map(drop)
                    })
                })
                .collect();
            for replay in replays {
                replay.join().unwrap().unwrap();
            }
        });
        assert_eq!(into.existing().len(), bundles.len(), "round {round}");
    }
}

/// Of those that apply one bundle each row comes once, and who finds that another was faster says so.
pub fn replays_of_one_bundle_at_the_same_time_end_whole_or_say_why(place: &Place) {
    let bundle = [large().write(place.folder())];
    let into = place.target("Into");
    let start = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        let replay = || {
            scope.spawn(|| {
                start.wait();
                into.apply(&bundle, true).map(drop)
            })
        };
        let replays: Vec<_> = (0..3).map(|_| replay()).collect();
        for replay in replays {
            if let Err(error) = replay.join().unwrap() {
                let reported = error.to_string();
                assert!(reported.contains("another replay has applied some of this"), "{reported}");
                assert!(error.what_to_do().is_some_and(|hint| hint.contains("run again")), "{error:?}");
            }
        }
    });
    into.apply(&bundle, true).unwrap();
    assert_eq!(into.existing().len(), 8999);
}

/// One that makes the database fails while another has it open: what the other writes is never lost without a word.
pub fn a_replay_that_takes_back_its_database_takes_nothing_of_another(place: &Place) {
    let bundle = [Made::sample().write(place.folder())];
    // As the main database of the instance, and as one beside it.
    for is_beside in [false, true] {
        let into = place.target(&format!("into-{is_beside}"));
        let here = Into { database: if is_beside { "First".into() } else { into.database.clone() }, ..into.clone() };
        let mut first = here.open().unwrap();
        if is_beside {
            first.prepare_target(&spec(&into, "Files"), true).unwrap();
        }
        let mut other = here.open().unwrap();
        let options = into.options(false);
        let missing = [place.folder().join("missing.bundle")];
        replay(&missing, &mut *first, &options, &Silent).unwrap_err();
        let ended = replay(&bundle, &mut *other, &options, &Silent);
        let error = ended.unwrap_err();
        assert!(error.kind() == Kind::Database && error.to_string().contains("removed or replaced"), "{error}");
        drop(other);
        replay(&bundle, &mut *here.open().unwrap(), &options, &Silent).unwrap();
        assert_eq!(into.existing().len(), 7);
    }
}
