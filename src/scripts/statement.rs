//! Named statements: one file of SQL for each Rust file that has statements, of the same name, cut when the program is compiled.
//!
//! A statement begins behind a line `-- name: some_name` and ends at the next one. Lines of comment that follow its name say what
//! it is for; they are for readers, and are not sent.

const HEADING: &[u8] = b"-- name: ";

/// The statement of this name in the text of a file. It is meant for constants alone, so that a wrong name does not compile:
/// `const KEYS: &str = statement(SQL, "keys");`.
///
/// # Panics
/// If the file has no statement of this name, or nothing below it.
pub const fn statement(file: &'static str, name: &str) -> &'static str {
    let text = file.as_bytes();
    let mut at = 0;
    while at < text.len() && !is_heading_of(text, at, name.as_bytes()) {
        at = line_after(text, at);
    }
    assert!(at < text.len(), "the file has no statement of this name");
    let mut first = line_after(text, at);
    while starts_with(text, first, b"--") && !starts_with(text, first, HEADING) {
        first = line_after(text, first);
    }
    let mut end = first;
    while end < text.len() && !starts_with(text, end, HEADING) {
        end = line_after(text, end);
    }
    let (until_end, _) = file.split_at(end);
    let (_, statement) = until_end.split_at(first);
    let statement = statement.trim_ascii();
    assert!(!statement.is_empty(), "there is nothing below the name");
    statement
}

/// Every statement of a file, under its name.
pub fn statements(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let names = file.lines().filter_map(|line| line.strip_prefix("-- name: "));
    names.map(move |name| (name, statement(file, name)))
}

/// Puts values where a text says `open` Name `close`, in one pass: what a value holds is never read again. What is not named
/// stays. Values are quoted identifiers, and expressions made of them.
pub fn filled(text: &str, (open, close): (&str, &str), values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        filled.push_str(before);
        let value = after.split_once(close).and_then(|(name, behind)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((*value, behind))
        });
        let (value, behind) = value.unwrap_or((open, after));
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

const fn is_heading_of(text: &[u8], at: usize, name: &[u8]) -> bool {
    let end = at + HEADING.len() + name.len();
    starts_with(text, at, HEADING)
        && starts_with(text, at + HEADING.len(), name)
        && (end == text.len() || text[end] == b'\n' || text[end] == b'\r')
}

const fn starts_with(text: &[u8], at: usize, with: &[u8]) -> bool {
    if at + with.len() > text.len() {
        return false;
    }
    let mut nth = 0;
    while nth < with.len() {
        if text[at + nth] != with[nth] {
            return false;
        }
        nth += 1;
    }
    true
}

/// Where the line behind this one begins, or the text ends.
const fn line_after(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at] != b'\n' {
        at += 1;
    }
    if at < text.len() { at + 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "-- Of a file.\n\n-- name: key\n-- What it is for.\nSELECT k -- here\nFROM t;\n\n-- name: keys\nSELECT 2\n";

    #[test]
    fn a_statement_is_what_stands_below_its_own_name() {
        const KEY: &str = statement(FILE, "key");
        assert_eq!(KEY, "SELECT k -- here\nFROM t;");
        assert_eq!(statements(FILE).collect::<Vec<_>>(), [("key", KEY), ("keys", "SELECT 2")]);
        assert_eq!(statement("-- name: a\r\nSELECT 1\r\n", "a"), "SELECT 1");
    }

    #[test]
    #[should_panic(expected = "no statement of this name")]
    fn the_beginning_of_a_name_is_no_name() {
        statement(FILE, "ke");
    }

    #[test]
    #[should_panic(expected = "nothing below the name")]
    fn a_name_without_a_statement_is_refused() {
        statement("-- name: a\n-- Text.\n-- name: b\nSELECT 1", "a");
    }

    #[test]
    fn a_name_that_looks_like_a_placeholder_is_not_filled_again() {
        let values = [("Target", "[{Key}]"), ("Key", "[k]")];
        assert_eq!(filled("[{Target}].[{Key}] [{Other}] [{", ("[{", "}]"), &values), "[{Key}].[k] [{Other}] [{");
        assert_eq!(filled("{Key} {Other}", ("{", "}"), &values), "[k] {Other}");
    }
}
