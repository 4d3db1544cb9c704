//! All that the program writes to stdout and stderr, and what may stand in it.
//!
//! Names, texts and errors come from databases, bundles, stores and file systems of others. What does not show there, or
//! changes how the rest shows (control characters of both sets, marks of direction, characters of no width), is written
//! as its number: in text as `\u{202e}`, in JSON as `\u202e`, which is the same string to whoever parses it. No other
//! module prints.

use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

/// Whether a character does not show, or changes how others do. Unicode's control and format characters, the fillers and
/// selectors that show nothing, and the two separators that end a line.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text in which everything shows, but for its line feeds.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_kept = |c: char| c == '\n' || !is_unseen(c);
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_kept(c) {
            true => shown.push(c),
            false => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// Text from outside as a part of one line: what ends lines, and tabs, become spaces.
pub fn clean(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    visible(&one_line).into_owned()
}

/// A document in one line. What is escaped stands within its strings, for nothing else in JSON is anything but ASCII.
pub fn json(value: &Value) -> String {
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        match is_unseen(c) {
            false => text.push(c),
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
}

/// The columns of the terminal, where stdout is one.
#[cfg(unix)]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Not known here.
#[cfg(not(unix))]
pub fn width() -> Option<usize> {
    None
}

/// Whether stderr is a terminal.
pub fn tells_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes text to stdout.
///
/// # Errors
/// Those of the stream.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(visible(text).as_bytes())?;
    out.flush()
}

/// Writes text to stderr, whatever becomes of it.
///
/// # Errors
/// Those of the stream.
pub fn tell(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(visible(text).as_bytes())
}

/// Writes a line to stderr. One that cannot be written has nobody to read it.
pub fn tell_line(text: &str) {
    _ = tell(&format!("{text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_show_is_written_as_its_number() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{7f}\u{e0041}b";
        assert_eq!(
            visible(hostile),
            "a\\u{1b}[2J\\u{9b}31m\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{feff}\\u{7f}\\u{e0041}b"
        );
        assert_eq!(clean("one\r\ntwo\tthree"), "one  two three");
        assert_eq!(visible("Ünï 漢字 😀\n"), "Ünï 漢字 😀\n");
        let document = json!({ hostile: [hostile, "é\n\""] });
        let text = json(&document);
        assert!(!text.chars().any(is_unseen), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
