//! What a manifest must be beyond its fields: a version that is understood, and content that
//! does not contradict itself.

use super::canonical;
use super::compacted::compacted_run_id;
use super::known::KNOWN_CONTENT;
use super::layout::{PayloadFile, PayloadPath, TableFolder};
use super::manifest::{BundleKind, ColumnInfo, FileInfo, FileRole, HALF_OPEN, Manifest, TableInfo};
use super::version::{FORMAT_URI_BASE, FormatVersion};
use crate::error::{Error, Kind, Result};
use crate::model::column::DELTA_PARENT_KEY;
use crate::model::key::KeyType;
use crate::model::name::check_length;
use crate::model::sqltype::SqlType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashSet;

/// Each table of a compacted bundle notes all of its inputs, here and in targets.
const MOST_INPUTS_OF_TABLES: usize = 1_000_000;

/// Requirements that this program knows.
pub const KNOWN_REQUIREMENTS: [&str; 1] = [KNOWN_CONTENT];

/// What says whether a manifest can be read, whatever else it holds.
#[derive(Deserialize)]
struct ManifestHead {
    #[serde(default)]
    format: Loose,
    #[serde(default)]
    format_version: Loose,
    #[serde(deserialize_with = "canonical::few::<100, _, _>")]
    requires: Vec<Loose>,
}

/// A text, or anything else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Text(String),
    Other(IgnoredAny),
}

impl Default for Loose {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl Loose {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

impl Manifest {
    /// The canonical bytes, ending in one LF. Files and tables are to be in order already.
    ///
    /// # Errors
    /// Internal: content that the format's limits do not allow.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = canonical::to_bytes(self)?;
        // What this program would refuse to read, it does not write.
        match Self::from_bytes(&bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Error::internal("the manifest would not be readable").caused_by(error)),
        }
    }

    /// Reads and checks a manifest of which the hash was checked before.
    ///
    /// # Errors
    /// Verification: see `canonical` and `check`; a version or a requirement that this program
    /// does not know says which is needed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        canonical::check(bytes)?;
        version(bytes)?;
        let manifest: Self = canonical::typed(bytes)?;
        content(&manifest)?;
        Ok(manifest)
    }
}

/// Whether this program can read a manifest at all; looked at before anything else of it.
fn version(bytes: &[u8]) -> Result<()> {
    let ManifestHead { format, format_version, requires } = canonical::typed(bytes)?;
    let format = format.text();
    let major = format.and_then(|format| format.strip_prefix(FORMAT_URI_BASE)).ok_or_else(|| {
        Error::verification(format!("this is not the manifest of a bundle: its format is {format:.80?}"))
    })?;
    let version = format_version.text().unwrap_or("");
    let version = FormatVersion::try_from(version.to_owned())?;
    version.check_readable_by(FormatVersion::CURRENT)?;
    if major != version.major.to_string() {
        return Err(Error::verification(format!(
            "format {major:.40?} and format_version {version} contradict each other"
        )));
    }
    let unknown = requires.iter().find(|entry| !entry.text().is_some_and(|text| KNOWN_REQUIREMENTS.contains(&text)));
    let Some(unknown) = unknown else { return Ok(()) };
    let name = unknown.text().unwrap_or("not a text");
    Err(Error::verification(format!("this bundle requires {name:.80?}, which this program does not know"))
        .hint(format!("use a blobdelta that reads format version {version} with {name:.80?}")))
}

/// Whether the content agrees with itself.
fn content(manifest: &Manifest) -> Result<()> {
    if manifest.run.pack_number == 0 {
        return Err(Error::verification("the number of the pack is 0, and packs are numbered from 1"));
    }
    if (manifest.kind == BundleKind::Delta) != manifest.inputs.is_empty() {
        return Err(Error::verification("kind and inputs contradict each other"));
    }
    if manifest.inputs.len() * manifest.tables.len() > MOST_INPUTS_OF_TABLES {
        return Err(Error::verification(
            "it lists more bundles that were compacted into it, table by table, than any has",
        ));
    }
    if !manifest.inputs.is_sorted_by(|a, b| a < b) {
        return Err(Error::verification("the inputs do not ascend"));
    }
    if manifest.kind == BundleKind::Compacted && manifest.run.run_id != compacted_run_id(&manifest.inputs) {
        return Err(Error::verification("the run id of this compacted bundle does not follow from its inputs"));
    }
    manifest.masked.as_ref().map_or(Ok(()), |masked| masked.check(|name| manifest.table(name).is_some()))?;
    if manifest.tables.is_empty() {
        return Err(Error::verification("it lists no table"));
    }
    manifest.check_known_content()?;
    let mut names = HashSet::new();
    for pair in manifest.tables.windows(2) {
        if pair[0].table_folder()? >= pair[1].table_folder()? {
            return Err(Error::verification("the tables are not in the order of their folders").table(&pair[1].name));
        }
    }
    for table in &manifest.tables {
        if !names.insert(&table.name) {
            return Err(Error::verification("the table comes twice").table(&table.name));
        }
        check_table(table).and_then(|()| check_times(manifest, table)).map_err(|error| error.table(&table.name))?;
    }
    Ok(())
}

