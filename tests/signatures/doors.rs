//! Who vouches, asked at every door: each command that acts on a bundle takes the same policy, and does
//! nothing with one that nobody vouches for.

use super::Test;
use super::bundles::Signing;
use crate::world::Ended;
use std::fs;
use std::path::{Path, PathBuf};

pub const TESTS: &[Test] = &[
    ("attack_every_door_asks_who_vouches", attack_every_door_asks_who_vouches),
    ("attack_a_signer_speaks_for_no_other_source_or_table", attack_a_signer_speaks_for_no_other_source_or_table),
    ("an_encrypted_archive_is_looked_into_where_somebody_has_to_vouch", an_encrypted_archive),
    ("what_is_received_already_is_held_against_the_policy_too", what_is_received_already),
];

/// A command of each door, and where it would make something, if it does.
fn doors(bundle: &str) -> Vec<(Vec<String>, Option<&'static str>)> {
    let door = |text: &str, made| (text.split(' ').map(|word| word.replace("BUNDLE", bundle)).collect(), made);
    vec![
        door("verify BUNDLE", None),
        door("inspect BUNDLE", None),
        door("chain BUNDLE", None),
        door("reconcile --bundles BUNDLE", None),
        door("archive BUNDLE --out made", Some("made")),
        door("extract archived.bundle.tar --out made", Some("made")),
        door("compact BUNDLE --out made", Some("made")),
        door("unpack BUNDLE --out made/files", Some("made")),
        door("replay BUNDLE --into sqlite:made/target --create", Some("made")),
        door("ship BUNDLE made", Some("made")),
        door("receive drop --out made", Some("made")),
        door("prune drop --keep-weeks 1", None),
    ]
}

/// A signed bundle, also as an archive, and in a drop folder.
fn placed(signing: &Signing) -> PathBuf {
    signing.keys.make("other", "ed25519", "");
    let bundle = signing.signed_run();
    let text = bundle.display().to_string();
    for folder in ["made", "drop", "archives"] {
        fs::create_dir(signing.world.path(folder)).unwrap();
    }
    signing.good(&["archive", &text, "--out", "archives"]);
    let archive = fs::read_dir(signing.world.path("archives")).unwrap().next().unwrap().unwrap().path();
    fs::rename(archive, signing.world.path("archived.bundle.tar")).unwrap();
    signing.good(&["ship", &text, "drop"]);
    bundle
}

/// Calls each door with these arguments, from an empty `made` on.
fn at_every_door(signing: &Signing, bundle: &Path, policy: &[&str], held: &dyn Fn(&[String], &Ended, usize)) {
    for (command, made) in doors(&bundle.display().to_string()) {
        let made = signing.world.path(made.unwrap_or("made"));
        fs::remove_dir_all(&made).unwrap();
        fs::create_dir(&made).unwrap();
        let args: Vec<&str> = command.iter().map(String::as_str).chain(policy.iter().copied()).collect();
        let ended = signing.call(&[], &args);
        let visible = |name: &str| !name.starts_with('.');
        let left = fs::read_dir(&made)
            .unwrap()
            .filter(|entry| visible(&entry.as_ref().unwrap().file_name().to_string_lossy()));
        held(&command, &ended, left.count());
    }
}

/// One bundle alone is nothing to compact, which is said once it was let in.
fn is_let_in(command: &[String], ended: &Ended) -> bool {
    match command[0].as_str() {
        "compact" => ended.code == 2 && ended.stderr.contains("nothing to compact"),
        _ => ended.code == 0,
    }
}

fn attack_every_door_asks_who_vouches() {
    let signing = Signing::new();
    let bundle = placed(&signing);
    fs::write(signing.world.path("others"), signing.keys.line("", "other")).unwrap();
    let root = signing.good(&["inspect", &bundle.display().to_string(), "--json"]).json();
    let root = root["root_sha256"].as_str().unwrap().to_owned();
    let other_root = "0".repeat(64);
    fs::write(signing.world.path("roots"), format!("# ours\n{other_root}\n{root}  {}\n", bundle.display())).unwrap();
    fs::write(signing.world.path("other_roots"), &other_root).unwrap();
    let refused: [&[&str]; 3] = [&["--signer", "others"], &["--root-sha256", &other_root], &["--roots", "other_roots"]];
    for policy in refused {
        at_every_door(&signing, &bundle, policy, &|command, ended, left| {
            assert_eq!((ended.code, left), (3, 0), "{policy:?} {command:?}: {ended:?}");
        });
    }
    let good: [&[&str]; 3] =
        [&["--signer", "allowed"], &["--root-sha256", &other_root, "--root-sha256", &root], &["--roots", "roots"]];
    for policy in good {
        at_every_door(&signing, &bundle, policy, &|command, ended, _| {
            assert!(is_let_in(command, ended), "{policy:?} {command:?}: {ended:?}");
        });
    }
    // From the environment.
    let text = bundle.display().to_string();
    assert_eq!(signing.call(&[("BLOBDELTA_SIGNER", "others")], &["inspect", &text]).code, 3);
    assert_eq!(signing.call(&[("BLOBDELTA_ROOTS", "other_roots")], &["inspect", &text]).code, 3);
    // And one that nobody signed.
    fs::remove_file(super::bundles::signature_of(&bundle)).unwrap();
    let ended = signing.call(&[], &["unpack", &text, "--out", "made/none", "--signer", "allowed"]);
    assert_eq!((ended.code, signing.world.path("made/none").exists()), (3, false), "{ended:?}");
}

