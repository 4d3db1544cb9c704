//! `run --ship` and `pack --ship`, to folders: what is unshipped, told and tried again.

use crate::world::{DOCS, World};
use serde_json::Value;
use std::path::Path;

fn is_marked(drop: &Path, document: &Value) -> bool {
    let bundle = document["bundles"].as_array().unwrap().last().unwrap().as_str().unwrap();
    let name = Path::new(bundle).file_name().unwrap().to_string_lossy().into_owned();
    drop.join(format!("{name}.complete")).is_file() && drop.join(name).is_dir()
}

fn shipped(document: &Value) -> Vec<bool> {
    document["shipments"].as_array().unwrap().iter().map(|one| one["shipped"].as_bool().unwrap()).collect()
}

#[test]
fn a_run_ships_what_it_publishes_and_its_record_says_so() {
    let world = World::new();
    let drop = world.path("drop");
    std::fs::create_dir(&drop).unwrap();
    let document = world.good(&["run", "--out", &world.out(), "--ship", "drop", "--json"]).json();
    assert_eq!(shipped(&document), [true]);
    assert!(is_marked(&drop, &document));
    let run = document["run"]["RunId"].as_str().unwrap();
    let record = &world.good(&["status", "--run", run, "--json"]).json()["bundles"][0];
    assert_eq!(record["ShipTo"], drop.display().to_string(), "from the root on, wherever the next run is called");
    assert!(record["ShippedAt"].is_string(), "{record}");
    assert_eq!(record["RootSha256"], document["shipments"][0]["root_sha256"]);
}

#[test]
fn a_run_that_could_not_ship_says_so_with_a_code_of_its_own_and_the_next_one_ships() {
    let world = World::new();
    let drop = world.path("drop");
    let ended = world.call(&["run", "--out", &world.out(), "--ship", "drop"]);
    assert_eq!((ended.code, ended.stderr.contains("error:")), (7, false), "{ended:?}");
    let reported = ended.stdout;
    assert!(
        reported.contains("\nNOT SHIPPED ") && reported.contains("same tables and units tries again"),
        "{reported}"
    );
    let status = world.good(&["status"]).stdout;
    assert!(status.contains("not shipped yet"), "{status}");
    let silent = world.good(&["run", "--out", &world.out(), "--json"]).json();
    assert_eq!(silent["shipments"], Value::Null, "nothing was asked of the network");
    let command = silent["unshipped"][0]["command"].as_str().unwrap();
    assert!(command.ends_with(&format!("--out {} --ship {}", world.out(), drop.display())), "{command}");
    std::fs::create_dir(&drop).unwrap();
    let document = world.good(&["run", "--out", &world.out(), "--ship", "drop", "--json"]).json();
    assert_eq!(shipped(&document), [true, true]);
    assert!(is_marked(&drop, &document));
    assert_eq!(world.good(&["status", "--json"]).json()["unshipped"], Value::Array(Vec::new()));
}

/// What is told can be typed.
fn typed(world: &World, command: &str) -> Value {
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["--json"]).collect();
    world.good(&words).json()
}