fn check_table(table: &TableInfo) -> Result<()> {
    let bad = |what: &str| Err(Error::verification(what));
    let folder = table.table_folder()?;
    if table.schema_file != folder.schema_path() {
        return bad("schema_file is not the one of the table's folder");
    }
    let window = &table.window;
    if window.interval != HALF_OPEN || window.start > window.end {
        return bad("the window is not an interval [start,end)");
    }
    if window.lag_only == window.active_transaction_floor.is_some() {
        return bad("lag_only and active_transaction_floor contradict each other");
    }
    check_columns(table)?;
    table.check_known_list()?;
    check_files(table, &folder)?;
    check_counts(table)
}

/// Rule 27. What would lie later silences every gap after it.
fn check_times(manifest: &Manifest, table: &TableInfo) -> Result<()> {
    let window = &table.window;
    let latest = window.latest_of(manifest.run.started_at.0);
    let times = [
        ("window.start", Some(window.start)),
        ("window.end", Some(window.end)),
        ("window.active_transaction_floor", window.active_transaction_floor),
        ("window.watermark_before", window.watermark_before),
        ("window.watermark_after", Some(window.watermark_after)),
    ];
    match times.into_iter().find(|(_, at)| at.is_some_and(|at| at > latest)) {
        Some((name, _)) => {
            Err(Error::verification(format!("{name} is later than the start of the run and a day ({latest})")))
        }
        None => Ok(()),
    }
}

fn check_columns(table: &TableInfo) -> Result<()> {
    let mut names = HashSet::new();
    for info in &table.columns {
        check_length(&info.name).map_err(|error| error.of_kind(Kind::Verification))?;
        // Servers and readers that compare without case would see one column where there are two.
        if !names.insert(info.name.to_lowercase()) {
            return Err(Error::verification("two columns have names that differ in case alone, or not at all")
                .column(&info.name));
        }
        let column = info.to_column()?;
        // What a type's declaration says twice must be said alike.
        let (length, precision, scale) = super::manifest::facets(column.sql_type);
        if (info.length, info.precision, info.scale) != (length, precision, scale) {
            return Err(Error::verification("length, precision and scale are not those of sql_type").column(&info.name));
        }
    }
    let find = |name: &String| -> Option<&ColumnInfo> { table.columns.iter().find(|column| column.name == *name) };
    let named = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
    if let Some(missing) = named.into_iter().flatten().find(|name| find(name).is_none()) {
        return Err(Error::verification("the table has no such column").column(missing));
    }
    match find(&table.key_column).map(ColumnInfo::to_column).transpose()? {
        Some(key) if KeyType::of(key.sql_type).is_some() => check_parent_key(table, key.sql_type),
        _ => Err(Error::verification(format!("the key is not {}", KeyType::TYPES)).column(&table.key_column)),
    }
}

/// A parent's key is one of the table's keys: a column of another type would name no row's parent.
fn check_parent_key(table: &TableInfo, key: SqlType) -> Result<()> {
    let parent = table.columns.iter().find(|column| column.name == DELTA_PARENT_KEY);
    match parent.map(ColumnInfo::to_column).transpose()? {
        Some(parent) if KeyType::of(parent.sql_type) != KeyType::of(key) => {
            let text = format!("the keys of parents are {}, and those of rows {key}", parent.sql_type);
            Err(Error::verification(text).column(DELTA_PARENT_KEY))
        }
        _ => Ok(()),
    }
}

fn check_files(table: &TableInfo, folder: &TableFolder) -> Result<()> {
    let mut due = [0_u32; 3];
    for pair in table.files.windows(2) {
        if pair[0].path >= pair[1].path {
            return Err(Error::verification("the files are not in the order of their paths").file(&pair[1].path));
        }
    }
    for file in &table.files {
        let bad = |what: &str| Error::verification(what).file(&file.path);
        let path = PayloadPath::parse(&file.path)?;
        if path.folder != *folder {
            return Err(bad("the file is not in the table's folder"));
        }
        let (role, number) = match path.file {
            PayloadFile::Rows(number) => (FileRole::Rows, Some((0, number))),
            PayloadFile::Tombstones(number) => (FileRole::Tombstones, Some((1, number))),
            PayloadFile::AbsentParents(number) => (FileRole::AbsentParents, Some((2, number))),
            PayloadFile::Blob(_) => (FileRole::Blob, None),
        };
        let is_part = number.is_some();
        let fields = [file.rows.is_some(), file.row_groups.is_some(), file.content_bytes.is_none()];
        if role != file.role || fields.iter().any(|present| *present != is_part) {
            return Err(bad("role, rows, row_groups and content_bytes are not those of a file of this name"));
        }
        if let Some((kind, number)) = number {
            if number != due[kind] {
                return Err(bad("a part before this one is missing"));
            }
            due[kind] += 1;
        }
    }
    if due[0] == 0 {
        return Err(Error::verification("the table has no part with rows, not even an empty one"));
    }
    Ok(())
}

fn check_counts(table: &TableInfo) -> Result<()> {
    let sum = |role| -> Option<u64> {
        table.files_of(role).try_fold(0_u64, |sum, file: &FileInfo| sum.checked_add(file.rows?))
    };
    let counts = &table.counts;
    let rows = counts.roots.checked_add(counts.missing_parents).and_then(|sum| sum.checked_add(counts.children));
    let due = [(FileRole::Rows, rows, "rows"), (FileRole::Tombstones, Some(counts.tombstones), "tombstones")];
    for (role, due, what) in due {
        let found = sum(role);
        if found.is_none() || found != due {
            return Err(Error::verification(format!("the files have {found:?} {what} where the counts say {due:?}")));
        }
    }
    Ok(())
}
