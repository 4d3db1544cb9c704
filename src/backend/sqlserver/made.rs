//! What a session made on a server since it was opened, or since a replay ended well.

use crate::backend::TargetSpec;

/// Of the server itself.
#[derive(Default)]
pub(super) struct Made {
    pub(super) databases: Vec<String>,
}

/// Of a replay's targets.
#[derive(Default)]
pub(super) struct MadeTargets {
    pub(super) tables: Vec<TargetSpec>,
    /// The targets whose databases got a ledger.
    pub(super) ledgers: Vec<TargetSpec>,
}
