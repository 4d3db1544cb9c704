//! Encryption of archives for transport, in the format of age (<https://age-encryption.org/v1>):
//! `age` and `rage` open them, and what they made is opened here.
//!
//! An archive is encrypted to X25519 recipients alone. Every chunk of 64 KiB is authenticated as
//! it is read, and the length of the whole before anything is, so a cut is an error like a flip.

use crate::bundle::content::{Content, ContentReader};
use crate::bundle::read_at::ReadAt;
use crate::error::{Error, Result};
use age::secrecy::SecretString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The first line of every such file.
const INTRO: &[u8] = b"age-encryption.org/v1";
/// The header of an archive for some 500 recipients.
const MAX_HEADER_BYTES: u64 = 64 << 10;
/// No file of identities is larger.
const MAX_IDENTITY_BYTES: u64 = 1 << 20;

/// Who can open an archive.
pub struct Recipients(Vec<age::x25519::Recipient>);

/// Whether a text holds the secret half of a key of age.
pub fn is_identity(text: &str) -> bool {
    text.to_ascii_uppercase().contains("AGE-SECRET-KEY-")
}

impl Recipients {
    /// Recipients of the form `age1…`, at least one.
    ///
    /// # Errors
    /// Usage, with the one that is none.
    pub fn parse(texts: &[String]) -> Result<Self> {
        if texts.is_empty() {
            return Err(Error::usage("an archive must be encrypted to somebody"));
        }
        // Pasted in place of its recipient: it is not repeated.
        if texts.iter().any(|text| is_identity(text)) {
            return Err(Error::usage("this is an identity of age, which is secret, and not a recipient").hint(
                "give the line that starts with `age1`, as `age-keygen -y FILE` prints it; if the identity was written \
                 where others can read it, make a new one",
            ));
        }
        let parse = |text: &String| {
            text.parse().map_err(|reason: &str| {
                Error::usage(format!("{text:.100?} is not a recipient of age: {reason}"))
                    .hint("a recipient is the line that starts with `age1`, as `age-keygen -y FILE` prints it")
            })
        };
        texts.iter().map(parse).collect::<Result<_>>().map(Self)
    }

    /// Each as it is written, `age1…`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    pub(super) fn encryptor(&self) -> Result<age::Encryptor> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        age::Encryptor::with_recipients(recipients)
            .map_err(|error| Error::internal("the archive cannot be encrypted").caused_by(error))
    }
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

/// What opens encrypted archives. Empty unless told otherwise.
#[derive(Clone, Default)]
pub struct Identities(Vec<age::x25519::Identity>);

impl Identities {
    /// Reads files of identities, as `age-keygen` writes them: lines that start with
    /// `AGE-SECRET-KEY-1`, comments, empty lines.
    ///
    /// # Errors
    /// Usage, for a file that holds anything else; Io. Nothing of a secret is reported.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let mut identities = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let bad = |what: String| {
                Error::usage(what).file(path).hint("name a file that `age-keygen` wrote, without a passphrase")
            };
            let failed = |error| Error::io("read", path, error);
            let mut text = Vec::new();
            let read = File::open(path).map_err(failed)?.take(MAX_IDENTITY_BYTES + 1).read_to_end(&mut text);
            if read.map_err(failed)? as u64 > MAX_IDENTITY_BYTES {
                return Err(bad("this file is too large for one of identities".into()));
            }
            let text = SecretString::from(String::from_utf8(text).map_err(|_| bad("this file is no text".into()))?);
            let before = identities.len();
            for (nth, line) in age::secrecy::ExposeSecret::expose_secret(&text).lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let identity = line.parse().map_err(|_| bad(format!("line {} is not an identity of age", nth + 1)))?;
                identities.push(identity);
            }
            if identities.len() == before {
                return Err(bad("this file holds no identity".into()));
            }
        }
        Ok(Self(identities))
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} identities", self.0.len())
    }
}

/// Whether a file begins as one of age does.
pub(in crate::bundle) fn is_encrypted(start: &[u8]) -> bool {
    start.starts_with(INTRO)
}

