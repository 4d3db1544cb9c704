//! [`AllowedSigners`]: who may sign, in the format of ssh-keygen(1), section ALLOWED SIGNERS.
//!
//! The file is the user's own, and a line that is skipped in silence would change whom they trust:
//! every line is either understood as `ssh-keygen` understands it, or an error that names it. Lines
//! for certificate authorities and for keys of other types than Ed25519 are understood, and allow
//! nothing here.

use super::validity::{self, ValidityEnd};
use crate::error::{Error, Result};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

const ED25519: &str = "ssh-ed25519";

/// Types of keys that OpenSSH has and a signature of a bundle cannot be of.
const OTHER_TYPES: [&str; 14] = [
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
];

/// See the module's text.
#[derive(Clone, Debug)]
pub struct AllowedSigners {
    signers: Vec<AllowedSigner>,
}

#[derive(Clone, Debug)]
struct AllowedSigner {
    principals: String,
    key: KeyData,
    options: SignerOptions,
}

#[derive(Clone, Debug, Default)]
struct SignerOptions {
    is_authority: bool,
    namespaces: Option<String>,
    /// Seconds since 1970, UTC; the ends belong to the validity.
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

/// What the lines say of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// May sign; the principals of the first line that says so.
    Allowed(String),
    /// Was allowed until this time.
    Expired(String),
    /// Is allowed from this time on.
    NotYetValid(String),
    /// May sign, but in other namespaces.
    OtherNamespaces,
    /// Stands in no line.
    Unknown,
}

/// What is wrong with a line.
type Wrong = &'static str;

impl AllowedSigners {
    /// No file of allowed signers is larger.
    pub const MAX_BYTES: u64 = 1 << 20;

    /// Understands a whole file.
    ///
    /// # Errors
    /// Usage: over 1 MiB, or a line that cannot be understood, which is named.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(Error::usage(format!("a file of allowed signers with {} bytes is over 1 MiB", bytes.len())));
        }
        let mut signers = Vec::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let signer = line_text(line).and_then(parse_line).map_err(|wrong| {
                Error::usage(format!("line {} of the allowed signers cannot be understood: {wrong}", at + 1))
                    .hint("a line is: PRINCIPALS [OPTIONS] ssh-ed25519 KEY; see ssh-keygen(1), ALLOWED SIGNERS")
            })?;
            signers.extend(signer);
        }
        Ok(Self { signers })
    }

    /// What the file says of a key, at `now`: seconds since 1970, UTC.
    pub(super) fn look_up(&self, key: &KeyData, namespace: &str, now: i64) -> Verdict {
        let mut verdict = Verdict::Unknown;
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            let SignerOptions { namespaces, valid_after, valid_before, .. } = &signer.options;
            if namespaces.as_ref().is_some_and(|list| !is_in_list(namespace.as_bytes(), list)) {
                if verdict == Verdict::Unknown {
                    verdict = Verdict::OtherNamespaces;
                }
            } else if let Some(after) = valid_after.filter(|after| now < *after) {
                verdict = Verdict::NotYetValid(validity::text(after));
            } else if let Some(before) = valid_before.filter(|before| now > *before) {
                verdict = Verdict::Expired(validity::text(before));
            } else {
                return Verdict::Allowed(signer.principals.clone());
            }
        }
        verdict
    }
}

fn line_text(line: &[u8]) -> Result<&str, Wrong> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("there is a control character in it");
    }
    Ok(text)
}

const BLANK: [char; 2] = [' ', '\t'];

