//! The frame of a bundle: lists of hashes, the exact set of files, tag files, the manifest,
//! sizes. Looks at everything that it still can after a finding, and parses nothing whose hash
//! is wrong.

use super::finding::{Finding, FindingKind as K, VerifyReport};
use super::trust;
use crate::bundle::checksums::{self, Checksum};
use crate::bundle::layout::{
    BAG_INFO_TXT, BAGIT_TXT, MANIFEST_JSON, PAYLOAD_LIST, PayloadPath, SIGNATURE, TAG_LIST, check_tag_path, is_payload,
    is_schema, what_is_foreign,
};
use crate::bundle::{BundleEntry, Container, FormatVersion, KNOWN_REQUIREMENTS, Manifest, makes};
use crate::durable::EntryKind;
use crate::error::Result;
use crate::model::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet};

/// No tag file is larger.
const MAX_TAG_BYTES: u64 = 64 << 20;

/// Checks the frame. Returns whether the bundle can be opened.
pub(super) fn check(container: &Container, report: &mut VerifyReport) -> Result<bool> {
    let entries = container.entries()?;
    let mut files = BTreeMap::new();
    for entry in &entries {
        match entry.kind {
            EntryKind::File => drop(files.insert(entry.path.as_str(), entry.bytes)),
            EntryKind::Folder => {}
            EntryKind::Other => report.add(Finding::new(
                K::LinkOrSpecialFile,
                Some(&entry.path),
                "a bundle holds regular files and folders alone",
            )),
        }
    }
    report.files = files.len() as u64;
    let frame = Frame { container, files };
    let Some(tag_list) = frame.read(TAG_LIST, K::NotABundle, report) else { return Ok(false) };
    report.root_sha256 = Some(Sha256::of(&tag_list));
    if !trust::check(container, &tag_list, frame.files.get(SIGNATURE).copied(), report) {
        return Ok(false);
    }
    let Some(tags) = parse_list(&tag_list, TAG_LIST, check_tag_path, report) else { return Ok(false) };
    let sound = frame.tag_files(&tags, report);
    let payload = sound
        .get(PAYLOAD_LIST)
        .and_then(|bytes| parse_list(bytes, PAYLOAD_LIST, |path| PayloadPath::parse(path).map(drop), report));
    let Some(payload) = payload else { return Ok(false) };
    frame.file_set(&entries, (&tags, &payload), report);
    let Some(manifest) = sound.get(MANIFEST_JSON).and_then(|bytes| parse_manifest(bytes, report)) else {
        return Ok(false);
    };
    if !trust::check_scope(container, &manifest, report) {
        return Ok(false);
    }
    if let Err(error) = container.check_clock(&manifest) {
        report.add(Finding::of(K::InTheFuture, Some(MANIFEST_JSON), &error));
        return Ok(false);
    }
    if let Err(error) = container.check_claims(&manifest) {
        report.add(Finding::of(K::WrongName, None, &error));
    }
    agree(&manifest, (&tags, &payload), report);
    frame.sizes(&manifest, report);
    frame.schemas(&manifest, report);
    let fatal = |finding: &Finding| match finding.kind {
        K::ListsDisagree | K::WrongSchema | K::BadDeclaration | K::ChangedTagFile | K::WrongName => true,
        // Without a payload file the others can still be looked at; without a tag file nothing.
        K::MissingFile | K::WrongSize | K::Unreadable => finding.file.as_deref().is_none_or(|file| !is_payload(file)),
        _ => false,
    };
    Ok(!report.findings.iter().any(fatal))
}

struct Frame<'a> {
    container: &'a Container,
    files: BTreeMap<&'a str, u64>,
}

