//! Bundles whose files were changed: by accident, and by somebody who mends the hashes.

use super::made::Made;
use blobdelta::bundle::{Bundle, Manifest, list};
use blobdelta::durable::Local;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use blobdelta::verify::FindingKind as K;
use blobdelta::verify::{FindingKind, FindingSeverity, VerifyLevel, VerifyOptions, verify, verify_with};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub const PART: &str = "data/t001-Files/part-00000.parquet";

fn bundle() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Made::sample().write(folder.path());
    (folder, path)
}

fn found(path: &Path, level: VerifyLevel) -> BTreeSet<FindingKind> {
    verify(path, level, &Silent).unwrap().findings.iter().map(|finding| finding.kind).collect()
}

/// Damages a good bundle; quick and default verification each find exactly this.
fn expect(damage: impl Fn(&Path), quick: &[FindingKind], default: &[FindingKind]) {
    let (_folder, path) = bundle();
    damage(&path);
    assert_eq!(found(&path, VerifyLevel::Quick), quick.iter().copied().collect());
    assert_eq!(found(&path, VerifyLevel::Default), default.iter().copied().collect());
    assert_eq!(found(&path, VerifyLevel::Deep), default.iter().copied().collect());
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Makes the hashes say what the files are, as an attacker would; `change` has the manifest.
pub fn mend(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let mut manifest = Manifest::from_bytes(&fs::read(path.join("manifest.json")).unwrap()).unwrap();
    let mut payload = String::new();
    for file in &mut manifest.tables[0].files {
        let bytes = fs::read(path.join(&file.path)).unwrap();
        (file.bytes, file.sha256) = (bytes.len() as u64, Sha256::of(&bytes));
        payload += &format!("{}  {}\n", file.sha256, file.path);
    }
    fs::write(path.join("manifest-sha256.txt"), payload).unwrap();
    fs::write(path.join("manifest.json"), change(manifest.to_bytes().unwrap())).unwrap();
    let mut tags = String::new();
    for entry in list(&Local, path).unwrap() {
        let is_tag = !entry.path.starts_with("data") && !entry.path.starts_with("tagmanifest");
        if is_tag && path.join(&entry.path).is_file() {
            tags += &format!("{}  {}\n", Sha256::of(&fs::read(path.join(&entry.path)).unwrap()), entry.path);
        }
    }
    fs::write(path.join("tagmanifest-sha256.txt"), tags).unwrap();
}

#[test]
fn changed_files_are_found_as_what_they_are() {
    expect(|path| flip(&path.join(PART), 9), &[], &[K::ChangedPayloadFile]);
    expect(|path| flip(&path.join("manifest.json"), 9), &[K::ChangedTagFile], &[K::ChangedTagFile]);
    expect(|path| flip(&path.join("schema/t001-Files.sql"), 9), &[K::ChangedTagFile], &[K::ChangedTagFile]);
    let cut = |path: &Path| fs::write(path.join(PART), b"PAR1").unwrap();
    expect(cut, &[K::WrongSize], &[K::WrongSize]);
    let remove = |name: &'static str| move |path: &Path| fs::remove_file(path.join(name)).unwrap();
    expect(remove(PART), &[K::MissingFile], &[K::MissingFile]);
    expect(remove("bag-info.txt"), &[K::MissingFile], &[K::MissingFile]);
    expect(remove("tagmanifest-sha256.txt"), &[K::NotABundle], &[K::NotABundle]);
    expect(|path| fs::write(path.join("data/more"), "x").unwrap(), &[K::ExtraFile], &[K::ExtraFile]);
    expect(|path| fs::create_dir(path.join("data/more")).unwrap(), &[K::ExtraFile], &[K::ExtraFile]);
}

#[cfg(unix)]
#[test]
fn attack_a_link_is_found_and_not_followed() {
    let relink = |path: &Path| {
        fs::rename(path.join(PART), path.join("../moved")).unwrap();
        std::os::unix::fs::symlink("../../../moved", path.join(PART)).unwrap();
    };
    expect(relink, &[K::LinkOrSpecialFile, K::MissingFile], &[K::LinkOrSpecialFile, K::MissingFile]);
}

#[test]
fn attack_lists_with_hostile_paths_are_not_believed() {
    let tag_list = "tagmanifest-sha256.txt";
    for bad in ["../../etc/passwd", "/etc/passwd", "data/../x", "schema/t001-a.sql\0"] {
        let add = |path: &Path| {
            let list = fs::read_to_string(path.join(tag_list)).unwrap();
            fs::write(path.join(tag_list), format!("{list}{}  {bad}\n", Sha256::of(b""))).unwrap();
        };
        expect(add, &[K::BadList], &[K::BadList]);
    }
}

/// Whoever restores a bundle by hand runs the text in `schema/` with rights of their own.
#[test]
fn attack_a_schema_that_does_more_than_make_its_table_is_refused() {
    let schema = "schema/t001-Files.sql";
    let more: [fn(String) -> String; 4] = [
        |text| text + "DROP DATABASE Everything;\n",
        |text| text.replace("NOT NULL,", "NOT NULL, [more] int DEFAULT dbo.Steal(),"),
        |text| text.replace("[Files]", "[Others]"),
        |_| String::new(),
    ];
    for change in more {
        let write = |path: &Path| {
            let text = fs::read_to_string(path.join(schema)).unwrap();
            fs::write(path.join(schema), change(text)).unwrap();
            mend(path, |bytes| bytes);
            let error = Bundle::open(path).err().unwrap();
            assert!(error.to_string().contains("makes the table of the manifest"), "{error}");
        };
        expect(write, &[K::WrongSchema], &[K::WrongSchema]);
    }
}

#[test]
fn a_signature_is_reported() {
    let (_folder, path) = bundle();
    fs::write(path.join("tagmanifest-sha256.txt.sig"), "x").unwrap();
    let report = verify(&path, VerifyLevel::Deep, &Silent).unwrap();
    assert!(report.is_good());
    assert_eq!(report.findings[0].severity, FindingSeverity::Notice);
}

#[test]
fn manifests_that_are_hashed_right_and_are_wrong() {
    let replace = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            mend(path, |bytes| {
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.contains(from));
                text.replacen(from, to, 1).into_bytes()
            });
        }
    };
    expect(|path| mend(path, |bytes| bytes), &[], &[]);
    let newer = replace("\"format_version\":\"1.0\"", "\"format_version\":\"2.0\"");
    expect(newer, &[K::UnknownFormat], &[K::UnknownFormat]);
    let requires = replace("\"requires\":[]", "\"requires\":[\"a new thing\"]");
    expect(requires, &[K::UnknownFormat], &[K::UnknownFormat]);
    expect(replace("\"requires\"", " \"requires\""), &[K::BadManifest], &[K::BadManifest]);
    expect(replace("\"requires\":[],", ""), &[K::BadManifest], &[K::BadManifest]);
    let other = replace("absent-parents-00000.parquet\",\"role", "absent-parents-00001.parquet\",\"role");
    expect(other, &[K::BadManifest], &[K::BadManifest]);
}

