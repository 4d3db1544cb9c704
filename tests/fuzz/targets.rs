//! What is fuzzed: each takes any bytes, and must neither panic, nor take much memory or time, nor
//! take for good what is not in its one form.

#![allow(dead_code, reason = "each program that is fuzzed calls one of them")]

use blobdelta::bundle::checksums;
use blobdelta::bundle::{Access, Bundle, Container, Manifest, list};
use blobdelta::durable::Local;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use blobdelta::store::{Answers, HttpAnswer, Location, Store, Upload, UploadWatch, answered};
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
        let _ = verify(&path, VerifyLevel::Deep, &Silent);
    }
}

/// A part with rows, behind hashes that fit it.
pub fn part(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let bundle = folder.path().join("bundle");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(part_bundle()), &bundle);
    std::fs::write(bundle.join("data/t001-Files/part-00000.parquet"), bytes).expect("a file can be written");
    mend(&bundle);
    let _ = verify(&bundle, VerifyLevel::Deep, &Silent);
}

/// What a store answers: `s`, `a` or `g` for whose it is, a letter for what is done, and answers with a NUL between them,
/// each a status, lines of headers, an empty line and a body. The last one is given again and again.
pub fn answer(bytes: &[u8]) {
    let (Some(&whose), Some(&what)) = (bytes.first(), bytes.get(1)) else { return };
    let place = match whose {
        b'a' => "az://box/weekly",
        b'g' => "gs://box/weekly",
        _ => "s3://box/weekly",
    };
    let answers = bytes[2..].split(|byte| *byte == 0).map(one_answer).collect();
    let place = Location::parse(place).expect("a place");
    let store = answered(&place, Arc::new(Said(Mutex::new(answers)))).expect("a store");
    if let Err(error) = ask(store.as_ref(), what) {
        let reported = format!("{error} {:?}", error.what_to_do());
        assert!(reported.len() < 4_000 && !reported.chars().any(|letter| letter.is_control()), "{reported:?}");
    }
}

fn one_answer(text: &[u8]) -> HttpAnswer {
    let (head, body) = match text.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&text[..end], &text[end + 2..]),
        None => (text, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse().ok()).unwrap_or(200);
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()))
    };
    HttpAnswer { status, headers: lines.filter_map(header).collect(), body: body.to_vec() }
}

/// Answers that wait to be given.
#[derive(Debug)]
struct Said(Mutex<VecDeque<HttpAnswer>>);

impl Answers for Said {
    fn answer(&self, _: &str, _: &str) -> HttpAnswer {
        let mut left = self.0.lock().expect("nobody panicked");
        if left.len() > 1 { left.pop_front() } else { left.front().cloned() }.unwrap_or_default()
    }
}

/// Asks a store for something, and holds what it gives against what the trait promises.
fn ask(store: &dyn Store, what: u8) -> blobdelta::error::Result<()> {
    const NAME: &str = "20261122T180000Z-1b4e28ba-1.bundle";
    let is_path = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let mut content: &[u8] = b"content";
    let sha256 = Sha256::of(content);
    match what {
        b'l' => {
            let all = store.list(NAME)?;
            assert!(all.iter().all(|one| one.path.starts_with(&format!("{NAME}/")) && is_path(&one.path)), "{all:?}");
            assert!(all.windows(2).all(|two| two[0].path < two[1].path), "{all:?}");
        }
        b'h' => drop(store.head(NAME)?),
        b'r' => assert!(store.read(NAME, 10, 20)?.len() <= 20),
        b'g' => assert!(store.get(NAME, 64)?.is_none_or(|bytes| bytes.len() <= 64)),
        b'c' => drop(store.create(NAME, content)?),
        b'p' => store.replace(NAME, content)?,
        b'u' => {
            let bytes = content.len() as u64;
            store.upload(Upload { path: NAME, bytes, sha256, replaces: false, source: &mut content }, &mut Deaf)?;
        }
        b'm' => {
            let sent = Upload { path: NAME, bytes: 9 << 20, sha256, replaces: false, source: &mut content };
            assert!(store.upload(sent, &mut Deaf).is_err(), "what was sent is shorter");
        }
        b'a' => store.abort(NAME, "upload")?,
        b'd' => store.delete(NAME)?,
        _ => {
            let all = store.names("")?;
            assert!(all.iter().all(|one| !one.path.contains('/') && is_path(&one.path)), "{all:?}");
            assert!(all.windows(2).all(|two| two[0].path < two[1].path), "{all:?}");
        }
    }
    Ok(())
}

/// Hears of uploads.
struct Deaf;

impl UploadWatch for Deaf {
    fn begun(&mut self, _: &str, _: &str) -> blobdelta::error::Result<()> {
        Ok(())
    }

    fn sent(&mut self, _: u64) -> blobdelta::error::Result<()> {
        Ok(())
    }
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
