//! [`MaskSecret`]: the one thing that masks cannot be led back without. Every mask is derived from it by HMAC-SHA-256
//! (RFC 2104), so it is the same each week; it is in no bundle and in no message.

use crate::bundle::Manifest;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use hmac::{Hmac, Mac as _};
use std::collections::BTreeSet;
use std::fmt;

type HmacSha256 = Hmac<sha2::Sha256>;

/// Bytes of the shortest secret, and how many different ones it has to have.
const LEAST_BYTES: usize = 32;
const LEAST_DIFFERENT: usize = 8;

/// See the module's text.
#[derive(Clone)]
pub struct MaskSecret(MaskKey);

impl MaskSecret {
    /// From its text: hexadecimal digits, at least 64 of them; blanks and line feeds at its ends do not count.
    ///
    /// # Errors
    /// Usage: another text, or too short a one. The text is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: String| Error::usage(why).hint("make a secret with: openssl rand -hex 32");
        let digits: Option<Vec<u8>> = text.trim().chars().map(|c| c.to_digit(16)?.try_into().ok()).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0);
        let digits = digits.ok_or_else(|| bad("the masking secret is not pairs of hexadecimal digits".to_owned()))?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        if bytes.len() < LEAST_BYTES {
            let text = format!("the masking secret has {} bytes, and needs at least {LEAST_BYTES}", bytes.len());
            return Err(bad(text));
        }
        if bytes.iter().collect::<BTreeSet<_>>().len() < LEAST_DIFFERENT {
            return Err(bad("the masking secret is not random: it has too few different bytes".to_owned()));
        }
        MaskKey::new(&bytes).map(Self)
    }

    /// The key of one purpose, such as a domain.
    pub(super) fn key(&self, purpose: &[&[u8]]) -> Result<MaskKey> {
        self.0.derived(purpose)
    }

    /// What stands for the id of a source or run in masked bundles: a UUID of version 8 (RFC 9562, section 5.8).
    pub(super) fn masked_id(&self, what: &str, id: Guid) -> Guid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0.mac(&[b"id", what.as_bytes(), id.as_bytes()])[..16]);
        Guid::derived(bytes)
    }

    /// A manifest as that of its masked bundle is, so far as it says whose rows there are.
    pub fn source_of(&self, manifest: &Manifest) -> Manifest {
        let mut masked = manifest.clone();
        masked.run.source_id = self.masked_id("source", manifest.run.source_id);
        masked
    }

    /// What stands for the root digest of an original bundle.
    pub(super) fn masked_root(&self, root: Sha256) -> Sha256 {
        Sha256::from_bytes(self.0.mac(&[b"root", root.as_bytes()]))
    }
}

/// Nothing of it.
impl fmt::Debug for MaskSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskSecret(…)")
    }
}

/// A key that was derived for one purpose.
#[derive(Clone)]
pub(super) struct MaskKey(HmacSha256);

impl MaskKey {
    fn new(bytes: &[u8]) -> Result<Self> {
        let keyed = HmacSha256::new_from_slice(bytes);
        keyed.map(Self).map_err(|error| Error::internal("a key for HMAC was refused").caused_by(error))
    }

    /// The key of a part of that purpose.
    pub(super) fn derived(&self, purpose: &[&[u8]]) -> Result<Self> {
        Self::new(&self.mac(purpose))
    }

    /// The HMAC of parts, each behind its length.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Bytes without end that follow from 32 bytes: SHA-256 of them and a counter.
pub(super) struct MaskStream {
    seed: [u8; 32],
    next: u64,
    block: [u8; 32],
    at: usize,
}

impl MaskStream {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, next: 0, block: [0; 32], at: 32 }
    }

    fn refill(&mut self) {
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(&self.seed);
        bytes[32..].copy_from_slice(&self.next.to_be_bytes());
        self.block = *Sha256::of(&bytes).as_bytes();
        self.next += 1;
        self.at = 0;
    }

    /// Fills a buffer.
    pub(super) fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.at == self.block.len() {
                self.refill();
            }
            let taken = out.len().min(self.block.len() - self.at);
            out[..taken].copy_from_slice(&self.block[self.at..self.at + taken]);
            self.at += taken;
            out = &mut out[taken..];
        }
    }

    /// A number below `bound`, which is at least 1 and small: the bias is `bound` in 2^32.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes) % bound.max(1)
    }

    /// Eight bytes as a number.
    pub(super) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_secret_is_hexadecimal_long_and_random_and_is_never_shown() {
        assert!(MaskSecret::parse(&format!(" {SECRET}\n")).is_ok());
        let zeros = "00".repeat(32);
        for bad in ["", "passphrase", &SECRET[2..], &SECRET[1..], zeros.as_str(), "äöüß"] {
            let error = MaskSecret::parse(bad).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
        assert_eq!(format!("{:?}", MaskSecret::parse(SECRET).unwrap()), "MaskSecret(…)");
    }

    #[test]
    fn parts_are_told_apart_and_a_stream_goes_on_where_it_stopped() {
        let key = MaskSecret::parse(SECRET).unwrap().key(&[b"x"]).unwrap();
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        let (mut whole, mut pieces) = ([0; 100], [0; 100]);
        MaskStream::new([7; 32]).fill(&mut whole);
        let mut stream = MaskStream::new([7; 32]);
        pieces.chunks_mut(7).for_each(|piece| stream.fill(piece));
        assert_eq!(whole, pieces);
    }
}
