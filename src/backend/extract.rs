//! Filling a slice: the operations that are one stored procedure each on SQL Server.

use crate::error::Result;
use crate::model::destination::Destination;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{BatchOutcome, Fence, Run, RunRequest, Status, Step, TableCounts, TablePlan, TableRun};
use crate::model::table::TableConfig;

/// See the module's text. The order of calls is that of `usp_BlobDelta_Run`: start_run; for each
/// table start_table, batches, finish_table or fail_table; finish_run.
pub trait Extract {
    /// What a run started now would do to one table. Changes nothing.
    ///
    /// # Errors
    /// Config.
    fn plan_table(&mut self, request: &RunRequest, table: &TableConfig) -> Result<TablePlan>;

    /// Checks the clock (rule 1), the scope and every template that the run would use, and
    /// writes the run's header, with what it is told of its bundle (rule 18). Nothing is written if
    /// anything is wrong.
    ///
    /// # Errors
    /// Config or Usage.
    fn start_run(&mut self, request: &RunRequest, recorded: Option<&Destination>) -> Result<Run>;

    /// Takes up a run that did not complete, as its next [attempt](Run::attempt): whoever was at it before, here or on
    /// another machine, writes nothing more. This session takes the leases that the run still holds at once.
    ///
    /// # Errors
    /// Usage: no such run, or it is completed.
    fn resume_run(&mut self, id: Guid) -> Result<Run>;

    /// From here on this session takes leases that this run holds, expired or not: the operator says that it is dead.
    /// If it is not, the fence keeps it from writing.
    ///
    /// # Errors
    /// Usage: no such run.
    fn take_over(&mut self, run: Guid) -> Result<()>;

    /// Takes the lease, computes the window, empties the slice and queues the window's keys; or,
    /// if this run did that before, takes the lease with the next epoch and goes on there.
    ///
    /// # Errors
    /// LeaseHeld; Blocked (rule 2); Superseded, if another run took the slice or somebody resumed this run; Config, without
    /// a marker row or where a complete slice must be packed first (rules 9 and 10).
    fn start_table(&mut self, run: &Run, table: &TableConfig, lease_seconds: u32) -> Result<TableRun>;

    /// Rule 7: queues every ancestor that the slice lacks. Returns how many are queued now.
    ///
    /// # Errors
    /// Database; Config, with the row, for a cycle or 512 levels.
    fn queue_missing_parents(&mut self, table_run: &TableRun) -> Result<u64>;

    /// The next batch of a step, in one transaction with the marks of its keys and its row in
    /// `BlobDeltaRunStep`. A step is done when the outcome has no keys.
    ///
    /// # Errors
    /// Superseded, with nothing written, if the fence is another's.
    fn run_batch(&mut self, table_run: &TableRun, step: Step, batch_size: u32) -> Result<BatchOutcome>;

    /// Rule 11: completes the slice and moves the watermark, in one transaction. The lease is
    /// kept for packing, or released.
    ///
    /// # Errors
    /// Superseded; Internal, if keys are unmarked or the sums do not fit.
    fn finish_table(&mut self, table_run: &TableRun, keep_lease: bool) -> Result<TableCounts>;

    /// Logs that a table failed, and releases its lease if it is still held under this fence. One that
    /// is completed stays so: then its packing failed.
    ///
    /// # Errors
    /// Superseded, with nothing written, if somebody else has resumed this run; Database.
    fn fail_table(
        &mut self,
        run: &Run,
        table: &TableName,
        fence: Option<&Fence>,
        status: Status,
        message: &str,
    ) -> Result<()>;

    /// Ends the run.
    ///
    /// # Errors
    /// Superseded, with nothing written, if somebody else has resumed it; Database.
    fn finish_run(&mut self, run: &Run, status: Status, message: Option<&str>) -> Result<()>;

    /// Takes the lease of a table for packing what a finished run left. One that the run itself holds is taken only by the
    /// session that resumed it, or after [`Extract::take_over`].
    ///
    /// # Errors
    /// LeaseHeld.
    fn take_lease(&mut self, run_id: Guid, table: &TableName, lease_seconds: u32) -> Result<Fence>;

    /// Releases leases, those that are still held under their fences.
    ///
    /// # Errors
    /// Database.
    fn release_leases(&mut self, fences: &[Fence]) -> Result<()>;

    /// A connection of its own that renews leases, for another thread.
    ///
    /// # Errors
    /// Database.
    fn lease_keeper(&mut self) -> Result<Box<dyn LeaseKeeper>>;
}

/// Renews leases while somebody else works.
pub trait LeaseKeeper: Send {
    /// Renews a lease for so many seconds from now.
    ///
    /// # Errors
    /// Superseded, if the fence is another's.
    fn renew(&mut self, fence: &Fence, lease_seconds: u32) -> Result<()>;
}
