//! Why a signature is refused.

use std::fmt;

/// What a signature of a bundle is for; one that was made for anything else is refused.
pub const NAMESPACE: &str = "blobdelta-bundle-v1";

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureRefusal {
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

impl fmt::Display for SignatureRefusal {
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

impl std::error::Error for SignatureRefusal {}
