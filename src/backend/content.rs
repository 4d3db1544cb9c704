//! Known content: what a job database remembers of the values of a chain (docs/architecture.md).

use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;

/// A value that whoever has applied all bundles of a chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownValue {
    /// Its hash.
    pub sha256: Sha256,
    /// Root digest of the bundle that holds it.
    pub root_sha256: Sha256,
    /// The row's stamp, in the table's clock.
    pub modified_on: Timestamp,
    /// When the run that brought the row started, UTC.
    pub run_started_at: Timestamp,
    /// That run.
    pub run_id: Guid,
}

/// What a bundle that is packed brings of one key in one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComingValue {
    /// The key.
    pub key: Guid,
    /// The row's stamp, or when it was deleted, in the table's clock.
    pub modified_on: Timestamp,
    /// Hash of the value; `None` where there is none that could be left out later.
    pub sha256: Option<Sha256>,
    /// The bundle that holds it, where it is left out of this one.
    pub root_sha256: Option<Sha256>,
}
