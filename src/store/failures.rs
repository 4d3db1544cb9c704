//! Errors of object stores as errors of this program: one clear message each.

use super::location::{CloudProvider, environment as keys};
use super::refusals::Refusal;
use crate::error::{Error, Kind};
use object_store::Error as Failure;
use object_store::client::HttpError;
use std::path::Path;

/// How often a request is tried again, and for [`RETRY_SECONDS`] at most: 0.2, 0.4, … 10 seconds apart.
/// What lies beyond is an error; calling the command again goes on where it stopped.
pub(super) const RETRIES: usize = 7;
/// See [`RETRIES`].
pub(super) const RETRY_SECONDS: u64 = 60;
/// Letters of a reason.
const MAX_REASON: usize = 300;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    List,
    Read,
    Write,
    Delete,
}

/// An environment out of which no client can be made.
pub(super) fn environment(cloud: CloudProvider, failure: Failure) -> Error {
    Error::config("the environment does not say how to reach the store")
        .caused_by(ShortFailure(failure))
        .hint(keys(cloud))
}

/// A request that failed.
pub(super) fn request(doing: Doing, cloud: CloudProvider, has_keys: bool, place: &Path, failure: Failure) -> Error {
    if let Some(refusal) = Refusal::of(&failure) {
        return known(doing, refusal).file(place).caused_by(refusal.clone());
    }
    let error = match &failure {
        Failure::NotFound { .. } if doing == Doing::Read => Error::verification("there is no such object")
            .hint("somebody removed it; list the destination, and ship the bundle again"),
        Failure::NotFound { .. } => Error::config("there is no such bucket or container")
            .hint("create it first, or correct the URL; `ship` does not create it"),
        Failure::PermissionDenied { .. } | Failure::Unauthenticated { .. } => Error::config("the store denies this")
            .hint(format!("the keys need the rights to list, read, write and delete there; {}", keys(cloud))),
        _ if !has_keys => Error::config("no keys were found for the store, and none from the machine's own identity")
            .hint(keys(cloud)),
        failure if is_transport(failure) => Error::new(
            Kind::Io,
            format!("{}: the store cannot be reached", undone(doing)),
        )
        .hint(format!(
            "it was tried {} times; check endpoint and network, then repeat the command: it goes on where it stopped",
            RETRIES + 1
        )),
        _ => Error::new(Kind::Io, format!("{}: the store refuses it", undone(doing)))
            .hint("check that the bucket or container is there, and region and endpoint are its own"),
    };
    error.file(place).caused_by(ShortFailure(failure))
}

/// A request that failed for a reason that is known.
fn known(doing: Doing, refusal: &Refusal) -> Error {
    let undone = undone(doing);
    match refusal {
        Refusal::Archived { is_coming: false } => Error::config(format!("{undone}: it lies in an archive tier"))
            .hint("have the store bring it back (rehydrate it, or restore it for some days), then repeat the command; a \
                   rule of the bucket should move bundles to such a tier only when nobody reads them any more"),
        Refusal::Archived { is_coming: true } => {
            Error::config(format!("{undone}: it is being brought back from an archive tier"))
                .hint("wait until the store has it back, which takes hours, then repeat the command")
        }
        Refusal::Skewed(_) => Error::config(format!("{undone}: {refusal}, and signatures are good for minutes only"))
            .hint("set the clock of this machine right (timedatectl says whether it is synchronized), then repeat the command"),
        Refusal::Expired => Error::config(format!("{undone}: the token or the SAS with which it was asked has expired"))
            .hint("get a new one into the environment, then repeat the command: it goes on where it stopped"),
        Refusal::Locked => Error::config(format!("{undone}: a retention or a legal hold of the store keeps it"))
            .hint("wait until the retention ends, or have whoever set the hold take it away"),
        Refusal::NoChecksums => Error::config(format!("{undone}: the store takes no checksums with what is sent"))
            .hint("set AWS_REQUEST_CHECKSUM_CALCULATION=when_required, or request_checksum_calculation = when_required in \
                   the profile of AWS: then each object is read again and hashed after it was sent"),
        Refusal::Unknown => Error::config(format!("{undone}: the store does not know this kind of request"))
            .hint("use a store with the whole protocol of S3, or ship to a drop folder"),
        Refusal::NoSuchUpload => Error::new(Kind::Io, format!("{undone}: its upload in parts was ended meanwhile"))
            .hint("a rule of the bucket that ends uploads may do that, or another ship of the bundle; repeat the command"),
    }
}

fn undone(doing: Doing) -> &'static str {
    match doing {
        Doing::List => "cannot list what is there",
        Doing::Read => "cannot read an object",
        Doing::Write => "cannot write an object",
        Doing::Delete => "cannot remove an object",
    }
}

/// Whether no answer came at all.
fn is_transport(failure: &Failure) -> bool {
    let mut source = std::error::Error::source(failure);
    while let Some(error) = source {
        if error.is::<HttpError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// A failure by its innermost reason, in one line: what lies around it repeats URL and reason, and
/// stores answer in XML of any length.
#[derive(Debug)]
struct ShortFailure(Failure);

impl std::fmt::Display for ShortFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut innermost: &dyn std::error::Error = &self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let text = innermost.to_string();
        let (mut line, mut is_tag) = (String::new(), false);
        for letter in text.chars().take(4 * MAX_REASON) {
            is_tag |= letter == '<';
            line.push(if is_tag || letter.is_control() { ' ' } else { letter });
            is_tag &= letter != '>';
        }
        let words: String = line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_REASON).collect();
        f.write_str(&words)
    }
}

impl std::error::Error for ShortFailure {}
