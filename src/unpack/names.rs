//! Names that are safe on every file system, and read back.
//!
//! What Windows or Unix would not take stands as `%` and two hexadecimal digits a byte, as does
//! `%` itself: so two different names stay different, and [`original_name`] gives the name back.

use crate::model::digest::Sha256;
use std::fmt::Write as _;

/// The longest component of a path: bytes on Unix, UTF-16 units (never more than the bytes) on
/// Windows.
pub const MAX_NAME_BYTES: usize = 255;
/// Behind a name that was cut, before the first digits of its hash. No escape begins so.
const CUT: &str = "%~";
const CUT_DIGITS: usize = 16;
/// What stands for the empty name.
const EMPTY: &str = "%";
const MAX_EXTENSION_BYTES: usize = 16;

/// "Naming Files, Paths, and Namespaces" of the Windows documentation, with the two of the console.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
const RESERVED_NUMBERED: [&str; 2] = ["COM", "LPT"];

/// One component of a path for any text: 1 to 255 bytes, never `.` or `..`, without separators,
/// control characters and what else Windows forbids, ending in neither dot nor space, no device's
/// name. `mark`, if given, stands in brackets before the extension, to tell two names apart.
///
/// A name that would be longer is cut, and closed by `%~`, the first 16 digits of its SHA-256, and
/// its extension.
pub fn file_name(name: &str, mark: Option<&str>) -> String {
    let (stem, extension) = split(name);
    let marked = mark.map(|mark| format!("{stem} ({mark}){extension}"));
    let name = marked.as_deref().unwrap_or(name);
    let whole = encoded(name);
    if whole.len() <= MAX_NAME_BYTES { whole } else { cut(name) }
}

/// The name that [`file_name`] was given, mark included; `None` if it was cut, or is none of ours.
pub fn original_name(file_name: &str) -> Option<String> {
    if file_name == EMPTY {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(file_name.len());
    let mut rest = file_name.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().filter(|name| encoded(name) == file_name)
}

fn encoded(name: &str) -> String {
    if name.is_empty() {
        return EMPTY.into();
    }
    let mut out = String::with_capacity(name.len());
    let last = name.chars().count() - 1;
    let is_device = is_device(name);
    for (nth, c) in name.chars().enumerate() {
        let ends_badly = nth == last && (c == '.' || c == ' ');
        push(&mut out, c, ends_badly || (nth == 0 && is_device));
    }
    out
}

fn push(out: &mut String, c: char, escape: bool) {
    if !escape && is_safe(c) {
        out.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Everything but separators, what Windows forbids, our own escape, control characters, and those
/// that change the direction or the lines of a text, so that a name could show as another.
fn is_safe(c: char) -> bool {
    let steers = matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !steers && !matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' | '%')
}

/// Devices keep their name under any extension, and with spaces before it.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_ascii_uppercase();
    let is_number = |rest: &str| {
        let mut digits = rest.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    };
    let is_port = RESERVED_NUMBERED.iter().any(|port| stem.strip_prefix(port).is_some_and(is_number));
    RESERVED.contains(&stem.as_str()) || is_port
}

/// The name and its extension with the dot; the latter is empty unless it is a short plain one.
fn split(name: &str) -> (&str, &str) {
    let Some(at) = name.rfind('.').filter(|at| *at > 0) else { return (name, "") };
    let extension = &name[at..];
    let is_plain = extension.len() > 1 && extension[1..].bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && extension.len() <= MAX_EXTENSION_BYTES { (&name[..at], extension) } else { (name, "") }
}

fn cut(name: &str) -> String {
    let (stem, extension) = split(name);
    let digits = &Sha256::of(name.as_bytes()).to_string()[..CUT_DIGITS];
    let room = MAX_NAME_BYTES - CUT.len() - CUT_DIGITS - extension.len();
    let (mut out, mut next) = (String::new(), String::new());
    for (nth, c) in stem.chars().enumerate() {
        next.clear();
        push(&mut next, c, nth == 0 && is_device(name));
        if out.len() + next.len() > room {
            break;
        }
        out += &next;
    }
    out + CUT + digits + extension
}
