//! Errors of object stores as errors of this program: one clear message each.

use super::location::{CloudProvider, environment as keys};
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
