//! What is said of how far work is: at its end, all that was announced is done, and no more.

use crate::world::World;
use blobdelta::model::id::Guid;
use blobdelta::model::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Two bundles with values that have files of their own, rows that changed, and deletions.
fn world() -> World {
    let world = World::new();
    let large = vec![7; 3 << 20];
    let of = |number: u8| Guid::from_bytes([number; 16]);
    let at = Timestamp::parse("2020-06-01").unwrap();
    world.add_rows(&[(of(10), &[9], &large), (of(11), &[9, 1], &large[1..]), (of(12), &[9, 2], b"small")], at);
    world.good(&["run", "--out", &world.out(), "--inline-mib", "1"]);
    let changed = format!(
        "UPDATE Meta.Docs SET ModifiedOn = '2021-05-01T00:00:00.0000000' WHERE Id IN (SELECT Id FROM Meta.Docs LIMIT 4);
         UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = '2020-07-01T00:00:00.0000000';
         INSERT INTO BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, Reason)
         SELECT TableName, x'{}', '2021-06-01T00:00:00.0000000', 'Deleted' FROM BlobDeltaTableConfig",
        "01".repeat(16)
    );
    world.backend().execute_script(&changed).unwrap();
    world.good(&["run", "--out", &world.out(), "--inline-mib", "1"]);
    world
}

/// Makes a call and holds each work of it against what was announced; gives the works.
fn measured(world: &World, args: &[&str]) -> BTreeSet<String> {
    let ended = world.call(&[args, &["-v", "--log-format", "json"]].concat());
    assert!(matches!(ended.code, 0 | 3), "{args:?}: {ended:?}");
    let events = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let finished: Vec<Value> = events.filter(|event| event["event"] == "work_finished").collect();
    for work in &finished {
        for (done, all) in [("rows", "all_rows"), ("bytes", "all_bytes")] {
            assert!(work[all].is_null() || work[all] == work[done], "{args:?}: {work}");
        }
    }
    let first = |work: &Value| work["work"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    finished.iter().map(first).collect()
}

#[test]
fn all_that_was_announced_is_done_and_no_more() {
    let world = world();
    let bundles: Vec<String> =
        fs::read_dir(world.path("out")).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect();
    assert_eq!(bundles.len(), 2);
    let (one, out) = (bundles[0].as_str(), world.out());
    for folder in ["drop", "in", "small", "archives", "again", "weekly"] {
        fs::create_dir(world.path(folder)).unwrap();
    }
    let archive = format!("archives/{}.tar", one.rsplit('/').next().unwrap());
    let of_target = ["replay", &out, "--into", "sqlite:target", "--database", "Copy"];
    let calls: [(&str, &[&str]); 18] = [
        ("pack", &["run", "--from", "2020-01-01", "--out", "again", "--inline-mib", "1"]),
        ("Src.dbo.Docs", &["run", "--from", "2020-01-01", "--out", "again"]),
        ("verify", &["verify", &out]),
        ("verify", &["verify", "--deep", &out]),
        ("verify", &["verify", "--deep", "--threads", "1", one]),
        ("archive", &["archive", one, "--out", "archives"]),
        ("extract", &["extract", &archive, "--out", "weekly"]),
        ("verify", &["verify", "--deep", &archive]),
        ("ship", &["ship", &out, "drop"]),
        ("ship", &["ship", &out, "drop"]),
        ("receive", &["receive", "drop", "--out", "in"]),
        ("compact", &["compact", &out, "--out", "small"]),
        ("unpack", &["unpack", one, "--out", "files"]),
        ("unpack", &["unpack", &out, "--latest", "--out", "latest"]),
        ("replay", &[&of_target[..], &["--create"]].concat()),
        ("replay", &[&of_target[..], &["--repair"]].concat()),
        ("check", &[&of_target[..], &["--check"]].concat()),
        ("plan", &[&of_target[..], &["--plan"]].concat()),
    ];
    let mut wrong = Vec::new();
    for (work, args) in calls {
        match std::panic::catch_unwind(|| measured(&world, args)) {
            Ok(seen) if seen.contains(work) => {}
            Ok(seen) => wrong.push(format!("{args:?} announced {seen:?}")),
            Err(_) => wrong.push(format!("{args:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
