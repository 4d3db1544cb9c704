//! Signatures of bundles: SSHSIG (OpenSSH, PROTOCOL.sshsig) over `tagmanifest-sha256.txt`, made
//! and checked with Ed25519 keys of OpenSSH, so that `ssh-keygen -Y` can do either half.
//!
//! [`Signer`] → armour beside the list → [`check`] against [`AllowedSigners`]. A signature says who
//! vouches for a root digest; it is never an identity of a bundle. One signature has exactly one
//! armour that is accepted, the one that `ssh-keygen` writes.

mod agent;
mod allowed;
mod armour;
mod check;
mod refusal;
mod scope;
mod signer;
mod validity;

pub use allowed::AllowedSigners;
pub use armour::MAX_SIGNATURE_BYTES;
pub use check::{SignedBy, check};
pub use refusal::{NAMESPACE, SignatureRefusal};
pub use scope::SignerScope;
pub use signer::Signer;
