//! A replay on an embedded instance: what it knows beside its databases.

use super::database::Database;
use super::made::MadeTargets;

/// Serves `Target`.
pub struct Replay<'a> {
    pub(super) db: &'a mut Database,
    pub(super) made: &'a mut MadeTargets,
}
