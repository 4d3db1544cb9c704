//! Targets that stand already, with columns and constraints of their own; plans and checks.

use crate::made::{Content, Made, Row, key};
use crate::replay::place::{Into, Place};
use blobdelta::error::Kind;
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::replay::{CheckKind, PlannedTable, ReplayOptions, check, plan, replay};
use std::path::PathBuf;

/// A table like the source's, with a computed column, a column of its own, and no version columns.
fn existing_table(place: &Place, into: &Into) {
    let mut backend = into.open().unwrap();
    backend.create_database(&into.database).unwrap();
    let sql = match place.server {
        None => {
            r#"CREATE TABLE "Files" (
                "stream_id" "uniqueidentifier BLOB" NOT NULL PRIMARY KEY, "path_locator" "varbinary(892) BLOB" NOT NULL UNIQUE,
                "parent_path_locator" "varbinary(892) BLOB" AS (NULL), "file_stream" "varbinary(max) BLOB" NULL,
                "note" "nvarchar(20) TEXT" NOT NULL DEFAULT 'own')"#
        }
        Some(_) => {
            "CREATE TABLE dbo.Files (stream_id uniqueidentifier NOT NULL PRIMARY KEY,
             path_locator varbinary(892) NOT NULL, parent_path_locator varbinary(892) NULL,
             file_stream varbinary(max) NULL, note nvarchar(20) NOT NULL DEFAULT 'own',
             CONSTRAINT UQ_Files_Path UNIQUE (path_locator))"
        }
    };
    backend.execute_script(sql).unwrap();
}

fn options(into: &Into, displace: bool) -> ReplayOptions {
    ReplayOptions { database: Some(into.database.clone()), displace, ..ReplayOptions::default() }
}

/// One row of a key under a path, in a run of its own.
fn bundle(place: &Place, run: u8, nth: u8, path: u8, modified: i64) -> PathBuf {
    let mut made = Made::new(run, i64::from(run) * 1000, (0, 500));
    made.rows = vec![Row { path: vec![path], ..Row::root(nth, Some(modified), &[run]) }];
    made.write(place.folder())
}

pub fn an_existing_table_keeps_its_columns_and_its_versions_beside_it(place: &Place) {
    let into = place.target("Into");
    existing_table(place, &into);
    let mut newer = Made::new(2, 2000, (0, 600));
    newer.rows = vec![Row::root(1, Some(550), b"newer"), Row::root(5, Some(40), b"older")];
    newer.tombstones = vec![(key(3), 590)];
    let bundles = [newer.write(place.folder()), Made::sample().write(place.folder())];
    let mut backend = into.open().unwrap();
    let report = replay(&bundles, &mut *backend, &options(&into, false), &Silent).unwrap();
    let table = &report.bundles[1].tables[0];
    assert!(table.skipped.contains(&"DeltaStep".to_owned()), "{:?}", table.skipped);
    assert_eq!(table.skipped.contains(&"parent_path_locator".to_owned()), place.server.is_none());
    let rows = into.existing();
    assert_eq!(rows[&key(1)].as_deref(), Some(&b"newer"[..]));
    assert_eq!(rows[&key(5)].as_deref(), Some(&b"five"[..]));
    assert!(!rows.contains_key(&key(3)));
    assert_eq!(rows[&key(7)], Some(vec![7; 5000]));
    let found = check(&bundles, &mut *backend, &options(&into, false), &Silent).unwrap();
    assert!(found.counts.is_empty(), "{found:?}");
    // What stood before and never came is older than all that comes.
    let again = place.target("Second");
    existing_table(place, &again);
    let mut backend = again.open().unwrap();
    backend.execute_script(&own_row(place)).unwrap();
    replay(&bundles, &mut *backend, &options(&again, false), &Silent).unwrap();
    assert_eq!(again.existing(), rows);
}

fn own_row(place: &Place) -> String {
    let (table, id) = match place.server {
        None => ("\"Files\"", "x'01010101010101010101010101010101'"),
        Some(_) => ("dbo.Files", "'01010101-0101-0101-0101-010101010101'"),
    };
    assert_eq!(key(1).to_string(), "01010101-0101-0101-0101-010101010101");
    let bytes = if place.server.is_some() { "0x63" } else { "x'63'" };
    format!("INSERT INTO {table} (stream_id, path_locator) VALUES ({id}, {bytes})")
}

