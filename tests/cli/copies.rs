//! Copies of an instance, made with the tools that everybody has.

use crate::world::World;
use serde_json::json;
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[test]
fn a_copied_folder_is_refused_and_a_renamed_one_is_not() {
    let world = World::new();
    world.bundle();
    copy(&world.path("source"), &world.path("copy"));
    let connection = format!("sqlite:{}", world.path("copy").display());
    for args in [&["run", "--out", &world.out()] as &[&str], &["deploy"]] {
        let ended = world.call_on(&connection, args);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("deploy --moved") && ended.stderr.contains("deploy --copied"), "{ended:?}");
    }
    let status = world.call_on(&connection, &["status"]);
    assert!(status.code == 0 && status.stdout.contains("was deployed on"), "{status:?}");
    let plan = world.call_on(&connection, &["run", "--plan"]);
    assert!(plan.code == 2 && plan.stdout.contains("would be refused"), "{plan:?}");
    assert_eq!(world.call_on(&connection, &["doctor"]).code, 2);
    std::fs::rename(world.path("source"), world.path("renamed")).unwrap();
    let renamed = format!("sqlite:{}", world.path("renamed").display());
    assert_eq!(world.call_on(&renamed, &["run", "--out", &world.out()]).code, 0);
}

#[test]
fn what_a_copy_is_said_to_be_it_is() {
    let world = World::new();
    world.bundle();
    let source_of = |connection: &str| {
        let ended = world.call_on(connection, &["deploy", "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.json()["source_id"].as_str().unwrap().to_owned()
    };
    let own = source_of(&world.connection());
    for (name, flag) in [("moved", "--moved"), ("copied", "--copied")] {
        copy(&world.path("source"), &world.path(name));
        let connection = format!("sqlite:{}", world.path(name).display());
        let ended = world.call_on(&connection, &["deploy", flag]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(source_of(&connection) == own, name == "moved");
        let out = world.path(&format!("out_{name}"));
        std::fs::create_dir(&out).unwrap();
        let run = world.call_on(&connection, &["run", "--out", &out.display().to_string()]);
        assert_eq!(run.code, 0, "{run:?}");
    }
}

/// The job database alone is restored, in its place, from the backup before the last run.
#[test]
fn an_older_job_database_ships_into_no_chain_until_it_took_it_over() {
    let world = World::new();
    let run = |out: &str| {
        std::fs::create_dir_all(world.path(out)).unwrap();
        world.call(&["run", "--out", &world.path(out).display().to_string(), "--ship", "drop"])
    };
    std::fs::create_dir(world.path("drop")).unwrap();
    assert_eq!(run("first").code, 0);
    let (jobs, backup) = (world.path("source").join("BlobDeltaJobs.sqlite"), world.path("backup.sqlite"));
    std::fs::copy(&jobs, &backup).unwrap();
    assert_eq!(run("second").code, 0);
    std::fs::copy(&backup, &jobs).unwrap();
    let refused = run("third");
    assert_eq!(refused.code, 2, "{refused:?}");
    let drop = world.path("drop").display().to_string();
    assert!(refused.stderr.contains(&format!("blobdelta deploy --adopt {drop}")), "{refused:?}");
    assert_eq!(std::fs::read_dir(world.path("third")).unwrap().count(), 0);
    let adopted = world.good(&["deploy", "--adopt", &drop]);
    assert!(adopted.stdout.contains("continues after it"), "{adopted:?}");
    let ended = run("third");
    assert!(ended.code == 0 && ended.stdout.contains("\nshipped "), "{ended:?}");
    let chain = world.good(&["chain", &drop, "--json"]).json();
    let one = &chain["chains"][0];
    assert_eq!((&one["gaps"], &one["misfits"]), (&json!([]), &json!([])), "{chain}");
}

/// What is unshipped already is held against the place before it goes there.
#[test]
fn what_is_owed_makes_no_second_end_of_a_chain() {
    let world = World::new();
    std::fs::create_dir(world.path("drop")).unwrap();
    world.good(&["run", "--out", &world.out(), "--ship", "drop"]);
    let (jobs, backup) = (world.path("source").join("BlobDeltaJobs.sqlite"), world.path("backup.sqlite"));
    std::fs::copy(&jobs, &backup).unwrap();
    // The destination is away for the first run after the restore, and back for its shipment.
    world.good(&["run", "--out", &world.out(), "--ship", "drop"]);
    std::fs::copy(&backup, &jobs).unwrap();
    std::fs::create_dir(world.path("other")).unwrap();
    std::fs::rename(world.path("drop"), world.path("away")).unwrap();
    let other = world.path("other").display().to_string();
    let owing = world.call(&["run", "--out", &other, "--ship", "drop"]);
    assert_eq!(owing.code, 7, "{owing:?}");
    std::fs::rename(world.path("away"), world.path("drop")).unwrap();
    let run = world.good(&["status", "--json"]).json()["unshipped"][0]["RunId"].as_str().unwrap().to_owned();
    let before = std::fs::read_dir(world.path("drop")).unwrap().count();
    let refused = world.call(&["pack", "--run", &run, "--out", &other, "--ship", "drop"]);
    assert!(refused.code == 7 && refused.stdout.contains("deploy --adopt"), "{refused:?}");
    assert_eq!(std::fs::read_dir(world.path("drop")).unwrap().count(), before);
}
