//! What a run left unpacked: told by `status`, packed or given up by the commands that are reported.

use crate::world::{DOCS, World};
use serde_json::Value;

/// A run whose slice is complete and cannot be packed, because a row of it is gone; gives its number.
fn left(world: &World) -> String {
    world.bundle();
    let stamped = "UPDATE Meta.Docs SET ModifiedOn = '2021-05-01T00:00:00.0000000'";
    let watermark = "UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '2020-06-01T00:00:00.0000000'";
    let as_agent = "UPDATE BlobDeltaTableConfig SET RequireBundle = 0";
    let mut backend = world.backend();
    for script in [stamped, watermark, as_agent] {
        backend.execute_script(script).unwrap();
    }
    let run = world.good(&["run", "--no-bundle", "--json"]).json()["run"]["RunId"].as_str().unwrap().to_owned();
    backend.execute_script("UPDATE BlobDeltaTableConfig SET RequireBundle = 1").unwrap();
    backend.execute_script("DELETE FROM Src_Delta.Docs WHERE path_locator = x'01'").unwrap();
    run
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').skip(1).collect()
}

#[test]
fn a_slice_that_cannot_be_packed_is_reported_everywhere_and_given_up_by_the_command_that_is_reported() {
    let world = World::new();
    let run = left(&world);
    let status = world.good(&["status", "--json"]).json();
    assert_eq!(status["unpacked"][0]["RunId"], run.as_str());
    assert_eq!(status["unpacked"][0]["PackedBy"], format!("blobdelta pack --run {run} --out FOLDER"));
    assert!(world.good(&["status"]).stdout.contains("Slices that are not packed yet"));
    let tables = &world.good(&["status", "--run", &run, "--json"]).json()["tables"];
    assert_eq!(tables[0]["PackState"], "NotPacked");
    // The table fails, nothing of it is emptied, and the code says that it is a table's failure.
    let ended = world.call(&["run", "--out", &world.out(), "--json"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    let error = &ended.json()["tables"][0]["error"];
    assert_eq!(error["kind"], "not_packed");
    let hint = error["hint"].as_str().unwrap();
    let packed = world.call(&["pack", "--run", &run, "--out", &world.out()]);
    assert_eq!(packed.code, 6, "{packed:?}");
    assert!(packed.stdout.contains(&format!("NOT PACKED {DOCS}")), "{packed:?}");
    let give_up = hint.split("give it up with `").nth(1).unwrap().split('`').next().unwrap();
    let reported = world.good(&words(give_up)).stdout;
    let next = reported.split("such as: ").nth(1).unwrap().trim().replace("FOLDER", &world.out());
    let document = world.good(&[words(&next), vec!["--json"]].concat()).json();
    assert_eq!(document["tables"][0]["counts"]["roots"], 3, "all that the run had taken: {document}");
    assert_eq!(world.good(&["status", "--json"]).json()["unpacked"], Value::Array(Vec::new()));
    let tables = &world.good(&["status", "--run", &run, "--json"]).json()["tables"];
    assert_eq!(tables[0]["PackState"], "GivenUp");
}

#[test]
fn giving_up_goes_with_nothing_else() {
    let world = World::new();
    let run = left(&world);
    for args in [
        &["--give-up", "--out", "out"][..],
        &["--give-up", "--archive"],
        &["--give-up", "--ship", "drop"],
        &["--table", DOCS, "--out", "out"],
        &[],
    ] {
        let ended = world.call(&[&["pack", "--run", &run], args].concat());
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
    }
    let unknown = world.call(&["pack", "--run", "6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061", "--give-up"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("left no complete slice"), "{unknown:?}");
}

/// What was to be signed goes out signed, or somebody says by name that it is not.
#[test]
fn a_run_that_was_told_to_sign_is_packed_with_a_key() {
    let world = World::new();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(world.path("key"))
        .status();
    let Ok(made) = made else { return eprintln!("ssh-keygen is not installed") };
    assert!(made.success());
    let run = left(&world);
    let key = world.path("key").display().to_string();
    // The pack fails, and what it was told is recorded.
    assert_eq!(world.call(&["pack", "--run", &run, "--out", &world.out(), "--sign-key", &key]).code, 6);
    let reported = &world.good(&["status", "--run", &run, "--json"]).json()["destination"];
    assert!(reported["SignedBy"].as_str().unwrap().starts_with("SHA256:"), "{reported}");
    let refused = world.call(&["pack", "--run", &run, "--out", &world.out()]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for says in ["signed by SHA256:", "--sign-key FILE", "--unsigned"] {
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
    assert_eq!(world.call(&["run", "--out", &world.out()]).code, 6, "nor does a run without the key pack it");
    assert_eq!(world.call(&["pack", "--run", &run, "--out", &world.out(), "--unsigned"]).code, 6, "tried");
    let reported = &world.good(&["status", "--run", &run, "--json"]).json()["destination"];
    assert_eq!(reported["SignedBy"], Value::Null, "from now on");
}
