//! [`Slices`] on a server.

use super::session::{Session, unfinished};
use crate::backend::jobs::BundleRecord;
use crate::backend::slices::{Slices, TableReport};
use crate::error::Result;
use crate::model::cell::CellSink;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{AbsentParent, Fence, Scope, TableCounts};
use crate::model::slice::{Deletion, ReadLimits, SliceMarker, SlicePosition};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use std::io::Write;

impl Slices for Session {
    fn slice_marker(&mut self, _table: &TableConfig) -> Result<SliceMarker> {
        Err(unfinished())
    }
    fn slice_columns(&mut self, _table: &TableConfig) -> Result<Vec<Column>> {
        Err(unfinished())
    }
    fn read_slice(
        &mut self,
        _fence: &Fence,
        _after: Option<&SlicePosition>,
        _limits: ReadLimits,
        _sink: &mut dyn CellSink,
    ) -> Result<Option<SlicePosition>> {
        Err(unfinished())
    }
    fn read_large(&mut self, _fence: &Fence, _key: Guid, _column: &str, _out: &mut dyn Write) -> Result<u64> {
        Err(unfinished())
    }
    fn read_deletions(&mut self, _fence: &Fence, _after: Option<Guid>, _limit: u32) -> Result<Vec<Deletion>> {
        Err(unfinished())
    }
    fn table_report(&mut self, _run_id: Guid, _table: &TableName) -> Result<TableReport> {
        Err(unfinished())
    }
    fn table_errors(&mut self, _run_id: Guid) -> Result<Vec<(TableName, String)>> {
        Err(unfinished())
    }
    fn absent_parents(&mut self, _fence: &Fence, _after: Option<Guid>, _limit: u32) -> Result<Vec<AbsentParent>> {
        Err(unfinished())
    }
    fn previous_root(&mut self, _table: &TableName, _scope: Scope, _run_id: Guid) -> Result<Option<Sha256>> {
        Err(unfinished())
    }
    fn record_bundle(&mut self, _records: &[(Fence, BundleRecord)]) -> Result<()> {
        Err(unfinished())
    }
}
