//! [`KnownRef`]: what a row says of a value that its bundle leaves out, because a bundle before it in its chain holds it.

use super::digest::Sha256;
use std::fmt;

/// What the text of a reference begins with.
const PREFIX: &str = "known/";

/// See the module's text. As text it is `known/<root digest>/<bytes>`, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRef {
    /// Root digest of the bundle that holds the value, under the same key and column.
    pub root_sha256: Sha256,
    /// Bytes of the value, never 0.
    pub bytes: u64,
}

impl KnownRef {
    /// The reference that a text is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (root, bytes) = text.strip_prefix(PREFIX)?.split_once('/')?;
        let (root_sha256, bytes) = (Sha256::parse(root).ok()?, bytes.parse().ok()?);
        let parsed = Self { root_sha256, bytes };
        (bytes > 0 && parsed.to_string() == text).then_some(parsed)
    }
}

impl fmt::Display for KnownRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.root_sha256, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_text_is_a_reference() {
        let known = KnownRef { root_sha256: Sha256::of(b"root"), bytes: 4096 };
        let text = known.to_string();
        assert_eq!(KnownRef::parse(&text), Some(known));
        let root = Sha256::of(b"root").to_string();
        let bad = [
            String::new(),
            "known/".into(),
            format!("known/{root}"),
            format!("known/{root}/"),
            format!("known/{root}/0"),
            format!("known/{root}/04096"),
            format!("known/{root}/+1"),
            format!("known/{root}/-1"),
            format!("known/{root}/18446744073709551616"),
            format!("known/{root}/1/"),
            format!("Known/{root}/1"),
            format!("known/{}/1", root.to_uppercase()),
            format!("known/{}/1", &root[1..]),
            format!(" known/{root}/1"),
            format!("blob/{root}.zst"),
        ];
        for text in bad {
            assert_eq!(KnownRef::parse(&text), None, "{text}");
        }
    }
}
