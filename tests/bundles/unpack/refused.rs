//! What is refused, and what is left then.

use super::made::{Content, Row, key};
use super::{Place, TABLE, files};
use blobdelta::bundle::Bundle;
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::monitor::Silent;
use blobdelta::unpack::{Filter, UnpackOptions};
use std::fs;
use std::path::{Path, PathBuf};

fn kind(place: &Place, bundles: &[PathBuf], options: &UnpackOptions) -> Kind {
    place.unpack(bundles, options).unwrap_err().kind()
}

fn change(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_part_writes_nothing_at_all() {
    let place = Place::new();
    let bundle = [place.bundle(1, &[Row::file(1, None, "a", b"a")], &[])];
    change(&bundle[0].join("data/t001-Files/part-00000.parquet"));
    assert_eq!(kind(&place, &bundle, &UnpackOptions::new(place.out())), Kind::Verification);
    assert!(!place.out().exists());
}

#[test]
fn a_damaged_value_leaves_what_is_right_and_nothing_of_itself() {
    let blob = |content| Row { content, ..Row::file(2, None, "b", b"") };
    for content in [Content::Blob(vec![5; 9000]), Content::WrongBlob(vec![5; 9000])] {
        let place = Place::new();
        let is_wrong = matches!(content, Content::WrongBlob(_));
        let bundle = [place.bundle(1, &[Row::file(1, None, "a", b"a"), blob(content)], &[])];
        if !is_wrong {
            let folder = bundle[0].join("data/t001-Files/blob");
            change(&fs::read_dir(folder).unwrap().next().unwrap().unwrap().path());
        }
        let error = place.unpack(&bundle, &UnpackOptions::new(place.out())).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification, "{error}");
        assert_eq!(error.place().key, Some(key(2).to_string()));
        assert_eq!(files(&place.out()), [(format!("{TABLE}/a"), b"a".to_vec())].into());
    }
}

#[test]
fn the_folder_is_new_or_empty_and_no_link() {
    let place = Place::new();
    let bundle = [place.bundle(1, &[Row::file(1, None, "a", b"a")], &[])];
    let options = UnpackOptions::new(place.out());
    fs::create_dir(place.out()).unwrap();
    fs::write(place.out().join("mine"), "x").unwrap();
    assert_eq!(kind(&place, &bundle, &options), Kind::Usage);
    fs::remove_file(place.out().join("mine")).unwrap();
    place.unpack(&bundle, &options).unwrap();
    assert_eq!(kind(&place, &bundle, &options), Kind::Usage);
    #[cfg(unix)]
    {
        let elsewhere = tempfile::tempdir().unwrap();
        fs::remove_dir_all(place.out()).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), place.out()).unwrap();
        assert_eq!(kind(&place, &bundle, &options), Kind::Usage);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        fs::remove_file(place.out()).unwrap();
    }
    let nowhere = UnpackOptions::new(place.out().join("a/b"));
    assert_eq!(kind(&place, &bundle, &nowhere), Kind::Usage);
}

#[test]
fn what_is_not_there_is_a_wrong_argument() {
    let place = Place::new();
    let one = place.bundle(1, &[Row::file(1, None, "a", b"a")], &[]);
    let two = place.bundle(2, &[], &[(1, 99)]);
    let options = || UnpackOptions::new(place.out());
    let refused = |options: UnpackOptions| assert_eq!(kind(&place, std::slice::from_ref(&one), &options), Kind::Usage);
    refused(UnpackOptions { key: Some(key(9).to_string()), ..options() });
    refused(UnpackOptions { name_column: Some("no".into()), ..options() });
    refused(UnpackOptions { name_column: Some("notes".into()), ..options() });
    refused(UnpackOptions { blob_column: Some("name".into()), ..options() });
    refused(UnpackOptions { filters: vec![Filter::parse("no~x").unwrap()], ..options() });
    refused(UnpackOptions { table: Some(blobdelta::model::name::TableName::new("a", "b", "c").unwrap()), ..options() });
    assert!(Filter::parse("name").is_err() && Filter::parse("~x").is_err());
    let both = [one, two];
    assert_eq!(kind(&place, &both, &options()), Kind::Usage);
    assert_eq!(kind(&place, &[], &options()), Kind::Usage);
    // Deleted after all.
    assert_eq!(
        kind(&place, &both, &UnpackOptions { latest: true, key: Some(key(1).to_string()), ..options() }),
        Kind::Usage
    );
    assert!(!place.out().exists());
}

/// A bundle that is missing between others may hold the deletion, or the later version, of a row.
#[test]
fn the_latest_is_not_taken_over_a_gap_unless_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let mut previous = None;
    let bundles: Vec<PathBuf> = (1..4_u8)
        .map(|run| {
            let start = i64::from(run) * 100;
            let mut made = crate::verify::made::Made::new(run, 1000 * i64::from(run), (start, start + 100));
            made.rows = vec![crate::verify::made::Row::root(run, Some(start), &[run])];
            made.previous = previous;
            let path = made.write(folder.path());
            previous = Some(Bundle::open(&path).unwrap().root_sha256());
            path
        })
        .collect();
    let unpack = |bundles: &[PathBuf], out: &str, allow_gap: bool| {
        let options = UnpackOptions { latest: true, allow_gap, ..UnpackOptions::new(folder.path().join(out)) };
        blobdelta::unpack::unpack(bundles, &options, &Local, &Silent, &mut |_| {})
    };
    let ends = [bundles[0].clone(), bundles[2].clone()];
    let error = unpack(&ends, "refused", false).unwrap_err();
    assert_eq!(error.kind(), Kind::ChainGap, "{error}");
    assert!(!folder.path().join("refused").exists());
    assert_eq!(unpack(&ends, "allowed", true).unwrap().files, 2);
    assert_eq!(unpack(&bundles, "whole", false).unwrap().files, 3);
    assert_eq!(unpack(&bundles[1..], "later", false).unwrap().files, 2, "a chain may begin anywhere");
}
