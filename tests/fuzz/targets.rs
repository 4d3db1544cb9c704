//! What is fuzzed: each takes any bytes, and must neither panic, nor take much memory or time, nor
//! take for good what is not in its one form.

#![allow(dead_code, reason = "each program that is fuzzed calls one of them")]

use blobdelta::bundle::checksums;
use blobdelta::bundle::{Access, Bundle, Container, Manifest, list};
use blobdelta::durable::Local;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use blobdelta::verify::{Level, verify};
use std::path::Path;

/// manifest.json: what is read is written as the same bytes, or was of a later minor version.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::from_bytes(bytes) {
        let again = manifest.to_bytes().expect("what was read can be written");
        assert_eq!(Manifest::from_bytes(&again).expect("what was written can be read"), manifest);
    }
}

/// A list of hashes: it has one form.
pub fn checksums(bytes: &[u8]) {
    if let Ok(lines) = checksums::parse(bytes, |_| Ok(())) {
        let again: String = lines.iter().map(|line| format!("{}  {}\n", line.sha256, line.path)).collect();
        assert_eq!(again.as_bytes(), bytes);
    }
}

/// An archive: its headers, and then everything that a verification reads of it.
pub fn archive(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("archive");
    std::fs::write(&path, bytes).expect("a file can be written");
    if let Ok(container) = Container::open(&path, &Access::default()) {
        let size: u64 = container.entries().expect("an archive lists its files").iter().map(|entry| entry.bytes).sum();
        assert!(size < bytes.len() as u64, "a file lies in another");
        let _ = Bundle::open_in(container);
        let _ = verify(&path, Level::Deep, &Silent);
    }
}

/// A part with rows, behind hashes that fit it.
pub fn part(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let bundle = folder.path().join("bundle");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(part_bundle()), &bundle);
    std::fs::write(bundle.join("data/t001-Files/part-00000.parquet"), bytes).expect("a file can be written");
    mend(&bundle);
    let _ = verify(&bundle, Level::Deep, &Silent);
}

/// A bundle of format 1, from this package or from the one of the library.
fn part_bundle() -> &'static str {
    match env!("CARGO_PKG_NAME") {
        "blobdelta" => "fixtures/bundles/v1/00010101T000000Z-01010101-1.bundle",
        _ => "../../fixtures/bundles/v1/00010101T000000Z-01010101-1.bundle",
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in list(&Local, from).expect("the fixture can be listed") {
        let (source, target) = (from.join(&entry.path), to.join(&entry.path));
        if source.is_file() {
            std::fs::create_dir_all(target.parent().expect("a file lies in a folder")).expect("a folder can be made");
            std::fs::copy(source, target).expect("a file can be copied");
        }
    }
}

/// Makes the hashes of a bundle with one table fit its files.
pub fn mend(bundle: &Path) {
    let read = |name: &str| std::fs::read(bundle.join(name)).expect("a file of the bundle can be read");
    let write = |name: &str, text: &[u8]| std::fs::write(bundle.join(name), text).expect("a file can be written");
    let mut manifest = Manifest::from_bytes(&read("manifest.json")).expect("the manifest was good");
    let mut payload = String::new();
    for file in &mut manifest.tables[0].files {
        let bytes = read(&file.path);
        (file.bytes, file.sha256) = (bytes.len() as u64, Sha256::of(&bytes));
        payload += &format!("{}  {}\n", file.sha256, file.path);
    }
    write("manifest-sha256.txt", payload.as_bytes());
    write("manifest.json", &manifest.to_bytes().expect("the manifest can be written"));
    let tags = checksums::parse(&read("tagmanifest-sha256.txt"), |_| Ok(())).expect("the list was good");
    let line = |tag: &checksums::Checksum| format!("{}  {}\n", Sha256::of(&read(&tag.path)), tag.path);
    write("tagmanifest-sha256.txt", tags.iter().map(line).collect::<String>().as_bytes());
}
