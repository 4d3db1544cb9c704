//! What is asked of a compaction.

use crate::bundle::signature::Signer;
use crate::bundle::{Form, PartOptions};
use std::sync::Arc;

/// See [`super::compact`].
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// How its parts are written.
    pub parts: PartOptions,
    /// Whether a folder or an archive is published.
    pub form: Form,
    /// Who signs the bundle.
    pub signer: Option<Arc<Signer>>,
    /// Bundles that are read side by side, at least 2: each holds a batch, and pages being decoded.
    pub side_by_side: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { parts: PartOptions::default(), form: Form::Folder, signer: None, side_by_side: 8 }
    }
}
