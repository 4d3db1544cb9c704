//! What a manifest claims to hold: lists without measure, and names that are one to whoever compares without case. The
//! claims alone are made, in a few MiB, and refused before anything is reserved or compared for them.

use crate::damage::bundle::{Copy, MANIFEST};
use crate::damage::tally;
use blobdelta::bundle::Bundle;
use blobdelta::verify::FindingKind::{self, BadManifest, UnknownFormat};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The one form of a content: sorted keys, no white space, one LF.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let sorted: std::collections::BTreeMap<_, _> = members.iter().collect();
            let members = sorted.iter().map(|(key, value)| format!("{}:{}", json!(key), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// A bundle whose manifest claims something else, its lists made to fit.
fn claiming(change: impl FnOnce(&mut Value)) -> Copy {
    let copy = Copy::new();
    let mut manifest: Value = serde_json::from_slice(&copy.read(MANIFEST)).unwrap();
    change(&mut manifest);
    copy.write(MANIFEST, format!("{}\n", canonical(&manifest)));
    copy.mend_tags();
    copy
}

/// Both doors refuse the claim, and by what it is.
fn refused(class: &str, due: FindingKind, says: &str, change: impl FnOnce(&mut Value)) {
    let copy = claiming(change);
    let found = copy.found(false);
    let error = Bundle::open(&copy.path).err();
    tally(class, !found.is_empty() && error.is_some());
    let text = format!("{:?}", error.unwrap());
    assert!(text.contains(says), "{class}: {text}");
    assert_eq!(found, BTreeSet::from([due]), "{class}: {text}");
}

/// A digest, ascending with its number.
fn digest(nth: usize) -> Value {
    json!(format!("{nth:064x}"))
}

fn many(count: usize, make: impl Fn(usize) -> Value) -> Value {
    (0..count).map(make).collect()
}

pub fn attack_a_list_of_a_manifest_without_measure_is_refused() {
    let more = "has more than";
    refused("800,000 inputs", BadManifest, more, |manifest| manifest["inputs"] = many(800_000, digest));
    refused("30,000 failed tables", BadManifest, more, |manifest| {
        manifest["failed_tables"] = many(30_000, |nth| json!({"table": format!("a.b.t{nth}"), "error": ""}));
    });
    refused("90 requirements", UnknownFormat, "requires", |manifest| {
        manifest["requires"] = many(90, |_| json!("anything"));
    });
    refused("1,000 words of a rule", BadManifest, more, |manifest| {
        manifest["rules"]["latest_by_modified_on"]["order"] = many(1_000, |_| json!(""));
    });
    refused("11,000 tables", BadManifest, more, |manifest| {
        let table = manifest["tables"][0].clone();
        let small = move |nth: usize| {
            let mut table = table.clone();
            table["columns"] = json!([]);
            table["name"] = json!(format!("a.b.t{nth}"));
            table
        };
        manifest["tables"] = many(11_000, small);
    });
    for (list, count) in [("columns", 5_000), ("accepted_hidden", 30_000), ("new_business_units", 120_000)] {
        refused(&format!("{count} {list}"), BadManifest, more, |manifest| {
            let table = &mut manifest["tables"][0];
            let column = table["columns"][0].clone();
            table[list] = many(count, |nth| match list {
                "columns" => {
                    let mut column = column.clone();
                    column["name"] = json!(format!("c{nth}"));
                    column
                }
                "accepted_hidden" => json!(""),
                _ => json!(format!("00000000-0000-0000-0000-{nth:012x}")),
            });
        });
    }
}

pub fn attack_parts_that_are_only_claimed_are_refused() {
    refused("20,000 parts of deletions", BadManifest, "counts", |manifest| {
        let files = manifest["tables"][0]["files"].as_array_mut().unwrap();
        let part = json!({"path": "", "role": "tombstones", "bytes": 1, "sha256": digest(1), "rows": 1, "row_groups": 1,
            "content_bytes": null});
        let mut parts: Vec<Value> = (0..20_000)
            .map(|nth| {
                let mut part = part.clone();
                part["path"] = json!(format!("data/t001-Types/deletes-{nth:05}.parquet"));
                part
            })
            .collect();
        parts.append(files);
        parts.sort_by(|one, other| one["path"].as_str().cmp(&other["path"].as_str()));
        *files = parts;
    });
}

pub fn attack_inputs_times_tables_are_bounded_too() {
    refused("15,000 inputs of 200 tables", BadManifest, "table by table", |manifest| {
        manifest["inputs"] = many(15_000, digest);
        manifest["kind"] = json!("compacted");
        let table = manifest["tables"][0].clone();
        let numbered = move |nth: usize| {
            let text = table.to_string().replace("t001-Types", &format!("t{:03}-Types", nth + 1));
            let mut table: Value = serde_json::from_str(&text).unwrap();
            table["name"] = json!(format!("a.b.t{nth}"));
            table
        };
        manifest["tables"] = many(200, numbered);
    });
}

pub fn attack_column_names_that_differ_in_case_alone_are_refused() {
    for (one, other) in [("stream_id", "STREAM_ID"), ("bit", "Bit"), ("bit", "bit"), ("über", "ÜBER")] {
        refused(&format!("columns {one} and {other}"), BadManifest, "differ in case alone", |manifest| {
            let columns = manifest["tables"][0]["columns"].as_array_mut().unwrap();
            let mut twin = columns[2].clone();
            twin["name"] = json!(one);
            let place = columns.iter().position(|column| column["name"] == one);
            match place {
                Some(_) => {}
                None => columns.push(twin.clone()),
            }
            twin["name"] = json!(other);
            columns.push(twin);
        });
    }
    refused("a column name with NUL", BadManifest, "U+0000", |manifest| {
        manifest["tables"][0]["columns"][2]["name"] = json!("x\0y");
    });
    let long = "x".repeat(129);
    refused("a column name without end", BadManifest, "longer than 128", |manifest| {
        manifest["tables"][0]["columns"][2]["name"] = json!(long);
    });
}
