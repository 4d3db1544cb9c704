//! All that the program writes to stdout and stderr, and what may stand in it.
//!
//! Names, texts and errors come from databases, bundles, stores and file systems of others. What does not show there, or
//! changes how the rest shows (control characters of both sets, marks of direction, characters of no width), is written
//! as its number: in text as `\u{202e}`, in JSON as `\u202e`, which is the same string to whoever parses it. No other
//! module prints.

pub use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

/// Whether a character does not show, or changes how others do. Unicode's control and format characters, the fillers and
/// selectors that show nothing, a blank that is no space, the two separators that end a line, and what is not assigned or
/// is private, of which nobody knows how it shows.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || !(c.is_ascii() || c.is_whitespace() || is_printable(c))
}

/// As the standard library's tables of Unicode have it. A mark stands behind a letter, where it is not escaped for being one.
fn is_printable(c: char) -> bool {
    let mut text = [b'a', 0, 0, 0, 0];
    let len = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..len]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
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

/// How a stretch of text is meant; shown as a colour where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// The head of something.
    Head,
    /// A verdict: as it should be.
    Good,
    /// A verdict: to be looked at.
    Care,
    /// A verdict: wrong; an error.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Head => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Care => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// Text as it is written to a stream: everything in it shows, and nothing in it steers a terminal but its tones.
#[derive(Debug, Default)]
pub struct Painted(String);

impl Painted {
    /// More text, in a tone.
    pub fn add(&mut self, tone: Tone, text: &str) {
        let style = tone.style();
        self.0.push_str(&format!("{style}{}{style:#}", visible(text)));
    }

    /// The same without its tones.
    #[cfg(test)]
    pub fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.0).to_string()
    }
}

/// Whether tones are shown, on stdout and stderr, for as long as the process lives. Asked for by nobody, they are where
/// the stream is a terminal that has them, and `NO_COLOR` is not set.
pub fn choose_colours(choice: ColorChoice) {
    choice.write_global();
}

/// The columns of the terminal, where stdout is one.
pub fn width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// The columns of the terminal, where stderr is one.
pub fn stderr_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// Whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes text to stdout.
///
/// # Errors
/// Those of the stream.
pub fn print(text: &Painted) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.0.as_bytes())?;
    out.flush()
}

/// Writes text without tones to stdout.
///
/// # Errors
/// Those of the stream.
pub fn print_plain(text: &str) -> io::Result<()> {
    let mut painted = Painted::default();
    painted.add(Tone::Plain, text);
    print(&painted)
}

/// Writes text to stderr, whatever becomes of it.
///
/// # Errors
/// Those of the stream.
pub fn print_to_stderr(text: &Painted) -> io::Result<()> {
    anstream::stderr().lock().write_all(text.0.as_bytes())
}

/// Writes a line to stderr, its first words in a tone. One that cannot be written has nobody to read it.
pub fn print_line(tone: Tone, head: &str, text: &str) {
    let mut line = Painted::default();
    line.add(tone, head);
    line.add(Tone::Plain, &format!("{text}\n"));
    _ = print_to_stderr(&line);
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
        // Blank, not assigned, private; and marks, spaces and signs that show.
        assert_eq!(visible("\u{2800}\u{378}\u{1fffe}\u{e123}"), "\\u{2800}\\u{378}\\u{1fffe}\\u{e123}");
        let shown = "e\u{301} क\u{94d}ष 日\u{3000}本\u{a0}! ⠿ ␀ № 😀";
        assert_eq!(visible(shown), shown);
        assert_eq!(clean("one\r\ntwo\tthree"), "one  two three");
        assert_eq!(visible("Ünï 漢字 😀\n"), "Ünï 漢字 😀\n");
        let document = json!({ hostile: [hostile, "é\n\""] });
        let text = json(&document);
        assert!(!text.chars().any(is_unseen), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }

    #[test]
    fn nothing_but_its_tones_steers_a_terminal() {
        let mut painted = Painted::default();
        painted.add(Tone::Bad, "no\u{1b}[32m");
        painted.add(Tone::Plain, " good\u{1b}[0m");
        assert_eq!(painted.0, "\u{1b}[1m\u{1b}[31mno\\u{1b}[32m\u{1b}[0m good\\u{1b}[0m");
        assert_eq!(painted.plain(), "no\\u{1b}[32m good\\u{1b}[0m");
    }
}
