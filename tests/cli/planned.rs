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
        &["run", "--out", &out, "--archive", "--unencrypted"],
        &["run", "--out", &out, "--take-over", run],
        &["run", "--out", &out, "--backup-slice", "D:\\Backup"],
        &["run", "--table", DOCS, "--from", "2020-01-01", "--out", &out],
    ] {
        let (text, json) = planned(&world, line);
        assert_eq!(json["plan"][0]["Keys"], 3, "{line:?}");
        assert!(text.contains("nothing was changed") && !text.contains("refused"), "{line:?}: {text}");
    }
}

/// The same line without `--plan` ends in the same way, and neither reads a row: the plan of a table that is gone says nothing of it.
#[test]
fn a_plan_is_refused_as_the_run_would_be_and_reads_nothing() {
    let world = World::new();
    let (out, nobody) = (world.out(), "99999999-0000-0000-0000-000000000009");
    let key = world.path("key").display().to_string();
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "secret", "-f", &key]).status();
    let encrypted = made.is_ok_and(|status| status.success());
    if encrypted {
        let (text, _) = planned(&world, &["run", "--out", &out, "--sign-key", &key]);
        assert!(!text.contains("refused"), "no passphrase is asked: {text}");
    }
    world.backend().execute_script("DROP TABLE Meta.Docs").unwrap();
    for (line, named) in [
        (&["run", "--no-bundle"][..], "RequireBundle"),
        (&["run", "--out", "missing"], "missing"),
        (&["run", "--out", &out, "--archive", "--encrypt-to", "age1nobody"], "age1nobody"),
        (&["run", "--out", &out, "--sign-key", "no-such-key"], "no-such-key"),
        (&["run", "--out", &out, "--business-unit", nobody], nobody),
        (&["run", "--out", &out, "--table", DOCS, "--business-unit", nobody], nobody),
    ] {
        let before = tree(&world.path(""));
        let (ended, planned) = (world.call(line), world.call(&[line, &["--plan"]].concat()));
        assert_eq!(ended.code, planned.code, "{line:?}: {ended:?} {planned:?}");
        assert!(ended.code != 0 && ended.stderr.contains(named), "{line:?}: {ended:?}");
        assert!(planned.stdout.contains("would be refused") && planned.stdout.contains(named), "{line:?}: {planned:?}");
        let json = world.call(&[line, &["--plan", "--json"]].concat()).json();
        assert_eq!(
            (json["refused"]["exit_code"].as_i64(), json["refusals"].as_array().unwrap().len()),
            (Some(ended.code.into()), 1)
        );
        assert_eq!(before, tree(&world.path("")), "{line:?}");
    }
    let both = world.call(&["run", "--out", "missing", "--sign-key", "no-such-key", "--plan"]);
    assert!(both.stdout.contains("missing") && both.stdout.contains("no-such-key"), "every reason: {both:?}");
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
