//! What works: each command from deploy to replay, as text and as JSON.

use crate::world::{DOCS, World};
use blobdelta::model::id::Guid;
use blobdelta::model::time::Timestamp;
use serde_json::Value;

const RUN_COLUMNS: [&str; 7] =
    ["RunId", "RunType", "RequestedBy", "RunStartedAt", "RunCompletedAt", "Status", "ErrorMessage"];
const STEP_COLUMNS: [&str; 11] = [
    "TableName",
    "StepNumber",
    "BatchNumber",
    "RowsProcessed",
    "TotalRowsProcessed",
    "WindowStart",
    "WindowEnd",
    "BatchStartedAt",
    "BatchCompletedAt",
    "Status",
    "ErrorMessage",
];
const WATERMARK_COLUMNS: [&str; 7] = [
    "TableName",
    "LastHighWaterModifiedOn",
    "LastRunId",
    "LastRunCompletedAt",
    "IsInitialFullLoadDone",
    "IsRunning",
    "RunLeaseExpiresAt",
];

fn has_all(object: &Value, columns: &[&str]) {
    for column in columns {
        assert!(object.get(column).is_some(), "{column} is missing in {object}");
    }
}

#[test]
fn a_key_is_excluded_taken_back_and_asked_for() {
    let world = World::new();
    let key = "00000000-0000-0000-0000-000000000001";
    world.good(&["key", "exclude", DOCS, key, "--reason", "its name is too long"]);
    let listed = world.good(&["key", "list", DOCS, "--json"]).json();
    assert_eq!((listed["keys"][0]["Key"].as_str(), listed["keys"][0]["State"].as_str()), (Some(key), Some("Excluded")));
    assert_eq!(listed["keys"][0]["Reason"], "its name is too long");
    world.good(&["key", "include", DOCS, key]);
    assert_eq!(world.good(&["key", "list", DOCS, "--json"]).json()["keys"][0]["State"], "Pending");
    world.good(&["key", "pend", DOCS, key, "--reason", "asked for by the receiver"]);
    assert!(world.good(&["key", "list", DOCS]).stdout.contains("asked for by the receiver"));
    assert_eq!(world.call(&["key", "include", DOCS, key]).code, 2);
    let other = "00000000-0000-0000-0000-000000000002";
    let refused = world.call(&["key", "include", DOCS, other]);
    assert!(refused.code == 2 && refused.stderr.contains("not excluded; nothing was changed"), "{refused:?}");
    assert!(!world.good(&["key", "list", DOCS]).stdout.contains(other));
    assert_eq!(world.good(&["key", "list", DOCS, "--json"]).json()["keys"][0]["Scope"], serde_json::Value::Null);
    // Rows of a table without units are in no unit's scope.
    let of_unit = ["key", "pend", DOCS, key, "--business-unit", key, "--reason", "x"];
    assert_eq!(world.call(&of_unit).code, 2);
}

#[test]
fn the_main_job_from_deploy_to_replay() {
    let world = World::new();
    let plan = world.good(&["run", "--plan", "--json"]).json();
    assert_eq!(plan["plan"][0]["Keys"], 3);
    assert_eq!(world.good(&["status", "--json"]).json()["runs"], Value::Array(Vec::new()), "a plan changes nothing");

    let run = world.good(&["run", "--out", &world.out(), "--json"]).json();
    assert_eq!(run["tables"][0]["counts"]["roots"], 3);
    assert_eq!(run["run"]["Status"], "Completed");
    let bundle = run["bundles"][0].as_str().unwrap();

    let verified = world.good(&["verify", "--deep", bundle, "--json"]).json();
    assert_eq!(verified["bundles"][0]["good"], true);
    assert_eq!(verified["bundles"][0]["rows"], 3);
    let inspected = world.good(&["inspect", bundle, "--json"]).json();
    assert_eq!(inspected["root_sha256"], verified["bundles"][0]["root_sha256"]);

    let into = format!("sqlite:{}", world.path("target").display());
    let replay = ["replay", bundle, "--into", &into, "--create", "--database", "Restored", "--json"];
    assert_eq!(world.good(&replay).json()["bundles"][0]["tables"][0]["Written"], 3);
    assert_eq!(world.good(&replay).json()["bundles"][0]["applied_before"], true);
    assert_eq!(world.good(&["pack", "--run", run["run"]["RunId"].as_str().unwrap(), "--out", &world.out()]).code, 0);
}

