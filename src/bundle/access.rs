//! [`Access`]: how a bundle is opened, and who has to vouch for it. Every door that acts on a bundle
//! goes through it, because a [`Container`](super::Container) cannot be opened without one.
//!
//! What is asked is held against the very bytes that are then used: the list of tag files is read once,
//! hashed, held against the policy, and only then parsed; everything else hangs from it by hashes.

use super::archive::Identities;
use super::layout::SIGNATURE;
use super::manifest::Manifest;
use super::signature::{AllowedSigners, MAX_SIGNATURE_BYTES, SignatureRefusal, SignedBy, SignerScope, check};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What opens bundles, and what is asked of them. By default nothing is asked, and no encrypted archive is opened.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What opens encrypted archives.
    pub identities: Identities,
    /// Who has to vouch.
    pub policy: Arc<Policy>,
    /// Whether a bundle may say that its run is still to come: only where it is looked at, and nothing follows from it.
    pub allows_future: bool,
    /// When the run of the newest bundle of each chain that is named may have started at the earliest, UTC.
    pub not_before: Option<Timestamp>,
}

impl Access {
    /// To a bundle that we made ourselves, by a clock that need not be the one of this machine.
    pub fn own() -> Self {
        Self { allows_future: true, ..Self::default() }
    }
}

/// Who has to vouch for a bundle; all that is asked has to hold.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// It has to be signed by one of these, who may sign now.
    pub signers: Option<AllowedSigners>,
    /// Whoever signed it may speak for its source and for each of its tables.
    pub scope: Option<SignerScope>,
    /// Its root digest has to be one of these.
    pub roots: Option<BTreeSet<Sha256>>,
}

/// Why a bundle is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Its root digest is this one, which was not asked for.
    OtherRoot(Sha256),
    /// A signature was asked for.
    NotSigned,
    /// Its signature has so many bytes.
    LongSignature(u64),
    /// Its signature is refused.
    Signature(SignatureRefusal),
    /// Whoever signed it may not speak for this.
    NotTheirs(String),
}

impl Policy {
    /// Whether nothing is asked.
    pub fn asks_nothing(&self) -> bool {
        self.signers.is_none() && self.roots.is_none()
    }

    /// Holds the list of tag files, and the signature beside it, against what is asked; gives who signed, where
    /// that was asked.
    ///
    /// # Errors
    /// The first reason not to believe it.
    pub fn check(&self, tag_list: &[u8], signature: Option<&[u8]>) -> std::result::Result<Option<SignedBy>, Distrust> {
        let root = Sha256::of(tag_list);
        if self.roots.as_ref().is_some_and(|roots| !roots.contains(&root)) {
            return Err(Distrust::OtherRoot(root));
        }
        let Some(signers) = &self.signers else { return Ok(None) };
        let signature = signature.ok_or(Distrust::NotSigned)?;
        if signature.len() as u64 > MAX_SIGNATURE_BYTES {
            return Err(Distrust::LongSignature(signature.len() as u64));
        }
        check(signature, tag_list, signers, seconds_now()).map(Some).map_err(Distrust::Signature)
    }

    /// Whether who signed a bundle may speak for what it says: for the tables that it names, and for those that it says they
    /// come from, which a replay writes.
    ///
    /// # Errors
    /// The source, or the first table, for which they may not.
    pub fn check_scope(&self, signed_by: Option<&SignedBy>, manifest: &Manifest) -> std::result::Result<(), Distrust> {
        let Some(scope) = &self.scope else { return Ok(()) };
        let Some(signed_by) = signed_by else { return Err(Distrust::NotSigned) };
        let tables = manifest.tables.iter().flat_map(|table| [&table.name, &table.source]);
        let failed = manifest.failed_tables.iter().map(|failed| &failed.table);
        scope.check(signed_by, manifest.run.source_id, tables.chain(failed)).map_err(Distrust::NotTheirs)
    }
}

impl std::fmt::Display for Distrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherRoot(root) => write!(f, "its root digest is {root}, which is none of those that were asked for"),
            Self::NotSigned => f.write_str("a signature was asked for, and there is none"),
            Self::LongSignature(bytes) => write!(f, "the signature has {bytes} bytes, and none has over 64 KiB"),
            Self::Signature(refusal) => write!(f, "{refusal}"),
            Self::NotTheirs(why) => f.write_str(why),
        }
    }
}

impl Distrust {
    /// What a command says that goes no further.
    pub fn into_error(self) -> Error {
        let what = match &self {
            Self::Signature(refusal) => format!("{SIGNATURE}: {refusal}"),
            other => other.to_string(),
        };
        Error::verification(what)
            .hint("do not use this bundle; ask who should have made it for another, or correct what is asked of it")
    }
}

/// The time of checking, in seconds since 1970, UTC.
fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Reads a file of root digests: one a line, in hexadecimal, with anything behind a blank; lines that are empty or
/// begin with `#` say nothing. What `sha256sum` prints is such a file.
///
/// # Errors
/// Usage: a line that is none, which is named, or no line at all.
pub fn parse_roots(text: &str) -> Result<BTreeSet<Sha256>> {
    let mut roots = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        let root = Sha256::parse(word)
            .map_err(|error| Error::usage(format!("line {} is no root digest: {}", at + 1, error.what())))?;
        roots.insert(root);
    }
    match roots.is_empty() {
        true => {
            Err(Error::usage("there is no root digest in this file").hint("write one a line: 64 hexadecimal digits"))
        }
        false => Ok(roots),
    }
}