pub fn a_row_in_the_way_is_named_or_displaced(place: &Place) {
    let into = place.target("Into");
    existing_table(place, &into);
    let (old, new) = (bundle(place, 1, 10, 1, 100), bundle(place, 2, 20, 1, 200));
    let mut backend = into.open().unwrap();
    let mut apply = |bundle: &PathBuf, displace| {
        replay(std::slice::from_ref(bundle), &mut *backend, &options(&into, displace), &Silent)
    };
    apply(&old, false).unwrap();
    let error = apply(&new, false).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let said = format!("{error} {error:?}");
    assert!(said.contains(&key(10).to_string()) && said.contains(&key(20).to_string()), "{said}");
    assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(10)]);
    let table = apply(&new, true).unwrap().bundles[0].tables[0].clone();
    assert_eq!((table.written, table.displaced), (1, 1));
    assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(20)]);
    // An older version of the displaced row does not rise; a later one does.
    assert_eq!(apply(&bundle(place, 3, 10, 7, 90), true).unwrap().bundles[0].tables[0].written, 0);
    assert_eq!(apply(&bundle(place, 4, 10, 7, 300), true).unwrap().bundles[0].tables[0].written, 1);
    assert_eq!(into.existing().len(), 2);
}

pub fn of_two_rows_in_each_other_s_way_the_later_stands_in_any_order(place: &Place) {
    let both = |reversed: bool| {
        // The later one of the two stands first in its bundle, or last.
        let mut made = Made::new(if reversed { 6 } else { 5 }, 5000, (0, 500));
        let (old, new) = if reversed { (30, 20) } else { (10, 20) };
        made.rows = vec![
            Row { path: vec![1], ..Row::root(old, Some(100), b"old") },
            Row { path: vec![1], ..Row::root(new, Some(200), b"new") },
        ];
        made.sort();
        vec![made.write(place.folder())]
    };
    let apart = [bundle(place, 1, 10, 1, 100), bundle(place, 2, 20, 1, 200)];
    let orders = [vec![apart[0].clone()], vec![apart[1].clone()]];
    for batches in [vec![both(false)], vec![both(true)], orders.to_vec(), orders.iter().rev().cloned().collect()] {
        let into = place.target(&if place.server.is_some() { "Into".into() } else { Guid::random().short() });
        existing_table(place, &into);
        let mut displaced = 0;
        for batch in &batches {
            let report = replay(batch, &mut *into.open().unwrap(), &options(&into, true), &Silent).unwrap();
            displaced += report.bundles[0].tables[0].displaced;
        }
        assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(20)], "{batches:?}");
        assert_eq!(displaced, 1, "{batches:?}");
    }
}

/// A trigger may keep a row that is to be displaced from going.
pub fn a_row_in_the_way_that_cannot_be_removed_is_named(place: &Place) {
    let into = place.target("Into");
    existing_table(place, &into);
    let mut backend = into.open().unwrap();
    replay(&[bundle(place, 1, 10, 1, 100)], &mut *backend, &options(&into, false), &Silent).unwrap();
    let trigger = match place.server {
        None => "CREATE TRIGGER keep BEFORE DELETE ON \"Files\" BEGIN SELECT RAISE(IGNORE); END",
        Some(_) => "CREATE TRIGGER keep_rows ON dbo.Files INSTEAD OF DELETE AS SELECT 1 AS Kept",
    };
    backend.execute_script(trigger).unwrap();
    let error = replay(&[bundle(place, 2, 20, 1, 200)], &mut *backend, &options(&into, true), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error:?}");
    let said = format!("{error} {error:?}");
    assert!(said.contains("cannot be removed") && said.contains(&key(10).to_string()), "{said}");
    assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(10)]);
}

fn sum(planned: &[PlannedTable]) -> [u64; 5] {
    let sum = |of: fn(&PlannedTable) -> u64| planned.iter().map(of).sum();
    [
        sum(|table| table.rows),
        sum(|table| table.inserted),
        sum(|table| table.replaced),
        sum(|t| t.outranked),
        sum(|t| t.removed),
    ]
}

