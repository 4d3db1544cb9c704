//! The archive form: one for each bundle, read as the folder is, and refused in any other form.

use super::made::Made;
use blobdelta::bundle::{Access, Bundle, Identities, PublishForm, Recipients, archive, extract, list};
use blobdelta::durable::Local;
use blobdelta::monitor::Silent;
use blobdelta::verify::{FindingKind as K, VerifyLevel, VerifyOptions, VerifyReport, verify, verify_with};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn made() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Made::sample().write(folder.path());
    let opened = Bundle::open(&bundle).unwrap();
    let archive = archive(&opened, &Local, folder.path(), None, &Silent).unwrap().path().to_owned();
    (folder, bundle, archive)
}

fn kinds(report: &VerifyReport) -> BTreeSet<K> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

fn found(path: &Path) -> BTreeSet<K> {
    kinds(&verify(path, VerifyLevel::Deep, &Silent).unwrap())
}

/// The files of a folder with their bytes.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = list(&Local, root).unwrap().into_iter().filter(|entry| root.join(&entry.path).is_file());
    entries.map(|entry| (entry.path.clone(), fs::read(root.join(&entry.path)).unwrap())).collect()
}

#[test]
fn an_archive_is_read_as_its_folder_is() {
    let (folder, bundle, archive) = made();
    assert_eq!(archive, bundle.with_extension("bundle.tar"));
    for level in [VerifyLevel::Quick, VerifyLevel::Default, VerifyLevel::Deep] {
        let (a, b) = (verify(&bundle, level, &Silent).unwrap(), verify(&archive, level, &Silent).unwrap());
        assert!(b.is_good(), "{b:?}");
        assert_eq!(a, b);
    }
    let (a, b) = (Bundle::open(&bundle).unwrap(), Bundle::open(&archive).unwrap());
    assert_eq!((a.root_sha256(), a.manifest()), (b.root_sha256(), b.manifest()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let extracted = extract(&b, &Local, &out, &Silent).unwrap();
    assert_eq!(files(&bundle), files(extracted.path()));
    assert!(!extracted.adopted());
    assert!(extract(&b, &Local, &out, &Silent).unwrap().adopted());
}

#[test]
fn one_bundle_has_one_archive() {
    let (folder, bundle, first) = made();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let opened = Bundle::open(&first).unwrap();
    let again = archive(&opened, &Local, &out, None, &Silent).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(again.path()).unwrap());
    assert!(archive(&opened, &Local, &out, None, &Silent).unwrap().adopted());
    // A foreign file under the name is left as it is.
    fs::write(again.path(), "foreign").unwrap();
    let refused = archive(&opened, &Local, &out, None, &Silent).unwrap_err();
    assert!(refused.to_string().contains("something foreign stands under the bundle's name"), "{refused}");
    assert_eq!(fs::read(again.path()).unwrap(), b"foreign");
    // Nothing of a failed one stays.
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    fs::write(bundle.join("data/t001-Files/part-00000.parquet"), "changed").unwrap();
    let spoiled = Bundle::open(&bundle).unwrap();
    fs::remove_file(again.path()).unwrap();
    assert!(archive(&spoiled, &Local, &out, None, &Silent).is_err());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn every_byte_of_an_archive_counts() {
    let (_folder, _, archive) = made();
    let good = fs::read(&archive).unwrap();
    let change = |what: &str, bytes: &[u8]| {
        fs::write(&archive, bytes).unwrap();
        let found = found(&archive);
        assert!(!found.is_empty(), "{what}");
        found
    };
    for at in (0..good.len()).step_by(97).chain(0..512).chain(good.len() - 1100..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        change(&format!("byte {at}"), &bytes);
    }
    for length in (0..good.len()).step_by(512).chain([good.len() - 1]) {
        let found = change(&format!("cut at {length}"), &good[..length]);
        assert_eq!(found, BTreeSet::from([K::BadArchive]), "cut at {length}");
    }
    for more in [1, 512, 1024, 10240] {
        let longer = [good.as_slice(), &vec![0; more]].concat();
        assert_eq!(change(&format!("{more} more"), &longer), BTreeSet::from([K::BadArchive]));
    }
}

#[test]
fn an_archive_of_another_program_is_refused() {
    let (folder, _, archive) = made();
    let other = folder.path().join("other.tar");
    // The first header as GNU tar writes it: with other magic, and the checksum that fits.
    let mut bytes = fs::read(&archive).unwrap();
    bytes[257..265].copy_from_slice(b"ustar  \0");
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fs::write(&other, bytes).unwrap();
    assert_eq!(found(&other), BTreeSet::from([K::BadArchive]));
    fs::write(&other, "no archive at all").unwrap();
    assert_eq!(found(&other), BTreeSet::from([K::BadArchive]));
}

#[test]
fn attack_a_bundle_under_the_name_of_another_is_refused() {
    let (folder, bundle, archive) = made();
    let later = folder.path().join("20301122T180000Z-1b4e28ba-1.bundle");
    fs::rename(&bundle, &later).unwrap();
    assert_eq!(found(&later), BTreeSet::from([K::WrongName]));
    let copy = folder.path().join("my copy");
    fs::rename(&later, &copy).unwrap();
    assert_eq!(found(&copy), BTreeSet::new());
    // An archive says its bundle's name inside; the file may be called anything.
    fs::rename(&archive, folder.path().join("x")).unwrap();
    assert_eq!(found(&folder.path().join("x")), BTreeSet::new());
}

#[test]
fn an_encrypted_archive_opens_for_its_recipients_alone() {
    let (folder, bundle, archive) = made();
    let key = age::x25519::Identity::generate();
    let write = |name: &str, key: &age::x25519::Identity| {
        let path = folder.path().join(name);
        let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
        fs::write(&path, format!("# a comment\n{secret}\n")).unwrap();
        path
    };
    let own = Identities::read(&[write("own", &key)]).unwrap();
    let other = Identities::read(&[write("other", &age::x25519::Identity::generate())]).unwrap();
    let recipients = Recipients::parse(&[key.to_public().to_string()]).unwrap();
    let opened = Bundle::open(&bundle).unwrap();
    let form = PublishForm::Encrypted(std::sync::Arc::new(recipients));
    let sealed = blobdelta::bundle::archive(&opened, &Local, folder.path(), form.recipients(), &Silent).unwrap();
    assert_eq!(sealed.path(), archive.with_extension("tar.age"));
    let none = Identities::default();
    let options = |identities: &Identities| VerifyOptions {
        access: Access { identities: identities.clone(), ..Access::default() },
        ..VerifyOptions::new(VerifyLevel::Deep)
    };
    let read = |identities| verify_with(sealed.path(), &options(identities), &Silent);
    assert_eq!(read(&own).unwrap(), verify(&bundle, VerifyLevel::Deep, &Silent).unwrap());
    assert!(read(&other).unwrap_err().to_string().contains("none of the identities opens this archive"));
    assert!(read(&none).unwrap_err().to_string().contains("this archive is encrypted"));
    // What stands there cannot be looked into, and is not overwritten.
    assert!(blobdelta::bundle::archive(&opened, &Local, folder.path(), form.recipients(), &Silent).is_err());
    let good = fs::read(sealed.path()).unwrap();
    for at in (0..good.len()).step_by(61) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(sealed.path(), &bytes).unwrap();
        assert!(read(&own).map_or(true, |report| !report.is_good()), "byte {at}");
    }
    for length in [0, 20, 200, good.len() / 2, good.len() - 1] {
        fs::write(sealed.path(), &good[..length]).unwrap();
        assert!(read(&own).map_or(true, |report| !report.is_good()), "cut at {length}");
    }
}

#[test]
fn keys_that_are_none_are_refused_without_telling_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for (text, what) in [("AGE-SECRET-KEY-1XYZ\n", "line 1 is not an identity"), ("# no key\n", "holds no identity")] {
        fs::write(&path, text).unwrap();
        let error = Identities::read(&[&path]).unwrap_err().to_string();
        assert!(error.contains(what) && !error.contains("XYZ"), "{error}");
    }
    for text in ["", "age1xyz", "ssh-ed25519 AAAA"] {
        assert!(Recipients::parse(&[text.into()]).is_err(), "{text}");
    }
    assert!(Recipients::parse(&[]).is_err());
}

/// Makes what fuzzing starts from; run by hand when the format gets more.
#[test]
#[ignore = "writes into fixtures/fuzz"]
fn make_what_fuzzing_starts_from() {
    let (_folder, bundle, archive) = made();
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz");
    let put = |target: &str, from: &Path| {
        fs::create_dir_all(fuzz.join(target)).unwrap();
        fs::copy(from, fuzz.join(target).join("good")).unwrap();
    };
    put("manifest", &bundle.join("manifest.json"));
    put("checksums", &bundle.join("manifest-sha256.txt"));
    put("archive", &archive);
    put("part", &bundle.join("data/t001-Files/part-00000.parquet"));
}
