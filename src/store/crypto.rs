//! What `object_store` needs of cryptography, out of what is linked anyway: SHA-256 and HMAC of
//! RustCrypto for S3 and Azure, and RSA of OpenSSL for service accounts of Google. Its own choices
//! (`ring`, `aws-lc-rs`) would be a second and third library of the same, and most of a build.

use hmac::{Hmac, Mac as _};
use object_store::client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm};
use object_store::{Error, Result};
use sha2::{Digest as _, Sha256};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Crypto;

impl CryptoProvider for Crypto {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Hash { state: Sha256::new(), done: [0; 32] })),
            other => Err(unknown(&format!("{other:?}"))),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let state = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| failed(Box::new(error)))?;
                Ok(Box::new(Keyed { state, done: [0; 32] }))
            }
            other => Err(unknown(&format!("{other:?}"))),
        }
    }

    fn sign(&self, algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Box<dyn Signer>> {
        match algorithm {
            SigningAlgorithm::RS256 => rsa::key(pem),
            other => Err(unknown(&format!("{other:?}"))),
        }
    }
}

fn unknown(algorithm: &str) -> Error {
    Error::NotSupported { source: format!("{algorithm} is not built in").into() }
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "crypto", source }
}

struct Hash {
    state: Sha256,
    done: [u8; 32],
}

impl DigestContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.done = self.state.finalize_reset().into();
        Ok(&self.done)
    }
}

struct Keyed {
    state: Hmac<Sha256>,
    done: [u8; 32],
}

// It is finished once.
impl HmacContext for Keyed {
    fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.done = self.state.clone().finalize().into_bytes().into();
        Ok(&self.done)
    }
}

/// OpenSSL is there where `native-tls` stands on it.
#[cfg(not(any(windows, target_vendor = "apple")))]
mod rsa {
    use super::{Result, Signer, failed};
    use openssl::hash::MessageDigest;
    use openssl::pkey::{PKey, Private};

    struct Key(PKey<Private>);

    pub(super) fn key(pem: &[u8]) -> Result<Box<dyn Signer>> {
        let key = PKey::private_key_from_pem(pem).map_err(|error| failed(Box::new(error)))?;
        Ok(Box::new(Key(key)))
    }

    impl Signer for Key {
        fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
            let signed = openssl::sign::Signer::new(MessageDigest::sha256(), &self.0)
                .and_then(|mut signer| signer.sign_oneshot_to_vec(text));
            signed.map_err(|error| failed(Box::new(error)))
        }
    }
}

#[cfg(any(windows, target_vendor = "apple"))]
mod rsa {
    use super::{Result, Signer, unknown};

    pub(super) fn key(_: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unknown("RSA for service accounts of Google"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-4's example, and test case 2 of RFC 4231.
    #[test]
    fn known_answers() {
        let mut hash = Crypto.digest(DigestAlgorithm::Sha256).unwrap();
        hash.update(b"abc");
        let due = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(hash.finish().unwrap()), due);
        let mut keyed = Crypto.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        keyed.update(b"what do ya want for nothing?");
        let due = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(keyed.finish().unwrap()), due);
    }
}
