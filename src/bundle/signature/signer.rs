//! [`Signer`]: an Ed25519 key of OpenSSH that signs bundles.
//!
//! Opened once, before anything else is done, so that a wrong passphrase costs no run. A private
//! key is never written, printed or kept longer than the signer lives.

use super::agent;
use super::armour::{HASH, encode};
use super::refusal::NAMESPACE;
use crate::error::{Error, Kind, Result};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, SshSig};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No file with one key is larger.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// See the module's text.
pub struct Signer {
    public: PublicKey,
    holder: Holder,
}

/// What stands in the file of a key.
enum KeyFile {
    Ready(Signer),
    Encrypted(Box<PrivateKey>),
}

/// Who holds the private key.
enum Holder {
    Here(Box<PrivateKey>),
    Agent(PathBuf),
}

impl Signer {
    /// Opens a key: the file of a private key, which may be encrypted, or of a public key whose
    /// private half the ssh-agent at `agent` (`SSH_AUTH_SOCK`) holds. `passphrase` is asked only
    /// for an encrypted key.
    ///
    /// # Errors
    /// Usage: no OpenSSH key, another type than Ed25519, a private key that others may read, a
    /// wrong passphrase, no agent or one without the key; Io; what `passphrase` says.
    pub fn open(path: &Path, agent: Option<&Path>, passphrase: &mut dyn FnMut() -> Result<String>) -> Result<Self> {
        let key = match Self::read(path, agent)? {
            KeyFile::Ready(signer) => return Ok(signer),
            KeyFile::Encrypted(key) => key,
        };
        let key = key.decrypt(passphrase()?).map_err(|_| {
            Error::usage("this passphrase does not open the key")
                .file(path)
                .hint(format!("try it with: ssh-keygen -y -f {}", path.display()))
        })?;
        Ok(Self { public: key.public_key().clone(), holder: Holder::Here(Box::new(key)) })
    }

    /// What opening a key would be refused for, but for its passphrase, which is not asked.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub fn check(path: &Path, agent: Option<&Path>) -> Result<()> {
        Self::read(path, agent).map(drop)
    }

    fn read(path: &Path, agent: Option<&Path>) -> Result<KeyFile> {
        let file = File::open(path).map_err(|error| {
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io("open the key in", path, error);
            let hint = format!("correct the path, or make a key with: ssh-keygen -t ed25519 -f {}", path.display());
            if is_missing { error.hint(hint) } else { error }
        })?;
        let mut text = String::new();
        let read = (&file).take(MAX_KEY_BYTES + 1).read_to_string(&mut text);
        read.map_err(|error| Error::io("read the key in", path, error))?;
        let opened = if text.len() as u64 > MAX_KEY_BYTES {
            Err(Error::usage("this is not the file of a key: it is over 64 KiB long"))
        } else if text.starts_with("-----BEGIN") {
            check_mode(&file, path).and_then(|()| Self::private(&text))
        } else {
            Self::public(&text, agent).map(KeyFile::Ready)
        };
        opened.map_err(|error| error.file(path))
    }

    fn private(text: &str) -> Result<KeyFile> {
        let key = PrivateKey::from_openssh(text).map_err(|error| {
            Error::usage("this is not a private key of type ssh-ed25519 in OpenSSH's own format")
                .caused_by(error)
                .hint("make one with: ssh-keygen -t ed25519 -f FILE")
        })?;
        check_type(&key.algorithm())?;
        if key.is_encrypted() {
            return Ok(KeyFile::Encrypted(Box::new(key)));
        }
        Ok(KeyFile::Ready(Self { public: key.public_key().clone(), holder: Holder::Here(Box::new(key)) }))
    }

    fn public(text: &str, socket: Option<&Path>) -> Result<Self> {
        let public = PublicKey::from_openssh(text.trim()).map_err(|error| {
            Error::usage("this is neither a private nor a public key of OpenSSH")
                .caused_by(error)
                .hint("make one with: ssh-keygen -t ed25519 -f FILE")
        })?;
        check_type(&public.algorithm())?;
        let socket = socket.ok_or_else(|| {
            Error::usage("this is a public key, and there is no ssh-agent to sign with it: SSH_AUTH_SOCK is not set")
                .hint("start one with: eval $(ssh-agent); or name the private key's file")
        })?;
        if !agent::holds(socket, &public)? {
            return Err(Error::usage("the ssh-agent does not hold the private half of this key")
                .hint("add it with ssh-add, or name the private key's file"));
        }
        Ok(Self { public, holder: Holder::Agent(socket.to_owned()) })
    }

    /// `SHA256:` and base64, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Signs the bytes of `tagmanifest-sha256.txt`: the armour, byte for byte as
    /// `ssh-keygen -Y sign -n blobdelta-bundle-v1` writes it. The same key gives the same bytes.
    ///
    /// # Errors
    /// Io, from an agent; Internal: a signature that does not fit is never given out.
    pub fn sign(&self, tag_list: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: ssh_key::Error| Error::internal("the bundle could not be signed").caused_by(error);
        let signature = match &self.holder {
            Holder::Here(key) => key.sign(NAMESPACE, HASH, tag_list).map_err(failed)?,
            Holder::Agent(socket) => {
                let message = SshSig::signed_data(NAMESPACE, HASH, tag_list).map_err(failed)?;
                let signature = agent::sign(socket, &self.public, &message)?;
                SshSig::new(self.public.key_data().clone(), NAMESPACE, HASH, signature).map_err(failed)?
            }
        };
        self.public.verify(NAMESPACE, tag_list, &signature).map_err(|error| {
            Error::new(Kind::Io, "the signature that was made does not fit its key").caused_by(error)
        })?;
        encode(&signature).map_err(failed)
    }
}

/// Without what is secret.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.fingerprint())
    }
}

fn check_type(algorithm: &Algorithm) -> Result<()> {
    if *algorithm == Algorithm::Ed25519 {
        return Ok(());
    }
    Err(Error::usage(format!("this is a key of type {algorithm}, and bundles are signed only with ssh-ed25519"))
        .hint("make one with: ssh-keygen -t ed25519 -f FILE"))
}

/// As `ssh-keygen`: one's own private key that others may read is not used.
#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().map_err(|error| Error::io("read the key in", path, error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != rustix::process::geteuid().as_raw() || mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::usage(format!("others may read this private key: its permissions are {mode:04o}"))
        .hint(format!("type: chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<()> {
    Ok(())
}