#[test]
fn status_has_the_columns_of_the_monitoring_queries() {
    let world = World::new();
    let run = world.good(&["run", "--out", &world.out(), "--json"]).json()["run"]["RunId"].as_str().unwrap().to_owned();
    let status = world.good(&["status", "--json"]).json();
    has_all(&status["runs"][0], &RUN_COLUMNS);
    let watermarks = status["watermarks"].as_array().unwrap();
    let docs = watermarks.iter().find(|mark| mark["TableName"] == DOCS).unwrap();
    has_all(docs, &WATERMARK_COLUMNS);
    assert_eq!(docs["LastRunId"], run.as_str());
    let detail = world.good(&["status", "--run", &run, "--json"]).json();
    has_all(&detail["run"], &RUN_COLUMNS);
    has_all(&detail["steps"][0], &STEP_COLUMNS);
    assert_eq!(detail["bundles"][0]["TableName"], DOCS);
    let text = world.good(&["status", "--run", &run, "--wide"]).stdout;
    for column in STEP_COLUMNS {
        assert!(text.contains(column), "{column} is missing in\n{text}");
    }
}

#[test]
fn the_summary_reports_what_no_window_can_catch_and_nothing_that_is_zero() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "IncludeDeletions=0"]);
    let text = world.good(&["run", "--out", &world.out()]).stdout;
    assert!(text.contains("3 rows") && text.contains("  reported nothing\n"), "{text}");
    let (known, new) = (Guid::from_bytes([1; 16]), Guid::from_bytes([9; 16]));
    world.add_rows(&[(new, &[9], b"new")], Timestamp::parse("2999-01-01").unwrap());
    world.good(&["key", "exclude", DOCS, &known.to_string(), "--reason", "x"]);
    let text = world.good(&["run", "--out", &world.out(), "--from", "0001-01-01"]).stdout;
    assert!(text.contains("  reported excluded 1, future 1\n"), "{text}");
}

#[test]
fn a_setting_is_changed_and_shown() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "SafetyBufferMinutes=60", "includedeletions=0"]);
    let tables = world.good(&["table", "list", "--json"]).json();
    let docs = tables["tables"].as_array().unwrap().iter().find(|table| table["TableName"] == DOCS).unwrap().clone();
    assert_eq!((&docs["SafetyBufferMinutes"], &docs["IncludeDeletions"]), (&Value::from(60), &Value::from(false)));
    assert!(world.good(&["table", "list"]).stdout.contains(DOCS));
}

#[test]
fn progress_never_reaches_stdout() {
    let world = World::new();
    let ended = world.good(&["run", "--out", &world.out(), "--json", "--log-format", "json"]);
    ended.json();
    let events: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for name in ["run_started", "table_started", "table_finished", "published"] {
        assert!(events.iter().any(|event| event["event"] == name), "{name} is missing in {events:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let world = World::bare();
    assert!(world.good(&["--version"]).stdout.starts_with("blobdelta "));
    for command in ["deploy", "run", "pack", "status", "verify", "inspect", "replay"] {
        let help = world.good(&[command, "--help"]).stdout;
        assert!(help.contains("Example"), "{command} has no example");
    }
}

/// Every file below a folder, by its path, with what it holds.
fn files(folder: &std::path::Path, found: &mut std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn commands_that_change_nothing_change_nothing() {
    let world = World::new();
    let run = world.good(&["run", "--out", &world.out(), "--json"]).json();
    let (bundle, out) = (run["bundles"][0].as_str().unwrap(), world.out());
    let id = run["run"]["RunId"].as_str().unwrap();
    let commands: [&[&str]; 8] = [
        &["status"],
        &["status", "--run", id],
        &["doctor"],
        &["table", "list"],
        &["key", "list", DOCS],
        &["run", "--plan"],
        &["verify", "--deep", bundle],
        &["reconcile", "--bundles", &out],
    ];
    let mut before = std::collections::BTreeMap::new();
    files(&world.path(""), &mut before);
    for command in commands {
        let ended = world.call(command);
        assert!(matches!(ended.code, 0 | 3), "{ended:?}");
        let mut after = std::collections::BTreeMap::new();
        files(&world.path(""), &mut after);
        let differing: Vec<_> =
            after.iter().filter(|(path, bytes)| before.get(*path) != Some(*bytes)).map(|(path, _)| path).collect();
        assert!(differing.is_empty() && after.len() == before.len(), "{command:?} changed {differing:?}");
    }
}
