//! The bundle that is damaged: the signed one of `fixtures/bundles`, with a column of nearly every type.

use crate::damage::tally;
use blobdelta::bundle::checksums::Checksum;
use blobdelta::bundle::signature::AllowedSigners;
use blobdelta::bundle::{Policy, list};
use blobdelta::durable::Local;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use blobdelta::verify::{FindingKind, FindingSeverity, VerifyLevel, VerifyOptions, verify_with};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const TAG_LIST: &str = "tagmanifest-sha256.txt";
pub const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
pub const PAYLOAD_LIST: &str = "manifest-sha256.txt";
pub const MANIFEST: &str = "manifest.json";

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/v1")
}

/// A fixture whose name ends so; the last, if there are several.
pub fn fixture(end: &str) -> PathBuf {
    let paths = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    paths.sort();
    paths.pop().unwrap()
}

/// Verification that asks for the signature, or does not.
pub fn options(is_signed: bool) -> VerifyOptions {
    let mut options = VerifyOptions::new(VerifyLevel::Default);
    if is_signed {
        let signers = fs::read(fixtures().join("allowed_signers")).unwrap();
        let policy = Policy { signers: Some(AllowedSigners::parse(&signers).unwrap()), ..Policy::default() };
        options.access.policy = Arc::new(policy);
    }
    options
}

/// A copy of the bundle, to be damaged.
pub struct Copy {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Copy {
    pub fn new() -> Self {
        Self::of(&fixture("b95128bb-1.bundle"))
    }

    pub fn of(bundle: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(bundle.file_name().unwrap());
        for (file, bytes) in files(bundle) {
            fs::create_dir_all(path.join(&file).parent().unwrap()).unwrap();
            fs::write(path.join(file), bytes).unwrap();
        }
        Self { _folder: folder, path }
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path.join(file)).unwrap()
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path.join(file), bytes).unwrap();
    }

    /// Changes the bytes of a file.
    pub fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.read(file);
        change(&mut bytes);
        self.write(file, bytes);
    }

    /// Makes the list of tag files fit them, as somebody without the key can.
    pub fn mend_tags(&self) {
        let tags = files(&self.path).into_iter().filter(|(path, _)| !path.starts_with("data/") && path != TAG_LIST);
        let lines = tags.filter(|(path, _)| path != SIGNATURE).map(|(path, bytes)| line(&path, &bytes));
        self.write(TAG_LIST, lines.collect::<String>());
    }

    /// What a verification that asks for the signature says, or one that does not.
    pub fn found(&self, is_signed: bool) -> BTreeSet<FindingKind> {
        found(&self.path, is_signed)
    }
}

pub fn found(path: &Path, is_signed: bool) -> BTreeSet<FindingKind> {
    let report = verify_with(path, &options(is_signed), &Silent).unwrap();
    report
        .findings
        .iter()
        .filter(|finding| finding.severity == FindingSeverity::Error)
        .map(|finding| finding.kind)
        .collect()
}

/// Tries one change on a fresh copy, and holds what is found against what is due.
pub fn expect(class: &str, what: &str, is_signed: bool, change: impl FnOnce(&Copy), due: &[FindingKind]) {
    let copy = Copy::new();
    change(&copy);
    let found = copy.found(is_signed);
    tally(class, !found.is_empty());
    assert_eq!(found, due.iter().copied().collect(), "{class}: {what}");
}

pub fn line(path: &str, bytes: &[u8]) -> String {
    let line = Checksum { path: path.to_owned(), sha256: Sha256::of(bytes) };
    format!("{}  {}\n", line.sha256, line.path)
}

/// Every file of a bundle's folder, in the order of paths.
pub fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = list(&Local, root).unwrap().into_iter().filter(|entry| root.join(&entry.path).is_file());
    entries.map(|entry| (entry.path.clone(), fs::read(root.join(&entry.path)).unwrap())).collect()
}
