//! The manifests that the writer makes are those of manifests/manifest.schema.json, and the
//! schema can tell.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "bundle/sample.rs"]
mod sample;

use blobdelta::durable::Local;
use serde_json::{Value, json};

fn schema() -> jsonschema::Validator {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/manifest.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

fn manifest() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let published = sample::publish(&Local, folder.path()).unwrap();
    serde_json::from_slice(&std::fs::read(published.path().join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_manifest_that_was_written_is_valid() {
    let (schema, manifest) = (schema(), manifest());
    let errors: Vec<String> = schema.iter_errors(&manifest).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Every object of the manifest, as a JSON pointer.
fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(pointer.to_owned());
            members.iter().for_each(|(key, value)| objects(value, &format!("{pointer}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(nth, item)| objects(item, &format!("{pointer}/{nth}"), found));
        }
        _ => {}
    }
}

#[test]
fn every_field_is_required_and_unknown_ones_are_allowed() {
    let (schema, manifest) = (schema(), manifest());
    let mut pointers = Vec::new();
    objects(&manifest, "", &mut pointers);
    assert!(pointers.len() > 20, "{pointers:?}");
    for pointer in pointers {
        let members = manifest.pointer(&pointer).unwrap().as_object().unwrap();
        for key in members.keys() {
            let mut broken = manifest.clone();
            broken.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(key);
            assert!(!schema.is_valid(&broken), "valid without {pointer}/{key}");
            let mut broken = manifest.clone();
            broken.pointer_mut(&pointer).unwrap()[key] = json!(0.5);
            assert!(!schema.is_valid(&broken), "valid with a float at {pointer}/{key}");
        }
        let mut more = manifest.clone();
        more.pointer_mut(&pointer).unwrap()["a_field_of_a_later_minor"] = json!(1);
        assert!(schema.is_valid(&more), "not valid with an unknown field in {pointer:?}");
    }
}

/// The format's page names every field that a manifest has.
#[test]
fn every_field_is_explained() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/FORMAT.md");
    let page = std::fs::read_to_string(path).unwrap();
    let manifest = manifest();
    let mut pointers = Vec::new();
    objects(&manifest, "", &mut pointers);
    for pointer in pointers.iter().filter(|pointer| !pointer.starts_with("/rules/")) {
        for key in manifest.pointer(pointer).unwrap().as_object().unwrap().keys() {
            let forms =
                [format!("`{key}`"), format!(".{key}`"), format!("`{key}[]`"), format!("`{key}."), format!(".{key}.")];
            assert!(forms.iter().any(|form| page.contains(form)), "FORMAT.md says nothing of {pointer}/{key}");
        }
    }
}

#[test]
fn values_that_no_writer_writes_are_not_valid() {
    let (schema, manifest) = (schema(), manifest());
    let broken = [
        ("/format", json!("https://blobdelta.dev/bundle/2")),
        ("/format_version", json!("1")),
        ("/kind", json!("full")),
        ("/requires", json!([1])),
        ("/run/run_id", json!("1B1B1B1B-1B1B-1B1B-1B1B-1B1B1B1B1B1B")),
        ("/run/started_at", json!("2026-11-22T18:00:00Z")),
        ("/run/pack_number", json!(0)),
        ("/tables", json!([])),
        ("/tables/0/folder", json!("../t001-x")),
        ("/tables/0/scope", json!("some")),
        ("/tables/0/window/start", json!("0001-01-01T00:00:00.0000000Z")),
        ("/tables/0/window/interval", json!("[start,end]")),
        ("/tables/0/window/clock", json!("server")),
        ("/tables/0/counts/roots", json!(9_007_199_254_740_992_u64)),
        ("/tables/0/counts/children", json!(-1)),
        ("/tables/0/files/0/path", json!("data/t001-x/../../x")),
        ("/tables/0/files/0/role", json!("row")),
        ("/tables/0/files/0/sha256", json!("AB")),
        ("/tables/0/columns/0/arrow_type", json!("")),
    ];
    for (pointer, value) in broken {
        let mut manifest = manifest.clone();
        *manifest.pointer_mut(pointer).unwrap() = value;
        assert!(!schema.is_valid(&manifest), "{pointer}");
    }
}
