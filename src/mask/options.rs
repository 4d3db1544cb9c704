//! What is asked of a masking.

use crate::bundle::signature::Signer;
use crate::bundle::{PartOptions, PublishForm};
use crate::model::memory::Memory;
use crate::rows::SortMemory;
use std::sync::Arc;

/// See [`super::mask`].
#[derive(Clone, Debug)]
pub struct MaskOptions {
    /// What it may take of memory.
    pub memory: Memory,
    /// How parts are written, out of [`Memory::pipeline`] less [`MaskOptions::reading_bytes`].
    pub parts: PartOptions,
    /// Whether folders or archives are published.
    pub form: PublishForm,
    /// Whether what was encrypted may be published in plain.
    pub allows_plain: bool,
    /// Who signs the masked bundles.
    pub signer: Option<Arc<Signer>>,
}

impl Default for MaskOptions {
    fn default() -> Self {
        Self::of(Memory::default(), PartOptions::default())
    }
}

impl MaskOptions {
    /// Folders, unsigned, within `memory`.
    pub fn of(memory: Memory, parts: PartOptions) -> Self {
        let options = Self { memory, parts, form: PublishForm::Folder, allows_plain: false, signer: None };
        let memory_bytes = memory.pipeline() - options.reading_bytes();
        Self { parts: PartOptions { memory_bytes, ..parts }, ..options }
    }

    /// For batches that are read, and those that are made of them.
    pub fn reading_bytes(&self) -> u64 {
        self.memory.pipeline() / 3
    }

    /// For rows whose order changes.
    pub(super) fn sorting(&self) -> SortMemory {
        SortMemory::of(self.memory.databases() / 2)
    }

    /// Bytes of a batch: one is decoded, one masked, and one was masked and is written.
    pub(super) fn batch_bytes(&self) -> u64 {
        self.reading_bytes() / 6
    }
}
