//! Archives: published by a run, read by every command.

use crate::world::{DOCS, World};
use std::fs;
use std::path::{Path, PathBuf};

/// The only file in a folder.
fn only(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_run_publishes_an_archive_that_every_command_reads() {
    let world = World::new();
    let ran = world.good(&["run", "--table", DOCS, "--archive", "--out", &world.out()]);
    let archive = only(&world.path("out"));
    assert!(archive.display().to_string().ends_with(".bundle.tar"), "{ran:?}");
    let text = path_text(&archive);
    world.good(&["verify", "--deep", &text]);
    let inspected = world.good(&["inspect", "--json", &text]).json();
    let into = format!("sqlite:{}", world.path("target").display());
    world.good(&["replay", &text, "--into", &into, "--create", "--database", "Copy"]);

    fs::create_dir(world.path("folders")).unwrap();
    world.good(&["extract", &text, "--out", &path_text(&world.path("folders"))]);
    let folder = only(&world.path("folders"));
    let again = world.good(&["inspect", "--json", &path_text(&folder)]).json();
    assert_eq!(inspected["root_sha256"], again["root_sha256"]);
    world.good(&["archive", &path_text(&folder)]);
    let twin = folder.with_extension("bundle.tar");
    assert_eq!(fs::read(&archive).unwrap(), fs::read(&twin).unwrap());

    // A changed archive is found by verify, and nothing of it is replayed.
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    assert_eq!(world.call(&["verify", &text]).code, 3);
    assert_eq!(world.call(&["replay", &text, "--into", &into, "--create"]).code, 3);
}

#[test]
fn a_folder_of_bundles_stands_for_all_of_them() {
    let world = World::new();
    let out = world.out();
    let refused = world.call(&["verify", &out]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("there is no bundle in this folder"), "{refused:?}");
    world.bundle();
    world.good(&["run", "--table", DOCS, "--from", "2020-01-01", "--archive", "--out", &out]);
    let verified = world.good(&["verify", "--json", &out]).json();
    assert_eq!(verified["bundles"].as_array().unwrap().len(), 2);
    fs::create_dir(world.path("one")).unwrap();
    world.good(&["compact", &out, "--out", &path_text(&world.path("one"))]);
    let one = path_text(&only(&world.path("one")));
    world.good(&["verify", "--deep", &one]);
    for (bundles, name) in [(&out, "many"), (&one, "one of them")] {
        let into = format!("sqlite:{}", world.path(name).display());
        world.good(&["replay", bundles, "--into", &into, "--create"]);
    }
    // With both beside each other, the chain has no fault.
    world.good(&["chain", &out, &one]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let world = World::new();
    let call = |args: &[&str]| {
        let ended = world.call(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert_eq!(ended.stderr.matches("error: ").count(), 1, "{ended:?}");
        ended.stderr
    };
    let out = world.out();
    let refused = call(&["run", "--archive", "--encrypt-to", "me", "--out", &out]);
    assert!(refused.contains("is not a recipient of age"), "{refused}");
    let refused = call(&["run", "--archive", "--encrypt-to", "AGE-SECRET-KEY-1CANARY", "--out", &out]);
    assert!(refused.contains("which is secret") && !refused.contains("CANARY"), "{refused}");
    call(&["run", "--encrypt-to", "age1x", "--out", &out]);
    call(&["archive", "nowhere"]);
    call(&["extract", "nowhere", "--out", &out]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}