/// `None` for a line that is empty, a comment, or allows nothing here.
fn parse_line(line: &str) -> Result<Option<AllowedSigner>, Wrong> {
    let line = line.trim_start_matches(BLANK);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (principals, rest) = principals(line)?;
    let (options, key) = if is_key_type(word(rest).0) { (SignerOptions::default(), rest) } else { options(rest)? };
    let (key_type, rest) = word(key);
    let (blob, _comment) = word(rest);
    if !is_key_type(key_type) || blob.is_empty() {
        return Err("there is no key in it, or one of a type that OpenSSH does not have");
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if key_type != ED25519 {
        return if blob.bytes().all(is_base64) { Ok(None) } else { Err("its key is not base64") };
    }
    let key = PublicKey::from_openssh(&format!("{ED25519} {blob}")).map_err(|_| "its key cannot be read")?;
    let key = key.key_data().clone();
    Ok((!options.is_authority).then(|| AllowedSigner { principals: principals.to_owned(), key, options }))
}

/// A word, and what follows the blanks after it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANK))
}

fn is_key_type(word: &str) -> bool {
    word == ED25519 || OTHER_TYPES.contains(&word)
}

/// The first field, which may stand in quotes, and the rest.
fn principals(line: &str) -> Result<(&str, &str), Wrong> {
    let (principals, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let (principals, rest) = quoted.split_once('"').ok_or("a quote of the principals is not closed")?;
            (principals, rest.trim_start_matches(BLANK))
        }
        None => word(line),
    };
    if principals.is_empty() || principals.contains('"') {
        return Err("its principals are empty, or have a quote in the middle");
    }
    Ok((principals, rest))
}

/// The options, and the rest of the line.
fn options(text: &str) -> Result<(SignerOptions, &str), Wrong> {
    let (mut options, mut rest) = (SignerOptions::default(), text);
    loop {
        rest = option(&mut options, rest)?;
        rest = match rest.strip_prefix(',') {
            Some(next) => next,
            None if rest.starts_with(BLANK) => break,
            None if rest.is_empty() => return Err("there is no key in it"),
            None => return Err("an option in it is not known, or is not followed by a comma or a blank"),
        };
    }
    if options.valid_after.zip(options.valid_before).is_some_and(|(after, before)| before <= after) {
        return Err("its valid-before does not lie after its valid-after");
    }
    Ok((options, rest.trim_start_matches(BLANK)))
}

/// Takes one option; returns what follows it.
fn option<'a>(options: &mut SignerOptions, text: &'a str) -> Result<&'a str, Wrong> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.to_ascii_lowercase();
    if name == "cert-authority" {
        options.is_authority = true;
        return Ok(rest);
    }
    if !["namespaces", "valid-after", "valid-before"].contains(&name.as_str()) {
        return Err("after its principals stands neither a key of a type that OpenSSH has nor an option that is known");
    }
    let quoted = rest.strip_prefix("=\"").ok_or("the value of an option stands in quotes: namespaces=\"…\"")?;
    let (value, rest) = dequote(quoted)?;
    let twice = match name.as_str() {
        "namespaces" => options.namespaces.replace(value).is_some(),
        "valid-after" => options.valid_after.replace(validity::parse(&value, ValidityEnd::After)?).is_some(),
        _ => options.valid_before.replace(validity::parse(&value, ValidityEnd::Before)?).is_some(),
    };
    if twice { Err("an option comes twice in it") } else { Ok(rest) }
}

/// What stands before the closing quote, with `\"` as a quote, and what follows.
fn dequote(text: &str) -> Result<(String, &str), Wrong> {
    let (mut value, mut rest) = (String::new(), text);
    loop {
        let at = rest.find('"').ok_or("a quote is not closed")?;
        match rest[..at].strip_suffix('\\') {
            Some(before) => {
                value.push_str(before);
                value.push('"');
            }
            None => {
                value.push_str(&rest[..at]);
                return Ok((value, &rest[at + 1..]));
            }
        }
        rest = &rest[at + 1..];
    }
}

/// A pattern list (ssh_config(5), PATTERNS): one pattern matches, and none with `!` does.
fn is_in_list(text: &[u8], list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(text, negated.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern.as_bytes()),
        }
    }
    found
}

/// `*` for any bytes, `?` for one; in time of the product of both lengths.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                (p, t) = (p + 1, t + 1);
            }
            _ => match star {
                // The last star takes one byte more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
