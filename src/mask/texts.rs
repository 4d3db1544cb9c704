//! Masks of texts. Each but `token` follows from the SHA-256 of the text, so that one that lies in a file of its own has the
//! same mask as one in its row.

use super::lists::{EXTENSIONS, FAMILY_NAMES, GIVEN_NAMES, WORDS};
use super::permute;
use super::secret::{MaskKey, MaskStream};
use crate::error::Result;
use std::io::{self, Write};

/// Characters that are permuted together.
const PIECE_CHARACTERS: usize = 4096;
const NAME_CHARACTERS: usize = 16;
const NAME_ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Replaces letters and digits of a text by others of their class; see [`token`].
pub(super) struct Tokens<'k> {
    key: &'k MaskKey,
    piece: Vec<char>,
    number: u64,
}

impl<'k> Tokens<'k> {
    pub(super) fn new(key: &'k MaskKey) -> Self {
        Self { key, piece: Vec::new(), number: 0 }
    }

    /// Takes more of the text, and writes what is complete.
    pub(super) fn take(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        for c in text.chars() {
            self.piece.push(c);
            if self.piece.len() == PIECE_CHARACTERS {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    /// Writes the rest.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let (mut digits, mut radices): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        for c in &self.piece {
            for (digit, class) in replaced(*c) {
                digits.push(digit);
                radices.push(class.radix());
            }
        }
        permute::digits(self.key, self.number, &mut digits, &radices);
        let mut text = String::with_capacity(self.piece.len());
        let mut digits = digits.into_iter();
        for c in &self.piece {
            let mut was_replaced = false;
            for (_, class) in replaced(*c) {
                text.extend(digits.next().map(|digit| char::from(class.first() + digit)));
                was_replaced = true;
            }
            if !was_replaced {
                text.push(*c);
            }
        }
        self.piece.clear();
        self.number += 1;
        out.write_all(text.as_bytes())
    }
}

#[derive(Clone, Copy)]
enum Class {
    Upper,
    Lower,
    Digit,
}

impl Class {
    fn radix(self) -> u8 {
        if matches!(self, Self::Digit) { 10 } else { 26 }
    }

