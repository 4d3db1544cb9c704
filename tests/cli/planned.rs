//! `--plan` at the end of any line that works without it: the same line then changes nothing.

use crate::world::{DOCS, World, tree};
use std::fs;

/// A line with `--plan` at its end, as text and as JSON; gives what it says.
fn planned(world: &World, line: &[&str]) -> (String, serde_json::Value) {
    let before = tree(&world.path(""));
    let text = world.good(&[line, &["--plan"]].concat());
    let json = world.good(&[line, &["--plan", "--json"]].concat()).json();
    let after = tree(&world.path(""));
    let changed: Vec<_> = after.iter().filter(|(path, bytes)| before.get(*path) != Some(*bytes)).collect();
    assert!(changed.is_empty() && after.len() == before.len(), "{line:?} changed {changed:?}");
    (text.stdout, json)
}

#[test]
fn every_line_of_run_may_end_with_plan() {
    let world = World::new();
    let (out, run) = (world.out(), "00000000-0000-0000-0000-000000000001");
    fs::create_dir(world.path("drop")).unwrap();
    for line in [
        &["run", "--out", &out][..],
        &["run", "--out", &out, "--ship", "drop"],
        &["run", "--out", &out, "--archive", "--sign-key", "no-such-key", "--unencrypted"],
        &["run", "--out", &out, "--take-over", run],
        &["run", "--out", &out, "--backup-slice", "D:\\Backup"],
        &["run", "--table", DOCS, "--from", "2020-01-01", "--out", &out],
    ] {
        let (text, json) = planned(&world, line);
        assert_eq!(json["plan"][0]["Keys"], 3, "{line:?}");
        assert!(text.contains("nothing was changed") && !text.contains("refused"), "{line:?}: {text}");
    }
    let (text, json) = planned(&world, &["run", "--no-bundle"]);
    assert!(text.contains("would be refused") && json["refused"]["what"].is_string(), "RequireBundle: {text}");
    let (text, _) = planned(&world, &["run", "--out", "missing"]);
    assert!(text.contains("would be refused") && text.contains("missing"), "{text}");
}

#[test]
fn a_resumed_run_is_planned_by_what_it_has_still_to_do() {
    let world = World::new();
    world.bundle();
    let status = world.good(&["status", "--json"]).json();
    let run = status["runs"][0]["RunId"].as_str().unwrap().to_owned();
    let line = ["run", "--resume", &run, "--out", &world.out()];
    let (text, json) = planned(&world, &line);
    assert_eq!((&json["resumes"], &json["plan"][0]["State"]), (&run.as_str().into(), &"complete".into()));
    assert!(text.contains("0 tables"), "{text}");
    let undone = "UPDATE BlobDeltaRunTable SET Status = 'Failed'";
    world.backend().execute_script(undone).unwrap();
    let (text, json) = planned(&world, &line);
    assert_eq!((&json["plan"][0]["State"], &json["plan"][0]["RowsProcessed"]), (&"to continue".into(), &3.into()));
    assert!(text.contains("1 table;"), "{text}");
}

#[test]
fn every_line_of_replay_and_prune_may_end_with_plan() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let line = ["replay", bundle.as_str(), "--into", "sqlite:target", "--database", "Copy"];
    world.good(&[&line[..], &["--create"]].concat());
    assert_eq!(planned(&world, &line).1["plan"][0]["Rows"], 0, "it was applied");
    let repaired = planned(&world, &[&line[..], &["--repair"]].concat()).1;
    assert_eq!((&repaired["plan"][0]["Rows"], &repaired["plan"][0]["Replaced"]), (&3.into(), &3.into()));
    for switch in ["--create", "--displace", "--allow-gap"] {
        planned(&world, &[&line[..], &[switch]].concat());
    }
    let (checked, _) = planned(&world, &[&line[..], &["--check"]].concat());
    assert!(checked.contains("0 differences"), "a check changes nothing anyway: {checked}");
    planned(&world, &["prune", "--keep-runs", "5"]);
    fs::create_dir(world.path("drop")).unwrap();
    world.good(&["ship", &bundle, "drop"]);
    planned(&world, &["prune", "drop", "--keep-weeks", "1"]);
}