#[test]
fn a_file_that_no_list_of_payload_names_is_found() {
    let drop_line = |path: &Path| {
        mend(path, |bytes| bytes);
        let name = path.join("manifest-sha256.txt");
        let list = fs::read_to_string(&name).unwrap();
        let rest: String = list.lines().filter(|line| !line.ends_with(PART)).map(|line| format!("{line}\n")).collect();
        fs::write(&name, &rest).unwrap();
        let tags = path.join("tagmanifest-sha256.txt");
        let old = fs::read_to_string(&tags).unwrap();
        fs::write(
            &tags,
            old.replace(&Sha256::of(list.as_bytes()).to_string(), &Sha256::of(rest.as_bytes()).to_string()),
        )
        .unwrap();
    };
    expect(drop_line, &[K::ExtraFile, K::ListsDisagree], &[K::ExtraFile, K::ListsDisagree]);
}

#[test]
fn no_part_makes_the_process_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made { rows_in_group: 4, ..Made::sample() }.write(folder.path());
    let part = path.join(PART);
    let good = fs::read(&part).unwrap();
    let mut bad = 0;
    // Every 67th byte, which meets pages, their headers, the footer and its length.
    for at in (0..good.len()).step_by(67).chain(good.len() - 12..good.len()) {
        for bit in [0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            fs::write(&part, bytes).unwrap();
            mend(&path, |bytes| bytes);
            let report = |threads| {
                verify_with(&path, &VerifyOptions { threads, ..VerifyOptions::new(VerifyLevel::Deep) }, &Silent)
                    .unwrap()
            };
            let one_by_one = report(1);
            assert_eq!(report(3), one_by_one, "byte {at}, bit {bit}");
            bad += usize::from(!one_by_one.is_good());
        }
    }
    assert!(bad > 0);
    fs::write(&part, b"PAR1 and no more").unwrap();
    mend(&path, |bytes| bytes);
    assert_eq!(found(&path, VerifyLevel::Default), BTreeSet::from([K::BadPart]));
}
