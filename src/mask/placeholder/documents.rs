//! Placeholders of texts, and of what is written as text.

use super::segments::{BLANKS, Placeholder, TEXT};

/// Of an e-mail: lines that are no longer than they may be.
const BLANK_LINES: &[u8] = b"                                                                          \r\n";

fn padded(head: String, tail: &'static str, bytes: u64) -> Placeholder {
    Placeholder::padded(head.into_bytes(), BLANKS, tail.as_bytes(), bytes)
}

pub(super) fn txt(bytes: u64) -> Placeholder {
    padded(TEXT.to_owned(), "\n", bytes)
}

pub(super) fn csv(bytes: u64) -> Placeholder {
    padded(format!("note\r\n{TEXT}"), "\r\n", bytes)
}

pub(super) fn json(bytes: u64) -> Placeholder {
    padded(format!("{{\"masked\": \"{TEXT}\""), "}\n", bytes)
}

/// With a destination that readers pass by.
pub(super) fn rtf(bytes: u64) -> Placeholder {
    let head = format!("{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0 Helvetica;}}}}\\f0 {TEXT}{{\\*\\masked ");
    padded(head, "}}\n", bytes)
}

pub(super) fn xml(bytes: u64) -> Placeholder {
    padded(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<masked>{TEXT}<!--"), "--></masked>\n", bytes)
}

pub(super) fn html(bytes: u64) -> Placeholder {
    let head = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>masked</title></head>";
    padded(format!("{head}<body><p>{TEXT}</p><!--"), "--></body></html>\n", bytes)
}

pub(super) fn eml(bytes: u64) -> Placeholder {
    let head = "From: masked@example.invalid\r\nTo: masked@example.invalid\r\nSubject: masked\r\n\
                Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMIME-Version: 1.0\r\n\
                Content-Type: text/plain; charset=utf-8\r\n\r\n";
    Placeholder::padded(format!("{head}{TEXT}\r\n").into_bytes(), BLANK_LINES, b"\r\n", bytes)
}
