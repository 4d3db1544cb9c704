//! Giving up what a run left: slices that nobody can pack, or is to have.

use super::leases::Leases;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::SliceState;

/// Gives the complete, unpacked slices of a run up, or that of one table: the next run of the same
/// scope takes all that they held again. The run need not be known to the job database any more, so
/// that no slice can stand in the way for ever. Gives the tables.
///
/// # Errors
/// Usage, if there is nothing to give up; Config: no such table; LeaseHeld, by another run; Database.
/// What was given up before an error stays so.
pub fn give_up(
    backend: &mut dyn Backend,
    run_id: Guid,
    table: Option<&TableName>,
    lease_seconds: u32,
) -> Result<Vec<TableName>> {
    backend.check_deployed()?;
    backend.check_server()?;
    let tables = match table {
        Some(table) => vec![backend.table(table)?],
        None => backend.tables()?,
    };
    let leases = Leases::start(backend.lease_keeper()?, lease_seconds)?;
    let mut given_up = Vec::new();
    for table in tables {
        let is_left = backend
            .slice_marker(&table)
            .is_ok_and(|marker| marker.state == SliceState::Complete && marker.run_id == Some(run_id));
        if !is_left {
            continue;
        }
        let fence = backend.take_lease(run_id, &table.name, leases.seconds)?;
        leases.hold(&fence);
        let done = backend.give_up(&fence);
        leases.let_go(&fence);
        if let Err(error) = done {
            // What failed says more than a lease that could not be released, and expires.
            drop(backend.release_leases(&[fence]));
            return Err(error.run(run_id).table(&table.name));
        }
        given_up.push(table.name);
    }
    if given_up.is_empty() {
        return Err(Error::usage("this run left no complete slice that is in no bundle").run(run_id).hint(format!(
            "blobdelta status lists those that there are; blobdelta status --run {run_id} shows this run"
        )));
    }
    Ok(given_up)
}
