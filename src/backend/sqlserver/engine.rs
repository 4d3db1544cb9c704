//! The engine on a server: what it knows beside its connection.

use super::database::Database;
use super::known::KnownTables;
use crate::model::id::Guid;

/// What a session's runs have come to.
pub(super) struct EngineState {
    /// Says to the server that a lease that it meets again is this session's own.
    pub(super) owner: Guid,
    /// The run that this session resumed, and as which attempt of it.
    pub(super) resumed: Option<(Guid, u32)>,
    /// The run that the operator says is dead.
    pub(super) taken_over: Option<Guid>,
    pub(super) known: KnownTables,
}

impl EngineState {
    /// Of a session that has done nothing yet.
    pub(super) fn new() -> Self {
        Self { owner: Guid::random(), resumed: None, taken_over: None, known: KnownTables::default() }
    }
}

/// Serves runs and the job database: `Jobs`, `Keys`, `Places`, `Extract`, `Slices` and `Upkeep`, each in its file.
pub struct Engine<'a> {
    pub(super) db: &'a mut Database,
    pub(super) state: &'a mut EngineState,
}
