//! What is asked of a compaction.

use crate::bundle::Form;
use crate::bundle::signature::Signer;
use std::sync::Arc;

/// See [`super::compact`].
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// Level of zstd, 1 unless told otherwise.
    pub zstd_level: i32,
    /// Whether a folder or an archive is published.
    pub form: Form,
    /// Who signs the bundle.
    pub signer: Option<Arc<Signer>>,
    /// Bundles that are read side by side, at least 2: each holds a batch, and pages being decoded.
    pub side_by_side: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { zstd_level: 1, form: Form::Folder, signer: None, side_by_side: 8 }
    }
}
