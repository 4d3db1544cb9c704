//! [`CloudStore`]: a prefix in a bucket of an object store.

use super::clouds::{self, Answered, BucketClient};
use super::failures::{self, Doing};
use super::location::{CloudProvider, Location, StorePlace};
use super::pace::PART_BYTES;
use super::refusals::{is_locked, is_unknown};
use super::upload::{self, Ends, RECORDED, recorded};
use super::{Object, ObjectHead, Store, Upload, UploadWatch, engine};
use crate::error::{Error, Kind, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use bytes::Bytes;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    Attribute, Error as Failure, GetOptions, GetRange, ObjectMeta, ObjectStoreExt as _, PutMode, PutOptions,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// More objects than any bundle has files: its manifest, of 64 MiB at most, names each of them.
const MAX_OBJECTS: usize = 400_000;
/// The bytes of their paths.
const MAX_PATH_BYTES: usize = 128 << 20;
/// As many pages of 1,000 names, and as many that hold none.
const MAX_PAGES: usize = 800;

type Clients = HashMap<(CloudProvider, String, Option<String>), BucketClient>;

/// Clients by bucket, so that connections are used again. As many as a process has destinations.
static CLIENTS: Mutex<Option<Clients>> = Mutex::new(None);

/// See the module's text.
pub(super) struct CloudStore {
    location: Location,
    kind: CloudProvider,
    prefix: String,
    client: BucketClient,
}

impl CloudStore {
    pub(super) fn open(location: &Location) -> Result<Self> {
        let StorePlace::Cloud(kind, bucket) = location.place() else {
            return Err(Error::internal("a folder is no object store"));
        };
        let key = (*kind, bucket.name.clone(), bucket.account.clone());
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = clients.get_or_insert_default();
        let client = match clients.get(&key) {
            Some(client) => client.clone(),
            None => {
                let client = clouds::client(*kind, bucket, &None).map_err(|error| error.file(location.to_string()))?;
                clients.insert(key, client.clone());
                client
            }
        };
        Ok(Self { location: location.clone(), kind: *kind, prefix: bucket.prefix.clone(), client })
    }

    /// One whose requests are answered so.
    pub(super) fn answered(location: &Location, by: Answered) -> Result<Self> {
        let StorePlace::Cloud(kind, bucket) = location.place() else {
            return Err(Error::usage("a folder answers no requests").file(location.to_string()));
        };
        let client = clouds::client(*kind, bucket, &by)?;
        Ok(Self { location: location.clone(), kind: *kind, prefix: bucket.prefix.clone(), client })
    }

    fn at(&self, path: &str) -> Result<Path> {
        let full = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(full.trim_matches('/')).map_err(|error| Error::internal("no path of an object").caused_by(error))
    }

    /// What the paths of everything under a folder begin with.
    fn under(&self, folder: &str) -> Result<Option<String>> {
        let at = self.at(folder)?;
        Ok((!at.as_ref().is_empty()).then(|| format!("{at}/")))
    }

    fn failed(&self, doing: Doing, path: &str) -> impl FnOnce(Failure) -> Error {
        let place = if path.is_empty() { self.location.to_string().into() } else { self.location.join(path) };
        let (kind, has_keys) = (self.kind, self.client.has_keys);
        move |failure| failures::request(doing, kind, has_keys, &place, failure)
    }

    /// Runs a request; the failure is reported with its place.
    fn request<T: Send + 'static>(
        &self,
        doing: Doing,
        path: &str,
        future: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T> {
        engine::run(future)?.map_err(self.failed(doing, path))
    }

    /// What was listed, of which `is_asked_for` takes paths from the location on: a store may answer with anything.
    fn objects(&self, found: Vec<ObjectMeta>, is_asked_for: impl Fn(&str) -> bool) -> Vec<Object> {
        let own = |path: &str| match self.prefix.as_str() {
            "" => Some(path.to_owned()),
            prefix => path.strip_prefix(prefix)?.strip_prefix('/').map(str::to_owned),
        };
        let object = |meta: ObjectMeta| {
            let path = own(meta.location.as_ref()).filter(|path| is_asked_for(path))?;
            let since = u64::try_from(meta.last_modified.timestamp()).ok().map(Duration::from_secs);
            let modified = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            Some(Object { path, bytes: meta.size, modified })
        };
        let mut objects: Vec<Object> = found.into_iter().filter_map(object).collect();
        objects.sort();
        objects.dedup_by(|one, other| one.path == other.path);
        objects
    }

    fn put(&self, path: &str, bytes: Bytes, mode: PutMode, sha256: Option<Sha256>) -> Result<Result<(), Failure>> {
        let (client, at) = (self.client.objects.clone(), self.at(path)?);
        let options = PutOptions { mode, attributes: recorded(sha256), ..PutOptions::default() };
        engine::run(async move { client.put_opts(&at, bytes.into(), options).await.map(drop) })
    }
}

/// What a store is tried with; a name that no bundle, and nothing beside one, has.
const TRIED: &str = ".blobdelta-tried-";

impl CloudStore {
    /// Whether the second of two who create an object is told that there is one: one of its own, which goes again.
    fn try_to_create_twice(&self) -> Result<bool> {
        let path = format!("{TRIED}{}", Guid::random());
        let first = self.put(&path, Bytes::from_static(b"first"), PutMode::Create, None)?;
        match first {
            Ok(()) => {}
            Err(failure) if is_unknown(&failure) => return Ok(false),
            Err(failure) => return Err(self.failed(Doing::Write, &path)(failure)),
        }
        let second = self.put(&path, Bytes::from_static(b"second"), PutMode::Create, None)?;
        // Where a lock keeps it, it stays until the lock ends.
        if let Err(error) = self.delete(&path)
            && !is_locked(&error)
        {
            return Err(error);
        }
        match second {
            Ok(()) => Ok(false),
            Err(Failure::AlreadyExists { .. } | Failure::Precondition { .. }) => Ok(true),
            Err(failure) => Err(self.failed(Doing::Write, &path)(failure)),
        }
    }

    /// As well as it can be done where a store replaces what it was asked only to create.
    fn create_if_looked(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        if let Some(there) = self.get(path, bytes.len() as u64 + 1)? {
            return Ok(there == bytes);
        }
        self.replace(path, bytes)?;
        Ok(self.get(path, bytes.len() as u64 + 1)?.is_some_and(|there| there == bytes))
    }

    /// What a store did not hold against a checksum is read again. What is wrong goes, so that nobody takes it for whole.
    fn read_again(&self, path: &str, bytes: u64, due: Sha256) -> Result<()> {
        if self.client.has_checksums {
            return Ok(());
        }
        let (mut hasher, mut at) = (Hasher::default(), 0);
        while at < bytes {
            let read = self.read(path, at, PART_BYTES.min(bytes - at))?;
            if read.is_empty() {
                break;
            }
            hasher.update(&read);
            at += read.len() as u64;
        }
        if hasher.finish() == due {
            return Ok(());
        }
        self.delete(path)?;
        Err(Error::new(Kind::Io, "the store gives back other bytes than were sent; what it had was removed")
            .file(self.location.join(path))
            .hint("something on the way changes what is sent: see network and store, then repeat the command"))
    }
}

/// A list, page by page; a store that ends none is refused.
async fn pages(
    store: Arc<dyn PaginatedListStore>,
    under: Option<String>,
    delimiter: Option<Cow<'static, str>>,
) -> Result<Vec<ObjectMeta>, Failure> {
    let refused = |what: &str| Failure::NotSupported { source: what.to_owned().into() };
    let (mut found, mut path_bytes, mut page_token) = (Vec::new(), 0, None);
    for _ in 0..MAX_PAGES {
        let options =
            PaginatedListOptions { delimiter: delimiter.clone(), page_token: page_token.clone(), ..Default::default() };
        let page = store.list_paginated(under.as_deref(), options).await?;
        path_bytes += page.result.objects.iter().map(|object| object.location.as_ref().len()).sum::<usize>();
        if found.len() + page.result.objects.len() > MAX_OBJECTS || path_bytes > MAX_PATH_BYTES {
            return Err(refused("there are over 400,000 objects, or 128 MiB of their names"));
        }
        found.extend(page.result.objects);
        match page.page_token {
            None => return Ok(found),
            next if next == page_token => {
                return Err(refused("the store gives the same page of its list again and again"));
            }
            next => page_token = next,
        }
    }
    Err(refused("the store's list has no end"))
}

impl Store for CloudStore {
    fn names(&self, start: &str) -> Result<Vec<Object>> {
        let under = self.under("")?.unwrap_or_default() + start;
        let found = pages(self.client.pages.clone(), Some(under).filter(|under| !under.is_empty()), Some("/".into()));
        let found = self.request(Doing::List, "", found)?;
        Ok(self.objects(found, |path| path.starts_with(start) && !path.contains('/')))
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let found = pages(self.client.pages.clone(), self.under(folder)?, None);
        let found = self.request(Doing::List, folder, found)?;
        Ok(self.objects(found, |path| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))))
    }

    fn head(&self, path: &str) -> Result<Option<ObjectHead>> {
        let (client, at) = (self.client.objects.clone(), self.at(path)?);
        let options = GetOptions { head: true, ..GetOptions::default() };
        match engine::run(async move { client.get_opts(&at, options).await.map(|got| (got.meta, got.attributes)) })? {
            Ok((meta, attributes)) => {
                let text = attributes.get(&Attribute::Metadata(RECORDED.into()));
                Ok(Some(ObjectHead { bytes: meta.size, sha256: text.and_then(|text| Sha256::parse(text).ok()) }))
            }
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(self.failed(Doing::Read, path)(failure)),
        }
    }

    fn read(&self, path: &str, offset: u64, bytes: u64) -> Result<Bytes> {
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let (client, at) = (self.client.objects.clone(), self.at(path)?);
        let range = GetRange::Bounded(offset..offset.saturating_add(bytes));
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        self.request(Doing::Read, path, async move { client.get_opts(&at, options).await?.bytes().await })
    }

    fn get(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        let Some(head) = self.head(path)? else { return Ok(None) };
        match self.read(path, 0, head.bytes.min(most)) {
            Ok(bytes) => Ok(Some(bytes)),
            // It may have gone since it was looked at.
            Err(error) => self.head(path)?.map_or(Ok(None), |_| Err(error)),
        }
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        if !self.keeps_others_out()? {
            return self.create_if_looked(path, bytes);
        }
        match self.put(path, Bytes::copy_from_slice(bytes), PutMode::Create, None)? {
            Ok(()) => Ok(true),
            Err(Failure::AlreadyExists { .. } | Failure::Precondition { .. }) => {
                Ok(self.get(path, bytes.len() as u64 + 1)?.is_some_and(|there| there == bytes))
            }
            Err(failure) => Err(self.failed(Doing::Write, path)(failure)),
        }
    }

    fn keeps_others_out(&self) -> Result<bool> {
        if let Some(known) = self.client.keeps_others_out.get() {
            return Ok(*known);
        }
        let found = self.try_to_create_twice()?;
        Ok(*self.client.keeps_others_out.get_or_init(|| found))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let put = self.put(path, Bytes::copy_from_slice(bytes), PutMode::Overwrite, None)?;
        put.map_err(self.failed(Doing::Write, path))
    }

    fn upload(&self, upload: Upload<'_>, watch: &mut dyn UploadWatch) -> Result<()> {
        let path = upload.path;
        if upload.bytes > PART_BYTES {
            let failed = |failure| self.failed(Doing::Write, path)(failure);
            let (bytes, sha256) = (upload.bytes, upload.sha256);
            // The answer to the last request may have been lost, after which the store knows of no upload.
            let stands = || {
                let head = self.head(path)?.filter(|head| head.bytes == bytes);
                Ok(head.is_some_and(|head| head.sha256 == Some(sha256) || !self.client.has_checksums))
            };
            upload::in_parts(&self.client, &self.at(path)?, upload, watch, &Ends { failed: &failed, stands: &stands })?;
            return self.read_again(path, bytes, sha256);
        }
        let mut content = Vec::new();
        let read = upload.source.take(PART_BYTES + 1).read_to_end(&mut content);
        read.map_err(|error| upload::unread(path, error))?;
        upload::check(path, (content.len() as u64, Sha256::of(&content)), (upload.bytes, upload.sha256))?;
        let recorded = Some(upload.sha256).filter(|_| self.client.has_checksums);
        let put = self.put(path, content.into(), PutMode::Overwrite, recorded)?;
        put.map_err(self.failed(Doing::Write, path))?;
        self.read_again(path, upload.bytes, upload.sha256)?;
        watch.sent(upload.bytes)
    }

    fn abort(&self, path: &str, upload: &str) -> Result<()> {
        let Some(client) = self.client.multipart.clone() else { return Ok(()) };
        let (at, upload) = (self.at(path)?, upload.to_owned());
        match engine::run(async move { client.abort_multipart(&at, &upload).await })? {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(failure) => Err(self.failed(Doing::Delete, path)(failure)),
        }
    }

    fn delete(&self, path: &str) -> Result<()> {
        let (client, at) = (self.client.objects.clone(), self.at(path)?);
        match engine::run(async move { client.delete(&at).await })? {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(failure) => Err(self.failed(Doing::Delete, path)(failure)),
        }
    }
}
