//! The demo, as a stranger starts it.

use crate::world::{World, tree};
#[cfg(unix)]
use blobdelta::backend::{Connection, OpenOptions};
use std::path::Path;

#[test]
fn the_demo_on_the_files_that_are_shipped_ends_well() {
    let world = World::bare();
    let ended = world.call(&["demo", "--dir", "demo", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    assert_eq!(document["comparison"]["differences"], 0);
    assert!(document["comparison"]["rows_equal"].as_u64().unwrap() > 20, "{document}");
    assert_eq!(document["bundles"].as_array().unwrap().len(), 2);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files");
    assert_eq!(tree(&world.path("demo").join("files")), tree(&shipped));
}

/// Bundles, slices, databases and copies: all that a command makes.
#[cfg(unix)]
#[test]
fn what_is_made_is_for_its_user_alone_or_for_the_group_too() {
    use std::os::unix::fs::PermissionsExt as _;
    for (option, file, folder) in [(None, 0o600, 0o700), (Some("--group-readable"), 0o640, 0o750)] {
        let world = World::bare();
        let args: Vec<&str> = ["demo", "--dir", "demo"].into_iter().chain(option).collect();
        world.good(&args);
        let mut waiting = vec![world.path("demo")];
        let mut files = 0;
        while let Some(path) = waiting.pop() {
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(mode, if metadata.is_dir() { folder } else { file }, "{}: {mode:o}", path.display());
            files += u32::from(metadata.is_file());
            if metadata.is_dir() {
                waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        assert!(files > 40, "{files} files");
    }
}

#[test]
fn the_demo_changes_no_file_of_its_folder_and_overwrites_nothing() {
    let world = World::bare();
    let from = world.path("mine");
    std::fs::create_dir_all(from.join("a/b")).unwrap();
    for number in 0..20 {
        std::fs::write(from.join(format!("a/b/{number}.txt")), format!("text {number}")).unwrap();
    }
    let before = tree(&from);
    let reported = world.good(&["demo", "--from", "mine", "--dir", "demo"]).stdout;
    assert!(reported.contains("0 differences"), "{reported}");
    assert_eq!(tree(&from), before);

    let made = tree(&world.path("demo"));
    for args in [&["demo", "--dir", "demo"][..], &["demo", "--from", "mine", "--dir", "demo"]] {
        let again = world.call(args);
        assert_eq!((again.code, again.stderr.matches("error: ").count()), (2, 1), "{again:?}");
    }
    assert_eq!(tree(&world.path("demo")), made);
    assert_eq!(world.call(&["demo", "--from", "nowhere", "--dir", "other"]).code, 2);
    assert_eq!(world.call(&["demo", "--from", "mine", "--dir", "mine/demo"]).code, 2);
    assert_eq!(tree(&from), before);
    assert!(!world.path("other").exists());
}

#[cfg(unix)]
#[test]
fn every_command_that_the_demo_prints_works_when_it_is_typed() {
    let world = World::bare();
    let reported = world.good(&["demo", "--dir", "a demo's"]).stdout;
    let commands: Vec<&str> = reported.lines().filter_map(|line| line.trim().strip_prefix("$ ")).collect();
    for verb in ["deploy", "table add", "run", "verify", "replay"] {
        assert!(commands.iter().any(|command| command.starts_with(&format!("blobdelta {verb} "))), "{reported}");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_blobdelta"));
    for command in commands {
        // The demo has added its tables already, which is refused a second time.
        if let Some(table) = command.strip_prefix("blobdelta table add ").and_then(|rest| rest.split(' ').next()) {
            let jobs = Connection::Embedded(world.path("a demo's/source"));
            let forget = format!("DELETE FROM BlobDeltaTableConfig WHERE TableName = '{table}'");
            jobs.open_sandbox(&OpenOptions::default()).unwrap().execute_script(&forget).unwrap();
        }
        let typed = command.replacen("blobdelta", &program.display().to_string(), 1);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &typed]).current_dir(world.path("")).env_remove("BLOBDELTA_CONNECTION");
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{command}: {done:?}");
    }
}

/// A server without any database of ours: the demo makes them and drops them again.
const EMPTY_SERVER: &str = "BLOBDELTA_TEST_EMPTY_SQLSERVER";

#[test]
fn on_a_server_the_demo_says_what_it_has_and_leaves_nothing() {
    let Ok(server) = std::env::var(EMPTY_SERVER) else {
        println!("SKIPPED: {EMPTY_SERVER} names no server");
        return;
    };
    let world = World::bare();
    // The second finds nothing of the first.
    for _ in 0..2 {
        let ended = world.call(&["demo", "--into", &server, "--dir", "demo", "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let said = ended.json();
        println!("{said:#}");
        let steps = said["server"]["steps"].as_array().unwrap();
        let of = |outcome| steps.iter().filter(|step| step["outcome"] == outcome).count();
        assert_eq!(of("executed") + of("not_on_this_server"), steps.len(), "{said}");
        // What every server has that speaks T-SQL.
        for step in
            ["a flat table, to a bundle and back", "the engine called by T-SQL alone", "sql_variant", "apply_slice.sql"]
        {
            assert!(steps.iter().any(|one| one["step"] == step && one["outcome"] == "executed"), "{step}: {said}");
        }
        assert!(said["server"]["left"].as_array().unwrap().is_empty(), "{said}");
        assert!(!world.path("demo").exists());
    }
}

#[test]
fn what_is_kept_is_kept_on_a_server() {
    let ended = World::bare().call(&["demo", "--keep"]);
    assert!(ended.code == 2 && ended.stderr.contains("--into"), "{ended:?}");
}
