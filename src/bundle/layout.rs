//! Names and paths of a bundle: made here, and checked here when they come from outside.
//!
//! A path in a bundle is one of a few shapes and nothing else, so that no path that was let
//! through can leave the bundle's folder, whatever the system that opens it makes of `..`,
//! back-slashes, upper case or names of devices.

use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::fmt;

/// The declaration of BagIt.
pub const BAGIT_TXT: &str = "bagit.txt";
/// The whole of [`BAGIT_TXT`] (RFC 8493, section 2.1.1).
pub const BAGIT_DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
/// The bag's description.
pub const BAG_INFO_TXT: &str = "bag-info.txt";
/// The authority on what the bundle holds.
pub const MANIFEST_JSON: &str = "manifest.json";
/// The hashes of everything under `data/`.
pub const PAYLOAD_LIST: &str = "manifest-sha256.txt";
/// The hashes of every other file; its own hash is the root digest.
pub const TAG_LIST: &str = "tagmanifest-sha256.txt";
/// The optional signature of [`TAG_LIST`].
pub const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
/// The end of a bundle's name.
pub const BUNDLE_SUFFIX: &str = ".bundle";
/// What follows in the name of an archive.
pub const ARCHIVE_SUFFIX: &str = ".tar";
/// What follows in that of an encrypted one.
pub const ENCRYPTED_SUFFIX: &str = ".age";
/// Beside a bundle at a destination: the end of the name of the object that says that it is whole.
pub const MARKER_SUFFIX: &str = ".complete";
/// Of the one that says who is shipping it.
pub const CLAIM_SUFFIX: &str = ".shipping";
/// Within the name of the one that says that it is being removed.
pub const NOTE_INFIX: &str = ".pruning-";

const DATA_FOLDER: &str = "data/";
const SCHEMA_FOLDER: &str = "schema/";
const BLOB_FOLDER: &str = "blob/";
const BLOB_SUFFIX: &str = ".zst";
const PART_SUFFIX: &str = ".parquet";

const MAX_SLUG_BYTES: usize = 40;
const MAX_TABLES: u32 = 999_999;
const MAX_PARTS: u32 = 99_999;

/// `20261122T180000Z-1b4e28ba-1.bundle`: when the run started (UTC), the first eight digits of
/// its id, and the number of the pack, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleName(String);

impl BundleName {
    /// The name of the n-th pack of a run.
    pub fn new(run_started_at_utc: Timestamp, run_id: Guid, pack_number: u32) -> Self {
        let (started, run) = (run_started_at_utc.compact_utc(), run_id.short());
        Self(format!("{started}-{run}-{pack_number}{BUNDLE_SUFFIX}"))
    }

    /// A folder's name, if it is that of a bundle.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, pack) = text.strip_suffix(BUNDLE_SUFFIX)?.rsplit_once('-')?;
        let (started, run) = head.split_once('-')?;
        let shape = started.len() == 16
            && started.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        let run_is_hex = run.len() == 8 && run.bytes().all(is_lower_hex);
        (shape && run_is_hex && is_number(pack, 1)).then(|| Self(text.to_owned()))
    }

    /// The bundle that a folder or file is by its name: `<name>`, `<name>.tar`, `<name>.tar.age`.
    pub fn of_file(file_name: &str) -> Option<Self> {
        let tar =
            file_name.strip_suffix(ENCRYPTED_SUFFIX).filter(|tar| tar.ends_with(ARCHIVE_SUFFIX)).unwrap_or(file_name);
        Self::parse(tar.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(tar))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of the pack, from 1.
    pub fn pack_number(&self) -> Option<u32> {
        self.0.strip_suffix(BUNDLE_SUFFIX)?.rsplit_once('-')?.1.parse().ok()
    }

    /// The first eight digits of the RunId.
    pub fn run_short(&self) -> &str {
        self.0.get(17..25).unwrap_or("")
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `t001-<slug>`: a table's folder under `data/`, and its file under `schema/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableFolder(String);

impl TableFolder {
    /// The folder of the n-th table of a bundle, from 1.
    pub fn new(number: u32, table: &TableName) -> Self {
        Self(format!("t{number:03}-{}", table.slug()))
    }

    /// A folder's name, if it is that of a table.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, slug) = text.strip_prefix('t')?.split_once('-')?;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let slug_is_safe = (1..=MAX_SLUG_BYTES).contains(&slug.len()) && slug.bytes().all(safe);
        let parsed = number.parse().ok().filter(|parsed| (1..=MAX_TABLES).contains(parsed))?;
        (slug_is_safe && number == format!("{parsed:03}")).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `schema/t001-<slug>.sql`.
    pub fn schema_path(&self) -> String {
        format!("{SCHEMA_FOLDER}{}.sql", self.0)
    }

    /// `data/t001-<slug>`.
    pub fn data_path(&self) -> String {
        data_path(&self.0)
    }
}

/// A file of a table's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayloadFile {
    /// `part-00000.parquet`: rows.
    Rows(u32),
    /// `deletes-00000.parquet`: tombstones.
    Tombstones(u32),
    /// `absent-parents-00000.parquet`: parents that the source lacks or that are excluded.
    AbsentParents(u32),
    /// `blob/<sha256>.zst`: one value over the inline limit, under the hash of its content.
    Blob(Sha256),
}

/// How the n-th part of one kind is named.
type MakePart = fn(u32) -> PayloadFile;

const PART_PREFIXES: [(&str, MakePart); 3] = [
    (ROWS_PREFIX, PayloadFile::Rows),
    (TOMBSTONES_PREFIX, PayloadFile::Tombstones),
    (ABSENT_PARENTS_PREFIX, PayloadFile::AbsentParents),
];
const ROWS_PREFIX: &str = "part-";
const TOMBSTONES_PREFIX: &str = "deletes-";
const ABSENT_PARENTS_PREFIX: &str = "absent-parents-";

impl PayloadFile {
    /// A path in a table's folder, if it is one of the four shapes.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(BLOB_FOLDER) {
            return Sha256::parse(name.strip_suffix(BLOB_SUFFIX)?).ok().map(Self::Blob);
        }
        let stem = text.strip_suffix(PART_SUFFIX)?;
        let (number, make) =
            PART_PREFIXES.iter().find_map(|(prefix, make)| Some((stem.strip_prefix(prefix)?, make)))?;
        let digits = number.len() == 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| number.parse().ok().map(make)).flatten()
    }

    /// The hash of the value that a row's reference (`blob/<sha256>.zst`) names, if it is one.
    pub fn sha256_of_reference(reference: &str) -> Option<Sha256> {
        match Self::parse(reference) {
            Some(Self::Blob(sha256)) => Some(sha256),
            _ => None,
        }
    }
}

