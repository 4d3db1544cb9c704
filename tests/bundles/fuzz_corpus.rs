//! What was found by fuzzing, and what fuzzing starts from, once more: `fixtures/fuzz/<target>/`.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("every target has a corpus") {
        let path = entry.expect("the folder can be read").path();
        run(&std::fs::read(&path).expect("the file can be read"));
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn manifests() {
    replay("manifest", targets::manifest);
}

#[test]
fn lists_of_hashes() {
    replay("checksums", targets::checksums);
}

#[test]
fn archives() {
    replay("archive", targets::archive);
}

#[test]
fn parts() {
    replay("part", targets::part);
}

#[test]
fn answers_of_stores() {
    replay("answer", targets::answer);
}
