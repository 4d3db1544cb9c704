//! A replay on a server: what it knows beside its connection.

use super::apply::Plan;
use super::database::Database;
use super::made::MadeTargets;
use crate::model::name::TableName;
use std::collections::HashMap;
use std::sync::Arc;

/// What a session's replays have come to.
#[derive(Default)]
pub(super) struct ReplayState {
    /// How rows come into the targets.
    pub(super) targets: HashMap<TableName, Arc<Plan>>,
    /// What a replay that fails takes back.
    pub(super) made: MadeTargets,
}

/// Serves `Target`.
pub struct Replay<'a> {
    pub(super) db: &'a mut Database,
    pub(super) state: &'a mut ReplayState,
}
