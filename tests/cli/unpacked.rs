//! `unpack`: exit codes and the listing.

use crate::world::{DOCS, World, tree};
use std::fs;

#[test]
fn a_bundle_becomes_files_and_the_listing_names_each() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let done = world.good(&["unpack", &bundle, "--out", "files"]);
    assert!(done.stdout.starts_with("files: 3 files with 2.9 KiB, 0 folders\n"), "{done:?}");
    let found = tree(&world.path("files"));
    assert_eq!(found.len(), 3);
    assert!(found.values().all(|bytes| bytes.len() == 1000), "{found:?}");
    let key = "02020202-0202-0202-0202-020202020202";
    let one = world.good(&["unpack", &bundle, "--out", "one", "--key", key, "--json"]).json();
    let written = &one["written"][0];
    assert_eq!((&one["files"], &written["key"], &written["table"]), (&1.into(), &key.into(), &DOCS.into()));
    assert_eq!(written["modified_on"], "2020-05-01T00:00:00.0000000");
    // The table has no column of names.
    let path = world.path("one").join(written["path"].as_str().unwrap());
    assert_eq!((path.file_name().unwrap().to_str(), fs::read(&path).unwrap()), (Some(key), vec![2; 1000]));
}

#[test]
fn what_cannot_be_unpacked_says_why_by_its_exit_code() {
    let world = World::new();
    let (one, two) = (world.bundle(), world.bundle());
    let [one_text, two_text] = [&one, &two].map(|path| path.display().to_string());
    assert_eq!(world.call(&["unpack", &one_text, &two_text, "--out", "files"]).code, 2);
    assert_eq!(world.call(&["unpack", &one_text, "--out", "out"]).code, 2, "not empty");
    assert_eq!(world.call(&["unpack", &one_text, "--out", "files", "--where", "name"]).code, 2);
    assert_eq!(world.call(&["unpack", &one_text, "--out", "files", "--where", "nothing~x"]).code, 2);
    let part = one.join("data/t001-Docs/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(part, bytes).unwrap();
    let damaged = world.call(&["unpack", &one_text, &two_text, "--latest", "--out", "files"]);
    assert_eq!(damaged.code, 3, "{damaged:?}");
    assert!(damaged.stderr.contains("part-00000.parquet") && !world.path("files").exists(), "{damaged:?}");
    fs::remove_dir_all(one).unwrap();
    world.good(&["unpack", &world.out(), "--latest", "--out", "files"]);
}