impl fmt::Display for PayloadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(number) => write!(f, "{ROWS_PREFIX}{number:05}{PART_SUFFIX}"),
            Self::Tombstones(number) => write!(f, "{TOMBSTONES_PREFIX}{number:05}{PART_SUFFIX}"),
            Self::AbsentParents(number) => write!(f, "{ABSENT_PARENTS_PREFIX}{number:05}{PART_SUFFIX}"),
            Self::Blob(sha256) => write!(f, "{BLOB_FOLDER}{sha256}{BLOB_SUFFIX}"),
        }
    }
}

/// A path under `data/`, from the bundle's folder on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PayloadPath {
    /// The table's folder.
    pub folder: TableFolder,
    /// The file in it.
    pub file: PayloadFile,
}

impl PayloadPath {
    /// A path that a bundle names.
    ///
    /// # Errors
    /// Verification: any other shape.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = text.strip_prefix(DATA_FOLDER).and_then(|rest| rest.split_once('/')).and_then(|(folder, file)| {
            Some(Self { folder: TableFolder::parse(folder)?, file: PayloadFile::parse(file)? })
        });
        parsed.ok_or_else(|| hostile(text))
    }
}

impl fmt::Display for PayloadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder.data_path(), self.file)
    }
}

/// The folder of a table, by its name: `data/t001-<slug>`.
pub fn data_path(folder: &str) -> String {
    format!("{DATA_FOLDER}{folder}")
}

/// The name of a table's folder that a path under `data/` lies in.
pub(super) fn folder_of(path: &str) -> Option<&str> {
    path.strip_prefix(DATA_FOLDER)?.split('/').next()
}

/// Whether a path lies under `data/`.
pub fn is_payload(path: &str) -> bool {
    path.starts_with(DATA_FOLDER)
}

/// Whether a path lies under `schema/`.
pub fn is_schema(path: &str) -> bool {
    path.starts_with(SCHEMA_FOLDER)
}

/// Whether a file or object is an encrypted archive, by its name.
pub fn is_encrypted(name: &str) -> bool {
    name.ends_with(ENCRYPTED_SUFFIX)
}

/// The number of the next part.
///
/// # Errors
/// Config: a table that would need more parts than a bundle can number.
pub(super) fn next_part(number: u32) -> Result<u32> {
    let next = number + 1;
    if next > MAX_PARTS {
        return Err(Error::config("the table would need over 100000 parts").hint("raise the size of a part"));
    }
    Ok(next)
}

/// Checks the path of a file that [`TAG_LIST`] may name.
///
/// # Errors
/// Verification: any other shape.
pub fn check_tag_path(text: &str) -> Result<()> {
    let fixed = [BAGIT_TXT, BAG_INFO_TXT, MANIFEST_JSON, PAYLOAD_LIST];
    let is_schema = || {
        let stem = text.strip_prefix(SCHEMA_FOLDER).and_then(|rest| rest.strip_suffix(".sql"));
        stem.is_some_and(|stem| TableFolder::parse(stem).is_some())
    };
    if fixed.contains(&text) || is_schema() { Ok(()) } else { Err(hostile(text)) }
}

