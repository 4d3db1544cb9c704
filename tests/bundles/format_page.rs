//! manifests/FORMAT.md says what a manifest holds. (That manifests fit manifest.schema.json is held by
//! tests/interop/check_manifests.py, with a JSON Schema library of another language.)

use super::write::sample;
use blobdelta::durable::Local;
use serde_json::Value;

fn manifest() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let published = sample::publish(&Local, folder.path()).unwrap();
    serde_json::from_slice(&std::fs::read(published.path().join("manifest.json")).unwrap()).unwrap()
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
