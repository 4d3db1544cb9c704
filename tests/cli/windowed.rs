//! `MaxWindow`, `--until` and what `run` says of several windows.

use crate::world::{DOCS, World};
use blobdelta::model::id::Guid;
use blobdelta::model::time::Timestamp;

/// The three rows of one stamp that every world has, and two later ones.
fn world(most: &str) -> World {
    let world = World::new();
    for (number, day) in [(4_u8, "2020-06-01"), (5, "2020-07-01")] {
        world.add_rows(&[(Guid::from_bytes([number; 16]), &[number], b"later")], Timestamp::parse(day).unwrap());
    }
    world.good(&["table", "set", DOCS, &format!("MaxWindow={most}")]);
    world
}

#[test]
fn several_windows_are_one_answer() {
    let world = world("1 row");
    std::fs::create_dir(world.path("drop")).unwrap();
    let plan = world.good(&["run", "--plan", "--json"]).json();
    assert_eq!((plan["plan"][0]["WindowEnds"].as_array().unwrap().len(), &plan["plan"][0]["Keys"]), (3, &5.into()));
    assert_eq!(plan["plan"][0]["HasMoreWindows"], false);
    let text = world.good(&["run", "--plan"]).stdout;
    assert!(text.contains("2020-06-01T00:00:00.0000000Z, 2020-07-01T00:00:00.0000000Z"), "{text}");
    let json = world.good(&["run", "--out", &world.out(), "--ship", "drop", "--json"]).json();
    let tables = json["tables"].as_array().unwrap();
    let roots: Vec<_> = tables.iter().map(|table| table["counts"]["roots"].as_u64().unwrap()).collect();
    assert_eq!(roots, [3, 1, 1]);
    assert_eq!(
        (&tables[0]["window"]["one_stamp_rows"], &tables[0]["window"]["end"]),
        (&3.into(), &tables[1]["window"]["start"])
    );
    assert!(tables.iter().all(|table| table["window"]["goal"] == tables[2]["window"]["end"]));
    assert_eq!(json["run"]["RunId"], tables[2]["run"]);
    let lengths = ["bundles", "shipments"].map(|name| json[name].as_array().unwrap().len());
    assert_eq!(
        (lengths, json["unshipped"].as_array().unwrap().len(), &json["go_on_with"]),
        ([3, 3], 0, &serde_json::Value::Null)
    );
    world.good(&["chain", &world.out()]);
    let text = world.good(&["run", "--from", "2020-01-01", "--out", &world.out()]).stdout;
    assert_eq!(
        (text.matches("  cut      by MaxWindow, of [").count(), text.matches("\nbundle ").count()),
        (2, 3),
        "{text}"
    );
    assert!(text.contains("3 rows have one stamp: they are more than MaxWindow"), "{text}");
}

#[test]
fn without_a_bundle_the_next_window_is_a_command() {
    let world = world("20 days");
    world.good(&["table", "set", DOCS, "RequireBundle=0"]);
    let first = world.good(&["run", "--no-bundle", "--until", "2020-06-15", "--json"]).json();
    assert_eq!(first["tables"].as_array().unwrap().len(), 1);
    let command = first["go_on_with"].as_str().unwrap();
    assert!(command.starts_with("blobdelta run --resume ") && !command.contains("--until"), "{command}");
    let run = first["run"]["RunId"].as_str().unwrap();
    let second = world.good(&["run", "--no-bundle", "--resume", run, "--json"]).json();
    assert_eq!(
        (&second["tables"][0]["window"]["end"], &second["go_on_with"]),
        (&"2020-06-15T00:00:00.0000000Z".into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_window_that_is_no_window_is_refused() {
    let world = world("30 days");
    for wrong in ["0 days", "-1 days", "1e6 rows", "30", "99999999999 rows", "30 weeks"] {
        let ended = world.call(&["table", "set", DOCS, &format!("MaxWindow={wrong}")]);
        assert!(ended.code == 2 && ended.stderr.contains("30 days"), "{ended:?}");
    }
    world.good(&["table", "set", DOCS, "MaxWindow= 7  Days "]);
    assert!(world.good(&["table", "list", "--json"]).stdout.contains("\"7 days\""));
    world.good(&["table", "set", DOCS, "MaxWindow="]);
    world.backend().execute_script("UPDATE BlobDeltaTableConfig SET MaxWindow = 'much'").unwrap();
    let ended = world.call(&["run", "--out", &world.out()]);
    assert!(ended.code == 2 && ended.stderr.contains("MaxWindow") && ended.stderr.contains("30 days"), "{ended:?}");
    world.backend().execute_script("UPDATE BlobDeltaTableConfig SET MaxWindow = NULL").unwrap();
    for until in [&["--until", "2999-01-01"][..], &["--until", "0001-01-01"]] {
        for plan in [&["--plan"][..], &["--out", &world.out()]] {
            let ended = world.call(&[&["run"][..], until, plan].concat());
            assert_eq!(ended.code, 2, "{ended:?}");
        }
    }
}
