//! Words of commands that people paste into a shell.

/// The text as one word of a POSIX shell: as it is where nothing in it means anything there, else in
/// single quotes.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_shell_is_quoted() {
        for plain in ["Files.dbo.Attachment", "/var/out", "s3://acme/weekly", "az://c@a.x/p"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word("it's a $HOME"), r"'it'\''s a $HOME'");
        assert_eq!(word(""), "''");
        assert_eq!(word("a;b"), "'a;b'");
        assert_eq!(word("C:\\out"), "'C:\\out'");
    }
}