fn attack_a_signer_speaks_for_no_other_source_or_table() {
    let signing = Signing::new();
    let bundle = placed(&signing);
    let manifest = signing.good(&["inspect", &bundle.display().to_string(), "--json"]).json();
    let table = manifest["manifest"]["tables"][0]["name"].as_str().unwrap();
    let source = manifest["manifest"]["run"]["source_id"].as_str().unwrap();
    let policy = ["--signer", "allowed", "--signer-scope", "scope"];
    let scope = |text: String| fs::write(signing.world.path("scope"), text).unwrap();
    let others = ["00000000-0000-4000-8000-000000000001 *".to_owned(), format!("{source} Other.dbo.*")];
    for line in others {
        scope(format!("me {line}\nsomebody {source} {table}\n"));
        at_every_door(&signing, &bundle, &policy, &|command, ended, left| {
            assert_eq!((ended.code, left), (3, 0), "{line} {command:?}: {ended:?}");
        });
    }
    let (_, kinds, _) = signing.found(&bundle, &policy);
    assert_eq!(kinds, ["signer_out_of_scope"]);
    for who in ["me".to_owned(), signing.keys.signer("key").unwrap().fingerprint()] {
        scope(format!("{who}\t{source} {}\n", table.to_uppercase()));
        at_every_door(&signing, &bundle, &policy, &|command, ended, _| {
            assert!(is_let_in(command, ended), "{who} {command:?}: {ended:?}");
        });
    }
    let ended = signing.call(&[], &["inspect", "made", "--signer-scope", "scope"]);
    assert_eq!(ended.code, 2, "a scope without signers says nothing: {ended:?}");
}

fn an_encrypted_archive() {
    let signing = Signing::new();
    let bundle = placed(&signing).display().to_string();
    let key = age::x25519::Identity::generate();
    let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
    fs::write(signing.world.path("identity"), secret).unwrap();
    fs::write(signing.world.path("others"), signing.keys.line("", "other")).unwrap();
    fs::create_dir(signing.world.path("sealed")).unwrap();
    signing.good(&["archive", &bundle, "--out", "archives", "--encrypt-to", &key.to_public().to_string()]);
    let sealed = fs::read_dir(signing.world.path("archives")).unwrap().next().unwrap().unwrap().path();
    let sealed = sealed.display().to_string();
    signing.good(&["ship", &sealed, "sealed", "--signer", "allowed", "--identity", "identity"]);
    for (policy, code) in [
        (vec!["--signer", "allowed"], 2),
        (vec!["--signer", "others", "--identity", "identity"], 3),
        (vec!["--signer", "allowed", "--identity", "identity"], 0),
    ] {
        for (door, made) in
            [(vec!["receive", "sealed", "--out", "made"], "made"), (vec!["ship", &sealed, "drop2"], "drop2")]
        {
            let _ = fs::remove_dir_all(signing.world.path(made));
            fs::create_dir(signing.world.path(made)).unwrap();
            let ended = signing.call(&[], &[&door[..], &policy].concat());
            assert_eq!(ended.code, code, "{door:?} {policy:?}: {ended:?}");
            let left = fs::read_dir(signing.world.path(made)).unwrap().count();
            assert_eq!(left > 0, code == 0, "{door:?} {policy:?}");
        }
    }
}

fn what_is_received_already() {
    let signing = Signing::new();
    placed(&signing);
    fs::write(signing.world.path("others"), signing.keys.line("", "other")).unwrap();
    signing.good(&["receive", "drop", "--out", "made"]);
    assert_eq!(signing.call(&[], &["receive", "drop", "--out", "made", "--signer", "others"]).code, 3);
    let ended = signing.good(&["receive", "drop", "--out", "made", "--signer", "allowed"]);
    assert!(ended.stdout.contains("was there already"), "{ended:?}");
    // What stands there is looked at whole where it is named, or where that is asked: its tag files are as they were.
    let bundle = fs::read_dir(signing.world.path("made")).unwrap().map(|entry| entry.unwrap().path());
    let bundle = bundle.filter(|path| path.extension().is_some_and(|end| end == "bundle")).last().unwrap();
    let table = fs::read_dir(bundle.join("data")).unwrap().next().unwrap().unwrap().path();
    let part = table.join("part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let named = format!("drop/{}", bundle.file_name().unwrap().display());
    for door in [&["receive", "drop", "--check-all", "--out", "made"][..], &["receive", &named, "--out", "made"]] {
        let ended = signing.call(&[], door);
        assert!(ended.code == 3 && ended.stderr.contains("part-00000.parquet"), "{ended:?}");
    }
}
