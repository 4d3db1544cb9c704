//! Whether a signature fits a list of hashes, and is by somebody who may sign.

use super::allowed::{AllowedSigners, Verdict};
use super::armour::decode;
use super::refusal::{NAMESPACE, SignatureRefusal};
use ssh_key::{HashAlg, PublicKey};

/// Who vouches for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// As they stand in the line of the file of allowed signers.
    pub principals: String,
    /// Of the key: `SHA256:` and base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

/// Checks an armoured signature of these bytes, at `now`: seconds since 1970, UTC. The time that
/// counts is the time of checking, as in `ssh-keygen -Y verify`.
///
/// # Errors
/// The first reason to refuse it. That a key is not allowed is only said of a key that did sign
/// these bytes.
pub fn check(
    signature: &[u8],
    signed: &[u8],
    allowed: &AllowedSigners,
    now: i64,
) -> Result<SignedBy, SignatureRefusal> {
    let signature = decode(signature)?;
    if signature.namespace() != NAMESPACE {
        return Err(SignatureRefusal::OtherNamespace(signature.namespace().to_owned()));
    }
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(NAMESPACE, signed, &signature).map_err(|_| SignatureRefusal::DoesNotFit)?;
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    match allowed.look_up(key.key_data(), NAMESPACE, now) {
        Verdict::Allowed(principals) => Ok(SignedBy { principals, fingerprint }),
        Verdict::Expired(at) => Err(SignatureRefusal::Expired(fingerprint, at)),
        Verdict::NotYetValid(at) => Err(SignatureRefusal::NotYetValid(fingerprint, at)),
        Verdict::OtherNamespaces => Err(SignatureRefusal::NamespaceNotAllowed(fingerprint)),
        Verdict::Unknown => Err(SignatureRefusal::NotAllowed(fingerprint)),
    }
}
