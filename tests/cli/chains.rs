//! `chain`: exit codes, what is reported, and what is looked at.

use crate::world::{DOCS, World};
use std::fs;
use std::path::{Path, PathBuf};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Three bundles that touch, or overlap by the buffer.
fn three(world: &World, buffer_minutes: u32) -> [PathBuf; 3] {
    world.good(&["table", "set", DOCS, &format!("SafetyBufferMinutes={buffer_minutes}")]);
    [world.bundle(), world.bundle(), world.bundle()]
}

#[test]
fn a_whole_chain_ends_with_0_and_one_with_a_hole_with_5() {
    let world = World::new();
    let [first, second, third] = three(&world, 0);
    let whole = world.good(&["chain", &world.out()]);
    assert!(whole.stdout.contains(DOCS) && !whole.stdout.contains('!'), "{whole:?}");
    let document = world.good(&["chain", &world.out(), "--json"]).json();
    let chain = &document["chains"][0];
    assert_eq!((chain["bundles"].as_array().unwrap().len(), &chain["rows"]), (3, &3.into()));
    assert_eq!((&chain["gaps"], &chain["misfits"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(chain["bundles"][2]["previous"], chain["bundles"][1]["root_sha256"]);

    let svg = text(&world.path("chain.svg"));
    let holed = world.call(&["chain", &text(&third), &text(&first), "--svg", &svg]);
    assert_eq!(holed.code, 5, "{holed:?}");
    assert!(holed.stdout.contains("! gap") && holed.stdout.contains("the bundle before it is not here"), "{holed:?}");
    let picture = fs::read_to_string(&svg).unwrap();
    let gap = &world.call(&["chain", &text(&third), &text(&first), "--json"]).json()["chains"][0]["gaps"][0];
    let moment = |name: &str| gap[name].as_str().unwrap().trim_end_matches('Z').to_owned();
    assert!(picture.contains(&format!("<title>gap: [{}, {}), ", moment("start"), moment("end"))), "{picture}");
    let again = world.call(&["chain", &world.out(), "--svg", &svg]);
    assert_eq!(again.code, 1, "a file is never replaced: {again:?}");
    assert_eq!(fs::read_to_string(&svg).unwrap(), picture);
    fs::rename(second, world.path("elsewhere.bundle")).unwrap();
    assert_eq!(world.call(&["chain", &world.out()]).code, 5);
}

#[test]
fn a_link_that_does_not_fit_is_reported_where_windows_overlap() {
    let world = World::new();
    let [_, second, _] = three(&world, 240);
    let whole = world.good(&["chain", &world.out()]);
    assert!(whole.stdout.contains("overlap  "), "{whole:?}");
    fs::remove_dir_all(second).unwrap();
    let ended = world.call(&["chain", &world.out(), "--json"]);
    let chain = &ended.json()["chains"][0];
    assert_eq!((ended.code, &chain["gaps"]), (3, &serde_json::json!([])), "{ended:?}");
    assert_eq!(chain["misfits"][0]["kind"], "previous_is_missing");
}

#[test]
fn a_broken_bundle_is_reported_and_the_others_too() {
    let world = World::new();
    let [_, _, third] = three(&world, 0);
    let manifest = third.join("manifest.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replace("\"roots\":", "\"roots\": ")).unwrap();
    fs::write(world.path("out/x.bundle.tar"), "no archive").unwrap();
    let ended = world.call(&["chain", &world.out()]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(ended.stdout.matches("cannot be opened  ").count(), 2, "{ended:?}");
    assert!(ended.stdout.contains("manifest.json") && ended.stdout.contains("2 bundles in 1 chain"), "{ended:?}");
    let broken = world.call(&["chain", &world.out(), "--json"]).json();
    assert_eq!(broken["broken"][0]["error"]["kind"], "verification");
}

#[test]
fn other_forms_count_once_and_other_files_not_at_all() {
    let world = World::new();
    let [first, ..] = three(&world, 0);
    let identity = age::x25519::Identity::generate();
    let key = world.path("key.txt");
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    fs::write(&key, secret).unwrap();
    world.good(&["archive", &text(&first)]);
    world.good(&["archive", &text(&first), "--encrypt-to", &identity.to_public().to_string()]);
    fs::create_dir(world.path("out/.x.bundle.staging-0123456789abcdef")).unwrap();
    fs::create_dir(world.path("out/other")).unwrap();
    fs::write(world.path("out/notes.txt"), "x").unwrap();
    let sealed = world.good(&["chain", &world.out(), "--json"]).json();
    assert_eq!((&sealed["bundles"], &sealed["copies"]), (&3.into(), &1.into()));
    assert_eq!(sealed["sealed"].as_array().unwrap().len(), 1);
    let opened = world.good(&["chain", &world.out(), "--json", "--identity", &text(&key)]).json();
    assert_eq!((&opened["bundles"], &opened["copies"]), (&3.into(), &2.into()));
    // What is named has to be opened.
    let archive = first.with_extension("bundle.tar.age");
    assert_eq!(world.call(&["chain", &text(&archive)]).code, 2);
    world.good(&["chain", &text(&archive), "--identity", &text(&key)]);
}

#[test]
fn nothing_to_look_at_is_a_wrong_argument() {
    let world = World::bare();
    for args in [&["chain", "nowhere"][..], &["chain"], &["chain", "out"]] {
        let ended = world.call(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
    }
}

#[test]
fn each_folder_that_is_named_holds_a_bundle() {
    let world = World::new();
    three(&world, 0);
    // One with a folder of bundles in it.
    let above = world.path("above");
    fs::create_dir_all(above.join("unit")).unwrap();
    let (out, above) = (world.out(), text(&above));
    let page = text(&world.path("page.html"));
    for line in [
        &["chain"] as &[&str],
        &["verify"],
        &["report", "--out", &page],
        &["compact", "--out", "compacted"],
        &["reconcile", "--bundles", &out, "--bundles"],
    ] {
        let other: &[&str] = if line[0] == "reconcile" { &[] } else { &[&out] };
        let refused = world.call(&[line, &[&above], other].concat());
        assert!(
            refused.code == 2 && refused.stderr.contains("there is no bundle in this folder"),
            "{line:?}: {refused:?}"
        );
        assert!(refused.stderr.contains(&above), "{refused:?}");
    }
}

#[test]
fn a_run_that_was_set_back_is_replayed_after_the_run_that_it_follows() {
    let world = World::new();
    let [first, second, _] = three(&world, 0);
    let back = world.good(&["run", "--from", "2020-01-01", "--out", &world.out(), "--json"]).json();
    let back = PathBuf::from(back["bundles"][0].as_str().unwrap());
    let replay = |bundles: &[&str], into: &str, more: &[&str]| {
        let args = [&["replay"], bundles, &["--into", into, "--database", "Copy", "--create"], more].concat();
        world.call(&args)
    };
    let whole = replay(&[&world.out()], "sqlite:whole", &["--json"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let last = |document: &serde_json::Value| document["bundles"].as_array().unwrap().last().unwrap()["bundle"].clone();
    assert_eq!(last(&whole.json()), text(&back));
    let chain = world.good(&["chain", &world.out(), "--json"]).json();
    assert_eq!(last(&chain["chains"][0]), text(&back), "both say the same order");
    // By itself it is not where a chain begins, whatever its window.
    let alone = replay(&[&text(&back)], "sqlite:alone", &[]);
    assert_eq!(alone.code, 5, "{alone:?}");
    assert!(alone.stderr.contains("--allow-gap"), "{alone:?}");
    assert_eq!(replay(&[&text(&back)], "sqlite:alone", &["--allow-gap"]).code, 0);
    assert_eq!(replay(&[&text(&second), &text(&first)], "sqlite:alone", &[]).code, 0);
}

/// What a refusal says between backticks, typed, with folders in place of FOLDER.
fn typed(world: &World, reported: &str, folder: &str) -> Vec<String> {
    let commands = reported.split('`').filter(|part| part.starts_with("blobdelta "));
    let commands: Vec<String> = commands.map(|command| command.replace("FOLDER", folder)).collect();
    for command in &commands {
        let args: Vec<&str> = command.split_whitespace().skip(1).collect();
        world.good(&args);
    }
    commands
}

#[test]
fn a_lost_bundle_may_be_missing_by_name_and_the_refusal_says_what_brings_its_rows_again() {
    let world = World::new();
    let [_, second, _] = three(&world, 0);
    fs::remove_dir_all(second).unwrap();
    let compact = |out: &str, more: &[&str]| {
        fs::create_dir_all(world.path(out)).unwrap();
        world.call(&[&["compact", &world.out(), "--out", out], more].concat())
    };
    let refused = compact("refused", &[]);
    assert!(refused.code == 5 && refused.stderr.contains("--allow-gap"), "{refused:?}");
    let one_line = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let commands = typed(&world, &one_line, &world.out());
    assert_eq!(commands.len(), 2, "{refused:?}");
    assert_eq!(compact("refused", &[]).code, 5, "its rows are there again, and the bundle is not");
    let made = compact("small", &["--allow-gap", "--json"]);
    assert!(made.code == 0 && made.stderr.contains("allowed: "), "{made:?}");
    let small = made.json()["bundle"].as_str().unwrap().to_owned();
    let chain = world.call(&["chain", &small, "--json"]);
    assert_eq!((chain.code, &chain.json()["chains"][0]["rows"]), (3, &3.into()), "{chain:?}");
    assert_eq!(chain.json()["chains"][0]["misfits"][0]["kind"], "made_without");
    let replay = |more: &[&str]| {
        world.call(&[&["replay", &small, "--into", "sqlite:small", "--database", "Copy", "--create"], more].concat())
    };
    let refused = replay(&[]);
    assert!(refused.code == 5 && refused.stderr.contains("compacted without"), "{refused:?}");
    assert_eq!(replay(&["--allow-gap"]).code, 0);
}

#[test]
fn what_takes_bundles_together_reports_that_their_chain_does_not_begin_here() {
    let world = World::new();
    let [first, _, _] = three(&world, 0);
    world.good(&["run", "--from", "0001-01-01", "--out", &world.out()]);
    fs::remove_dir_all(&first).unwrap();
    let says = "does not begin with it";
    let compacted = world.good(&["compact", &world.out(), "--out", "."]);
    let unpacked = world.good(&["unpack", &world.out(), "--latest", "--out", "files"]);
    let reconciled = world.call(&["reconcile", "--bundles", &world.out()]);
    for reported in [compacted, unpacked, reconciled] {
        assert!(reported.stderr.contains(says), "{reported:?}");
    }
    let verified = world.good(&["verify", &world.out()]);
    assert!(verified.stdout.contains("begins in "), "{verified:?}");
}

#[test]
fn verify_of_several_bundles_reports_what_their_chains_lack_and_ends_as_chain_does() {
    for (buffer, code, says) in [(0, 5, "gap in "), (240, 3, "link in ")] {
        let world = World::new();
        let [first, second, third] = three(&world, buffer);
        world.good(&["verify", &world.out()]);
        let ends = [text(&first), text(&third)];
        let ended = world.call(&["verify", &ends[0], &ends[1]]);
        assert_eq!((ended.code, world.call(&["chain", &ends[0], &ends[1]]).code), (code, code), "{ended:?}");
        assert!(ended.stdout.contains(says) && !ended.stdout.contains("NOT TO BE USED"), "{ended:?}");
        let json = world.call(&["verify", &ends[0], &ends[1], "--json"]).json();
        assert!(json["chain_faults"][0].as_str().unwrap().starts_with(says), "{json}");
        // One is no chain to speak of, and what is wrong may be what is missing.
        world.good(&["verify", &ends[1]]);
        fs::remove_file(second.join("bagit.txt")).unwrap();
        assert_eq!(world.call(&["verify", &world.out(), "--json"]).json()["chain_faults"], serde_json::json!([]));
    }
}

#[test]
fn an_archive_for_somebody_else_keeps_none_of_the_others_from_being_verified() {
    let world = World::new();
    let [first, ..] = three(&world, 0);
    let other = age::x25519::Identity::generate().to_public().to_string();
    world.good(&["archive", &text(&first), "--encrypt-to", &other]);
    let archive = text(&first.with_extension("bundle.tar.age"));
    let ended = world.call(&["verify", &world.out()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.stdout.matches(": good").count(), 3, "{ended:?}");
    assert_eq!(ended.stdout.matches("COULD NOT BE READ").count(), 1, "{ended:?}");
    assert_eq!(world.call(&["verify", &archive]).code, 2, "by itself it is a wrong argument");
}
