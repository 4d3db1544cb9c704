//! One large object, sent in parts: [`PARALLEL`] at a time while the next is read and hashed, so that
//! some 40 MiB are held at most. The object comes into being with the last request, and only if its
//! hash was the one that is due; an upload that fails is ended, so that the store keeps no parts.

use super::clouds::BucketClient;
use super::pace::{PARALLEL, PART_BYTES};
use super::refusals::is_unknown_upload;
use super::{Upload, UploadWatch, engine};
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error as Failure, MultipartUpload, PutMultipartOptions, PutPayload};
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Under which the hash is recorded with an object.
pub(super) const RECORDED: &str = "sha256";
/// S3 puts no more together; where 8 MiB are not enough, parts are larger.
const MAX_PARTS: u64 = 10_000;

/// What is recorded with an object.
pub(super) fn recorded(sha256: Option<Sha256>) -> Attributes {
    let line = sha256.map(|sha256| (Attribute::Metadata(RECORDED.into()), sha256.to_string()));
    line.into_iter().collect()
}

/// A read that failed on the way.
pub(super) fn unread(path: &str, error: std::io::Error) -> Error {
    Error::io("read what is sent as", std::path::Path::new(path), error)
}

/// Whether what was read is what is due.
pub(super) fn check(path: &str, read: (u64, Sha256), due: (u64, Sha256)) -> Result<()> {
    if read == due {
        return Ok(());
    }
    Err(Error::verification("this file's bytes are not those of the bundle's lists, so it was not sent")
        .file(path)
        .hint("the bundle was changed after it was published: verify it, and get it from where it is unchanged"))
}

/// How an upload in parts may end.
pub(super) struct Ends<'a> {
    /// A request that failed, as an error.
    pub(super) failed: &'a dyn Fn(Failure) -> Error,
    /// Whether the object is there as it is due.
    pub(super) stands: &'a dyn Fn() -> Result<bool>,
}

/// Sends an object in parts.
///
/// # Errors
/// As [`super::Store::upload`].
pub(super) fn in_parts(
    client: &BucketClient,
    at: &Path,
    upload: Upload<'_>,
    watch: &mut dyn UploadWatch,
    ends: &Ends<'_>,
) -> Result<()> {
    let failed = ends.failed;
    let (path, due) = (upload.path, (upload.bytes, upload.sha256));
    let mut parts = Parts::begin(client, at, upload.sha256, failed)?;
    let begun = match &parts {
        Parts::Numbered { upload, .. } => watch.begun(path, upload),
        Parts::Nameless(_) => Ok(()),
    };
    let sent = begun.and_then(|()| send(&mut parts, upload, watch, failed));
    match sent.and_then(|read| check(path, read, due)) {
        Ok(()) => match parts.complete(failed) {
            Err(error) if is_unknown_upload(&error) && (ends.stands)()? => Ok(()),
            done => done,
        },
        Err(error) => {
            parts.abort();
            Err(error)
        }
    }
}

type Done = (u64, Result<Option<(usize, PartId)>, Failure>);

fn send(
    parts: &mut Parts,
    upload: Upload<'_>,
    watch: &mut dyn UploadWatch,
    failed: &dyn Fn(Failure) -> Error,
) -> Result<(u64, Sha256)> {
    let part_bytes = PART_BYTES.max(upload.bytes.div_ceil(MAX_PARTS).next_multiple_of(1 << 20));
    let (done, finished) = channel();
    let (mut hasher, mut bytes, mut on_way) = (Hasher::default(), 0, 0);
    for nth in 0.. {
        let mut part = Vec::new();
        let read = (&mut *upload.source).take(part_bytes).read_to_end(&mut part);
        read.map_err(|error| unread(upload.path, error))?;
        if part.is_empty() {
            break;
        }
        hasher.update(&part);
        bytes += part.len() as u64;
        if bytes > upload.bytes {
            // It grew; the hash will not be the one that is due.
            break;
        }
        if on_way == PARALLEL {
            take(parts, &finished, watch, failed)?;
            on_way -= 1;
        }
        parts.put(nth, part, done.clone())?;
        on_way += 1;
    }
    for _ in 0..on_way {
        take(parts, &finished, watch, failed)?;
    }
    Ok((bytes, hasher.finish()))
}

/// Waits for one part.
fn take(
    parts: &mut Parts,
    finished: &Receiver<Done>,
    watch: &mut dyn UploadWatch,
    failed: &dyn Fn(Failure) -> Error,
) -> Result<()> {
    let (bytes, part) = finished.recv().map_err(|_| Error::internal("a part ended without an outcome"))?;
    let part = part.map_err(failed)?;
    if let (Parts::Numbered { sent, .. }, Some(part)) = (parts, part) {
        sent.push(part);
    }
    watch.sent(bytes)
}

/// Parts of one object.
enum Parts {
    /// Under a name that outlives this process.
    Numbered { store: Arc<dyn MultipartStore>, at: Path, upload: String, sent: Vec<(usize, PartId)> },
    /// Without one.
    Nameless(Box<dyn MultipartUpload>),
}

impl Parts {
    fn begin(client: &BucketClient, at: &Path, sha256: Sha256, failed: &dyn Fn(Failure) -> Error) -> Result<Self> {
        let options = PutMultipartOptions::from(recorded(Some(sha256)));
        let at = at.clone();
        if let Some(store) = client.multipart.clone() {
            let (own, path) = (store.clone(), at.clone());
            let upload = engine::run(async move { own.create_multipart_opts(&path, options).await })?;
            return Ok(Self::Numbered { store, at, upload: upload.map_err(failed)?, sent: Vec::new() });
        }
        let store = client.objects.clone();
        let upload = engine::run(async move { store.put_multipart_opts(&at, options).await })?;
        upload.map(Self::Nameless).map_err(failed)
    }

    fn put(&mut self, nth: usize, part: Vec<u8>, done: Sender<Done>) -> Result<()> {
        let bytes = part.len() as u64;
        let part = PutPayload::from(part);
        // Who does not wait any more has failed.
        let finish = move |outcome| drop(done.send((bytes, outcome)));
        match self {
            Self::Numbered { store, at, upload, .. } => {
                let (store, at, upload) = (store.clone(), at.clone(), upload.clone());
                engine::start(
                    async move { store.put_part(&at, &upload, nth, part).await.map(|id| Some((nth, id))) },
                    finish,
                )
            }
            Self::Nameless(upload) => {
                let sent = upload.put_part(part);
                engine::start(async move { sent.await.map(|()| None) }, finish)
            }
        }
    }

    fn complete(self, failed: &dyn Fn(Failure) -> Error) -> Result<()> {
        let done = match self {
            Self::Numbered { store, at, upload, mut sent } => {
                sent.sort_by_key(|(nth, _)| *nth);
                let ids = sent.into_iter().map(|(_, id)| id).collect();
                engine::run(async move { store.complete_multipart(&at, &upload, ids).await.map(drop) })?
            }
            Self::Nameless(mut upload) => engine::run(async move { upload.complete().await.map(drop) })?,
        };
        done.map_err(failed)
    }

    /// Best effort: what stays is ended by the next ship, by the name in its claim.
    fn abort(self) {
        let _ = match self {
            Self::Numbered { store, at, upload, .. } => {
                engine::run(async move { store.abort_multipart(&at, &upload).await })
            }
            Self::Nameless(mut upload) => engine::run(async move { upload.abort().await }),
        };
    }
}
