//! The one header that a member of an archive can have: POSIX.1-2017, `pax`, "ustar Interchange
//! Format".

use crate::error::{Error, Result};

/// Bytes of a header, and what members are padded to.
pub(super) const BLOCK: u64 = 512;
/// What eleven octal digits hold: 8 GiB less one. A part has 1 GiB at most, a value 2 GiB.
const MAX_NUMBER: u64 = 0o77_777_777_777;

/// A member: its whole path in the archive, its bytes, and when the run started, in seconds
/// since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberHeader {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) modified: u64,
}

impl MemberHeader {
    /// The block.
    ///
    /// # Errors
    /// Config: a file over 8 GiB, or a path that ustar cannot hold.
    pub(super) fn encode(&self) -> Result<[u8; BLOCK as usize]> {
        let bad =
            |what: &str| Error::config(format!("{what} of this file does not fit into an archive")).file(&self.path);
        let (prefix, name) = split(&self.path).ok_or_else(|| bad("the path"))?;
        if self.bytes > MAX_NUMBER || self.modified > MAX_NUMBER {
            return Err(bad("the size").hint("publish the bundle as a folder"));
        }
        let mut block = [0; BLOCK as usize];
        let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, "0000644\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", self.bytes));
        put(136, &format!("{:011o}\0", self.modified));
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\0");
        put(263, "00");
        put(329, "0000000\0");
        put(337, "0000000\0");
        put(345, prefix);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        Ok(block)
    }

    /// Reads a block; one in any other form than that of [`MemberHeader::encode`] is none.
    pub(super) fn decode(block: &[u8; BLOCK as usize]) -> Option<Self> {
        let text = |range: std::ops::Range<usize>| {
            let field = block[range].split(|byte| *byte == 0).next().unwrap_or_default();
            std::str::from_utf8(field).ok()
        };
        let number = |at: usize| u64::from_str_radix(text(at..at + 12)?, 8).ok();
        let (name, prefix) = (text(0..100)?, text(345..500)?);
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let header = Self { path, bytes: number(124)?, modified: number(136)? };
        (header.encode().ok()? == *block).then_some(header)
    }

    /// Bytes of the content with its padding.
    pub(super) fn padded(&self) -> u64 {
        self.bytes.next_multiple_of(BLOCK)
    }
}

/// The two fields of a path: whole in `name` if it fits, else its folders in `prefix`.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() || path.contains('\0') {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    let (folders, name) = path.rsplit_once('/')?;
    (folders.len() <= 155 && name.len() <= 100 && !name.is_empty()).then_some((folders, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_has_one_form() {
        let header = MemberHeader { path: "a.bundle/bagit.txt".into(), bytes: 55, modified: 1_795_000_000 };
        let block = header.encode().unwrap();
        assert_eq!(MemberHeader::decode(&block).as_ref(), Some(&header));
        for bit in 0..block.len() * 8 {
            let mut other = block;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(MemberHeader::decode(&other), None, "bit {bit}");
        }
        assert_eq!(MemberHeader::decode(&[0; 512]), None);
        assert!(MemberHeader { bytes: MAX_NUMBER + 1, ..header }.encode().is_err());
    }

    #[test]
    fn long_paths_take_two_fields() {
        let path =
            format!("20261122T180000Z-1b4e28ba-1.bundle/data/t001-{}/blob/{}.zst", "a".repeat(40), "0".repeat(64));
        let block = MemberHeader { path: path.clone(), bytes: 0, modified: 0 }.encode().unwrap();
        assert_eq!(&block[..68], format!("{}.zst", "0".repeat(64)).as_bytes());
        assert_eq!(MemberHeader::decode(&block).unwrap().path, path);
        assert!(MemberHeader { path: "a".repeat(101), bytes: 0, modified: 0 }.encode().is_err());
    }

    proptest! {
        #[test]
        fn no_block_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 512), text in "[0-9 +\\-]{12}") {
            let mut block: [u8; 512] = bytes.try_into().unwrap();
            let _ = MemberHeader::decode(&block);
            block[124..136].copy_from_slice(text.as_bytes());
            let _ = MemberHeader::decode(&block);
        }
    }
}
