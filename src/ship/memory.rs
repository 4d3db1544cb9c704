//! [`ReceiverNotes`]: the newest bundle of each chain that a receiver has seen, kept beside what was received.
//!
//! A store can withhold the newest bundles, or show an older state of itself; nothing in what it shows is wrong then. So a
//! receiver remembers, for each place, the newest root digest of each chain that it took from there. A place where
//! that one is not any more has rolled back, and that is reported; unless a compacted bundle there stands for it: one that lists it and is
//! vouched for as the receiver asks, or that was compared with what was received and holds all of it.

use crate::bundle::Manifest;
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
pub(super) struct ReceiverNotes {
    disk: Box<dyn Disk>,
    folder: PathBuf,
    notes: Vec<NotedBundle>,
}

/// One chain, or the encrypted archives of a place, into which nobody looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NotedBundle {
    place: String,
    chain: Option<NotedChain>,
    /// The newest bundle's file name.
    name: String,
    /// What its marker says.
    root_sha256: Sha256,
    started_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NotedChain {
    source_id: Guid,
    scope: String,
    table: TableName,
}

/// What a place shows.
#[derive(Default)]
pub(super) struct PlaceContents {
    roots: BTreeSet<Sha256>,
    /// Compacted bundles that nobody vouches for: where they are by now, and what they list.
    claims: Vec<(PathBuf, BTreeSet<Sha256>)>,
    newest: BTreeMap<(Guid, String, TableName), Timestamp>,
}

/// Whether the compacted bundle at a path holds all of the bundle that was received under a name, with this root digest.
pub(super) type Holds<'h> = dyn Fn(&Path, &str, Sha256) -> Result<bool> + 'h;

impl PlaceContents {
    /// What is there now of it, and what its marker says; of an encrypted archive nothing more is known.
    pub(super) fn add(&mut self, (path, root): (&Path, Sha256), manifest: Option<&Manifest>, is_vouched_for: bool) {
        self.roots.insert(root);
        let Some(manifest) = manifest else { return };
        let inputs = manifest.inputs.iter().copied();
        match is_vouched_for {
            true => self.roots.extend(inputs),
            false if manifest.inputs.is_empty() => {}
            false => self.claims.push((path.to_owned(), inputs.collect())),
        }
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

impl ReceiverNotes {
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
    fn entries(&self) -> Result<Vec<NotedBundle>> {
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
    pub(super) fn settle(&mut self, place: &str, shown: &PlaceContents, holds: &Holds<'_>) -> Result<()> {
        let _alone = self.disk.lock(&self.folder, LOCK_TIMEOUT)?;
        let mut entries = self.entries()?;
        // Before what came now takes the place of what came then.
        for entry in entries.iter().filter(|entry| entry.place == place) {
            self.check(entry, shown, holds)?;
        }
        let mut is_changed = false;
        for note in self.notes.drain(..) {
            is_changed |= keep(&mut entries, note);
        }
        if is_changed { self.write(&entries) } else { Ok(()) }
    }

    fn check(&self, entry: &NotedBundle, shown: &PlaceContents, holds: &Holds<'_>) -> Result<()> {
        let root = entry.root_sha256;
        if shown.roots.contains(&root) {
            return Ok(());
        }
        let mut claims = shown.claims.iter().filter(|(_, lists)| lists.contains(&root)).peekable();
        let is_claimed = claims.peek().is_some();
        for (path, _) in claims {
            if holds(path, &entry.name, root)? {
                return Ok(());
            }
        }
        let nor = match is_claimed {
            true => "a compacted bundle lists it, which nobody vouches for and which could not be compared with it",
            false => "nor does a compacted bundle list it",
        };
        let name = &entry.name;
        let error = Error::verification(format!(
            "{name} was received from here before, and is not here any more; {nor}: the place withholds it, or shows an older \
             state of itself"
        ));
        let error = match &entry.chain {
            Some(chain) => error.table(&chain.table),
            None => error,
        };
        let ask = match is_claimed {
            true => {
                "say with --signer who signs compacted bundles, or keep what was received in the folder, to be compared with; or ask"
            }
            false => "ask",
        };
        Err(error.file(&entry.place).hint(format!(
            "{ask} whoever keeps the place; if it was removed on purpose, remove {}, and what was received before is forgotten",
            self.path().display()
        )))
    }

    /// Notes a bundle that was received; it is remembered where it is the newest of its chains.
    pub(super) fn note(&mut self, place: &str, (name, root): (&str, Sha256), manifest: Option<&Manifest>) {
        let of = |chain| NotedBundle {
            place: place.to_owned(),
            chain,
            name: name.to_owned(),
            root_sha256: root,
            started_at: manifest.map(|manifest| manifest.run.started_at.0),
        };
        match manifest {
            None => self.notes.push(of(None)),
            Some(manifest) => {
                let of_chain = |(source_id, scope, table)| of(Some(NotedChain { source_id, scope, table }));
                self.notes.extend(chains(manifest).map(of_chain));
            }
        }
    }

    /// Writes it, whole or not at all; nobody else does meanwhile.
    fn write(&self, entries: &[NotedBundle]) -> Result<()> {
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
fn keep(entries: &mut Vec<NotedBundle>, new: NotedBundle) -> bool {
    let age = |entry: &NotedBundle| (entry.started_at, entry.name.clone());
    let same = |entry: &&mut NotedBundle| entry.place == new.place && entry.chain == new.chain;
    match entries.iter_mut().find(same) {
        Some(old) if age(old) >= age(&new) => return false,
        Some(old) => *old = new,
        None => entries.push(new),
    }
    true
}

fn chains(manifest: &Manifest) -> impl Iterator<Item = (Guid, String, TableName)> {
    let source_id = manifest.run.source_id;
    manifest.tables.iter().map(move |table| (source_id, table.scope.0.to_string(), table.name.clone()))
}
