//! README.md and the pages are followed: their blocks of commands are given to a shell, in the order in which they
//! stand, in a folder in which the demo was made.

use std::path::Path;
use std::process::Command;

/// The blocks of a page that are for a shell.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}

/// Runs a block, and ends with its first failure.
fn follow(folder: &Path, block: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_blobdelta"));
    let mut places = vec![binary.parent().unwrap().to_owned()];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut shell = Command::new("sh");
    shell.args(["-euc", block]).current_dir(folder).env("PATH", std::env::join_paths(places).unwrap());
    let ended = shell.env_remove("BLOBDELTA_CONNECTION").output().unwrap();
    let (out, said) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{block}\n{out}\n{said}");
}

#[test]
fn readme_is_followed_by_an_operator_and_a_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks("README.md");
    assert_eq!(blocks.len(), 2, "README.md has another number of blocks to follow");
    follow(folder.path(), "blobdelta demo");
    blocks.iter().for_each(|block| follow(folder.path(), block));
    assert!(folder.path().join("restored/Restored.sqlite").is_file());
    assert!(folder.path().join("files").is_dir());
}

#[test]
fn the_receivers_page_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    follow(folder.path(), "blobdelta demo && mkdir outgoing && blobdelta ship blobdelta-demo/bundles outgoing");
    let blocks = blocks("docs/receiver.md");
    assert!(!blocks.is_empty());
    blocks.iter().for_each(|block| follow(folder.path(), block));
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
