//! What a manifest says of content that it leaves out ([`KnownContent`]): how much it is, and whether that agrees with itself.

use super::known::{KNOWN_CONTENT, KnownContent};
use super::manifest::{BundleKind, ColumnInfo, Manifest, TableInfo};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;

impl Manifest {
    /// What is left out of all tables: values and their bytes.
    pub fn left_out(&self) -> (u64, u64) {
        self.tables.iter().fold((0, 0), |(values, bytes), table| {
            let (more, more_bytes) = table.left_out();
            (values.saturating_add(more), bytes.saturating_add(more_bytes))
        })
    }

    /// Whether it holds all values of its rows.
    ///
    /// # Errors
    /// Usage, for one that leaves out values, with what can be done; `what` is what cannot be done without them.
    pub fn check_whole_values(&self, what: &str) -> Result<()> {
        let (values, _) = self.left_out();
        if values == 0 {
            return Ok(());
        }
        let text = format!(
            "this bundle leaves out {values} values that earlier bundles of its chain hold (known-content), and {what} \
             needs all values"
        );
        Err(Error::new(Kind::Usage, text).hint(
            "compact this bundle with all bundles of its chain before it, by `blobdelta compact`, and take the compacted bundle: it \
             has all values",
        ))
    }

    /// Requirement, kind and lists agree with each other.
    pub(super) fn check_known_content(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::verification(what));
        let is_required = self.requires.iter().any(|entry| entry == KNOWN_CONTENT);
        if is_required != self.tables.iter().any(|table| !table.known_content.is_empty()) {
            return bad("requires and known_content contradict each other");
        }
        match is_required && self.kind == BundleKind::Compacted {
            true => bad("a compacted bundle leaves out no content, and this one says that it does"),
            false => Ok(()),
        }
    }
}

impl TableInfo {
    /// What is left out of it: values and their bytes.
    pub fn left_out(&self) -> (u64, u64) {
        let add = |(values, bytes): (u64, u64), known: &KnownContent| {
            (values.saturating_add(known.values), bytes.saturating_add(known.bytes))
        };
        self.known_content.iter().fold((0, 0), add)
    }

    /// What it says of one bundle that it leans on.
    pub fn known_content_of(&self, root: Sha256) -> Option<&KnownContent> {
        let at = self.known_content.binary_search_by(|known| known.root_sha256.cmp(&root)).ok()?;
        self.known_content.get(at)
    }

    pub(super) fn check_known_list(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::verification(what));
        if !self.known_content.is_sorted_by(|a, b| a.root_sha256 < b.root_sha256) {
            return bad("the root digests of known_content do not ascend");
        }
        if self.known_content.iter().any(|known| known.values == 0 || known.bytes < known.values) {
            return bad("known_content names a bundle of which nothing is left out, or values without a byte");
        }
        if !self.known_content.is_empty() && self.previous.is_none() {
            return bad("it leaves out content that earlier bundles hold, and says that there are none");
        }
        let is_hashed = |column: &ColumnInfo| column.companions.content_sha256.is_some();
        match self.known_content.is_empty() || self.columns.iter().any(is_hashed) {
            true => Ok(()),
            false => bad("it leaves out content, and has no column with content hashes"),
        }
    }
}
