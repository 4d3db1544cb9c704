//! README.md and the pages are followed: their blocks of commands are given to a shell, in the order in which they
//! stand, in a folder in which the demo was made. What they show of the demo is what it prints
//! (`BLOBDELTA_WRITE_PAGES=1` writes docs/demo.md anew).

use std::path::Path;
use std::process::Command;

/// The blocks of a page that are for a shell.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}

/// Runs a block, ends with its first failure, and gives what it printed.
fn follow(folder: &Path, block: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_blobdelta"));
    let mut places = vec![binary.parent().unwrap().to_owned()];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut shell = Command::new("sh");
    shell.args(["-euc", block]).current_dir(folder).env("PATH", std::env::join_paths(places).unwrap());
    let ended = shell.env_remove("BLOBDELTA_CONNECTION").output().unwrap();
    let (out, said) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{block}\n{out}\n{said}");
    out.into_owned()
}

/// What the demo printed, without what is another each time: names of bundles, their sizes, by how much times were set back.
fn lasting(printed: &str) -> Vec<String> {
    let words = |line: &str| -> Vec<String> {
        let is_other = line.trim_start().starts_with("good:") || line.contains("set back by");
        let words = line.split(' ').map(|word| match word.split_once("-demo/bundles/") {
            Some((folder, _)) => format!("{folder}-demo/bundles/…"),
            None if is_other && word.contains(|c: char| c.is_ascii_digit()) => "…".to_owned(),
            None => word.to_owned(),
        });
        words.collect()
    };
    printed.trim().lines().map(|line| words(line).join(" ")).collect()
}

/// The blocks of output in a page.
fn shown(page: &str) -> Vec<&str> {
    page.split("\n```text\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_demo_prints_what_its_page_and_readme_show() {
    let folder = tempfile::tempdir().unwrap();
    let printed = follow(folder.path(), "blobdelta demo");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("docs/demo.md");
    let mut page = std::fs::read_to_string(&file).unwrap();
    if std::env::var_os("BLOBDELTA_WRITE_PAGES").is_some() && lasting(shown(&page)[0]) != lasting(&printed) {
        page = page.replace(shown(&page)[0], printed.trim());
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(lasting(shown(&page)[0]), lasting(&printed), "docs/demo.md shows something else");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for line in shown(&readme)[0].lines() {
        let begins = line.trim_end_matches('…');
        assert!(
            printed.lines().any(|printed| printed.starts_with(begins)),
            "README.md shows a line that the demo does not print: {line}"
        );
    }
}

#[test]
fn readme_is_followed_by_an_operator_and_a_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks("README.md");
    assert_eq!(blocks.len(), 2, "README.md has another number of blocks to follow");
    follow(folder.path(), "blobdelta demo");
    for block in &blocks {
        follow(folder.path(), block);
    }
    assert!(folder.path().join("restored/Restored.sqlite").is_file());
    assert!(folder.path().join("files").is_dir());
}

#[test]
fn the_receivers_page_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    follow(folder.path(), "blobdelta demo && mkdir outgoing && blobdelta ship blobdelta-demo/bundles outgoing");
    let blocks = blocks("docs/receiver.md");
    assert!(!blocks.is_empty());
    for block in &blocks {
        follow(folder.path(), block);
    }
}

/// Its two scripts go through SQLite's own shell, where it is installed.
#[test]
fn the_page_of_embedded_instances_is_followed() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("skipped: sqlite3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for block in blocks("docs/embedded.md") {
        follow(folder.path(), &block.replace("examples/", &format!("{}/", examples.display())));
    }
    assert!(folder.path().join("copy/Copy.sqlite").is_file());
}
