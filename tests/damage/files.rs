//! Files of the folder: changed as a whole, strange ones, and those of others.

use crate::damage::bundle::{Copy, MANIFEST, PAYLOAD_LIST, SIGNATURE, TAG_LIST, expect, files, fixture, found};
use crate::damage::tally;
use blobdelta::verify::FindingKind::{self, *};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// What is found if the bytes of a file are others, and maybe its size is.
fn changed(file: &str, is_resized: bool) -> FindingKind {
    match file {
        TAG_LIST | SIGNATURE => BadSignature,
        _ if !file.starts_with("data/") => ChangedTagFile,
        _ if is_resized => WrongSize,
        _ => ChangedPayloadFile,
    }
}

/// What is found if a file is not there.
fn missing(file: &str) -> FindingKind {
    match file {
        TAG_LIST => NotABundle,
        SIGNATURE => NotSigned,
        _ => MissingFile,
    }
}

/// Whether nothing more is looked at once this file is wrong.
fn ends_early(file: &str) -> bool {
    [TAG_LIST, SIGNATURE].contains(&file)
}

pub fn every_file() {
    let all: Vec<String> = files(&Copy::new().path).into_iter().map(|(file, _)| file).collect();
    for file in &all {
        expect(
            "a file truncated by a byte",
            file,
            true,
            |copy| copy.change(file, |bytes| bytes.truncate(bytes.len() - 1)),
            &[changed(file, true)],
        );
        expect("a file emptied", file, true, |copy| copy.write(file, ""), &[changed(file, true)]);
        expect(
            "a file extended by a byte",
            file,
            true,
            |copy| copy.change(file, |bytes| bytes.push(0)),
            &[changed(file, true)],
        );
        let remove = |copy: &Copy| fs::remove_file(copy.path.join(file)).unwrap();
        expect("a file deleted", file, true, remove, &due_if_missing(file, false));
        let twin = |copy: &Copy| copy.write(&format!("{file}x"), copy.read(file));
        expect("a file duplicated under another name", file, true, twin, &[ExtraFile]);
        let rename = |copy: &Copy| fs::rename(copy.path.join(file), copy.path.join(format!("{file}x"))).unwrap();
        expect("a file renamed", file, true, rename, &due_if_missing(file, true));
    }
    for pair in all.windows(2) {
        swap(&pair[0], &pair[1]);
    }
}

fn due_if_missing(file: &str, and_extra: bool) -> Vec<FindingKind> {
    let is_read_first = ends_early(file) || file == PAYLOAD_LIST;
    if and_extra && !is_read_first { vec![missing(file), ExtraFile] } else { vec![missing(file)] }
}

fn swap(a: &str, b: &str) {
    let is_resized = Copy::new().read(a).len() != Copy::new().read(b).len();
    let early: Vec<_> = [a, b].into_iter().filter(|file| ends_early(file)).collect();
    let lists = [MANIFEST, PAYLOAD_LIST].iter().any(|list| [a, b].contains(list));
    let seen = [a, b].into_iter().filter(|file| !(lists && file.starts_with("data/")));
    let due: BTreeSet<FindingKind> = match early.as_slice() {
        [] => seen.map(|file| changed(file, is_resized)).collect(),
        _ => [BadSignature].into(),
    };
    let change = |copy: &Copy| {
        let (of_a, of_b) = (copy.read(a), copy.read(b));
        copy.write(a, of_b);
        copy.write(b, of_a);
    };
    expect("two files swapped", &format!("{a} and {b}"), true, change, &due.into_iter().collect::<Vec<_>>());
}

pub fn strangers() {
    let class = "a file or folder too many";
    let part = "data/t001-Types/part-00000.parquet";
    for extra in ["data/x", "data/t001-Types/part-00001.parquet", "data/t001-Types/x", "x", "fetch.txt", "schema/x.sql"]
    {
        expect(class, extra, true, |copy| copy.write(extra, "x"), &[ExtraFile]);
    }
    expect(
        class,
        "a twin in another case",
        true,
        |copy| copy.write("data/t001-Types/PART-00000.parquet", copy.read(part)),
        &[ExtraFile],
    );
    for folder in ["data/t002-x", "x", "data/t001-Types/blob/x"] {
        expect(class, folder, true, |copy| fs::create_dir(copy.path.join(folder)).unwrap(), &[ExtraFile]);
    }
    expect(
        class,
        "a second name of a file",
        true,
        |copy| fs::hard_link(copy.path.join(part), copy.path.join("data/x")).unwrap(),
        &[ExtraFile],
    );
}

#[cfg(not(unix))]
pub fn special() {}

#[cfg(unix)]
pub fn special() {
    let class = "a link, pipe or device for a file";
    for (file, _) in files(&Copy::new().path) {
        let link = |copy: &Copy| {
            fs::rename(copy.path.join(&file), copy.path.with_extension("moved")).unwrap();
            std::os::unix::fs::symlink(copy.path.with_extension("moved"), copy.path.join(&file)).unwrap();
        };
        expect(class, &format!("{file}, a link"), true, link, &due_if_special(&file));
        let pipe = |copy: &Copy| make_node(copy, &file, &["p"]);
        expect(class, &format!("{file}, a pipe"), true, pipe, &due_if_special(&file));
    }
    let probe = tempfile::tempdir().unwrap();
    let made = Command::new("mknod").arg(probe.path().join("x")).args(["c", "1", "5"]).output();
    if !made.is_ok_and(|done| done.status.success()) {
        println!("SKIPPED a device for a file: this user may make none");
        return;
    }
    let part = "data/t001-Types/part-00000.parquet";
    expect(class, "a device", true, |copy| make_node(copy, part, &["c", "1", "5"]), &due_if_special(part));
}

fn due_if_special(file: &str) -> Vec<FindingKind> {
    vec![LinkOrSpecialFile, missing(file)]
}

#[cfg(unix)]
fn make_node(copy: &Copy, file: &str, kind: &[&str]) {
    let path = copy.path.join(file);
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mknod").arg(&path).args(kind).status().unwrap().success());
}

pub fn moved() {
    let class = "a bundle or part in the place of another";
    let move_part = |copy: &Copy| {
        fs::create_dir(copy.path.join("data/t002-Other")).unwrap();
        let part = "part-00000.parquet";
        fs::rename(copy.path.join("data/t001-Types").join(part), copy.path.join("data/t002-Other").join(part)).unwrap();
    };
    expect(class, "a part in the folder of another table", true, move_part, &[MissingFile, ExtraFile]);
    let redone = |copy: &Copy| {
        move_part(copy);
        copy.change(MANIFEST, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("data/t001-Types/part-00000", "data/t002-Other/part-00000").into_bytes();
        });
        copy.mend_tags();
    };
    expect(class, "and the manifest redone", false, redone, &[BadManifest, ExtraFile, MissingFile]);
    // The whole of an older bundle, signature and all, under the name of a newer one.
    let copy = Copy::new();
    let newer = copy.path.with_file_name("20301122T180000Z-1b4e28ba-1.bundle");
    fs::rename(&copy.path, &newer).unwrap();
    tally(class, !found(&newer, true).is_empty());
    assert_eq!(found(&newer, true), [WrongName].into());
    // Another bundle's manifest, with checksums redone.
    let other = fs::read(fixture("01010101-1.bundle").join(MANIFEST)).unwrap();
    let foreign = |copy: &Copy| {
        copy.write(MANIFEST, &other);
        copy.mend_tags();
    };
    expect(class, "the manifest of another", false, foreign, &[ListsDisagree, WrongName]);
    expect(class, "the manifest of another, under the old signature", true, foreign, &[BadSignature]);
}
