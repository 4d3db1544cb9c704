//! Prose in lines of a width.

use unicode_width::UnicodeWidthStr as _;

/// Lines of at most so many columns, broken at spaces. What stands between backticks is there to be copied, and stays in
/// one piece; so does a word that is longer than a line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            *line = word;
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

/// Words, and what stands between backticks as one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    // An odd backtick quotes nothing.
    let mut left = text.matches('`').count();
    for c in text.chars() {
        match c {
            '`' => {
                left -= 1;
                is_quoted = !is_quoted && left > 0;
                word.push(c);
            }
            ' ' | '\n' if !is_quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_commands_in_one_piece() {
        let text = "one two three `a command of five words` and 漢字 a`b";
        assert_eq!(
            wrapped(text, 12),
            ["one two", "three", "`a command of five words`", "and 漢字 a`b"],
            "wide characters count twice"
        );
        assert_eq!(wrapped("", 10), [""]);
        assert!(wrapped(&"word ".repeat(50), 20).iter().all(|line| line.width() <= 20));
    }
}