fn hostile(text: &str) -> Error {
    Error::verification(format!("{:.200?} is not a path that a bundle can have", text))
        .hint("do not use this bundle; fetch it again from where it was published")
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_number(text: &str, least: u32) -> bool {
    text.parse::<u32>().is_ok_and(|number| number >= least && number.to_string() == text)
}

/// What a file in a bundle is that none of its lists names, and what to do about it.
pub fn what_is_foreign(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let made_by = LEFT_BEHIND.iter().find(|(is_one, _)| is_one(name)).map(|(_, by)| by);
    let what =
        made_by.map_or_else(|| "it is none of the bundle's files".to_owned(), |by| format!("{by} left it there"));
    format!("no list of the bundle names it: {what}. Remove it, and the bundle is as it was")
}

/// Whether a file's name is one of a kind.
type IsOne = fn(&str) -> bool;

/// What looking at a folder leaves in it, and who does that.
const LEFT_BEHIND: [(IsOne, &str); 6] = [
    (|name| name == ".DS_Store" || name.starts_with("._"), "the Finder of macOS"),
    (
        |name| name.eq_ignore_ascii_case("Thumbs.db") || name.eq_ignore_ascii_case("desktop.ini"),
        "the Explorer of Windows",
    ),
    (|name| name == ".directory", "a file manager of Linux"),
    (|name| name == "@eaDir" || name == "#recycle", "a network drive of Synology"),
    (|name| name.starts_with(".nfs"), "NFS, for a file that is still open"),
    (|name| name.starts_with("~$") || name.ends_with('~') || name.ends_with(".swp"), "an editor"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_survive_their_text() {
        let name = BundleName::new(Timestamp::parse("2026-11-22T18:00:00.5").unwrap(), Guid::from_bytes([0xAB; 16]), 3);
        assert_eq!(name.as_str(), "20261122T180000Z-abababab-3.bundle");
        assert_eq!(BundleName::parse(name.as_str()), Some(name.clone()));
        assert_eq!(name.run_short(), "abababab");
        let folder = TableFolder::new(7, &TableName::new("D", "s", "Å/..\\b]").unwrap());
        assert_eq!(folder.as_str(), "t007------b-");
        assert_eq!(TableFolder::parse(folder.as_str()), Some(folder));
        for file in ["part-00000.parquet", "deletes-00012.parquet", "absent-parents-99999.parquet"] {
            let path = format!("data/t1000-a/{file}");
            assert_eq!(PayloadPath::parse(&path).unwrap().to_string(), path);
        }
        let blob = format!("data/t001-a/blob/{SHA}.zst");
        assert_eq!(PayloadPath::parse(&blob).unwrap().to_string(), blob);
    }

    #[test]
    fn hostile_paths_are_refused() {
        let upper = format!("data/t001-a/blob/{}.zst", SHA.to_uppercase());
        let bad = [
            "",
            "data",
            "data/",
            "/data/t001-a/part-00000.parquet",
            "data/../x",
            "data/t001-a/../t001-a/part-00000.parquet",
            "data/t001-a//part-00000.parquet",
            "./data/t001-a/part-00000.parquet",
            "data\\t001-a\\part-00000.parquet",
            "data/t001-a/part-0.parquet",
            "data/t001-a/part-+0001.parquet",
            "data/t001-a/part-00000.PARQUET",
            "data/t001-a/part-00000.parquet\n",
            "data/t01-a/part-00000.parquet",
            "data/t0001-a/part-00000.parquet",
            "data/t000-a/part-00000.parquet",
            "data/t001-/part-00000.parquet",
            "data/t001-ä/part-00000.parquet",
            "data/t001-a/blob/x.zst",
            "data/t001-a/con",
            "DATA/t001-a/part-00000.parquet",
            &upper,
            "data/t001-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/part-00000.parquet",
        ];
        for path in bad {
            assert!(PayloadPath::parse(path).is_err(), "{path:?}");
        }
        for path in
            ["schema/../x.sql", "schema/t001-a.SQL", "tagmanifest-sha256.txt", "fetch.txt", "schema/t001-a/b.sql"]
        {
            assert!(check_tag_path(path).is_err(), "{path:?}");
        }
        for name in ["x", "20261122T180000Z-ABABABAB-1.bundle", "20261122T180000Z-abababab-0.bundle", "../a.bundle"] {
            assert!(BundleName::parse(name).is_none(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_let_through_is_its_own_text(path in "(data/)?t00[0-9]-[a.b/]{0,4}/?(blob/|part-)[0-9./]{0,6}(.parquet|.zst)") {
            if let Ok(parsed) = PayloadPath::parse(&path) {
                prop_assert_eq!(parsed.to_string(), path.clone());
                prop_assert!(!path.contains(".."));
            }
        }
    }
}