pub fn a_plan_says_what_a_replay_then_does(place: &Place) {
    let mut second = Made::new(2, 2000, (500, 900));
    second.rows =
        vec![Row::root(1, Some(600), b"newer"), Row::root(2, Some(700), b"two"), Row::root(9, Some(800), b"")];
    second.tombstones = vec![(key(5), 600), (key(77), 600)];
    let bundles = [Made::sample().write(place.folder()), second.write(place.folder())];
    let into = place.target("Into");
    let mut backend = into.open().unwrap();
    let refused = plan(&bundles, &mut *backend, &options(&into, false), &Silent).unwrap_err();
    assert_eq!(refused.kind(), Kind::Config);
    let creating = into.options(false);
    let planned = plan(&bundles, &mut *backend, &creating, &Silent).unwrap();
    assert!(planned.iter().all(|table| table.creates_table), "{planned:?}");
    assert_eq!(sum(&planned), [10, 8, 2, 0, 1]);
    assert!(backend.inspect_target(&crate::replay::target::spec(&into, "Files")).unwrap().is_none(), "nothing is made");
    // With the first bundle applied, only the second is left.
    into.apply(&bundles[..1], false).unwrap();
    let mut backend = into.open().unwrap();
    let planned = plan(&bundles, &mut *backend, &creating, &Silent).unwrap();
    assert_eq!((planned[0].parts, planned[1].parts), (0, 2));
    assert_eq!(sum(&planned), [3, 1, 2, 0, 1]);
    let applied = into.apply(&bundles, false).unwrap();
    let table = &applied.bundles[1].tables[0];
    assert_eq!((table.written, table.removed), (3, 1));
    assert_eq!(sum(&plan(&bundles, &mut *backend, &creating, &Silent).unwrap()), [0; 5]);
}

pub fn a_check_finds_what_was_changed_since(place: &Place) {
    let mut sample = Made::sample();
    sample.row(1).content = Content::Blob(vec![9; 70_000]);
    let bundles = [sample.write(place.folder())];
    let into = place.target("Into");
    into.apply(&bundles, false).unwrap();
    let mut backend = into.open().unwrap();
    let report = check(&bundles, &mut *backend, &options(&into, false), &Silent).unwrap();
    assert_eq!((report.rows, report.equal, report.tombstones, report.counts.len()), (7, 7, 2, 0));
    let table = into.files();
    let [_, _, _, bytes, ..] = &crate::made::columns()[..] else { panic!("there are such columns") };
    let value = [9; 69_999];
    backend.write_value(&table, ("stream_id", key(1)), bytes, 69_999, &mut &value[..]).unwrap();
    backend.delete(&table, ("stream_id", key(5))).unwrap();
    let null = blobdelta::model::cell::Cell::Null;
    backend.update(&table, ("stream_id", key(7)), &[(bytes, null)]).unwrap();
    let found = check(&bundles, &mut *backend, &options(&into, false), &Silent).unwrap();
    let counts: Vec<_> = found.counts.into_iter().collect();
    assert_eq!(counts, [(CheckKind::Missing, 1), (CheckKind::OtherContent, 2)]);
    assert_eq!(found.equal, 4);
    let finding = found.findings.iter().find(|finding| finding.key.id() == key(1)).unwrap();
    assert_eq!(finding.column.as_deref(), Some("file_stream"));
}

pub fn what_a_gap_allowed_is_kept_with_the_bundle(place: &Place) {
    let make = |run: u8, window: (i64, i64)| {
        let mut made = Made::new(run, i64::from(run) * 1000, window);
        made.rows = vec![Row::root(run, Some(window.0), &[run])];
        made.write(place.folder())
    };
    let (first, third) = (make(1, (0, 100)), make(3, (200, 300)));
    let into = place.target("Into");
    into.apply(&[first], false).unwrap();
    let report = into.apply(&[third], true).unwrap();
    assert!(report.bundles[0].tables[0].gap.as_ref().is_some_and(|gap| gap.contains("missing")));
    let spec = crate::replay::target::spec(&into, "Files");
    let noted = into.open().unwrap().applied_bundles(&spec).unwrap();
    let gaps: Vec<bool> = noted.iter().map(|bundle| bundle.gap.is_some()).collect();
    assert_eq!(gaps, [false, true]);
}

pub fn a_bundle_after_a_stranger_is_refused(place: &Place) {
    let make = |run: u8, window: (i64, i64), spoil: fn(&mut blobdelta::bundle::manifest::Manifest)| {
        let mut made = Made::new(run, i64::from(run) * 1000, window);
        made.rows = vec![Row::root(run, Some(window.0), &[run])];
        made.spoil = spoil;
        made.write(place.folder())
    };
    let first = make(1, (0, 100), |_| {});
    let stranger = make(2, (90, 200), |manifest| {
        let root_sha256 = blobdelta::model::digest::Sha256::of(b"never seen");
        manifest.tables[0].previous = Some(blobdelta::bundle::manifest::Previous { root_sha256 });
    });
    let into = place.target("Into");
    into.apply(&[first], false).unwrap();
    let error = into.apply(std::slice::from_ref(&stranger), false).unwrap_err();
    assert_eq!(error.kind(), Kind::ChainGap);
    assert!(error.to_string().contains("never applied here"), "{error}");
    assert_eq!(into.existing().len(), 1);
    into.apply(&[stranger], true).unwrap();
    assert_eq!(into.existing().len(), 2);
}
