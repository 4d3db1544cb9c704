//! The lists of hashes of a bag: `<64 lower hex>  <path>`, sorted by path, LF after each line.
//! `sha256sum --strict -c` reads them, and they are one byte form for one content.

use super::canonical::MAX_BYTES;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// From the bundle's folder on.
    pub path: String,
    /// The file's hash.
    pub sha256: Sha256,
}

/// The bytes of a list; sorts it.
pub(super) fn to_bytes(mut lines: Vec<Checksum>) -> Vec<u8> {
    lines.sort_by(|a, b| a.path.cmp(&b.path));
    lines.iter().flat_map(|line| format!("{}  {}\n", line.sha256, line.path).into_bytes()).collect()
}

/// Parses a list; `check` says whether a path may stand in it.
///
/// # Errors
/// Verification: a line of any other form, a path that `check` refuses, an order that is not
/// strictly ascending, or over 64 MiB.
pub fn parse(bytes: &[u8], check: impl Fn(&str) -> Result<()>) -> Result<Vec<Checksum>> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::verification("the list of hashes is over 64 MiB long"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::verification("the list of hashes is not UTF-8").caused_by(error))?;
    let mut found: Vec<Checksum> = Vec::new();
    for (nth, line) in text.split_inclusive('\n').enumerate() {
        let bad = |why: &str| Error::verification(format!("line {} of the list of hashes {why}", nth + 1));
        let body = line.strip_suffix('\n').ok_or_else(|| bad("does not end"))?;
        let (digest, path) = body.split_once("  ").ok_or_else(|| bad("is not \"<hash>  <path>\""))?;
        let sha256 = Sha256::parse(digest).map_err(|error| bad("does not begin with a hash").caused_by(error))?;
        check(path)?;
        if found.last().is_some_and(|last| last.path.as_str() >= path) {
            return Err(bad("is not in the order of paths, or comes twice"));
        }
        found.push(Checksum { path: path.to_owned(), sha256 });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_is_written_and_read() {
        let line = |path: &str| Checksum { path: path.into(), sha256: Sha256::of(path.as_bytes()) };
        let bytes = to_bytes(vec![line("b"), line("a"), line("a/c")]);
        let parsed = parse(&bytes, |_| Ok(())).unwrap();
        assert_eq!(parsed, [line("a"), line("a/c"), line("b")]);
        assert!(parse(&bytes, |path| if path == "b" { Err(Error::verification("no")) } else { Ok(()) }).is_err());
        let text = String::from_utf8(bytes).unwrap();
        let first = text.lines().next().unwrap();
        for bad in [
            text.trim_end().to_owned(),
            text.replace("  ", " "),
            text.replace("  ", " *"),
            text.replace('\n', "\r\n").replace("\r\n", " \n").replace("  a \n", "\n"),
            format!("{first}\n{first}\n"),
            format!("{text}\n"),
            text.to_uppercase(),
            text.lines().rev().map(|line| format!("{line}\n")).collect(),
        ] {
            assert!(parse(bad.as_bytes(), |_| Ok(())).is_err(), "{bad:?}");
        }
    }
}