#[test]
fn what_is_pending_for_a_destination_that_never_will_be_there_is_taken_back() {
    let world = World::new();
    let ended = world.call(&["run", "--out", &world.out(), "--ship", "never"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let unshipped = world.good(&["status", "--json"]).json()["unshipped"][0].clone();
    let command = unshipped["WaivedBy"].as_str().unwrap();
    assert!(ended.stdout.contains(command), "{command}: {}", ended.stdout);
    assert_eq!(typed(&world, command)["waived"][0], world.path("never").display().to_string());
    assert_eq!(world.good(&["status", "--json"]).json()["unshipped"], Value::Array(Vec::new()));
    assert_eq!(typed(&world, command)["waived"], Value::Array(Vec::new()));
}

#[test]
fn a_wrong_destination_is_corrected_by_the_command_that_is_told() {
    let world = World::new();
    let ended = world.call(&["run", "--out", &world.out(), "--ship", "typo"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let told = ended.stdout.lines().find_map(|line| line.split_once("ship it elsewhere with: ")).unwrap().1;
    std::fs::create_dir(world.path("right")).unwrap();
    assert_eq!(shipped(&typed(&world, &told.replace("DESTINATION", "right"))), [true]);
    let next = world.good(&["run", "--out", &world.out(), "--ship", "right", "--json"]).json();
    assert_eq!(shipped(&next), [true]);
    assert_eq!(world.good(&["status", "--json"]).json()["unshipped"], Value::Array(Vec::new()));
}

#[test]
fn a_bundle_that_is_not_the_recorded_one_is_not_shipped() {
    let world = World::new();
    let document = world.good(&["run", "--out", &world.out(), "--json"]).json();
    std::fs::create_dir(world.path("drop")).unwrap();
    let other = format!("UPDATE BlobDeltaBundle SET RootSha256 = '{}'", "a".repeat(64));
    world.backend().execute_script(&other).unwrap();
    let run = document["run"]["RunId"].as_str().unwrap();
    let ended = world.call(&["pack", "--run", run, "--out", &world.out(), "--ship", "drop"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let reported = ended.stdout;
    assert!(reported.contains("not the one that was recorded"), "{reported}");
    assert_eq!(std::fs::read_dir(world.path("drop")).unwrap().count(), 0);
}

#[test]
fn a_packed_run_goes_to_a_second_destination() {
    let world = World::new();
    let document = world.good(&["run", "--out", &world.out(), "--json"]).json();
    let run = document["run"]["RunId"].as_str().unwrap();
    for name in ["first", "second"] {
        std::fs::create_dir(world.path(name)).unwrap();
        let packed = world.good(&["pack", "--run", run, "--out", &world.out(), "--ship", name, "--json"]).json();
        assert_eq!(shipped(&packed), [true]);
        assert!(is_marked(&world.path(name), &packed));
    }
    let record = &world.good(&["status", "--run", run, "--json"]).json()["bundles"][0];
    assert_eq!(record["ShipTo"], world.path("second").display().to_string());
}

#[test]
fn a_secret_in_a_destination_is_refused_before_anything_is_done() {
    let world = World::new();
    for destination in ["az://c/p?sig=hunter2", "s3://KEY:hunter2@bucket/p"] {
        let ended = world.call(&["run", "--out", &world.out(), "--ship", destination]);
        assert_eq!(ended.code, 2);
        assert!(!ended.stderr.contains("hunter2") && ended.stdout.is_empty(), "{ended:?}");
    }
    assert_eq!(world.good(&["status", "--json"]).json()["runs"], Value::Array(Vec::new()));
    let ended = world.call(&["run", "--no-bundle", "--ship", "drop"]);
    assert_eq!(ended.code, 2, "without a bundle there is nothing to ship");
}

/// A run of one table is no run of all: what that one has still to ship is reported, with the command that ships it.
#[test]
fn what_another_run_owes_is_reported_with_a_command_that_works() {
    let world = World::new();
    let first = world.path("first");
    assert_eq!(world.call(&["run", "--out", &world.out(), "--ship", "first"]).code, 7);
    std::fs::create_dir(&first).unwrap();
    std::fs::create_dir(world.path("second")).unwrap();
    let one = ["run", "--table", DOCS, "--out", &world.out(), "--ship", "second", "--json"];
    let document = world.good(&one).json();
    assert_eq!(shipped(&document), [true]);
    assert_eq!(std::fs::read_dir(&first).unwrap().count(), 0);
    let command = document["unshipped"][0]["command"].as_str().unwrap();
    let typed: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(shipped(&world.good(&[typed, vec!["--json"]].concat()).json()), [true]);
    assert_eq!(world.good(&["status", "--json"]).json()["unshipped"], Value::Array(Vec::new()));
}
