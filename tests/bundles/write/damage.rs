//! A bundle that was changed, truncated, mixed up or made by somebody else is refused, with the
//! reason.

use super::sample::publish;
use blobdelta::bundle::{Bundle, Manifest, PartRead, list};
use blobdelta::durable::Local;
use blobdelta::error::{Kind, Result};
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use std::fs;
use std::path::{Path, PathBuf};

const PART: &str = "data/t001-Referral-Attachment/part-00000.parquet";

fn bundle() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = publish(&Local, folder.path()).unwrap().path().to_owned();
    (folder, path)
}

/// Everything that can be read of a bundle.
fn read_all(path: &Path) -> Result<()> {
    let bundle = Bundle::open(path)?;
    bundle.check_file_set()?;
    for file in bundle.manifest().tables.iter().flat_map(|table| &table.files) {
        let checked = bundle.check_file(file, &Silent)?;
        if file.content_bytes.is_some() {
            bundle.read_blob(file, 1 << 20, &Silent)?;
        } else {
            bundle.open_part(checked, &PartRead::default())?.try_for_each(|batch| batch.map(drop))?;
        }
    }
    Ok(())
}

#[test]
fn every_change_of_every_file_is_found() {
    let (_folder, path) = bundle();
    read_all(&path).unwrap();
    let files: Vec<_> =
        list(&Local, &path).unwrap().into_iter().filter(|entry| path.join(&entry.path).is_file()).collect();
    for file in files {
        let full = path.join(&file.path);
        let whole = fs::read(&full).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x20;
        let longer = [whole.as_slice(), b"\n"].concat();
        for damaged in [flipped, longer, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            fs::write(&full, damaged).unwrap();
            // The root digest itself is for a signature or a chain to hold; everything below
            // the list of tag files is held by it.
            let error = read_all(&path).expect_err(&file.path);
            assert_eq!(error.kind(), Kind::Verification, "{error}");
        }
        fs::remove_file(&full).unwrap();
        assert_eq!(read_all(&path).expect_err(&file.path).kind(), Kind::Verification);
        fs::write(&full, whole).unwrap();
    }
    read_all(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn attack_links_and_strangers_are_refused() {
    let (folder, path) = bundle();
    let part = path.join(PART);
    let outside = folder.path().join("outside");
    fs::rename(&part, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &part).unwrap();
    let opened = Bundle::open(&path).unwrap();
    let info = opened.file_info(PART).unwrap().clone();
    assert!(opened.check_file(&info, &Silent).is_err(), "a link to the right bytes is a link still");
    assert!(opened.check_file_set().is_err());
    fs::remove_file(&part).unwrap();
    fs::rename(&outside, &part).unwrap();
    assert!(opened.check_file(&info, &Silent).is_ok());

    let dir = part.parent().unwrap();
    let moved = folder.path().join("moved");
    fs::rename(dir, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, dir).unwrap();
    assert!(opened.check_file(&info, &Silent).is_err(), "a folder that is a link");
    fs::remove_file(dir).unwrap();
    fs::rename(&moved, dir).unwrap();

    fs::create_dir(path.join("data/empty")).unwrap();
    assert!(opened.check_file_set().is_err(), "an empty folder more");
    fs::remove_dir(path.join("data/empty")).unwrap();
    fs::write(path.join("tagmanifest-sha256.txt.sig"), "a signature").unwrap();
    opened.check_file_set().unwrap();
}

#[test]
fn attack_a_part_that_hides_behind_a_right_hash_is_refused() {
    let (_folder, path) = bundle();
    let bundle = Bundle::open(&path).unwrap();
    let info = bundle.file_info(PART).unwrap();
    let mut lying = info.clone();
    lying.rows = Some(4);
    let checked = bundle.check_file(&lying, &Silent).unwrap();
    assert!(bundle.open_part(checked, &PartRead::default()).is_err());
    fs::write(path.join(PART), "PAR1 is not all there is to it PAR1").unwrap();
    let bytes = fs::read(path.join(PART)).unwrap();
    (lying.bytes, lying.sha256) = (bytes.len() as u64, Sha256::of(&bytes));
    let checked = bundle.check_file(&lying, &Silent).unwrap();
    let error = bundle.open_part(checked, &PartRead::default()).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification);
}

#[test]
fn attack_a_blob_that_is_not_what_it_says_is_refused() {
    let (_folder, path) = bundle();
    let bundle = Bundle::open(&path).unwrap();
    let table = &bundle.manifest().tables[0];
    let info = table.files.iter().find(|file| file.content_bytes.is_some()).unwrap();
    let bytes = info.content_bytes.unwrap();
    for lie in [bytes - 1, bytes + 1] {
        let mut lying = info.clone();
        lying.content_bytes = Some(lie);
        assert!(bundle.read_blob(&lying, 1 << 20, &Silent).is_err(), "{lie}");
    }
    let other = zstd::encode_all(vec![0_u8; usize::try_from(bytes).unwrap()].as_slice(), 1).unwrap();
    fs::write(path.join(&info.path), &other).unwrap();
    let mut lying = info.clone();
    (lying.bytes, lying.sha256) = (other.len() as u64, Sha256::of(&other));
    let error = bundle.read_blob(&lying, 1 << 20, &Silent).unwrap_err();
    assert!(error.to_string().contains("not the one it is named by"), "{error}");
}

/// The manifest with one text replaced, read again.
fn with(from: &str, to: &str) -> blobdelta::error::Error {
    let (_folder, path) = bundle();
    let text = fs::read_to_string(path.join("manifest.json")).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    Manifest::from_bytes(text.replacen(from, to, 1).as_bytes()).expect_err(to)
}

#[test]
fn a_newer_format_says_what_it_needs() {
    let error = with("\"format_version\":\"1.0\"", "\"format_version\":\"2.3\"").to_string();
    assert!(error.contains("format version 2.3") && error.contains("reads format version 2"), "{error}");
    let error = with("\"requires\":[]", "\"requires\":[\"columns-in-rot13\"]").to_string();
    assert!(error.contains("requires \"columns-in-rot13\""), "{error}");
    let error =
        with("\"format\":\"https://blobdelta.dev/bundle/1\"", "\"format\":\"https://else.where/1\"").to_string();
    assert!(error.contains("not the manifest of a bundle"), "{error}");
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let lies = [
        ("\"folder\":\"t001-", "\"folder\":\"t002-"),
        ("\"interval\":\"[start,end)\"", "\"interval\":\"[start,end]\""),
        ("\"start\":\"0001", "\"start\":\"9999"),
        ("\"end\":\"2", "\"end\":\"9"),
        ("\"watermark_after\":\"2", "\"watermark_after\":\"9"),
        ("\"lag_only\":true", "\"lag_only\":false"),
        ("\"roots\":1", "\"roots\":2"),
        ("\"tombstones\":1", "\"tombstones\":9"),
        ("\"key_column\":\"stream_id\"", "\"key_column\":\"name\""),
        ("\"path_column\":\"path_locator\"", "\"path_column\":\"nobody\""),
        ("\"length\":255", "\"length\":254"),
        ("\"sql_type\":\"decimal(9,2)\"", "\"sql_type\":\"sql_variant\""),
        ("\"role\":\"blob\"", "\"role\":\"rows\""),
        ("part-00000", "part-00001"),
        ("/absent-parents-00000", "/../absent-parents-00000"),
        ("\"pack_number\":1", "\"pack_number\":0"),
        ("\"scope\":\"all\"", "\"scope\":\"ALL\""),
        ("\"run_id\":", "\"run_ID\":"),
    ];
    for (from, to) in lies {
        assert_eq!(with(from, to).kind(), Kind::Verification, "{to}");
    }
}

#[test]
fn fields_of_a_later_minor_are_ignored() {
    let (_folder, path) = bundle();
    let text = fs::read_to_string(path.join("manifest.json")).unwrap();
    let due = Manifest::from_bytes(text.as_bytes()).unwrap();
    let newer = text.replacen("{\"failed_tables\"", "{\"a_later_field\":[{\"x\":null}],\"failed_tables\"", 1);
    assert_ne!(newer, text);
    assert_eq!(Manifest::from_bytes(newer.as_bytes()).unwrap(), due);
}
