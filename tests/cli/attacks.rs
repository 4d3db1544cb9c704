//! What a bundle, a name or a connection could make the command line do or show.

use crate::world::{DOCS, Ended, World, tree};
use blobdelta::model::digest::Sha256;
use serde_json::{Value, json};
use std::path::Path;

/// Steers a terminal, turns text around, hides itself, ends a line, looks like an escape.
const HOSTILE: &str = "x\u{1b}[2J\u{9b}31m\u{202e}gpj\u{2066}\u{200b}\u{feff}\u{7f}\u{85}\u{e0041}\nerror: \\u{41}";

fn is_steering(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn shows(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.chars().any(is_steering), "{text:?}");
        assert!(!text.lines().any(|line| line == "error: \\u{41}"), "a line of its own: {text:?}");
    }
}

/// Makes the list of tag files fit them.
fn mend(bundle: &Path) {
    let tags = tree(bundle).into_iter().filter(|(path, _)| {
        let name = path.to_string_lossy();
        !name.starts_with("data/") && name != "tagmanifest-sha256.txt"
    });
    let lines = tags.map(|(path, bytes)| format!("{}  {}\n", Sha256::of(&bytes), path.display()));
    std::fs::write(bundle.join("tagmanifest-sha256.txt"), lines.collect::<String>()).unwrap();
}

/// What a manifest says of who made it, in the one form that a content has.
fn spoil(bundle: &Path) {
    let file = bundle.join("manifest.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    let run = manifest["run"].as_object_mut().unwrap();
    run["requested_by"] = json!(HOSTILE);
    run["producer"]["version"] = json!(HOSTILE);
    run["run_type"] = json!(HOSTILE);
    manifest["failed_tables"] = json!([{"table": "Src.dbo.Do\u{202e}cs\u{200b}", "error": HOSTILE}]);
    std::fs::write(&file, format!("{manifest}\n")).unwrap();
    mend(bundle);
}

#[test]
fn attack_names_from_outside_do_not_steer_a_terminal_and_json_says_them_whole() {
    let world = World::new();
    let bundle = world.bundle();
    spoil(&bundle);
    let bundle = bundle.display().to_string();
    let calls: [&[&str]; 8] = [
        &["inspect", &bundle],
        &["verify", "--deep", &bundle],
        &["chain", "out"],
        &["replay", &bundle, "--into", "sqlite:copy", "--create", "--log-format", "json"],
        &["replay", &bundle, "--into", "sqlite:copy", "--plan"],
        &["unpack", &bundle, "--out", "files"],
        &["archive", &bundle, "--out", "archives"],
        &["compact", &bundle, "--out", "compacted"],
    ];
    for args in calls {
        shows(&world.call_on("", args));
        let json = [args, &["--json"]].concat();
        let ended = world.call_on("", &json);
        shows(&ended);
        ended.json();
    }
    let told = world.call_on("", &["inspect", &bundle, "--json"]);
    assert!(told.code == 0, "{told:?}");
    assert!(told.json().to_string().contains(&json!(HOSTILE).to_string()), "said whole: {told:?}");
    // What is found, and what is mistyped.
    let stray = format!("{bundle}/\u{1b}[2J\u{202e}stray\u{9b}");
    std::fs::write(&stray, "").unwrap();
    for args in [
        &["verify", &bundle][..],
        &["replay", &bundle, "--into", "sqlite:other", "--create"],
        &["unpack", &bundle, "--out", "more"],
    ] {
        let ended = world.call_on("", args);
        assert!(ended.code == 3 && format!("{}{}", ended.stdout, ended.stderr).contains("\\u{202e}stray"), "{ended:?}");
        shows(&ended);
    }
    for args in [&["verify", "--\u{1b}[2J\u{202e}"][..], &["\u{1b}[2J"], &["verify", "no\u{9b}where\u{2066}"]] {
        let ended = world.call_on("", args);
        assert_ne!(ended.code, 0);
        shows(&ended);
        shows(&world.call_on("", &[args, &["--json"]].concat()));
    }
}

#[test]
fn attack_names_of_a_source_do_not_steer_a_terminal() {
    let world = World::new();
    let name = "Src.dbo.Do\u{202e}scod\u{200b}";
    world.plant(name, blobdelta::model::sqltype::SqlType::Int);
    let calls: [&[&str]; 5] = [
        &["table", "add", name, "--metadata", "Meta.dbo.Do\u{202e}scod\u{200b}", "MetadataIdColumn=Id"],
        &["table", "list"],
        &["run", "--out", "out"],
        &["status"],
        &["doctor"],
    ];
    for args in calls {
        let ended = world.call(args);
        shows(&ended);
        assert!(ended.code == 0 || args[0] == "doctor", "{ended:?}");
        shows(&world.call(&[args, &["--json"]].concat()));
    }
    let listed = world.good(&["table", "list", "--json"]).json().to_string();
    assert!(listed.contains(name) && listed.contains(DOCS), "{listed}");
}

#[test]
fn attack_the_database_of_a_server_is_never_a_bundle_s_to_say() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    std::fs::write(world.path("password"), "secret\n").unwrap();
    let into = "Server=tcp:127.0.0.1,1;User ID=anybody;TrustServerCertificate=true";
    for more in [&[][..], &["--create"], &["--plan"], &["--check"]] {
        let args = ["replay", bundle.as_str(), "--into", into, "--password-file", "password"];
        let ended = world.call_on("", &[&args[..], more].concat());
        assert!(ended.code == 2 && ended.stderr.contains("--database"), "{ended:?}");
    }
}

#[test]
fn attack_a_bundle_s_name_for_its_table_does_not_lead_into_a_job_database() {
    let world = World::new();
    let bundle = world.bundle();
    let file = bundle.join("manifest.json");
    for (db, table) in
        [("BlobDeltaJobs", "Docs"), ("blobdeltajobs ", "Docs"), ("master", "Docs"), ("Src", "BlobDeltaRun")]
    {
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        manifest["tables"][0]["source"] = json!(format!("{db}.dbo.{table}"));
        std::fs::write(&file, format!("{manifest}\n")).unwrap();
        mend(&bundle);
        let ended = world.call_on("", &["replay", &bundle.display().to_string(), "--into", "sqlite:copy", "--create"]);
        assert!(ended.code == 2 && ended.stderr.contains("ever replayed into"), "{db}.{table}: {ended:?}");
        assert!(!world.path("copy").exists(), "nothing was made");
    }
}
