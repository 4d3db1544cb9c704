//! The key that signs, and where its passphrase comes from.

use super::login::secret;
use crate::bundle::signature::Signer;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PASSPHRASE: &str = "BLOBDELTA_SIGN_PASSPHRASE";
const AGENT: &str = "SSH_AUTH_SOCK";

/// Whether and with what a bundle is signed.
#[derive(clap::Args, Clone, Debug)]
pub struct SignArgs {
    /// Sign the bundle with this OpenSSH key of type ssh-ed25519: a private key (the passphrase is read from
    /// BLOBDELTA_SIGN_PASSPHRASE, or the command asks for it), or a public key if the ssh-agent has its private key
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,
}

impl SignArgs {
    /// Opens the key, if one is named.
    ///
    /// # Errors
    /// As [`Signer::open`]; Usage, if its passphrase cannot be had.
    pub fn signer(&self) -> Result<Option<Arc<Signer>>> {
        let Some(path) = &self.sign_key else { return Ok(None) };
        let signer = Signer::open(path, agent().as_deref(), &mut || passphrase(path))?;
        Ok(Some(Arc::new(signer)))
    }

    /// What the key would be refused for, but for its passphrase.
    ///
    /// # Errors
    /// As [`Signer::check`].
    pub fn check(&self) -> Result<()> {
        self.sign_key.as_deref().map_or(Ok(()), |path| Signer::check(path, agent().as_deref()))
    }
}

fn agent() -> Option<PathBuf> {
    std::env::var_os(AGENT).filter(|socket| !socket.is_empty()).map(PathBuf::from)
}

fn passphrase(path: &Path) -> Result<String> {
    if let Some(passphrase) = secret(PASSPHRASE)? {
        return Ok(passphrase);
    }
    rpassword::prompt_password(format!("Passphrase of {}: ", path.display())).map_err(|error| {
        Error::usage("this key is encrypted, and there is no terminal to ask for its passphrase")
            .caused_by(error)
            .hint(format!("set {PASSPHRASE}, or name a public key if the ssh-agent has its private key"))
    })
}
