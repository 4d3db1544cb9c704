//! What a session made in an embedded instance since it was opened, or since a replay ended well.

use crate::backend::TargetSpec;

/// Of the instance itself.
#[derive(Default)]
pub(super) struct Made {
    /// Whether the folder was.
    pub(super) folder: bool,
    pub(super) databases: Vec<String>,
}

/// Of a replay's targets.
#[derive(Default)]
pub(super) struct MadeTargets {
    pub(super) tables: Vec<TargetSpec>,
    /// Tables of a ledger, quoted, and of which target; those that stood before are somebody's.
    pub(super) ledgers: Vec<(TargetSpec, Vec<String>)>,
}
