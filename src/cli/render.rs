//! Text for people: errors, numbers, times.

use super::again;
use super::exit::Exit;
use super::out::{Tone, clean};
use super::text::Text;
use crate::error::Error;
use crate::model::clock::ClockKind;
use crate::model::window::Window;
use std::error::Error as _;

/// An error in up to five lines: what, where, why, what to do, and what goes on; and lines to copy, if there are any.
pub fn error_text(error: &Error) -> Text {
    let mut text = Text::new();
    text.add(Tone::Bad, "error:");
    text += &format!(" {}\n", clean(error.what()));
    let place = error.place().to_string();
    if !place.is_empty() {
        text += &format!("  where:      {}\n", clean(&place));
    }
    if let Some(why) = reasons(error) {
        text += &format!("  why:        {}\n", clean(&why));
    }
    if let Some(hint) = error.what_to_do() {
        text += &format!("  what to do: {}\n", clean(&again::connected_text(hint)));
    }
    // Each in a line of its own, without anything before it, so that they can be copied.
    error.lines_to_copy().iter().for_each(|line| text += &format!("{}\n", clean(line)));
    if let Some(unfinished) = error.what_is_unfinished() {
        text += &format!("  go on with: {}\n", clean(&again::command(unfinished)));
    }
    text
}

/// The chain of reasons, without those that only repeat the one before.
pub fn reasons(error: &Error) -> Option<String> {
    let mut reasons: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(reason) = source {
        let text = reason.to_string();
        if reasons.last().is_none_or(|last| !last.contains(&text)) {
            reasons.push(text);
        }
        source = reason.source();
    }
    (!reasons.is_empty()).then(|| reasons.join(": "))
}

/// The exit code of an error.
pub fn exit_of(error: &Error) -> Exit {
    Exit::from(error.kind())
}

/// `12,345`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// `12.3 MiB`, in powers of 1024.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut tenths = u128::from(value) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `[start, end)` in RFC 3339; `Z` where the clock is UTC, no offset where it is the server's
/// local time.
pub fn window(window: &Window) -> String {
    let (start, end) = window_bounds(window);
    format!("[{start}, {end})")
}

/// The two bounds of [`window`].
pub fn window_bounds(window: &Window) -> (String, String) {
    match window.clock {
        ClockKind::Utc => (window.start.rfc3339_utc(), window.end.rfc3339_utc()),
        ClockKind::Local => (window.start.to_string(), window.end.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_why_and_what_to_do() {
        let error = Error::config("this is wrong")
            .table("D.s.T")
            .caused_by(std::io::Error::other("the disk\nis gone"))
            .hint("mend it");
        assert_eq!(
            error_text(&error).plain(),
            "error: this is wrong\n  where:      table D.s.T\n  why:        the disk is gone\n  what to do: mend it\n"
        );
        assert_eq!(error_text(&Error::usage("no")).plain(), "error: no\n");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
    }
}