/// Opens an encrypted file for reading at any offset, and gives the bytes that are in it.
///
/// # Errors
/// Usage, if no identity opens it; Verification, if it was changed.
pub(in crate::bundle) fn decrypt(content: Content, identities: &Identities) -> Result<(Decrypted, u64)> {
    if identities.0.is_empty() {
        return Err(Error::usage("this archive is encrypted").hint("name the file of your identity: --identity FILE"));
    }
    let changed = || Error::verification("this encrypted archive was changed, or is cut off");
    if !has_short_header(&content).map_err(|error| changed().caused_by(error))? {
        let what = format!("the header of this encrypted archive has no end within {MAX_HEADER_BYTES} bytes");
        return Err(Error::verification(what).hint("it was changed, or made for more than some hundred recipients"));
    }
    let is_steady = content.is_steady();
    let decryptor = age::Decryptor::new(content.reader(0)).map_err(|error| changed().caused_by(error))?;
    let known = identities.0.iter().map(|identity| identity as &dyn age::Identity);
    let mut stream = decryptor.decrypt(known).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => Error::usage("none of the identities opens this archive")
            .hint("it was encrypted to somebody else; ask its sender to name your recipient"),
        other => changed().caused_by(other),
    })?;
    let bytes = stream.seek(SeekFrom::End(0)).map_err(|error| changed().caused_by(error))?;
    Ok((Decrypted { stream: Mutex::new(stream), bytes, is_steady }, bytes))
}

/// Whether the header ends where a header may: its last line begins with `---` and holds a MAC
/// (age-encryption.org/v1, "Header MAC"). The library's time grows with the square of the header's length.
fn has_short_header(content: &Content) -> io::Result<bool> {
    let mut start = Vec::new();
    content.reader(0).take(MAX_HEADER_BYTES).read_to_end(&mut start)?;
    let last = b"\n--- ";
    let at = start.windows(last.len()).position(|window| window == last);
    Ok(at.is_some_and(|at| start[at + 1..].contains(&b'\n')))
}

/// An encrypted file that was opened.
pub(in crate::bundle) struct Decrypted {
    stream: Mutex<age::stream::StreamReader<ContentReader>>,
    bytes: u64,
    is_steady: bool,
}

impl ReadAt for Decrypted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.bytes {
            return Ok(0);
        }
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.seek(SeekFrom::Start(offset))?;
        stream.read(buffer)
    }

    fn is_steady(&self) -> bool {
        self.is_steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    struct HeldBytes(Vec<u8>);

    impl ReadAt for HeldBytes {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let from = usize::try_from(offset).unwrap().min(self.0.len());
            let read = buffer.len().min(self.0.len() - from);
            buffer[..read].copy_from_slice(&self.0[from..from + read]);
            Ok(read)
        }
    }

    /// What opening a file with so many stanzas, or one of so many lines, says; and how long that takes.
    fn opened(header: &str) -> (Error, f64) {
        let text = format!("age-encryption.org/v1\n{header}");
        let identity = age::x25519::Identity::generate();
        let bytes = text.len() as u64;
        let content = Content::new(Arc::new(HeldBytes(text.into_bytes())), 0, bytes);
        let started = Instant::now();
        let error = decrypt(content, &Identities(vec![identity])).err().unwrap();
        (error, started.elapsed().as_secs_f64())
    }

    /// Long headers are told by their length, before the library sees them: a header of 100 KB took it 7 s,
    /// one of a megabyte would take it a quarter of an hour.
    #[test]
    fn attack_a_header_without_an_end_is_not_parsed() {
        let stanza = format!("-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(43));
        let body = format!("-> x\n{}", format!("{}\n", "A".repeat(64)).repeat(2_000));
        for header in [stanza.repeat(1_000), stanza.repeat(10_000), body.repeat(10), "x".repeat(200_000), String::new()]
        {
            let (error, seconds) = opened(&format!("{header}--- {}\n", "A".repeat(43)));
            assert_eq!(error.kind(), crate::error::Kind::Verification, "{error}");
            if header.len() > 65_536 {
                assert!(error.to_string().contains("has no end"), "{error}");
                assert!(seconds < 1.0, "{seconds} s for {} bytes", header.len());
            }
        }
        let (error, _) = opened(&format!("{}--- {}\n", stanza.repeat(10), "A".repeat(43)));
        assert!(!error.to_string().contains("has no end"), "{error}");
    }
}
