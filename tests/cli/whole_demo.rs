//! The demo on the files that the project ships, and on folders that it must refuse.

use blobdelta::demo::{DemoOptions, run_demo};
use blobdelta::error::Kind;
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files")
}

#[test]
fn the_demo_on_the_fixtures_ends_equal_and_leaves_two_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let options = DemoOptions {
        from: fixtures(),
        dir: folder.path().join("demo"),
        into: None,
        rows: None,
        weeks: 1,
        keep: false,
        omit_known_content: false,
    };
    let lines = Mutex::new(Vec::new());
    let narrator = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let report = match run_demo(&options, &narrator, &Silent) {
        Ok(report) => report,
        Err(error) => panic!("{}\n{error}", lines.lock().unwrap().join("\n")),
    };
    let said = lines.into_inner().unwrap().join("\n");
    println!("{said}");
    assert_eq!(report.bundles.len(), 2, "{said}");
    let comparison = report.comparison.unwrap();
    assert_eq!(comparison.differences, 0, "{said}");
    assert!(comparison.due > 30 && comparison.absent > 0 && comparison.ancestors > 0, "{comparison:?}");
    for command in ["blobdelta deploy", "blobdelta table add", "blobdelta run", "blobdelta verify", "blobdelta replay"]
    {
        assert!(said.contains(command), "{said}");
    }
    assert!(run_demo(&options, &|_| {}, &Silent).is_err_and(|error| error.kind() == Kind::Usage));
}

#[test]
fn the_demo_never_writes_into_the_folder_that_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    let options = DemoOptions {
        from: folder.path().to_owned(),
        dir: folder.path().join("a/demo"),
        into: None,
        rows: None,
        weeks: 1,
        keep: false,
        omit_known_content: false,
    };
    let error = run_demo(&options, &|_| {}, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(!options.dir.exists());
}

#[test]
fn many_small_rows_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let options = DemoOptions {
        from: fixtures(),
        dir: folder.path().join("demo"),
        into: None,
        rows: Some(12_000),
        weeks: 1,
        keep: false,
        omit_known_content: false,
    };
    let report = run_demo(&options, &|_| {}, &Silent).unwrap();
    assert_eq!(report.bundles.len(), 1);
    assert!(report.pace.unwrap().batches > 20);
}
