//! Bundles of every format that ever was, read by this version: `fixtures/bundles/v<major>/`. A
//! bundle that LIST.json does not name fails here, and so does one that it names and that changed.

use super::made::{Made, key};
use blobdelta::bundle::manifest::{BundleKind, FailedTable, Previous, ScopeText};
use blobdelta::bundle::{Bundle, FileRole, Manifest, archive};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::model::clock::ClockKind;
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::KeyOrder;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Scope;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::verify::{VerifyLevel, verify};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// What the bundles of format 1 have between them, beside a column of each type.
const FEATURES: &[&str] = &[
    "absent parents",
    "active transaction floor",
    "archive",
    "blob",
    "business unit",
    "compacted",
    "early rows",
    "failed table",
    "keys in the order of SQL Server",
    "late rows",
    "local clock",
    "new business unit",
    "previous bundle",
    "several row groups or parts",
    "signature",
    "tombstones",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/v1")
}

fn listed() -> BTreeMap<String, Value> {
    serde_json::from_slice(&fs::read(folder().join("LIST.json")).unwrap()).unwrap()
}

fn bundles() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.to_string_lossy().contains(".bundle")).collect();
    paths.sort();
    paths
}

/// What there is to hold a bundle against.
fn reported(bundle: &Bundle, rows: u64) -> Value {
    let tables: BTreeMap<String, Value> = bundle
        .manifest()
        .tables
        .iter()
        .map(|table| {
            (table.name.to_string(), json!({"rows": table.counts.rows(), "tombstones": table.counts.tombstones}))
        })
        .collect();
    json!({"root_sha256": bundle.root_sha256(), "decoded_rows": rows, "tables": tables})
}

#[test]
fn every_bundle_of_format_1_is_listed_and_read_as_it_was() {
    let mut found = BTreeMap::new();
    for path in bundles() {
        let report = verify(&path, VerifyLevel::Deep, &Silent).unwrap();
        assert!(report.is_good(), "{}: {report:?}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        found.insert(name, reported(&Bundle::open(&path).unwrap(), report.rows));
    }
    assert_eq!(found, listed());
}

#[test]
fn the_bundles_of_format_1_have_every_feature() {
    let (mut features, mut types) = (BTreeSet::new(), BTreeSet::new());
    for path in bundles() {
        let bundle = Bundle::open(&path).unwrap();
        features.extend(path.is_file().then_some("archive"));
        features.extend(bundle.signature().unwrap().map(|_| "signature"));
        features.extend(features_of(bundle.manifest()));
        let columns = bundle.manifest().tables.iter().flat_map(|table| &table.columns);
        types.extend(columns.map(|column| family(&column.sql_type)));
    }
    assert_eq!(features.into_iter().collect::<Vec<_>>(), FEATURES);
    let fixture = include_str!("../../../fixtures/types/types.json");
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    for sql_type in fixture["types"].as_array().unwrap() {
        let name = family(sql_type["type"].as_str().unwrap());
        assert!(types.contains(&name), "no bundle has a column of type {name}: {types:?}");
    }
}

fn family(sql_type: &str) -> String {
    assert!(SqlType::parse(sql_type).is_ok(), "{sql_type}");
    sql_type.split('(').next().unwrap().to_owned()
}

fn features_of(manifest: &Manifest) -> Vec<&'static str> {
    let mut features = vec![];
    let mut note = |is: bool, feature| features.extend(is.then_some(feature));
    note(!manifest.failed_tables.is_empty(), "failed table");
    note(manifest.kind == BundleKind::Compacted, "compacted");
    for table in &manifest.tables {
        let has = |role| table.files_of(role).next().is_some();
        note(has(FileRole::AbsentParents), "absent parents");
        note(has(FileRole::Blob), "blob");
        note(has(FileRole::Tombstones), "tombstones");
        note(table.files.iter().any(|file| file.row_groups > Some(1)), "several row groups or parts");
        note(table.window.active_transaction_floor.is_some(), "active transaction floor");
        note(table.window.clock == ClockKind::Local, "local clock");
        note(table.scope.0 != Scope::All, "business unit");
        note(table.counts.early > 0, "early rows");
        note(table.counts.late > 0, "late rows");
        note(table.key_order == KeyOrder::SqlServer, "keys in the order of SQL Server");
        note(!table.new_business_units.is_empty(), "new business unit");
        note(table.previous.is_some(), "previous bundle");
    }
    features
}

/// Writes the bundles that are made by hand; that of all types is made by the scenario
/// `every_value_of_every_type_comes_through` with `BLOBDELTA_KEEP_TYPES_BUNDLE` set to the folder, and a
/// signature by `ssh-keygen -Y sign -n blobdelta-bundle-v1`.
#[test]
#[ignore = "writes into fixtures/bundles/v1"]
fn make_bundles_of_format_1() {
    fs::create_dir_all(folder()).unwrap();
    let sample = Made::sample();
    let first = sample.write(&folder());
    let mut other = Made { run: 2, row_run: 2, started: 2000, ..Made::sample() };
    other.rows_in_group = 3;
    other.unit = Some(key(0xB0));
    other.reason = "LeftScope";
    other.spoil = |manifest| {
        manifest
            .failed_tables
            .push(FailedTable { table: TableName::new("a", "b", "c]d").unwrap(), error: "why".into() });
        let table = &mut manifest.tables[0];
        table.scope = ScopeText(Scope::from(Some(key(0xB0))));
        table.key_order = KeyOrder::SqlServer;
        table.previous = Some(Previous { root_sha256: Sha256::of(b"the bundle before") });
        table.new_business_units = vec![key(0xB1)];
        (table.window.clock, table.window.buffer_minutes) = (ClockKind::Local, 120);
        (table.window.lag_only, table.window.active_transaction_floor) = (false, Some(table.window.end));
        table.window.watermark_before = Some(table.window.start);
    };
    let other = other.write(&folder());
    archive(&Bundle::open(&other).unwrap(), &Local, &folder(), None, &Silent).unwrap();
    fs::remove_dir_all(other).unwrap();
    let mut third = Made { run: 3, row_run: 3, started: 3000, start: 400, end: 900, ..Made::sample() };
    third.rows.iter_mut().for_each(|row| row.modified = row.modified.map(|at| at + 400));
    third.tombstones = vec![(key(5), 899)];
    let inside = tempfile::tempdir().unwrap();
    let bundles = [first, third.write(inside.path())].map(|path| Bundle::open(&path).unwrap());
    compact(bundles.into(), &Local, &folder(), &CompactOptions::default(), &Silent).unwrap();
}

/// Writes LIST.json anew, after bundles were added.
#[test]
#[ignore = "writes fixtures/bundles/v1/LIST.json"]
fn make_the_list_of_bundles_of_format_1() {
    let rows = |path: &PathBuf| verify(path, VerifyLevel::Deep, &Silent).unwrap().rows;
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all: BTreeMap<String, Value> =
        bundles().iter().map(|path| (name(path), reported(&Bundle::open(path).unwrap(), rows(path)))).collect();
    fs::write(folder().join("LIST.json"), serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}
