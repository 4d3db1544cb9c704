//! The engine on an embedded instance: what it knows beside its databases.

use super::database::Database;
use super::lease::Lease;
use super::prepared::PreparedTables;
use crate::model::id::Guid;

/// What a session's runs have come to.
#[derive(Default)]
pub(super) struct EngineState {
    pub(super) lease: Lease,
    /// The run that this session resumed, and as which attempt of it.
    pub(super) resumed: Option<(Guid, u32)>,
    /// The run that the operator says is dead.
    pub(super) taken_over: Option<Guid>,
    pub(super) prepared: PreparedTables,
}

/// Serves runs and the job database: `Jobs`, `Keys`, `Places`, `Extract`, `Slices` and `Upkeep`, each in its file.
pub struct Engine<'a> {
    pub(super) db: &'a mut Database,
    pub(super) state: &'a mut EngineState,
}
