//! [`is_as_due`]: whether what lies at a destination under a bundle's name is that bundle.

use super::shipment::Shipment;
use crate::bundle::Outgoing;
use crate::bundle::layout::{SIGNATURE, is_payload};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::monitor::Monitor;
use crate::store::{Location, Store};
use std::collections::BTreeMap;

/// What is read at a time of an object whose hash nobody recorded.
const READ_BYTES: u64 = 8 << 20;

/// How far is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Names and sizes: one list.
    Sizes,
    /// The hashes, too, that were recorded with the objects, and where none was, the bytes of tag files;
    /// payload is not read.
    Hashes,
    /// Payload as well, where no hash was recorded with it.
    Bytes,
}

/// The path at the destination of a file of a bundle that lies under `folder`.
pub(super) fn path_in(shipment: &Shipment, folder: &str, file: &Outgoing) -> String {
    match shipment.is_bag() {
        true => format!("{folder}/{}", file.path),
        false => shipment.name.clone(),
    }
}

/// What lies under a bundle's name, or in the folder where it is put together: sizes by path.
///
/// # Errors
/// Io.
pub(super) fn objects(store: &dyn Store, shipment: &Shipment, folder: &str) -> Result<BTreeMap<String, u64>> {
    Ok(match shipment.is_bag() {
        true => store.list(folder)?.into_iter().map(|object| (object.path, object.bytes)).collect(),
        false => store.head(&shipment.name)?.map(|head| (shipment.name.clone(), head.bytes)).into_iter().collect(),
    })
}

/// Whether all files of the bundle lie under its name, each as it is due. A signature is no part of
/// that: it may be made later, and by others.
///
/// # Errors
/// Usage, if something lies there that is not the bundle's; Io; Cancelled.
pub(super) fn is_as_due(
    store: &dyn Store,
    at: &Location,
    shipment: &Shipment,
    depth: Depth,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let mut there = objects(store, shipment, &shipment.name)?;
    let mut is_good = true;
    for file in shipment.outgoing() {
        let path = path_in(shipment, &shipment.name, file);
        let bytes = there.remove(&path);
        if !(shipment.is_bag() && file.path == SIGNATURE) {
            is_good = is_good && bytes == Some(file.bytes) && has_hash(store, &path, file, depth, monitor)?;
        }
    }
    there.remove(&format!("{}/{SIGNATURE}", shipment.name));
    match there.keys().next() {
        Some(path) => Err(foreign(at, path)),
        None => Ok(is_good),
    }
}

fn has_hash(store: &dyn Store, path: &str, file: &Outgoing, depth: Depth, monitor: &dyn Monitor) -> Result<bool> {
    let is_tag = !file.path.is_empty() && !is_payload(&file.path);
    match depth {
        Depth::Sizes => Ok(true),
        Depth::Bytes => is_whole(store, path, file, monitor),
        Depth::Hashes if is_tag => is_whole(store, path, file, monitor),
        Depth::Hashes => Ok(recorded(store, path)?.is_none_or(|sha256| sha256 == file.sha256)),
    }
}

fn recorded(store: &dyn Store, path: &str) -> Result<Option<Sha256>> {
    Ok(store.head(path)?.and_then(|head| head.sha256))
}

/// Whether an object of the right size has the right content: by what was recorded with it, or
/// where nothing is, by its bytes.
///
/// # Errors
/// Io; Cancelled.
pub(super) fn is_whole(store: &dyn Store, path: &str, file: &Outgoing, monitor: &dyn Monitor) -> Result<bool> {
    if let Some(sha256) = recorded(store, path)? {
        return Ok(sha256 == file.sha256);
    }
    let (mut hasher, mut at) = (Hasher::default(), 0);
    while at < file.bytes {
        monitor.check()?;
        let bytes = store.read(path, at, READ_BYTES.min(file.bytes - at))?;
        if bytes.is_empty() {
            return Ok(false);
        }
        hasher.update(&bytes);
        at += bytes.len() as u64;
    }
    Ok(hasher.finish() == file.sha256)
}

/// Something lies there that is not the bundle's.
pub(super) fn foreign(at: &Location, path: &str) -> Error {
    Error::usage("something foreign lies under the bundle's name; it was left, and nothing was overwritten")
        .file(at.join(path))
        .hint("look who put it there, and remove it; or ship to another destination")
}
