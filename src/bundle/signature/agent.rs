//! An ssh-agent, asked for the one thing that is needed of it: a signature by a key that it holds.
//!
//! Source: draft-miller-ssh-agent, sections 3 (packets), 4.4 (identities), 4.5 (signing). What an
//! agent answers is bounded, and every wait for it ends. (The crate ssh-agent-client-rs does this
//! too, but switches on all key types of ssh-key, and with them crates that nothing here needs.)

use crate::error::{Error, Result};
use ssh_key::{PublicKey, Signature};
use std::io;
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use std::io::{Read as _, Write as _};
#[cfg(unix)]
use std::os::unix::net::UnixStream;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// OpenSSH's own bound of a message.
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// A person may have to confirm a signature.
const AGENT_TIMEOUT: Duration = Duration::from_secs(300);

/// Whether the agent holds this key.
///
/// # Errors
/// Io; the agent answers something else.
pub(super) fn holds(socket: &Path, key: &PublicKey) -> Result<bool> {
    let wanted = key_blob(key)?;
    let answer = ask(socket, REQUEST_IDENTITIES, IDENTITIES_ANSWER, &[])?;
    let found = find_key(&answer, &wanted);
    found.ok_or_else(|| Error::new(crate::error::Kind::Io, "the ssh-agent's list of keys cannot be read").file(socket))
}

/// A signature of `message` by a key that the agent holds.
///
/// # Errors
/// Io; the agent refuses.
pub(super) fn sign(socket: &Path, key: &PublicKey, message: &[u8]) -> Result<Signature> {
    let mut request = Vec::new();
    put(&mut request, &key_blob(key)?);
    put(&mut request, message);
    request.extend(0_u32.to_be_bytes());
    let answer = ask(socket, SIGN_REQUEST, SIGN_RESPONSE, &request)?;
    let signature = take(&mut answer.as_slice()).and_then(|blob| Signature::try_from(blob).ok());
    signature.ok_or_else(|| refused(socket).hint("its signature cannot be read"))
}

fn key_blob(key: &PublicKey) -> Result<Vec<u8>> {
    key.to_bytes().map_err(|error| Error::internal("a public key cannot be encoded").caused_by(error))
}

fn refused(socket: &Path) -> Error {
    Error::new(crate::error::Kind::Io, "the ssh-agent did not sign").file(socket)
}

fn put(message: &mut Vec<u8>, string: &[u8]) {
    // Nothing here is near 4 GiB; what would be is refused by the bound on messages.
    message.extend(u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend(string);
}

/// A string of RFC 4251, section 5: its length in four bytes before it.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

/// Whether a list of keys and comments has this key; `None` if it is no such list.
fn find_key(answer: &[u8], wanted: &[u8]) -> Option<bool> {
    let (count, mut rest) = answer.split_first_chunk::<4>()?;
    // Each turn takes bytes or ends, so the bytes of the answer bound the loop.
    for _ in 0..u32::from_be_bytes(*count) {
        let (key, _comment) = (take(&mut rest)?, take(&mut rest)?);
        if key == wanted {
            return Some(true);
        }
    }
    Some(false)
}

/// Sends one message, and gives the content of the answer if it is of the type that is due.
fn ask(socket: &Path, request: u8, due: u8, content: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| {
        Error::io("speak to the ssh-agent at", socket, error)
            .hint("start one with: eval $(ssh-agent); or name the private key's file")
    };
    let (kind, answer) = exchange(socket, request, content).map_err(failed)?;
    if kind == due { Ok(answer) } else { Err(refused(socket).hint("does it hold the key? See ssh-add -l")) }
}

#[cfg(unix)]
fn exchange(socket: &Path, request: u8, content: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    let too_large = || io::Error::new(io::ErrorKind::InvalidData, "a message is empty or over 256 KiB");
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(AGENT_TIMEOUT))?;
    stream.set_write_timeout(Some(AGENT_TIMEOUT))?;
    if content.len() >= MAX_MESSAGE_BYTES {
        return Err(too_large());
    }
    let mut message = Vec::new();
    put(&mut message, &[&[request], content].concat());
    stream.write_all(&message)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(1..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(too_large());
    }
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let mut answer = vec![0; length - 1];
    stream.read_exact(&mut answer)?;
    Ok((kind[0], answer))
}

#[cfg(not(unix))]
fn exchange(_: &Path, _: u8, _: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "an ssh-agent is reached by a Unix socket alone"))
}
