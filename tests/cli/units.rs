//! `run --each-business-unit`: each unit has places of its own, and one that fails costs itself.

use crate::world::{Ended, World};
use std::path::Path;
use std::process::Command;

/// The units of the demo, which are in scope.
fn units(world: &World) -> Vec<String> {
    let ended = call(world, &["run", "--each-business-unit", "--plan", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    document["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| unit["business_unit"].as_str().unwrap().to_owned())
        .collect()
}

fn call(world: &World, args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.args(args).current_dir(world.path("")).env("BLOBDELTA_CONFIG", "");
    command.env("BLOBDELTA_CONNECTION", format!("sqlite:{}", world.path("demo/source").display()));
    let done = command.output().unwrap();
    Ended {
        code: done.status.code().unwrap(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}

fn demo() -> World {
    let world = World::bare();
    let dir = world.path("demo").display().to_string();
    assert_eq!(call(&world, &["demo", "--dir", &dir]).code, 0);
    world
}

fn bundles(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".bundle")).collect()
}

/// The scopes in the manifests of a folder's bundles.
fn scopes(folder: &Path) -> Vec<String> {
    let manifests = bundles(folder)
        .into_iter()
        .map(|name| std::fs::read_to_string(folder.join(name).join("manifest.json")).unwrap());
    let mut scopes: Vec<String> = manifests
        .flat_map(|text| {
            let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
            let tables = manifest["tables"].as_array().unwrap().clone();
            tables.into_iter().map(|table| table["scope"].as_str().unwrap().to_owned())
        })
        .collect();
    scopes.dedup();
    scopes
}

#[test]
fn each_unit_comes_into_its_own_folder_and_destination() {
    let world = demo();
    let units = units(&world);
    assert!(units.len() >= 2, "{units:?}");
    std::fs::create_dir(world.path("drop")).unwrap();
    for unit in &units {
        std::fs::create_dir(world.path("drop").join(unit)).unwrap();
    }
    // The folder of a unit that is new is made, the one above it is not.
    let ended = call(&world, &["run", "--each-business-unit", "--out", "./units/{unit}", "--json"]);
    assert_eq!((ended.code, world.path("units").exists()), (2, false), "{ended:?}");
    std::fs::create_dir(world.path("units")).unwrap();
    let line = ["run", "--each-business-unit", "--out", "./units/{unit}", "--ship", "./drop/{unit}"];
    let ended = call(&world, &line);
    assert_eq!(ended.code, 0, "{ended:?}");
    for unit in &units {
        assert_eq!(scopes(&world.path("units").join(unit)), [unit.as_str()], "{ended:?}");
        assert_eq!(bundles(&world.path("drop").join(unit)), bundles(&world.path("units").join(unit)));
        assert!(ended.stdout.contains(unit), "{ended:?}");
    }
    // Their watermarks are their own.
    let document = call(&world, &[&line[..], &["--json"]].concat()).json();
    for (unit, told) in units.iter().zip(document["units"].as_array().unwrap()) {
        assert_eq!((told["business_unit"].as_str(), told["exit_code"].as_u64()), (Some(unit.as_str()), Some(0)));
        assert_eq!(told["run"]["Scope"].as_str(), Some(unit.as_str()));
    }
    // A run for one of them knows its folder by the same words; one for all does not.
    let one = call(&world, &["run", "--business-unit", &units[0], "--out", "./units/{unit}"]);
    assert_eq!(one.code, 0, "{one:?}");
    let all = call(&world, &["run", "--out", "./units/{unit}"]);
    assert!(all.code == 2 && all.stderr.contains("--each-business-unit"), "{all:?}");
}

#[test]
fn a_unit_that_fails_costs_itself_alone() {
    let world = demo();
    let units = units(&world);
    std::fs::create_dir(world.path("units")).unwrap();
    // A file in the place of the first one's folder.
    std::fs::write(world.path("units").join(&units[0]), "").unwrap();
    let ended = call(&world, &["run", "--each-business-unit", "--out", "./units/{unit}", "--json"]);
    let document = ended.json();
    let codes: Vec<u64> =
        document["units"].as_array().unwrap().iter().map(|unit| unit["exit_code"].as_u64().unwrap()).collect();
    assert!(codes[0] != 0 && codes[1..].iter().all(|code| *code == 0), "{ended:?}");
    assert_eq!(ended.code as u64, codes[0]);
    assert!(document["units"][0]["error"].is_object(), "{document}");
    assert_eq!(scopes(&world.path("units").join(&units[1])), [units[1].as_str()]);
}

#[test]
fn attack_no_unit_is_published_where_another_is() {
    let world = demo();
    let units = units(&world);
    for folder in ["units", "drop", "x"] {
        std::fs::create_dir(world.path(folder)).unwrap();
    }
    std::os::unix::fs::symlink(world.path("units"), world.path("link")).unwrap();
    let section = |nth: usize, out: &str| format!("[profile.default.unit.{}]\nout = '{out}'\n", units[nth]);
    let at = |name: &str| world.path(name).display().to_string();
    let profiles = [
        section(0, &at("units/a")) + &section(1, &at("units/a")),
        section(0, &at("units/a")) + &section(1, &at("units/a/b")),
        section(0, &at("units/a")) + &section(1, &at("units/A")),
        section(0, &at("units/a")) + &section(1, &at("link/a")),
        section(0, &at("units/a")) + &section(1, &at("units/x/../a")),
        section(0, &at("units")) + &section(1, &at("units/b")),
    ];
    for text in &profiles {
        let refused = with_profile(&world, text, &["run", "--each-business-unit"]);
        assert!(refused.code == 2 && refused.stderr.contains("would share a place"), "{text}: {refused:?}");
        assert!(refused.stderr.contains("nothing was run"), "{refused:?}");
    }
    for line in [
        &["run", "--each-business-unit", "--out", "units"] as &[&str],
        &["run", "--each-business-unit", "--out", "units/{unit}", "--ship", "drop"],
        &["run", "--each-business-unit", "--out", "units/{unit}", "--ship", "s3://b/p"],
    ] {
        let refused = call(&world, line);
        assert!(refused.code == 2 && refused.stderr.contains("would share a place"), "{line:?}: {refused:?}");
    }
    let refused = call(&world, &["run", "--each-business-unit"]);
    assert!(refused.code == 2 && refused.stderr.contains("in which folder"), "{refused:?}");
    assert_eq!(std::fs::read_dir(world.path("units")).unwrap().count(), 0);
}

/// A call with a configuration file of this text.
fn with_profile(world: &World, text: &str, args: &[&str]) -> Ended {
    use std::os::unix::fs::PermissionsExt as _;
    let file = world.path("c.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    call(world, &[args, &["--config", file.to_str().unwrap()]].concat())
}

#[test]
fn the_sections_of_a_profile_say_which_units_and_where() {
    let world = demo();
    let units = units(&world);
    std::fs::create_dir(world.path("units")).unwrap();
    std::fs::create_dir(world.path("first")).unwrap();
    let text = format!(
        "[profile.default]\nout = '{}/{{unit}}'\n[profile.default.unit.{}]\nout = '{}'\n",
        world.path("units").display(),
        units[0],
        world.path("first").display()
    );
    let ended = with_profile(&world, &text, &["run", "--each-business-unit"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(scopes(&world.path("first")), [units[0].as_str()]);
    assert_eq!(std::fs::read_dir(world.path("units")).unwrap().count(), 0, "the others have no section");
    assert!(ended.stdout.contains("without a section") && ended.stdout.contains(&units[1]), "{ended:?}");
    // What is typed goes before what a section says.
    let ended = with_profile(&world, &text, &["run", "--each-business-unit", "--out", "./units/{unit}"]);
    assert_eq!((ended.code, scopes(&world.path("units").join(&units[0]))), (0, vec![units[0].clone()]), "{ended:?}");
}

#[test]
fn the_run_of_a_unit_is_gone_on_with_by_the_command_that_it_prints() {
    let world = demo();
    let units = units(&world);
    std::fs::create_dir(world.path("units")).unwrap();
    let each = ["run", "--each-business-unit", "--out", "./units/{unit}", "--json"];
    assert_eq!(call(&world, &each).code, 0);
    let jobs = rusqlite::Connection::open(world.path("demo/source/BlobDeltaJobs.sqlite")).unwrap();
    let held = "UPDATE BlobDeltaHighWatermark SET IsRunning = 1, LeaseRunId = randomblob(16), \
                RunLeaseExpiresAt = '2999-01-01T00:00:00.0000000'";
    jobs.execute_batch(held).unwrap();
    let failed = call(&world, &each);
    let one = call(&world, &["run", "--business-unit", &units[0], "--out", "./units/{unit}", "--json"]);
    assert_eq!((failed.code, one.code), (4, 4), "{failed:?} {one:?}");
    jobs.execute_batch("UPDATE BlobDeltaHighWatermark SET IsRunning = 0, RunLeaseExpiresAt = NULL").unwrap();
    let (document, one) = (failed.json(), one.json());
    let told = document["units"].as_array().unwrap().iter().zip(&units).chain([(&one, &units[0])]);
    for (told, unit) in told {
        let command = told["go_on_with"].as_str().unwrap_or_else(|| panic!("{told}"));
        let folder = world.path("units").join(unit);
        let before = bundles(&folder).len();
        let ended = call(&world, &command.split(' ').skip(1).collect::<Vec<_>>());
        assert_eq!((ended.code, bundles(&folder).len()), (0, before + 1), "{command}: {ended:?}");
    }
}