impl Frame<'_> {
    /// A tag file; one that is not there is a finding of kind `absent`.
    fn read(&self, name: &str, absent: K, report: &mut VerifyReport) -> Option<Vec<u8>> {
        let Some(bytes) = self.files.get(name) else {
            report.add(Finding::new(absent, Some(name), "this file is missing"));
            return None;
        };
        if *bytes > MAX_TAG_BYTES {
            report.add(Finding::new(K::WrongSize, Some(name), format!("this file has {bytes} bytes, over 64 MiB")));
            return None;
        }
        match self.container.read(name, MAX_TAG_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                report.add(Finding::of(K::Unreadable, Some(name), &error));
                None
            }
        }
    }

    /// Texts in `schema/` whose hash is right, and that make another table, or do more.
    fn schemas(&self, manifest: &Manifest, report: &mut VerifyReport) {
        for table in &manifest.tables {
            let file = table.schema_file.as_str();
            let is_sound =
                self.files.contains_key(file) && !report.findings.iter().any(|one| one.file.as_deref() == Some(file));
            let Some(text) = is_sound.then(|| self.read(file, K::MissingFile, report)).flatten() else { continue };
            match makes(&text, table) {
                Ok(true) => {}
                Ok(false) => report.add(Finding::new(
                    K::WrongSchema,
                    Some(file),
                    "this is not the statement that makes the table of the manifest: do not run it",
                )),
                Err(error) => report.add(Finding::of(K::WrongSchema, Some(file), &error)),
            }
        }
    }

    /// The tag files whose bytes are those of the list; those of schemas are held against the manifest later.
    fn tag_files(&self, tags: &[Checksum], report: &mut VerifyReport) -> BTreeMap<String, Vec<u8>> {
        let mut sound = BTreeMap::new();
        for needed in [BAGIT_TXT, BAG_INFO_TXT, PAYLOAD_LIST, MANIFEST_JSON] {
            if !tags.iter().any(|line| line.path == needed) {
                report.add(Finding::new(
                    K::BadDeclaration,
                    Some(needed),
                    format!("{TAG_LIST} does not name this file"),
                ));
            }
        }
        for line in tags {
            let Some(bytes) = self.read(&line.path, K::MissingFile, report) else { continue };
            report.bytes += bytes.len() as u64;
            if Sha256::of(&bytes) != line.sha256 {
                report.add(Finding::new(K::ChangedTagFile, Some(&line.path), "its hash is not the one of the list"));
            } else if line.path == BAGIT_TXT && !bytes.starts_with(b"BagIt-Version: 1.0\n") {
                report.add(Finding::new(K::BadDeclaration, Some(BAGIT_TXT), "not the declaration of BagIt 1.0"));
            } else if !is_schema(&line.path) {
                sound.insert(line.path.clone(), bytes);
            }
        }
        sound
    }

    fn file_set(
        &self,
        entries: &[BundleEntry],
        (tags, payload): (&[Checksum], &[Checksum]),
        report: &mut VerifyReport,
    ) {
        let known: BTreeSet<&str> =
            tags.iter().chain(payload).map(|line| line.path.as_str()).chain([TAG_LIST, SIGNATURE]).collect();
        let folders: BTreeSet<&str> = known.iter().flat_map(|path| parents(path)).collect();
        for entry in entries {
            let is_known = match entry.kind {
                EntryKind::Folder => folders.contains(entry.path.as_str()),
                EntryKind::File => known.contains(entry.path.as_str()),
                EntryKind::Other => true,
            };
            if !is_known {
                report.add(Finding::new(K::ExtraFile, Some(&entry.path), what_is_foreign(&entry.path)));
            }
        }
        for line in payload {
            if !self.files.contains_key(line.path.as_str()) {
                report.add(Finding::new(K::MissingFile, Some(&line.path), "a list of the bundle names it"));
            }
        }
    }

    fn sizes(&self, manifest: &Manifest, report: &mut VerifyReport) {
        for file in manifest.tables.iter().flat_map(|table| &table.files) {
            if let Some(found) = self.files.get(file.path.as_str()).filter(|found| **found != file.bytes) {
                let detail = format!("{found} bytes, where the manifest says {}", file.bytes);
                report.add(Finding::new(K::WrongSize, Some(&file.path), detail));
            }
        }
    }
}

/// The folders that a path lies in.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn parse_list(
    bytes: &[u8],
    name: &str,
    check: impl Fn(&str) -> Result<()>,
    report: &mut VerifyReport,
) -> Option<Vec<Checksum>> {
    checksums::parse(bytes, check).map_err(|error| report.add(Finding::of(K::BadList, Some(name), &error))).ok()
}

fn parse_manifest(bytes: &[u8], report: &mut VerifyReport) -> Option<Manifest> {
    let error = match Manifest::from_bytes(bytes) {
        Ok(manifest) => return Some(manifest),
        Err(error) => error,
    };
    // Its hash is right, so it is as it was written: by a newer program, or by a wrong one.
    let kind = if is_of_another_format(bytes) { K::UnknownFormat } else { K::BadManifest };
    report.add(Finding::of(kind, Some(MANIFEST_JSON), &error));
    None
}

fn is_of_another_format(bytes: &[u8]) -> bool {
    let Ok(tree) = serde_json::from_slice::<serde_json::Value>(bytes) else { return false };
    let version = tree.get("format_version").and_then(|version| version.as_str());
    let version = version.and_then(|version| FormatVersion::try_from(version.to_owned()).ok());
    let is_other = version.is_some_and(|version| version.check_readable_by(FormatVersion::CURRENT).is_err());
    let requires = tree.get("requires").and_then(|requires| requires.as_array());
    let is_unknown =
        |entry: &serde_json::Value| !entry.as_str().is_some_and(|entry| KNOWN_REQUIREMENTS.contains(&entry));
    is_other || requires.is_some_and(|requires| requires.iter().any(is_unknown))
}

fn agree(manifest: &Manifest, (tags, payload): (&[Checksum], &[Checksum]), report: &mut VerifyReport) {
    let named: BTreeMap<&str, Sha256> =
        manifest.tables.iter().flat_map(|table| &table.files).map(|file| (file.path.as_str(), file.sha256)).collect();
    let listed: BTreeMap<&str, Sha256> = payload.iter().map(|line| (line.path.as_str(), line.sha256)).collect();
    for path in named.keys().chain(listed.keys()).collect::<BTreeSet<_>>() {
        if named.get(*path) != listed.get(*path) {
            let detail = format!("{MANIFEST_JSON} and {PAYLOAD_LIST} do not say the same of it");
            report.add(Finding::new(K::ListsDisagree, Some(path), detail));
        }
    }
    let schemas: BTreeSet<&str> = manifest.tables.iter().map(|table| table.schema_file.as_str()).collect();
    let tagged: BTreeSet<&str> = tags.iter().map(|line| line.path.as_str()).filter(|path| is_schema(path)).collect();
    for path in schemas.symmetric_difference(&tagged) {
        let detail = format!("{MANIFEST_JSON} and {TAG_LIST} do not say the same of it");
        report.add(Finding::new(K::ListsDisagree, Some(path), detail));
    }
}
