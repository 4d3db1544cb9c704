//! The bundles of the demo, unpacked, are the files that it read.

use super::files;
use blobdelta::demo::{DemoOptions, run_demo};
use blobdelta::durable::Local;
use blobdelta::monitor::Silent;
use blobdelta::unpack::{UnpackOptions, unpack};
use std::collections::BTreeMap;
use std::path::Path;

/// Files by their path from the table's folder on; the demo spreads one folder over two tables.
fn unpacked(bundles: &[std::path::PathBuf], out: &Path) -> BTreeMap<String, Vec<u8>> {
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(out) };
    unpack(bundles, &options, &Local, &Silent, &mut |_| {}).unwrap();
    let of_table = |(path, bytes): (String, Vec<u8>)| (path.split_once('/').unwrap().1.to_owned(), bytes);
    files(out).into_iter().map(of_table).collect()
}

#[test]
fn the_first_bundle_holds_files_of_the_folder_byte_by_byte_and_the_second_its_changes() {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files");
    let options = DemoOptions {
        from: from.clone(),
        dir: dir.path().join("demo"),
        into: None,
        rows: None,
        weeks: 1,
        keep: false,
        omit_known_content: false,
    };
    let report = run_demo(&options, &|_| {}, &Silent).unwrap();
    let source = files(&from);
    let first = unpacked(&report.bundles[..1], &dir.path().join("first"));
    // Rows without unit, out of scope or in the future are in no bundle.
    assert!(first.len() > 25 && first.len() <= source.len(), "{} of {}", first.len(), source.len());
    for (path, bytes) in &first {
        assert!(source[path] == *bytes, "{path}");
    }
    let latest = unpacked(&report.bundles, &dir.path().join("latest"));
    let added = latest.keys().filter(|path| path.contains("added by the demo")).count();
    assert_eq!(added, 4, "{:?}", latest.keys());
    assert!(latest.iter().any(|(path, bytes)| source.get(path).is_some_and(|old| old != bytes)), "two were replaced");
}
