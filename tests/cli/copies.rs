//! Copies of an instance, made with the tools that everybody has.

use crate::world::World;
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
    assert!(plan.code == 0 && plan.stdout.contains("would be refused"), "{plan:?}");
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
