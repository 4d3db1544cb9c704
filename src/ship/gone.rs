//! How a bundle goes from a destination: its note, its marker, its files, the note.
//!
//! What goes are the files that its own lists name, and its signature; nothing is ever removed by walking
//! what lies there. The list of payload goes after the payload, and the list of tag files, whose hash the note says, goes
//! last, so that after a crash the next prune reads from the same lists what is still to go.
//!
//! Each process puts a note of its own ([`super::note`]) before the claim of a ship is looked for, and a ship puts its claim
//! before it looks for notes: they never work on one name at a time. Two prunes may: each removes what the other has not yet.

use super::claim::claim_of;
use super::note::{Note, named, notes, root_of};
use crate::bundle::layout::{BUNDLE_SUFFIX, PAYLOAD_LIST, SIGNATURE, TAG_LIST};
use crate::bundle::{checksums, is_of_bundle, marker_of, read_marker};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::store::{Location, StagingFolder, Store, is_locked};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// No list of a bundle is larger.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Files that are removed before it is looked whether this process may go on.
const AT_A_TIME: usize = 1000;

/// What became of a bundle that was to go.
pub(super) enum RemovalOutcome {
    /// It went; what else lay among its files stays.
    Removed(Vec<PathBuf>),
    /// It stays, and why.
    Kept(&'static str),
}

/// What earlier prunes had begun and this one ended.
#[derive(Default)]
pub(super) struct Finished {
    pub(super) names: Vec<String>,
    pub(super) left: Vec<PathBuf>,
}

/// Removes these files of a bundle that has this root digest.
///
/// # Errors
/// Verification, where a link or the like stands in the way; Io.
pub(super) fn remove(
    store: &dyn Store,
    at: &Location,
    (name, root): (&str, Sha256),
    files: &[String],
) -> Result<RemovalOutcome> {
    let (note, aside) = {
        let _alone = store.alone()?;
        let note = Note::put(store, name, root)?;
        // Where nothing is removed, nobody has to wait for this process.
        match why_kept(store, at, name, root) {
            Ok(None) => {}
            Ok(Some(why)) => {
                note.end()?;
                return Ok(RemovalOutcome::Kept(why));
            }
            Err(error) => {
                note.end()?;
                return Err(error);
            }
        }
        match store.delete(&marker_of(name)) {
            Ok(()) => {}
            // The marker was put last, so its retention ends last: what is locked shows here, before anything has gone.
            Err(error) if is_locked(&error) => {
                note.end()?;
                return Ok(RemovalOutcome::Kept("a retention or a legal hold of the store keeps it"));
            }
            Err(error) => return Err(error),
        }
        (note, store.set_aside(name)?)
    };
    let left = take(store, &note, name, aside, &in_order(files))?;
    note.end()?;
    Ok(RemovalOutcome::Removed(left))
}

/// Why a bundle has to stay, if it has.
fn why_kept(store: &dyn Store, at: &Location, name: &str, root: Sha256) -> Result<Option<&'static str>> {
    if store.head(&claim_of(name))?.is_some() {
        return Ok(Some("it is being shipped, or a ship died on it: ship it once more"));
    }
    let is_it = read_marker(store, at, name)? == Some(root);
    Ok((!is_it).then_some("it has gone meanwhile, or another one has come in its place"))
}

/// Removes files of a bundle that was set aside, and what dead processes left on the way to its name.
fn take(
    store: &dyn Store,
    note: &Note<'_>,
    name: &str,
    aside: StagingFolder,
    files: &[String],
) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for some in files.chunks(AT_A_TIME) {
        note.check()?;
        left = store.remove(&aside, some)?;
    }
    drop(aside);
    left.extend(store.sweep(name, &is_of_bundle)?);
    Ok(left)
}

/// Goes on where an earlier prune died.
///
/// # Errors
/// Verification, for a note that none of ours wrote; as [`remove`].
pub(super) fn finish(store: &dyn Store, at: &Location) -> Result<Finished> {
    let mut finished = Finished::default();
    let mut names = BTreeSet::new();
    for object in store.names("")? {
        names.extend(named(at, &object.path)?);
    }
    for name in names {
        finished.left.extend(finish_one(store, at, &name)?);
        finished.names.push(name);
    }
    Ok(finished)
}

fn finish_one(store: &dyn Store, at: &Location, name: &str) -> Result<Vec<PathBuf>> {
    let roots =
        notes(store, name)?.iter().map(|note| root_of(store, at, &note.path)).collect::<Result<BTreeSet<_>>>()?;
    let Some(first) = roots.first() else { return Ok(Vec::new()) };
    let (note, has_lock, aside) = {
        let alone = store.alone()?;
        let note = Note::put(store, name, *first)?;
        // With its marker it is there, and is looked at like any other. With a claim it is being
        // shipped anew.
        let is_there = read_marker(store, at, name)?.is_some() || store.head(&claim_of(name))?.is_some();
        let aside = if is_there { None } else { Some((listed(store, name, &roots)?, store.set_aside(name)?)) };
        (note, alone.is_held(), aside)
    };
    let left = match aside {
        Some((files, aside)) => take(store, &note, name, aside, &files)?,
        None => Vec::new(),
    };
    for dead in note.dead(has_lock)? {
        store.delete(&dead.path)?;
    }
    note.end()?;
    Ok(left)
}

/// The files that a bundle's own lists name, of one that is gone in part. A list is believed if its hash is one that a
/// note says, or that of the list above it.
fn listed(store: &dyn Store, name: &str, roots: &BTreeSet<Sha256>) -> Result<Vec<String>> {
    if !name.ends_with(BUNDLE_SUFFIX) {
        return Ok(vec![String::new()]);
    }
    let list = |file: &str, due: &BTreeSet<Sha256>| -> Result<Vec<checksums::Checksum>> {
        let bytes = store.get(&format!("{name}/{file}"), MAX_LIST_BYTES)?;
        let bytes = bytes.filter(|bytes| due.contains(&Sha256::of(bytes)));
        // A name of another form is none of a bundle's.
        bytes.map_or(Ok(Vec::new()), |bytes| checksums::parse(&bytes, |_| Ok(())))
    };
    let tags = list(TAG_LIST, roots)?;
    let payload = match tags.iter().find(|line| line.path == PAYLOAD_LIST) {
        Some(line) => list(PAYLOAD_LIST, &BTreeSet::from([line.sha256]))?,
        None => Vec::new(),
    };
    let named = payload.into_iter().chain(tags).map(|line| line.path).filter(|path| is_of_bundle(path));
    let files: Vec<String> = named.chain([TAG_LIST.to_owned()]).collect();
    Ok(in_order(&files))
}

/// Payload and signature first, the lists last.
fn in_order(files: &[String]) -> Vec<String> {
    if files.iter().any(String::is_empty) {
        return files.to_vec();
    }
    let is_list = |file: &String| [PAYLOAD_LIST, TAG_LIST].contains(&file.as_str());
    let others = files.iter().filter(|file| !is_list(file) && *file != SIGNATURE).cloned();
    others.chain([SIGNATURE, PAYLOAD_LIST, TAG_LIST].map(str::to_owned)).collect()
}
