//! What a bundle, a name or a connection could make the command line do or show.

use crate::world::{DOCS, Ended, World, tree};
use blobdelta::model::digest::Sha256;
use serde_json::{Value, json};
use std::path::Path;

/// Steers a terminal, turns text around, hides itself, ends a line, looks like an escape.
const HOSTILE: &str =
    "x\u{1b}[2J\u{9b}31m\u{202e}gpj\u{2066}\u{200b}\u{feff}\u{7f}\u{85}\u{e0041}\u{2800}\u{378}\nerror: \\u{41}";

fn is_steering(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{2800}' | '\u{378}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
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
    let reported = world.call_on("", &["inspect", &bundle, "--json"]);
    assert!(reported.code == 0, "{reported:?}");
    assert!(reported.json().to_string().contains(&json!(HOSTILE).to_string()), "said whole: {reported:?}");
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
    world.seed(name, blobdelta::model::sqltype::SqlType::Int);
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

/// What somebody withholds, or puts back in the place of what came later, is old.
#[test]
fn attack_what_is_old_is_refused_at_the_doors_that_are_asked_to() {
    let world = World::new();
    let fresh = world.bundle().display().to_string();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/v1");
    let old = fixtures.join("20260101T164000Z-b95128bb-1.bundle").display().to_string();
    let archive = fixtures.join("20260101T164000Z-b95128bb-1.bundle.tar").display().to_string();
    let calls: [&[&str]; 7] = [
        &["replay", &old, "--into", "sqlite:copy", "--create"],
        &["replay", &old, "--into", "sqlite:copy", "--plan"],
        &["compact", &old, "--out", "made"],
        &["unpack", &old, "--out", "made"],
        &["archive", &old, "--out", "made"],
        &["extract", &archive, "--out", "made"],
        &["chain", &old],
    ];
    for args in calls {
        let ended = world.call_on("", &[args, &["--not-older-than", "30"]].concat());
        assert!(ended.code == 3 && ended.stderr.contains("none may be older"), "{args:?}: {ended:?}");
    }
    assert!(!world.path("made").exists() && !world.path("copy").exists(), "nothing was made");
    for args in [
        &["chain", &fresh][..],
        &["unpack", &fresh, "--out", "files"],
        &["replay", &fresh, "--into", "sqlite:copy", "--create"],
    ] {
        let ended = world.call_on("", &[args, &["--not-older-than", "30"]].concat());
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    }
}

#[test]
fn attack_a_job_database_takes_over_nothing_that_nobody_vouches_for() {
    let world = World::new();
    let empty = tree(&world.path("source"));
    world.bundle();
    for (file, bytes) in empty {
        std::fs::write(world.path("source").join(file), bytes).unwrap();
    }
    let signers =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/v1/allowed_signers").display().to_string();
    let refused = world.call(&["deploy", "--adopt", "out", "--signer", &signers]);
    assert!(refused.stderr.contains("a signature was asked for"), "{refused:?}");
    assert!(!refused.stdout.contains("continues after it"), "{refused:?}");
    let adopted = world.good(&["deploy", "--adopt", "out"]);
    assert!(adopted.stdout.contains("continues after it"), "{adopted:?}");
}

/// Rows that contradict their manifest, in files whose hashes are right.
#[test]
fn attack_a_job_database_takes_over_no_rows_that_a_deep_verification_rejects() {
    let world = World::new();
    let empty = tree(&world.path("source"));
    let bundle = world.bundle();
    for (file, bytes) in empty {
        std::fs::write(world.path("source").join(file), bytes).unwrap();
    }
    let file = bundle.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let counts = &mut manifest["tables"][0]["counts"];
    let roots = counts["roots"].as_u64().unwrap();
    (counts["roots"], counts["children"]) = (json!(roots - 1), json!(1));
    std::fs::write(&file, format!("{manifest}\n")).unwrap();
    mend(&bundle);
    assert_eq!(world.call_on("", &["verify", &bundle.display().to_string()]).code, 0);
    let refused = world.call(&["deploy", "--adopt", "out"]);
    assert!(refused.code == 3 && refused.stderr.contains("this bundle is not good"), "{refused:?}");
    assert!(!refused.stdout.contains("continues after it"), "{refused:?}");
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

/// In an address space of 1 GB, of which the program's own file and its threads take a part.
#[cfg(target_os = "linux")]
fn call_in_little(world: &World, args: &[&str]) -> Ended {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -v 1000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_blobdelta")]).args(args);
    let done = command.current_dir(world.path("")).env_remove("BLOBDELTA_CONNECTION").output().unwrap();
    let code = done.status.code().unwrap_or_else(|| panic!("{args:?}: it was aborted: {done:?}"));
    Ended { code, stdout: String::from_utf8(done.stdout).unwrap(), stderr: String::from_utf8(done.stderr).unwrap() }
}

#[cfg(target_os = "linux")]
#[test]
fn attack_claims_that_would_fill_memory_end_in_an_error_where_there_is_little() {
    let world = World::new();
    let bundle = world.bundle();
    let file = bundle.join("manifest.json");
    let plain: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let path = bundle.display().to_string();
    for folder in ["drop", "in", "other"] {
        std::fs::create_dir(world.path(folder)).unwrap();
    }
    // As somebody else would put it there: who ships looks at it.
    let place = |bundle: &Path| {
        let name = bundle.file_name().unwrap().to_str().unwrap();
        for (file, bytes) in tree(bundle) {
            let to = world.path("drop").join(name).join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, bytes).unwrap();
        }
        let root = Sha256::of(&std::fs::read(bundle.join("tagmanifest-sha256.txt")).unwrap());
        std::fs::write(world.path("drop").join(format!("{name}.complete")), format!("{root}\n")).unwrap();
    };
    let doors: [&[&str]; 10] = [
        &["verify", "--deep", &path],
        &["replay", &path, "--into", "sqlite:copy", "--create"],
        &["unpack", &path, "--out", "files"],
        &["receive", "drop", "--out", "in"],
        &["archive", &path, "--out", "other"],
        &["ship", &path, "other"],
        &["inspect", &path],
        &["chain", &path],
        &["compact", &path, "--out", "compacted"],
        &["prune", "drop", "--keep-weeks", "1"],
    ];
    let digests: Vec<String> = (0..60_000).map(|nth| format!("{nth:064x}")).collect();
    let mut inputs = plain.clone();
    inputs["inputs"] = json!(digests);
    let mut words = plain.clone();
    words["rules"]["latest_by_modified_on"]["order"] = json!(vec![""; 500_000]);
    for (what, manifest) in [("inputs", inputs), ("words of a rule", words)] {
        std::fs::write(&file, format!("{manifest}\n")).unwrap();
        mend(&bundle);
        place(&bundle);
        for args in doors {
            let ended = call_in_little(&world, args);
            let reported = format!("{}{}", ended.stdout, ended.stderr);
            assert!(
                ended.code == 3 && reported.contains("has more than"),
                "{what}: {args:?}: {}",
                &reported[..reported.len().min(2000)]
            );
        }
    }
    // What no reader knows is passed by, however much of it there is, and costs nothing.
    let mut unknown = plain;
    unknown["zz"] = json!(vec![Vec::<u8>::new(); 500_000]);
    std::fs::write(&file, format!("{unknown}\n")).unwrap();
    mend(&bundle);
    place(&bundle);
    for args in &doors[..8] {
        let ended = call_in_little(&world, args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    }
}
