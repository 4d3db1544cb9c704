//! The armour of a signature, and the one form of it.
//!
//! Base64 and PEM can say one thing in many ways, and fields of SSHSIG that nothing signs can
//! be changed without the key (`version`, `reserved`). So what was read is made anew from the only
//! parts that may differ, key and signature, and has to come out as the same bytes.

use super::refusal::SignatureRefusal;
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

/// No signature file is larger; one of Ed25519 has some 300 bytes.
pub const MAX_SIGNATURE_BYTES: u64 = 64 << 10;

/// The hash of the message that is signed, `ssh-keygen`'s default.
pub(super) const HASH: HashAlg = HashAlg::Sha512;

/// As `ssh-keygen -Y sign` writes it: lines of 70 characters, LF, also after the last.
pub(super) fn encode(signature: &SshSig) -> ssh_key::Result<Vec<u8>> {
    let mut text = signature.to_pem(LineEnding::LF)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text.into_bytes())
}

/// Reads an armour, if it is the one form of a signature by an Ed25519 key, of any namespace.
///
/// # Errors
/// [`SignatureRefusal::Unreadable`], [`SignatureRefusal::NotCanonical`].
pub(super) fn decode(bytes: &[u8]) -> Result<SshSig, SignatureRefusal> {
    if bytes.len() as u64 > MAX_SIGNATURE_BYTES {
        return Err(SignatureRefusal::Unreadable(format!("it has {} bytes, over {MAX_SIGNATURE_BYTES}", bytes.len())));
    }
    let read = SshSig::from_pem(bytes).map_err(|error| {
        SignatureRefusal::Unreadable(format!(
            "{error}; it has to be armoured SSHSIG, made by a key of type ssh-ed25519"
        ))
    })?;
    if read.public_key().algorithm() != Algorithm::Ed25519 {
        let algorithm = read.public_key().algorithm();
        return Err(SignatureRefusal::Unreadable(format!(
            "it was made by a key of type {algorithm}, and has to be by one of ssh-ed25519"
        )));
    }
    let anew = SshSig::new(read.public_key().clone(), read.namespace(), HASH, read.signature().clone());
    match anew.and_then(|anew| encode(&anew)) {
        Ok(anew) if anew == bytes => Ok(read),
        _ => Err(SignatureRefusal::NotCanonical),
    }
}
