//! Bundles at a destination: which are there, and how their objects are read.
//!
//! A bundle is there if its marker is, `<name>.complete` beside it, which says the root digest;
//! whatever has none is not looked at. Objects are read by ranges through a [`Cache`] that reads
//! ahead where somebody reads on, and a little where somebody jumps, so that looking at tag files
//! fetches no part.

use super::content::Content;
use super::folder::BundleEntry;
use super::layout::{BundleName, MARKER_SUFFIX};
use super::read_at::ReadAt;
use crate::durable::EntryKind;
use crate::durable::Local;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::store::{self, Location, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// 64 digits and a line feed.
const MARKER_BYTES: u64 = 65;
/// What is fetched where somebody jumps to.
const LEAST_BYTES: u64 = 64 << 10;
/// What is fetched at most at a time where somebody reads on.
const MOST_BYTES: u64 = 8 << 20;

/// The path of the marker of a bundle.
pub fn marker_of(name: &str) -> String {
    format!("{name}{MARKER_SUFFIX}")
}

/// What the marker of a bundle says, if there is one.
///
/// # Errors
/// Verification, for one in another form; Io.
pub fn read_marker(store: &dyn Store, at: &Location, name: &str) -> Result<Option<Sha256>> {
    let path = marker_of(name);
    let Some(bytes) = store.get(&path, MARKER_BYTES + 1)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    match text.map(Sha256::parse) {
        Some(Ok(root)) => Ok(Some(root)),
        _ => Err(Error::verification("this marker is not a root digest and a line feed")
            .file(at.join(&path))
            .hint("do not use the bundle beside it; ship it again under another destination")),
    }
}

/// The names of bundles that are at a location, in their order.
///
/// # Errors
/// As [`Store::names`].
pub fn marked(store: &dyn Store) -> Result<Vec<String>> {
    let names = store.names("")?.into_iter().filter_map(|object| {
        let name = object.path.strip_suffix(MARKER_SUFFIX)?;
        BundleName::of_file(name).is_some().then(|| name.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// One bundle at a destination.
pub(super) struct Remote {
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    pub(super) location: Location,
    pub(super) name: String,
    /// What its marker says.
    pub(super) marker: Sha256,
}

impl Remote {
    /// Looks for the marker of the bundle that a URL names.
    ///
    /// # Errors
    /// Usage, if the URL is not that of a bundle, or no marker stands beside it; as [`read_marker`].
    pub(super) fn open(url: &Location) -> Result<Self> {
        let (location, name) =
            url.parent().filter(|(_, name)| BundleName::of_file(name).is_some()).ok_or_else(|| {
                Error::usage("this is not the URL of a bundle")
                    .file(url.to_string())
                    .hint("name one that ends in .bundle, .bundle.tar or .bundle.tar.age, or the place that holds them")
            })?;
        let store: Arc<dyn Store> = store::open(&location, &Local)?;
        let marker = read_marker(store.as_ref(), &location, &name)?.ok_or_else(|| {
            Error::usage("there is no such bundle: there is no marker beside this name")
                .file(url.to_string())
                .hint("a bundle without a marker was not shipped to its end: ship it again, or wait for it")
        })?;
        Ok(Self { store, cache: Arc::new(Cache::new()), location, name, marker })
    }

    /// The objects of a bag.
    ///
    /// # Errors
    /// Io.
    pub(super) fn entries(&self) -> Result<Vec<BundleEntry>> {
        let own = |path: &str| Some(path.strip_prefix(&self.name)?.strip_prefix('/')?.to_owned());
        let entry = |object: store::Object| {
            Some(BundleEntry { path: own(&object.path)?, kind: EntryKind::File, bytes: object.bytes })
        };
        Ok(self.store.list(&self.name)?.into_iter().filter_map(entry).collect())
    }

    /// One object of a bag.
    pub(super) fn content(&self, entry: &BundleEntry) -> Content {
        self.object(format!("{}/{}", self.name, entry.path), entry.bytes)
    }

    /// The one object that an archive is.
    ///
    /// # Errors
    /// Verification, if it is not there; Io.
    pub(super) fn archive(&self) -> Result<Content> {
        let head = self.store.head(&self.name)?.ok_or_else(|| {
            Error::verification("the marker stands there, and the archive does not")
                .file(self.location.join(&self.name))
        })?;
        Ok(self.object(self.name.clone(), head.bytes))
    }

    fn object(&self, path: String, bytes: u64) -> Content {
        let object = RemoteObject { store: self.store.clone(), cache: self.cache.clone(), path, bytes };
        Content::new(Arc::new(object), 0, bytes)
    }
}

/// What was fetched last, of all objects of one bundle: as many chunks as there are readers side by
/// side, and a few.
struct Cache {
    most: usize,
    chunks: Mutex<Vec<FetchedChunk>>,
}

#[derive(Clone)]
struct FetchedChunk {
    path: String,
    offset: u64,
    /// How much is fetched from here on, if it is read to its end.
    next_bytes: u64,
    bytes: Bytes,
}

impl FetchedChunk {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl Cache {
    fn new() -> Self {
        let readers = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        Self { most: readers + 2, chunks: Mutex::default() }
    }

    /// The chunk that holds an offset, or how much is to be fetched there.
    fn find(&self, path: &str, offset: u64) -> std::result::Result<FetchedChunk, u64> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = |chunk: &FetchedChunk| chunk.path == path && chunk.offset <= offset && offset < chunk.end();
        if let Some(at) = chunks.iter().position(is_here) {
            // The one that was used last stands last.
            let chunk = chunks.remove(at);
            chunks.push(chunk.clone());
            return Ok(chunk);
        }
        match chunks.iter().position(|chunk| chunk.path == path && chunk.end() == offset) {
            // Somebody reads on: what is behind is not needed any more.
            Some(at) => Err(chunks.remove(at).next_bytes),
            None => Err(LEAST_BYTES),
        }
    }

    fn keep(&self, chunk: FetchedChunk) {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() >= self.most {
            chunks.remove(0);
        }
        chunks.push(chunk);
    }
}

struct RemoteObject {
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    path: String,
    bytes: u64,
}

impl ReadAt for RemoteObject {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let chunk = match self.cache.find(&self.path, offset) {
            Ok(chunk) => chunk,
            Err(ahead) => {
                let wanted = ahead.max((buffer.len() as u64).min(MOST_BYTES)).min(self.bytes - offset);
                let bytes = self.store.read(&self.path, offset, wanted).map_err(io::Error::other)?;
                let next_bytes = wanted.saturating_mul(2).clamp(LEAST_BYTES, MOST_BYTES);
                let chunk = FetchedChunk { path: self.path.clone(), offset, next_bytes, bytes };
                self.cache.keep(chunk.clone());
                chunk
            }
        };
        let from = usize::try_from(offset - chunk.offset).unwrap_or(usize::MAX).min(chunk.bytes.len());
        let read = buffer.len().min(chunk.bytes.len() - from);
        buffer[..read].copy_from_slice(&chunk.bytes[from..from + read]);
        Ok(read)
    }
}

/// The objects of a bag by their paths.
pub(super) type Objects = BTreeMap<String, BundleEntry>;
