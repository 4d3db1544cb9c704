//! [`Extract`] on a server.

use super::session::{Session, unfinished};
use crate::backend::extract::{Extract, LeaseKeeper};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{BatchOutcome, Fence, Run, RunRequest, Status, Step, TableCounts, TablePlan, TableRun};
use crate::model::table::TableConfig;

impl Extract for Session {
    fn plan_table(&mut self, _request: &RunRequest, _table: &TableConfig) -> Result<TablePlan> {
        Err(unfinished())
    }
    fn start_run(&mut self, _request: &RunRequest) -> Result<Run> {
        Err(unfinished())
    }
    fn resume_run(&mut self, _id: Guid) -> Result<Run> {
        Err(unfinished())
    }
    fn start_table(&mut self, _run: &Run, _table: &TableConfig, _lease_seconds: u32) -> Result<TableRun> {
        Err(unfinished())
    }
    fn queue_missing_parents(&mut self, _table_run: &TableRun) -> Result<u64> {
        Err(unfinished())
    }
    fn run_batch(&mut self, _table_run: &TableRun, _step: Step, _batch_size: u32) -> Result<BatchOutcome> {
        Err(unfinished())
    }
    fn finish_table(&mut self, _table_run: &TableRun, _keep_lease: bool) -> Result<TableCounts> {
        Err(unfinished())
    }
    fn fail_table(
        &mut self,
        _run: &Run,
        _table: &TableName,
        _fence: Option<&Fence>,
        _status: Status,
        _message: &str,
    ) -> Result<()> {
        Err(unfinished())
    }
    fn finish_run(&mut self, _run: &Run, _status: Status, _message: Option<&str>) -> Result<()> {
        Err(unfinished())
    }
    fn take_lease(&mut self, _run_id: Guid, _table: &TableName, _lease_seconds: u32) -> Result<Fence> {
        Err(unfinished())
    }
    fn release_lease(&mut self, _fence: &Fence) -> Result<()> {
        Err(unfinished())
    }
    fn lease_keeper(&self) -> Result<Box<dyn LeaseKeeper>> {
        Err(unfinished())
    }
}