    fn first(self) -> u8 {
        match self {
            Self::Upper => b'A',
            Self::Lower => b'a',
            Self::Digit => b'0',
        }
    }
}

/// What stands for a character: nothing, if it stays; two letters, for one that takes two units of UTF-16.
fn replaced(c: char) -> impl Iterator<Item = (u8, Class)> {
    let class = match c {
        '0'..='9' => Some(Class::Digit),
        c if c.is_uppercase() => Some(Class::Upper),
        c if c.is_alphabetic() => Some(Class::Lower),
        c if c.is_numeric() => Some(Class::Digit),
        _ => None,
    };
    let count = class.map_or(0, |_| c.len_utf16());
    class.into_iter().cycle().take(count).map(move |class| {
        let place = match class {
            Class::Upper | Class::Lower | Class::Digit if c.is_ascii() => u32::from(c) - u32::from(class.first()),
            // Small letters and large ones have the same place, as those of A to Z do.
            _ => c.to_lowercase().next().unwrap_or(c).into(),
        };
        (u8::try_from(place % u32::from(class.radix())).unwrap_or(0), class)
    })
}

/// The same length (in units of UTF-16) and classes of characters: A–Z, a–z and 0–9 for letters and digits of any script;
/// what is neither stays. No two texts of A–Z, a–z and 0–9 have the same mask.
pub(super) fn token(key: &MaskKey, text: &str) -> String {
    let (mut tokens, mut out) = (Tokens::new(key), Vec::with_capacity(text.len()));
    // Writing to memory cannot fail.
    let _ = tokens.take(text, &mut out).and_then(|()| tokens.flush(&mut out));
    String::from_utf8(out).unwrap_or_default()
}

/// Between the names of a path.
pub(super) const SEPARATORS: [char; 5] = ['/', '\\', '|', '.', ':'];

/// Each name of a path as a token, by a key that follows from the path before it: a name has the same mask wherever it comes
/// in one folder, and what lies in a folder begins with the folder's mask. Whether letters are large or small does not count.
pub(super) fn path(key: &MaskKey, text: &str) -> Result<String> {
    let (mut masked, mut before) = (String::with_capacity(text.len()), 0);
    for segment in text.split_inclusive(SEPARATORS) {
        let folder = text[..before].to_lowercase();
        masked += &token(&key.derived(&[b"segment", folder.as_bytes()])?, segment);
        before += segment.len();
    }
    Ok(masked)
}

/// Words of so many bytes in all, without an end in the middle of nothing: the last may be cut.
pub(super) fn words(seed: [u8; 32], bytes: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut stream = MaskStream::new(seed);
    let mut left = bytes;
    let mut is_first = true;
    while left > 0 {
        let word = WORDS[stream.below(64) as usize % WORDS.len()];
        let text = if is_first { word.to_owned() } else { format!(" {word}") };
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(text.len());
        out.write_all(&text.as_bytes()[..taken])?;
        left -= taken as u64;
        is_first = false;
    }
    Ok(())
}

/// A name that nobody has on purpose, cut to what the column takes.
pub(super) fn person(seed: [u8; 32], limit: Option<usize>) -> String {
    let mut stream = MaskStream::new(seed);
    let mut pick = |names: &[&'static str; 64]| names[stream.below(64) as usize % names.len()];
    let mut name = format!("{} {}", pick(&GIVEN_NAMES), pick(&FAMILY_NAMES));
    name.truncate(limit.unwrap_or(usize::MAX));
    name.trim_end().to_owned()
}

/// Letters and digits of 80 bits, which is safe as a name of a file; the extension stays if it is a usual one.
pub(super) fn file_name(seed: [u8; 32], name: &str) -> String {
    let mut masked = local_name(seed);
    if let Some(extension) = extension_of(name) {
        masked.push('.');
        masked += &extension;
    }
    masked
}

fn local_name(seed: [u8; 32]) -> String {
    let mut stream = MaskStream::new(seed);
    (0..NAME_CHARACTERS).map(|_| char::from(NAME_ALPHABET[stream.below(32) as usize % 32])).collect()
}

/// The extension of a name, in small letters, if it is a usual one.
pub(super) fn extension_of(name: &str) -> Option<String> {
    usual(name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?.1)
}

fn usual(extension: &str) -> Option<String> {
    let extension = extension.to_ascii_lowercase();
    EXTENSIONS.binary_search(&extension.as_str()).is_ok().then_some(extension)
}

/// An extension in small letters, if it is a usual one; any other may be part of a name, and becomes `bin`.
pub(super) fn extension(text: &str) -> String {
    usual(text.trim().trim_start_matches('.')).unwrap_or_else(|| "bin".to_owned())
}

/// An address in the domain that is nobody's (RFC 2606).
pub(super) fn email(seed: [u8; 32]) -> String {
    format!("{}@example.invalid", local_name(seed))
}

/// A number of ten digits of a country that does not exist.
pub(super) fn phone(seed: [u8; 32]) -> String {
    let mut stream = MaskStream::new(seed);
    let digits = (0..10).map(|_| char::from(b'0' + u8::try_from(stream.below(10)).unwrap_or(0)));
    "+999".chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::super::secret::MaskSecret;
    use super::*;
    use proptest::prelude::*;

    fn key() -> MaskKey {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        MaskSecret::parse(digits).unwrap().key(&[b"a"]).unwrap()
    }

    fn classes(text: &str) -> String {
        let class = |c: char| match c {
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            '0'..='9' => '0',
            c => c,
        };
        text.chars().map(class).collect()
    }

    #[test]
    fn extensions_stand_in_order_and_only_usual_ones_stay() {
        assert!(EXTENSIONS.is_sorted());
        assert!(EXTENSIONS.iter().all(|extension| extension.len() <= 5));
        for (name, due) in [("a.PDF", Some("pdf")), ("Anna.Smith", None), (".pdf", None), ("pdf", None), ("a.", None)] {
            assert_eq!(extension_of(name).as_deref(), due, "{name}");
        }
        for (text, due) in [("PDF", "pdf"), (".docx", "docx"), ("Smith", "bin")] {
            assert_eq!(extension(text), due);
        }
        assert_ne!(file_name([1; 32], "a.pdf"), file_name([2; 32], "a.pdf"));
        assert_eq!(file_name([1; 32], "x.docx").len(), NAME_CHARACTERS + 5);
    }

    #[test]
    fn masks_have_the_length_that_columns_are_asked_for() {
        assert_eq!((email([3; 32]).len(), phone([3; 32]).len()), (32, 14));
        assert!((0..=255).all(|nth| person([nth; 32], Some(8)).len() <= 8));
        for bytes in [0, 1, 5, 100, 10_000] {
            let mut out = Vec::new();
            words([4; 32], bytes, &mut out).unwrap();
            assert_eq!(out.len() as u64, bytes);
        }
    }

    proptest! {
        #[test]
        fn a_token_has_the_length_and_the_classes_of_its_text(text in "[A-Za-z0-9 .'-]{0,40}") {
            let masked = token(&key(), &text);
            prop_assert_eq!(classes(&masked), classes(&text));
            prop_assert_eq!(&masked, &token(&key(), &text));
        }

        #[test]
        fn two_texts_have_two_tokens(one in "[A-Za-z0-9]{1,9}", other in "[A-Za-z0-9]{1,9}") {
            prop_assume!(one != other);
            prop_assert_ne!(token(&key(), &one), token(&key(), &other));
        }

        #[test]
        fn what_lies_in_a_folder_has_a_path_that_begins_with_the_folders(
            folder in "[A-Za-zäÖ ]{1,9}(/[A-Za-z0-9]{1,9}){0,3}", one in "[A-Za-z0-9]{1,9}", other in "[A-Za-z0-9]{1,9}"
        ) {
            let masked = |text: &str| path(&key(), text).unwrap();
            let inside = masked(&format!("{folder}/{one}"));
            let (above, beside) = (masked(&folder) + "/", masked(&format!("{folder}/{other}")));
            prop_assert!(inside.starts_with(&above));
            prop_assert!(one == other || inside != beside);
            prop_assert_eq!(inside.chars().count(), folder.chars().count() + 1 + one.len());
            let large = masked(&folder.to_uppercase());
            prop_assert_eq!(large.to_lowercase(), masked(&folder.to_lowercase()));
        }

        #[test]
        fn a_token_of_any_text_takes_no_more_room(text in "\\PC{0,40}") {
            let masked = token(&key(), &text);
            prop_assert_eq!(masked.encode_utf16().count(), text.encode_utf16().count());
            prop_assert!(masked.len() <= text.len());
        }

        #[test]
        fn a_long_text_is_taken_in_any_pieces(cut in 1_usize..9000) {
            let text = "Anna 0815 ".repeat(1000);
            let key = key();
            let (mut tokens, mut out) = (Vec::new(), Tokens::new(&key));
            out.take(&text[..cut], &mut tokens).unwrap();
            out.take(&text[cut..], &mut tokens).unwrap();
            out.flush(&mut tokens).unwrap();
            prop_assert_eq!(String::from_utf8(tokens).unwrap(), token(&key, &text));
        }
    }
}
