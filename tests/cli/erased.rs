//! `erase`: from a row that is shipped to a place without any value of it.

use super::world::{DOCS, World};
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use std::path::Path;

fn state(world: &World, place: &Path, key: &str, due: i32) -> serde_json::Value {
    let ended = world.call(&["erase", &place.display().to_string(), "--table", DOCS, "--key", key, "--json"]);
    assert_eq!(ended.code, due, "{ended:?}");
    ended.json()
}

#[test]
fn a_row_leaves_in_the_steps_that_the_command_says() {
    let world = World::new();
    let (out, compacted) = (world.path("out"), world.path("compacted"));
    std::fs::create_dir(&compacted).unwrap();
    let first = world.bundle();
    let key = Guid::from_bytes([2; 16]).to_string();
    let found = state(&world, &out, &key, 3);
    assert_eq!(found["keys"][0]["state"], "not deleted");
    assert_eq!(found["keys"][0]["held_by"], serde_json::json!([first.display().to_string()]));
    // Step 1 and 2.
    let mut backend = world.backend();
    for (table, column) in [(DOCS, "stream_id"), ("Meta.dbo.Docs", "Id")] {
        assert!(backend.delete(&TableName::parse(table).unwrap(), (column, Guid::from_bytes([2; 16]))).unwrap());
    }
    drop(backend);
    let reconciled = world.call(&["reconcile", "--bundles", &world.out(), "--log-deletions"]);
    assert_eq!(reconciled.code, 3, "{reconciled:?}");
    let second = world.bundle();
    let found = state(&world, &out, &key, 3);
    assert_eq!(
        (&found["keys"][0]["state"], &found["keys"][0]["tombstone"]),
        (&"deleted, values left".into(), &true.into())
    );
    assert!(found["to_do"][0].as_str().unwrap().contains("blobdelta compact"), "{found}");
    // Step 3 and 4.
    world.good(&["compact", &world.out(), "--out", &compacted.display().to_string()]);
    for bundle in [first, second] {
        std::fs::remove_dir_all(bundle).unwrap();
    }
    let bundle = std::fs::read_dir(&compacted).unwrap().next().unwrap().unwrap();
    std::fs::rename(bundle.path(), out.join(bundle.file_name())).unwrap();
    let found = state(&world, &out, &key, 0);
    assert_eq!((&found["erased"], &found["keys"][0]["tombstone"]), (&true.into(), &true.into()));
    assert!(found["to_do"].as_array().unwrap().is_empty());
    // The others are still there.
    state(&world, &out, &Guid::from_bytes([1; 16]).to_string(), 3);
    // Its values are in no file of the place.
    let rows = world.good(&["unpack", &world.out(), "--out", &world.path("files").display().to_string()]);
    assert!(rows.stdout.contains("2 files"), "{rows:?}");
}

#[test]
fn what_cannot_be_looked_at_is_no_proof() {
    let world = World::new();
    let bundle = world.bundle();
    let call = |args: &[&str]| world.call(&[&["erase", &world.out()][..], args].concat());
    let key = Guid::from_bytes([2; 16]).to_string();
    for (args, code, due) in [
        (&["--table", "Src.dbo.Other", "--key", &key][..], 2, "none of these bundles"),
        (&["--table", DOCS, "--key", "4711"], 2, "is not a GUID"),
        (&["--table", DOCS], 2, "--key"),
    ] {
        let ended = call(args);
        assert!(ended.code == code && ended.stderr.contains(due), "{ended:?}");
    }
    let part =
        std::fs::read_dir(bundle.join("data")).unwrap().next().unwrap().unwrap().path().join("part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    assert_eq!(call(&["--table", DOCS, "--key", &key]).code, 3);
    std::fs::write(bundle.join("manifest.json"), b"{}").unwrap();
    let ended = call(&["--table", DOCS, "--key", &key]);
    assert!(ended.code == 3 && ended.stderr.contains("error"), "{ended:?}");
}
