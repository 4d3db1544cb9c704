//! [`Target`] on a server.

use super::session::{Session, unfinished};
use crate::backend::target::{LedgerEntry, Target, TargetSpec, TombstoneRow};
use crate::error::Result;
use crate::model::cell::RowSource;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use crate::model::version::Version;

impl Target for Session {
    fn prepare_target(&mut self, _spec: &TargetSpec, _create: bool) -> Result<()> {
        Err(unfinished())
    }
    fn ledger(&mut self, _spec: &TargetSpec, _root: Sha256) -> Result<Vec<LedgerEntry>> {
        Err(unfinished())
    }
    fn apply_rows(
        &mut self,
        _spec: &TargetSpec,
        _rows: &dyn RowSource,
        _keys: &[Guid],
        _versions: &[Version],
        _entry: &LedgerEntry,
    ) -> Result<u64> {
        Err(unfinished())
    }
    fn apply_tombstones(
        &mut self,
        _spec: &TargetSpec,
        _tombstones: &[TombstoneRow],
        _entry: &LedgerEntry,
    ) -> Result<u64> {
        Err(unfinished())
    }
    fn chain_end(&mut self, _spec: &TargetSpec, _source_id: Guid, _scope: &str) -> Result<Option<Timestamp>> {
        Err(unfinished())
    }
    fn note_chain(
        &mut self,
        _spec: &TargetSpec,
        _source_id: Guid,
        _scope: &str,
        _root: Sha256,
        _end: Timestamp,
    ) -> Result<()> {
        Err(unfinished())
    }
}
