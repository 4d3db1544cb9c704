//! A client of our own for stores: a few lines of HTTP/1.1, and the signature that Azure asks for. It
//! knows nothing of the library that is tested, and reaches behind its back.

use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request, on a connection of its own.
pub fn call(port: u16, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let invalid = || std::io::Error::other("no answer of HTTP");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(invalid)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(invalid)?;
    let body = &answer[end + 4..];
    let chunked = head.contains("transfer-encoding: chunked");
    Ok(Answer { status, body: if chunked { unchunk(body).ok_or_else(invalid)? } else { body.to_vec() } })
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend(body.get(end + 2..end + 2 + size)?);
        body = body.get(end + 2 + size + 2..)?;
    }
}

/// The account and the key that every Azurite has.
pub const AZURE_ACCOUNT: &str = "devstoreaccount1";
pub const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The headers of Azure's Shared Key ("Authorize with Shared Key", version 2015-02-21 and later).
/// `path` begins with the account, and its query is sorted.
pub fn azure_headers(method: &str, path: &str, body_bytes: usize, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut named: Vec<(String, String)> =
        [("x-ms-date", "Sat, 28 Nov 2026 00:00:00 GMT"), ("x-ms-version", "2021-08-06")]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    named.sort();
    let listed: String = named.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let (plain, query) = path.split_once('?').unwrap_or((path, ""));
    let mut resource = format!("/{AZURE_ACCOUNT}{plain}");
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        resource += &format!("\n{name}:{value}");
    }
    let length = if body_bytes == 0 { String::new() } else { body_bytes.to_string() };
    // Encoding, language, length, MD5, type, date, four conditions, range.
    let signed = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{listed}{resource}");
    let signature = to_base64(&hmac_sha256(&from_base64(AZURE_KEY), signed.as_bytes()));
    named.push(("Authorization".into(), format!("SharedKey {AZURE_ACCOUNT}:{signature}")));
    named
}

/// RFC 2104.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() <= 64 {
        true => block[..key.len()].copy_from_slice(key),
        false => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, section 4.
fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, at| number << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let sign = ALPHABET[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let value = |sign: &u8| ALPHABET.iter().position(|known| known == sign).unwrap_or(0) as u32;
        let number = four.iter().fold(0, |number, sign| number << 6 | value(sign));
        let count = 3 - four.iter().filter(|sign| **sign == b'=').count();
        bytes.extend(&number.to_be_bytes()[1..=count]);
    }
    bytes
}
