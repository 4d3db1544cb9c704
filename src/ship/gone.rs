//! How a bundle goes from a destination: its note, its marker, its files, the note.
//!
//! What goes are the files that its own lists name, and its signature; nothing is ever removed by walking
//! what lies there. The list of payload goes after the payload, and the list of tag files, whose hash the note says, goes
//! last, so that after a crash the next prune reads from the same lists what is still to go.
//!
//! `<name>.pruning` is put before the claim of a ship is looked for, and a ship puts its claim before it looks for that
//! note: they never work on one name at a time. Two prunes of one name at a time are told from each other by
//! what their notes say; in a folder, one goes after the other.

use super::claim::{PRUNING_SUFFIX, claim_of, pruning_of};
use crate::bundle::layout::{BUNDLE_SUFFIX, PAYLOAD_LIST, SIGNATURE, TAG_LIST};
use crate::bundle::{BundleName, checksums, is_of_bundle, marker_of, read_marker};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::store::{Location, Store};
use std::path::PathBuf;

/// No list of a bundle is larger.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// 64 digits, a line feed, and what tells prunes apart.
const MAX_NOTE_BYTES: u64 = 256;

/// What became of a bundle that was to go.
pub(super) enum Outcome {
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
) -> Result<Outcome> {
    let note = pruning_of(name);
    let aside = {
        let _alone = store.alone()?;
        if !store.create(&note, format!("{root}\n{}\n", Guid::random()).as_bytes())? {
            return Ok(Outcome::Kept("another prune is removing it"));
        }
        let kept = if store.head(&claim_of(name))?.is_some() {
            Some("it is being shipped, or a ship died on it: ship it once more")
        } else if read_marker(store, at, name)? != Some(root) {
            Some("it has gone meanwhile, or another one has come in its place")
        } else {
            None
        };
        if let Some(why) = kept {
            store.delete(&note)?;
            return Ok(Outcome::Kept(why));
        }
        store.delete(&marker_of(name))?;
        store.set_aside(name)?
    };
    let mut left = store.remove(&aside, &in_order(files))?;
    drop(aside);
    left.extend(store.sweep(name, &is_of_bundle)?);
    store.delete(&note)?;
    Ok(Outcome::Removed(left))
}

/// Goes on where an earlier prune died.
///
/// # Errors
/// Verification, for a note that none of ours wrote; as [`remove`].
pub(super) fn finish(store: &dyn Store, at: &Location) -> Result<Finished> {
    let mut finished = Finished::default();
    for object in store.names()? {
        let Some(name) = object.path.strip_suffix(PRUNING_SUFFIX) else { continue };
        if BundleName::of_file(name).is_none() {
            return Err(Error::verification("this is not the name of a bundle").file(at.join(&object.path)));
        }
        let aside = {
            let _alone = store.alone()?;
            // With its marker it is there, and is looked at like any other. With a claim it is being
            // shipped anew.
            let is_there = read_marker(store, at, name)?.is_some() || store.head(&claim_of(name))?.is_some();
            if is_there { None } else { Some((listed(store, at, name)?, store.set_aside(name)?)) }
        };
        if let Some((files, aside)) = aside {
            finished.left.extend(store.remove(&aside, &files)?);
            drop(aside);
            finished.left.extend(store.sweep(name, &is_of_bundle)?);
        }
        store.delete(&object.path)?;
        finished.names.push(name.to_owned());
    }
    Ok(finished)
}

/// The files that a bundle's own lists name, of one that is gone in part. A list is believed if its hash is the one of the
/// note, or of the list above it.
fn listed(store: &dyn Store, at: &Location, name: &str) -> Result<Vec<String>> {
    if !name.ends_with(BUNDLE_SUFFIX) {
        return Ok(vec![String::new()]);
    }
    let note = store.get(&pruning_of(name), MAX_NOTE_BYTES)?.unwrap_or_default();
    let text = std::str::from_utf8(&note).ok().and_then(|text| text.lines().next());
    let root = text.and_then(|text| Sha256::parse(text).ok()).ok_or_else(|| {
        Error::verification("this note of a prune does not say a root digest").file(at.join(&pruning_of(name)))
    })?;
    let list = |file: &str, due: Sha256| -> Result<Vec<checksums::Checksum>> {
        let bytes = store.get(&format!("{name}/{file}"), MAX_LIST_BYTES)?.filter(|bytes| Sha256::of(bytes) == due);
        // A name of another form is none of a bundle's.
        bytes.map_or(Ok(Vec::new()), |bytes| checksums::parse(&bytes, |_| Ok(())))
    };
    let tags = list(TAG_LIST, root)?;
    let payload = match tags.iter().find(|line| line.path == PAYLOAD_LIST) {
        Some(line) => list(PAYLOAD_LIST, line.sha256)?,
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
