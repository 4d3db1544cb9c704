//! Bundles that are not what they say: verify finds it, and replay takes nothing of them.

use crate::world::{DOCS, World};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether verify ends with 3 and blames `file`, and replay refuses with 3 and makes nothing.
fn is_found(world: &World, bundle: &Path, file: &str) {
    let path = bundle.display().to_string();
    let verified = world.call(&["verify", "--deep", &path]);
    assert_eq!(verified.code, 3, "{verified:?}");
    assert!(verified.stdout.contains(file), "{file}: {verified:?}");
    let document = world.call(&["verify", &path, "--json"]);
    assert_eq!((document.code, &document.json()["bundles"][0]["good"]), (3, &false.into()));
    let into = format!("sqlite:{}", world.path("target").display());
    let replayed = world.call(&["replay", &path, "--into", &into, "--create"]);
    assert_eq!(replayed.code, 3, "{replayed:?}");
    assert_eq!(replayed.stderr.matches("error: ").count(), 1, "{replayed:?}");
}

fn part(bundle: &Path) -> PathBuf {
    bundle.join("data/t001-Docs/part-00000.parquet")
}

#[test]
fn a_truncated_part() {
    let world = World::new();
    let bundle = world.bundle();
    let bytes = fs::read(part(&bundle)).unwrap();
    fs::write(part(&bundle), &bytes[..bytes.len() / 2]).unwrap();
    is_found(&world, &bundle, "part-00000.parquet");
}

#[test]
fn a_changed_part() {
    let world = World::new();
    let bundle = world.bundle();
    let mut bytes = fs::read(part(&bundle)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(part(&bundle), bytes).unwrap();
    is_found(&world, &bundle, "part-00000.parquet");
}

#[test]
fn an_incomplete_bundle() {
    let world = World::new();
    let bundle = world.bundle();
    fs::remove_file(part(&bundle)).unwrap();
    is_found(&world, &bundle, "part-00000.parquet");
}

#[test]
fn a_changed_manifest() {
    let world = World::new();
    let bundle = world.bundle();
    let text = fs::read_to_string(bundle.join("manifest.json")).unwrap();
    fs::write(bundle.join("manifest.json"), text.replace("\"roots\":3", "\"roots\":4")).unwrap();
    is_found(&world, &bundle, "manifest.json");
}

#[test]
fn a_file_that_no_list_names() {
    let world = World::new();
    let bundle = world.bundle();
    fs::write(bundle.join("data/more.txt"), "x").unwrap();
    is_found(&world, &bundle, "data/more.txt");
}

#[test]
fn a_newer_major_format_says_which() {
    let world = World::new();
    let bundle = world.bundle();
    let text = fs::read_to_string(bundle.join("manifest.json")).unwrap();
    let newer = text.replace("\"format_version\":\"1.", "\"format_version\":\"2.");
    assert_ne!(newer, text);
    let path = bundle.join("manifest.json");
    fs::write(&path, &newer).unwrap();
    let digest = |bytes: &str| blobdelta::model::digest::Sha256::of(bytes.as_bytes()).to_string();
    let list = bundle.join("tagmanifest-sha256.txt");
    let lines = fs::read_to_string(&list).unwrap();
    fs::write(&list, lines.replace(&digest(&text), &digest(&newer))).unwrap();
    is_found(&world, &bundle, "2.");
}

#[test]
fn no_bundle_at_all() {
    let world = World::bare();
    for command in [&["verify", "nowhere.bundle"][..], &["inspect", "nowhere.bundle"]] {
        let ended = world.call(command);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("nowhere.bundle"), "{ended:?}");
    }
    let empty = world.path("empty.bundle");
    fs::create_dir(&empty).unwrap();
    assert_eq!(world.call(&["verify", "empty.bundle"]).code, 3);
    let into = format!("sqlite:{}", world.path("target").display());
    assert_ne!(world.call(&["replay", "empty.bundle", "--into", &into, "--create"]).code, 0);
    assert!(!world.path("target").exists());
}

#[test]
fn a_gap_in_the_chain() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "SafetyBufferMinutes=0"]);
    let first = world.bundle();
    let second = world.bundle();
    let third = world.bundle();
    let into = format!("sqlite:{}", world.path("target").display());
    let replay = |bundles: &[&PathBuf]| {
        let paths: Vec<String> = bundles.iter().map(|path| path.display().to_string()).collect();
        let mut args = vec!["replay", "--into", &into, "--create"];
        args.extend(paths.iter().map(String::as_str));
        world.call(&args)
    };
    let with_gap = replay(&[&first, &third]);
    assert_eq!(with_gap.code, 5, "{with_gap:?}");
    assert!(with_gap.stderr.contains("allow the gap"), "{with_gap:?}");
    assert_eq!(replay(&[&third, &first, &second]).code, 0, "any order");
    let again = replay(&[&first]);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
}

#[test]
fn what_looks_like_a_bundle_and_is_none_by_its_name_is_reported() {
    let world = World::new();
    let bundle = world.bundle();
    let name = bundle.file_name().unwrap().to_string_lossy().into_owned();
    world.good(&["run", "--out", &world.out()]);
    for other in
        [name.replace(".bundle", ".BUNDLE"), format!("{name} - Copy"), format!("{name}.tar.gz"), "2026".to_owned()]
    {
        let at = world.path("out").join(&other);
        std::fs::rename(&bundle, &at).unwrap();
        let out = world.out();
        for args in [
            &["verify", &out][..],
            &["chain", &out],
            &["replay", &out, "--into", "sqlite:target", "--create", "--allow-gap"],
            &["unpack", &out, "--latest", "--allow-gap", "--out", "files"],
            &["reconcile", "--bundles", &out],
            &["ship", &out, "drop"],
            &["compact", &out, "--out", "compacted"],
        ] {
            let ended = world.call(args);
            assert!(
                ended.stderr.contains(&format!("out/{other}: it looks like a bundle")),
                "{args:?} {other}: {ended:?}"
            );
        }
        let _ = std::fs::remove_dir_all(world.path("files"));
        std::fs::rename(&at, &bundle).unwrap();
    }
}
