//! [`Memory`]: the newest bundle of each chain that a receiver has seen, kept beside what was received.
//!
//! A store can withhold the newest bundles, or show an older state of itself; nothing in what it shows is wrong then. So a
//! receiver remembers, for each place, the newest root digest of each chain that it took from there. A place where
//! that one is not any more, neither itself nor in the list of a compacted bundle, has rolled back, and that is told.

use crate::bundle::{Access, Bundle, Container, Manifest};
use crate::durable::{Disk, EntryKind, LOCK_TIMEOUT, Sharing, make_held, staging_base, staging_name};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Staging names and this one begin with a dot, so that no command takes them for bundles.
const FILE_NAME: &str = ".blobdelta-received.json";
/// Before it has its name.
const NEW: &str = ".new-";
/// Some 60,000 chains.
const MAX_BYTES: u64 = 16 << 20;

/// See the module's text. Several receivers may work on one folder at once: what each notes is put into what stands
/// there by then, while the folder is held.
pub(super) struct Memory {
    disk: Box<dyn Disk>,
    folder: PathBuf,
    notes: Vec<Entry>,
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
    /// What is remembered in a folder.
    ///
    /// # Errors
    /// Io; Config, for a file that is none of ours; Verification, for a link.
    pub(super) fn read(disk: &dyn Disk, folder: &Path) -> Result<Self> {
        let disk = disk.beneath(folder, Sharing::Ours)?;
        let own = Self { disk, folder: folder.to_owned(), notes: Vec::new() };
        own.entries().map(|_| own)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }

    /// What stands there; nothing, where it was never received into.
    fn entries(&self) -> Result<Vec<Entry>> {
        let path = self.path();
        let Some((file, _)) = self.disk.read(&path)? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Error::io("read what was received before in", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::config("what was received before cannot be read")
                .file(&path)
                .caused_by(error)
                .hint("remove this file: what a place showed before is forgotten then")
        })
    }

    /// Puts what was noted into what stands there, and looks whether a place shows what was received from there.
    /// What was seen newer stays remembered where the place rolled back.
    ///
    /// # Errors
    /// Verification, with the first bundle that is missing; Io.
    pub(super) fn settle(&mut self, place: &str, shown: &Shown) -> Result<()> {
        let _alone = self.disk.lock(&self.folder, LOCK_TIMEOUT)?;
        let mut entries = self.entries()?;
        let mut is_changed = false;
        for note in self.notes.drain(..) {
            is_changed |= keep(&mut entries, note);
        }
        self.check(&entries, place, shown)?;
        if is_changed { self.write(&entries) } else { Ok(()) }
    }

    fn check(&self, entries: &[Entry], place: &str, shown: &Shown) -> Result<()> {
        let gone = |entry: &&Entry| entry.place == place && !shown.roots.contains(&entry.root_sha256);
        let Some(entry) = entries.iter().find(gone) else { return Ok(()) };
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
            self.path().display()
        )))
    }

    /// Notes a bundle that was received; it is remembered where it is the newest of its chains.
    pub(super) fn note(&mut self, place: &str, (name, root): (&str, Sha256), manifest: Option<&Manifest>) {
        let of = |chain| Entry {
            place: place.to_owned(),
            chain,
            name: name.to_owned(),
            root_sha256: root,
            started_at: manifest.map(|manifest| manifest.run.started_at.0),
        };
        match manifest {
            None => self.notes.push(of(None)),
            Some(manifest) => {
                let of_chain = |(source_id, scope, table)| of(Some(Chain { source_id, scope, table }));
                self.notes.extend(chains(manifest).map(of_chain));
            }
        }
    }

    /// Writes it, whole or not at all; nobody else does meanwhile.
    fn write(&self, entries: &[Entry]) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(entries)
            .map_err(|error| Error::internal("what was received cannot be written down").caused_by(error))?;
        bytes.push(b'\n');
        let base = FILE_NAME.trim_start_matches('.');
        for entry in self.disk.list(&self.folder)? {
            let path = self.folder.join(&entry.name);
            let is_left = entry.kind == EntryKind::File && staging_base(&entry.text(), NEW) == Some(base);
            if is_left && self.disk.hold(&path).is_some() {
                self.disk.remove_file(&path)?;
            }
        }
        let name = || self.folder.join(staging_name(base, NEW));
        let (new, mut file, _held) = make_held(self.disk.as_ref(), name, |path| self.disk.create(path))?;
        file.write_all(&bytes).map_err(|error| Error::io("write", &new, error))?;
        file.sync()?;
        drop(file);
        self.disk.replace(&new, &self.path())?;
        self.disk.sync_dir(&self.folder)
    }
}

/// Whether it is the newest of its chain, and is kept.
fn keep(entries: &mut Vec<Entry>, new: Entry) -> bool {
    let rank = |entry: &Entry| (entry.started_at, entry.name.clone());
    let same = |entry: &&mut Entry| entry.place == new.place && entry.chain == new.chain;
    match entries.iter_mut().find(same) {
        Some(old) if rank(old) >= rank(&new) => return false,
        Some(old) => *old = new,
        None => entries.push(new),
    }
    true
}

fn chains(manifest: &Manifest) -> impl Iterator<Item = (Guid, String, TableName)> {
    let source_id = manifest.run.source_id;
    manifest.tables.iter().map(move |table| (source_id, table.scope.0.to_string(), table.name.clone()))
}

/// The manifest of a bundle in the receiver's folder; nothing of an encrypted archive.
///
/// # Errors
/// As [`Bundle::open_in`].
pub(super) fn manifest_of(disk: &dyn Disk, path: &Path, access: &Access) -> Result<Option<Manifest>> {
    if path.extension().is_some_and(|end| end == "age") {
        return Ok(None);
    }
    Ok(Some(Bundle::open_in(Container::open_beneath(disk, path, access)?)?.manifest().clone()))
}
