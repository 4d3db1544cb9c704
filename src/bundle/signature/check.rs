//! Whether a signature fits a list of hashes, and is by somebody who may sign.

use super::allowed::{AllowedSigners, Verdict};
use super::armour::{NAMESPACE, decode};
use ssh_key::{HashAlg, PublicKey};
use std::fmt;

/// Who vouches for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// As they stand in the line of the file of allowed signers.
    pub principals: String,
    /// Of the key: `SHA256:` and base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an armoured SSHSIG by an Ed25519 key; the text says what is wrong.
    Unreadable(String),
    /// Readable, but not byte for byte what `ssh-keygen` writes.
    NotCanonical,
    /// Made for this namespace.
    OtherNamespace(String),
    /// Made for other bytes, or changed.
    DoesNotFit,
    /// Made by this key, which no line allows.
    NotAllowed(String),
    /// Made by a key whose line has a `namespaces` that does not cover ours.
    NamespaceNotAllowed(String),
    /// Made by a key that may sign only from a later time on (fingerprint, time).
    NotYetValid(String, String),
    /// Made by a key whose `valid-before` has passed (fingerprint, time).
    Expired(String, String),
}

/// Checks an armoured signature of these bytes, at `now`: seconds since 1970, UTC. The time that
/// counts is the time of checking, as in `ssh-keygen -Y verify`.
///
/// # Errors
/// The first reason to refuse it. That a key is not allowed is only said of a key that did sign
/// these bytes.
pub fn check(signature: &[u8], signed: &[u8], allowed: &AllowedSigners, now: i64) -> Result<SignedBy, Refusal> {
    let signature = decode(signature)?;
    if signature.namespace() != NAMESPACE {
        return Err(Refusal::OtherNamespace(signature.namespace().to_owned()));
    }
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(NAMESPACE, signed, &signature).map_err(|_| Refusal::DoesNotFit)?;
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    match allowed.look_up(key.key_data(), NAMESPACE, now) {
        Verdict::Allowed(principals) => Ok(SignedBy { principals, fingerprint }),
        Verdict::Expired(at) => Err(Refusal::Expired(fingerprint, at)),
        Verdict::NotYetValid(at) => Err(Refusal::NotYetValid(fingerprint, at)),
        Verdict::OtherNamespaces => Err(Refusal::NamespaceNotAllowed(fingerprint)),
        Verdict::Unknown => Err(Refusal::NotAllowed(fingerprint)),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "not a signature that can be read: {why}"),
            Self::NotCanonical => f.write_str("not in the one form in which ssh-keygen writes a signature"),
            Self::OtherNamespace(other) => {
                write!(f, "made for the namespace {other:?}, and a bundle's is {NAMESPACE:?}")
            }
            Self::DoesNotFit => f.write_str("the signature is not one of these bytes"),
            Self::NotAllowed(key) => write!(f, "signed by {key}, whom the file of allowed signers does not name"),
            Self::NamespaceNotAllowed(key) => {
                write!(f, "signed by {key}, whom the file of allowed signers does not allow {NAMESPACE:?}")
            }
            Self::NotYetValid(key, at) => write!(f, "signed by {key}, which is valid only after {at}"),
            Self::Expired(key, at) => write!(f, "signed by {key}, which was valid until {at}"),
        }
    }
}

impl std::error::Error for Refusal {}
