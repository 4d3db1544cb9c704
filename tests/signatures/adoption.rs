//! A bundle that stands there already, when the same one is published once more.

use super::Test;
use super::bundles::{Signing, signature_of};
use crate::world::tree;
use blobdelta::bundle::{Bundle, extract, sweep_staging};
use blobdelta::durable::{Faulty, Local, When};
use blobdelta::monitor::Silent;
use std::fs;
use std::path::{Path, PathBuf};

pub const TESTS: &[Test] = &[
    ("packing_twice_with_one_key_gives_one_tree", packing_twice_with_one_key_gives_one_tree),
    ("a_signature_is_added_to_a_folder_and_never_replaced", a_signature_is_added_to_a_folder_and_never_replaced),
    ("a_signature_is_not_added_to_an_archive", a_signature_is_not_added_to_an_archive),
    ("a_crash_leaves_a_whole_signature_or_none", a_crash_leaves_a_whole_signature_or_none),
    ("extracting_over_a_folder_brings_the_signature", extracting_over_a_folder_brings_the_signature),
];

/// An unsigned bundle, and the id of its run.
fn unsigned(signing: &Signing, form: &[&str]) -> (PathBuf, String) {
    let out = signing.world.out();
    let document = signing.good(&[&["run", "--out", &out, "--json"], form].concat()).json();
    let id = document["run"]["RunId"].as_str().unwrap().to_owned();
    (PathBuf::from(document["bundles"][0].as_str().unwrap()), id)
}

fn pack<'a>(id: &'a str, key: &'a str, out: &'a str) -> [&'a str; 7] {
    ["pack", "--run", id, "--sign-key", key, "--out", out]
}

fn staging_is_gone(out: &Path) -> bool {
    fs::read_dir(out).unwrap().all(|entry| !entry.unwrap().file_name().to_str().unwrap().starts_with('.'))
}

fn packing_twice_with_one_key_gives_one_tree() {
    let signing = Signing::new();
    let key = signing.key("key");
    let first = signing.signed_run();
    let elsewhere = signing.world.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let run = signing.good(&["status", "--json"]).json();
    let id = run["runs"][0]["RunId"].as_str().unwrap().to_owned();
    let again = signing.published(&pack(&id, &key, elsewhere.to_str().unwrap()));
    assert_ne!(first, again);
    assert_eq!(tree(&first), tree(&again));
    assert!(tree(&first).contains_key(Path::new("tagmanifest-sha256.txt.sig")));
}

fn a_signature_is_added_to_a_folder_and_never_replaced() {
    let signing = Signing::new();
    signing.keys.make("other", "ed25519", "");
    let out = signing.world.out();
    let (bundle, id) = unsigned(&signing, &[]);
    let before = tree(&bundle);
    signing.good(&pack(&id, &signing.key("key"), &out));
    let mut after = tree(&bundle);
    assert_eq!(signing.found(&bundle, &["--signer", "allowed"]).0, 0);
    assert!(after.remove(Path::new("tagmanifest-sha256.txt.sig")).is_some());
    assert_eq!(before, after);
    // The same key once more, no key, another key.
    let signed = tree(&bundle);
    signing.good(&pack(&id, &signing.key("key"), &out));
    signing.good(&["pack", "--run", &id, "--out", &out]);
    assert_eq!(tree(&bundle), signed);
    let refused = signing.call(&[], &pack(&id, &signing.key("other"), &out));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("another signature"), "{refused:?}");
    assert_eq!(tree(&bundle), signed);
    fs::write(signature_of(&bundle), "").unwrap();
    let refused = signing.call(&[], &pack(&id, &signing.key("key"), &out));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(staging_is_gone(Path::new(&out)));
}

fn a_signature_is_not_added_to_an_archive() {
    let signing = Signing::new();
    let (out, key) = (signing.world.out(), signing.key("key"));
    let (archive, id) = unsigned(&signing, &["--archive"]);
    let before = fs::read(&archive).unwrap();
    let args = [&pack(&id, &key, &out)[..], &["--archive"]].concat();
    let refused = signing.call(&[], &args);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("without a signature"), "{refused:?}");
    assert_eq!(fs::read(&archive).unwrap(), before);
    fs::remove_file(&archive).unwrap();
    signing.good(&args);
    signing.good(&args);
    assert_eq!(signing.found(&archive, &["--signer", "allowed"]).0, 0);
    assert!(staging_is_gone(Path::new(&out)));
}

fn extracting_over_a_folder_brings_the_signature() {
    let signing = Signing::new();
    let (out, key) = (signing.world.out(), signing.key("key"));
    let (folder, id) = unsigned(&signing, &[]);
    let archive = signing.published(&[&pack(&id, &key, &out)[..], &["--archive"]].concat());
    assert!(!signature_of(&folder).exists());
    signing.good(&["extract", &archive.display().to_string(), "--out", &out]);
    assert_eq!(signing.found(&folder, &["--signer", "allowed"]).0, 0);
}

fn a_crash_leaves_a_whole_signature_or_none() {
    let signing = Signing::new();
    let (out, key) = (signing.world.out(), signing.key("key"));
    let (folder, id) = unsigned(&signing, &[]);
    let archive = signing.published(&[&pack(&id, &key, &out)[..], &["--archive"]].concat());
    let signed = Bundle::open(&archive).unwrap();
    let signature = signed.signature().unwrap().unwrap();
    let counter = Faulty::new(When::Never);
    extract(&signed, &counter, Path::new(&out), &Silent).unwrap();
    let (mut without, mut with) = (0, 0);
    for nth in 1..counter.count() {
        let _ = fs::remove_file(signature_of(&folder));
        // What the crash before this one left would be removed first, file by file.
        sweep_staging(&Local, Path::new(&out), &|_, _| true).unwrap();
        if extract(&signed, &Faulty::new(When::CrashAt(nth)), Path::new(&out), &Silent).is_ok() {
            // The last operations remove what was staged; nobody is told if that fails.
            assert_eq!(fs::read(signature_of(&folder)).unwrap(), signature, "{nth}");
            break;
        }
        match fs::read(signature_of(&folder)) {
            Ok(found) => {
                assert_eq!(found, signature, "{nth}");
                with += 1;
            }
            Err(_) => without += 1,
        }
        assert_ne!(signing.found(&folder, &[]).0, 3, "{nth}");
    }
    assert!(without > 10 && with > 0, "{without} {with}");
}
