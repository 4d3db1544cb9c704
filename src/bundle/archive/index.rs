//! [`Archive`]: what an archive holds, and where.
//!
//! The headers are read once, when it is opened, and everything that is no content of a file is
//! looked at then: the order of members, padding, the end. What follows the end is refused.

use super::header::{BLOCK, MemberHeader};
use crate::bundle::content::Content;
use crate::bundle::folder::BundleEntry;
use crate::bundle::layout::{BundleName, PayloadPath, SIGNATURE, TAG_LIST, check_tag_path};
use crate::bundle::read_at::ReadAt;
use crate::durable::EntryKind;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// More files than lists of hashes of 64 MiB can name.
const MAX_MEMBERS: usize = 1_000_000;

/// See the module's text.
pub(in crate::bundle) struct Archive {
    source: Arc<dyn ReadAt>,
    name: BundleName,
    modified: u64,
    members: BTreeMap<String, (u64, u64)>,
}

impl Archive {
    /// Reads the headers of an archive of `bytes` bytes.
    ///
    /// # Errors
    /// Verification, with the place; Io.
    pub(in crate::bundle) fn open(source: Arc<dyn ReadAt>, bytes: u64) -> Result<Self> {
        let mut walk = HeaderWalk { source: &source, bytes, at: 0 };
        let (first, base) = match walk.read_header()? {
            Some((header, start)) => {
                let name =
                    header.path.strip_suffix(TAG_LIST).and_then(|base| BundleName::parse(base.strip_suffix('/')?));
                let name = name.ok_or_else(|| bad(0, "does not begin with the list of tag files of a bundle"))?;
                ((header, start), name)
            }
            None => return Err(bad(0, "is empty")),
        };
        let prefix = format!("{base}/");
        let modified = first.0.modified;
        let mut members = BTreeMap::new();
        let mut last: Option<(u8, String)> = None;
        let mut next = Some(first);
        while let Some((header, start)) = next {
            let at = start - BLOCK;
            let path = header.path.strip_prefix(&prefix).ok_or_else(|| bad(at, "holds two bundles"))?.to_owned();
            let order = (order(&path)?, path.clone());
            if last.as_ref().is_some_and(|last| *last >= order) {
                return Err(bad(at, "does not hold its files in their order").file(path));
            }
            if header.modified != modified {
                return Err(bad(at, "has files of several times").file(path));
            }
            last = Some(order);
            if members.len() >= MAX_MEMBERS {
                return Err(bad(at, "has more files than any bundle"));
            }
            members.insert(path, (start, header.bytes));
            next = walk.read_header()?;
        }
        Ok(Self { source, name: base, modified, members })
    }

    /// The name that the bundle has in the archive.
    pub(in crate::bundle) fn name(&self) -> &BundleName {
        &self.name
    }

    /// The time of its files, in seconds since 1970.
    pub(in crate::bundle) fn modified(&self) -> u64 {
        self.modified
    }

    /// Its files, in the order of paths.
    pub(in crate::bundle) fn entries(&self) -> Vec<BundleEntry> {
        let entry = |(path, (_, bytes)): (&String, &(u64, u64))| BundleEntry {
            path: path.clone(),
            kind: EntryKind::File,
            bytes: *bytes,
        };
        self.members.iter().map(entry).collect()
    }

    /// One file.
    pub(in crate::bundle) fn content(&self, path: &str) -> Option<Content> {
        let (start, bytes) = *self.members.get(path)?;
        Some(Content::new(self.source.clone(), start, bytes))
    }
}

/// The files of a bundle stand in an archive by this, and then by path.
fn order(path: &str) -> Result<u8> {
    match path {
        TAG_LIST => Ok(0),
        SIGNATURE => Ok(1),
        _ if check_tag_path(path).is_ok() => Ok(2),
        _ => PayloadPath::parse(path).map(|_| 3),
    }
}

fn bad(at: u64, what: &str) -> Error {
    Error::verification(format!("the archive {what} (at byte {at})"))
        .hint("do not use it; fetch it again, or make it with `blobdelta archive`")
}

/// Goes from header to header.
struct HeaderWalk<'a> {
    source: &'a Arc<dyn ReadAt>,
    bytes: u64,
    at: u64,
}

impl HeaderWalk<'_> {
    /// The next member and where its content starts; `None` at the end, which must be two blocks
    /// of zeros and nothing behind them.
    fn read_header(&mut self) -> Result<Option<(MemberHeader, u64)>> {
        let at = self.at;
        let mut block = [0; BLOCK as usize];
        self.read(&mut block)?;
        if block == [0; BLOCK as usize] {
            self.read(&mut block)?;
            if block != [0; BLOCK as usize] || self.at != self.bytes {
                return Err(bad(at, "does not end where its end is marked"));
            }
            return Ok(None);
        }
        let header =
            MemberHeader::decode(&block).ok_or_else(|| bad(at, "has a header that no bundle's archive has"))?;
        let start = self.at;
        let padding = header.padded() - header.bytes;
        if start.checked_add(header.padded()).is_none_or(|end| end > self.bytes) {
            return Err(bad(at, "is cut off").file(&header.path));
        }
        self.at = start + header.bytes;
        let mut zeros = vec![0; usize::try_from(padding).unwrap_or(0)];
        self.read(&mut zeros)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(bad(self.at, "has something between its files").file(&header.path));
        }
        Ok(Some((header, start)))
    }

    fn read(&mut self, out: &mut [u8]) -> Result<()> {
        if self.at.checked_add(out.len() as u64).is_none_or(|end| end > self.bytes) {
            return Err(bad(self.at, "is cut off"));
        }
        let mut content = Content::new(self.source.clone(), self.at, out.len() as u64).reader(0);
        match io::Read::read_exact(&mut content, out) {
            Ok(()) => self.at += out.len() as u64,
            Err(error) => return Err(bad(self.at, "cannot be read").caused_by(error)),
        }
        Ok(())
    }
}
