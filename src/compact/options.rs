//! What is asked of a compaction.

use crate::bundle::signature::Signer;
use crate::bundle::{PartOptions, PublishForm};
use crate::model::memory::Memory;
use std::sync::Arc;

/// See [`super::compact`].
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// What a compaction may take of memory.
    pub memory: Memory,
    /// How its parts are written, out of [`Memory::pipeline`] less [`CompactOptions::reading_bytes`].
    pub parts: PartOptions,
    /// Whether a folder or an archive is published.
    pub form: PublishForm,
    /// Whether what was encrypted may be published in plain.
    pub allows_plain: bool,
    /// Whether bundles may be missing between those that come: the one that is made says so.
    pub allows_gap: bool,
    /// Who signs the bundle.
    pub signer: Option<Arc<Signer>>,
    /// Bundles that are read side by side, at least 2: each holds a batch, and pages being decoded.
    pub side_by_side: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self::of(Memory::default(), PartOptions::default())
    }
}

impl CompactOptions {
    /// A folder, unsigned, within `memory`.
    pub fn of(memory: Memory, parts: PartOptions) -> Self {
        let options = Self {
            memory,
            parts,
            form: PublishForm::Folder,
            allows_plain: false,
            allows_gap: false,
            signer: None,
            side_by_side: 8,
        };
        let memory_bytes = memory.pipeline() - options.reading_bytes();
        Self { parts: PartOptions { memory_bytes, ..parts }, ..options }
    }

    /// For all bundles that are read side by side: a batch of each, and the pages that become the next.
    pub fn reading_bytes(&self) -> u64 {
        self.memory.pipeline() / 4
    }
}
