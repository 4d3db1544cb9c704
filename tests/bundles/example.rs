//! examples/read_bundle.rs reads every bundle of format 1 that the program ever published, and no damaged one.

#[path = "../../examples/read_bundle.rs"]
#[expect(dead_code, reason = "its `main` is the example's own")]
mod read_bundle;

use blobdelta::bundle::{Bundle, FileRole};
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/v1");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "bundle" || ending == "tar")).collect()
}

/// What the manifest says that the example has to find.
fn due(path: &Path) -> usize {
    let bundle = Bundle::open(path).unwrap();
    let files = bundle.manifest().tables.iter().flat_map(|table| &table.files);
    let lines = files.map(|file| match file.role {
        FileRole::Rows | FileRole::Tombstones => file.rows.unwrap(),
        FileRole::Blob => 1,
        FileRole::AbsentParents => 0,
    });
    usize::try_from(lines.sum::<u64>()).unwrap()
}

#[test]
fn the_example_reads_every_row_value_and_deletion() {
    let (mut bundles, mut found) = (0, String::new());
    for path in fixtures() {
        let mut out = Vec::new();
        read_bundle::read(&path, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), due(&path), "{}", path.display());
        (bundles, found) = (bundles + 1, found + &text);
    }
    assert!(bundles > 2, "the fixtures were not found");
    assert!(
        found.contains(" bytes\n") && found.contains("tombstone: Deleted") && found.contains(" in blob/"),
        "{found}"
    );
}

#[test]
fn the_example_reads_no_damaged_part() {
    let folder = tempfile::tempdir().unwrap();
    let published = super::write::sample::publish(&blobdelta::durable::Local, folder.path()).unwrap();
    let bundle = Bundle::open(published.path()).unwrap();
    let part = published.path().join(&bundle.manifest().tables[0].files[0].path);
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let error = read_bundle::read(published.path(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("its hash is not the one"), "{error}");
}
