//! [`Memory`]: the newest bundle of each chain that a receiver has seen, kept beside what was received.
//!
//! A store can withhold the newest bundles, or show an older state of itself; nothing in what it shows is wrong then. So a
//! receiver remembers, for each place, the newest root digest of each chain that it took from there. A place where
//! that one is not any more, neither itself nor in the list of a compacted bundle, has rolled back, and that is told.

use crate::bundle::{Bundle, Container, Manifest};
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Staging names and this one begin with a dot, so that no command takes them for bundles.
const FILE_NAME: &str = ".blobdelta-received.json";
const NEW_NAME: &str = ".blobdelta-received.json.new";
/// Some 60,000 chains.
const MAX_BYTES: u64 = 16 << 20;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    entries: Vec<Entry>,
    is_changed: bool,
}

/// One chain, or the encrypted archives of a place, into which nobody looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    place: String,
    chain: Option<Chain>,
    /// The newest bundle's file name.
    name: String,
    /// What its marker says.
    root_sha256: Sha256,
    started_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    source_id: Guid,
    scope: String,
    table: TableName,
}

/// What a place shows.
#[derive(Default)]
pub(super) struct Shown {
    roots: BTreeSet<Sha256>,
    newest: BTreeMap<(Guid, String, TableName), Timestamp>,
}

impl Shown {
    /// What its marker says; of an encrypted archive nothing more is known.
    pub(super) fn add(&mut self, root: Sha256, manifest: Option<&Manifest>) {
        self.roots.insert(root);
        let Some(manifest) = manifest else { return };
        self.roots.extend(&manifest.inputs);
        for (source_id, scope, table) in chains(manifest) {
            let newest = self.newest.entry((source_id, scope, table)).or_insert(manifest.run.started_at.0);
            *newest = manifest.run.started_at.0.max(*newest);
        }
    }

    /// Rule for receivers that expect a bundle every so often: the newest of each chain is no older.
    ///
    /// # Errors
    /// Verification, with the chain.
    pub(super) fn check_fresh(&self, not_before: Timestamp) -> Result<()> {
        match self.newest.iter().find(|(_, at)| **at < not_before) {
            None => Ok(()),
            Some(((_, scope, table), at)) => Err(Error::verification(format!(
                "the newest bundle of this chain there (scope {scope}) is of {}, and none may be older than {}",
                at.rfc3339_utc(),
                not_before.rfc3339_utc()
            ))
            .table(table)
            .hint("ask the sender whether there was a run since; a store may be withholding what was shipped")),
        }
    }
}

impl Memory {
    /// What is remembered in a folder; nothing where it was never received into.
    ///
    /// # Errors
    /// Io; Config, for a file that is none of ours.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let failed = |error| Error::io("read what was received before in", &path, error);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => _ = file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, entries: Vec::new(), is_changed: false });
            }
            Err(error) => return Err(failed(error)),
        }
        let entries = serde_json::from_slice(&bytes).map_err(|error| {
            Error::config("what was received before cannot be read")
                .file(&path)
                .caused_by(error)
                .hint("remove this file: what a place showed before is forgotten then")
        })?;
        Ok(Self { path, entries, is_changed: false })
    }

    /// Whether a place shows what was received from there.
    ///
    /// # Errors
    /// Verification, with the first bundle that is missing.
    pub(super) fn check(&self, place: &str, shown: &Shown) -> Result<()> {
        let gone = |entry: &&Entry| entry.place == place && !shown.roots.contains(&entry.root_sha256);
        let Some(entry) = self.entries.iter().find(gone) else { return Ok(()) };
        let error = Error::verification(format!(
            "{} was received from here before, and is not here any more, nor a compacted bundle that lists it: \
             the place withholds it, or shows an older state of itself",
            entry.name
        ));
        let error = match &entry.chain {
            Some(chain) => error.table(&chain.table),
            None => error,
        };
        Err(error.file(place).hint(format!(
            "ask whoever keeps the place; if it was removed on purpose, remove {}, and what was received before is forgotten",
            self.path.display()
        )))
    }

    /// Remembers a bundle that was received, where it is the newest of its chains.
    pub(super) fn note(&mut self, place: &str, (name, root): (&str, Sha256), manifest: Option<&Manifest>) {
        let of = |chain| Entry {
            place: place.to_owned(),
            chain,
            name: name.to_owned(),
            root_sha256: root,
            started_at: manifest.map(|manifest| manifest.run.started_at.0),
        };
        match manifest {
            None => self.keep(of(None)),
            Some(manifest) => {
                for (source_id, scope, table) in chains(manifest) {
                    self.keep(of(Some(Chain { source_id, scope, table })));
                }
            }
        }
    }

    fn keep(&mut self, new: Entry) {
        let rank = |entry: &Entry| (entry.started_at, entry.name.clone());
        let same = |entry: &&mut Entry| entry.place == new.place && entry.chain == new.chain;
        match self.entries.iter_mut().find(same) {
            Some(old) if rank(old) >= rank(&new) => return,
            Some(old) => *old = new,
            None => self.entries.push(new),
        }
        self.is_changed = true;
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// Io.
    pub(super) fn write(&mut self, disk: &dyn Disk) -> Result<()> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        let mut bytes = serde_json::to_vec_pretty(&self.entries)
            .map_err(|error| Error::internal("what was received cannot be written down").caused_by(error))?;
        bytes.push(b'\n');
        let new = self.path.with_file_name(NEW_NAME);
        if new.symlink_metadata().is_ok() {
            disk.remove_file(&new)?;
        }
        let mut file = disk.create(&new)?;
        file.write_all(&bytes).map_err(|error| Error::io("write", &new, error))?;
        file.sync()?;
        drop(file);
        disk.replace(&new, &self.path)?;
        disk.sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

fn chains(manifest: &Manifest) -> impl Iterator<Item = (Guid, String, TableName)> {
    let source_id = manifest.run.source_id;
    manifest.tables.iter().map(move |table| (source_id, table.scope.0.to_string(), table.name.clone()))
}

/// The manifest of a bundle in the receiver's folder; nothing of an encrypted archive.
///
/// # Errors
/// As [`Bundle::open_in`].
pub(super) fn manifest_of(path: &Path, access: &crate::bundle::Access) -> Result<Option<Manifest>> {
    if path.extension().is_some_and(|end| end == "age") {
        return Ok(None);
    }
    Ok(Some(Bundle::open_in(Container::open(path, access)?)?.manifest().clone()))
}
