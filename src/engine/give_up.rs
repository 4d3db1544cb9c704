//! Giving up what a run left: slices that nobody can pack, or is to have; and all of a run of which the server's clock
//! says that it is yet to come.

use super::leases::Leases;
use crate::backend::{Backend, BundleRecord, PackState};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::slice::SliceState;
use std::collections::BTreeSet;

/// A table whose slice was given up.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// The table.
    pub table: TableName,
    /// What the run had published of it, which is recorded no more: of a run that was yet to come alone.
    pub withdrawn: Vec<BundleRecord>,
    /// Whether the slice was emptied since. Keys that had waited for their blobs and came with it are then known no more.
    pub was_emptied: bool,
}

/// Gives the complete, unpacked slices of a run up, or that of one table: the next run of the same
/// scope takes all that they held again. The run need not be known to the job database any more, so
/// that no slice can stand in the way for ever. A run that started later than it is now, because the server's clock ran
/// ahead, is given up whether it was packed or not: it had all runs refused until then.
///
/// # Errors
/// Usage, if there is nothing to give up, or, of a run that is yet to come, another one of the same table and scope came
/// after it; Config: no such table; LeaseHeld, by another run; Database. What was given up before an error stays so.
pub fn give_up(
    backend: &mut dyn Backend,
    run_id: Guid,
    table: Option<&TableName>,
    lease_seconds: u32,
) -> Result<Vec<GivenUp>> {
    backend.check_deployed()?;
    backend.check_server()?;
    let tables = match table {
        Some(table) => vec![backend.table(table)?],
        None => backend.tables()?,
    };
    let to_come = ToCome::find(backend, run_id)?;
    let leases = Leases::start(backend.lease_keeper()?, lease_seconds)?;
    let mut given_up = Vec::new();
    for table in tables {
        let held = backend.slice_marker(&table).ok().filter(|marker| marker.run_id == Some(run_id));
        let is_left = held.as_ref().is_some_and(|marker| marker.state == SliceState::Complete);
        if !is_left && !to_come.tables.contains(&table.name) {
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
        let withdrawn = to_come.bundles.iter().filter(|bundle| bundle.table == table.name).cloned().collect();
        given_up.push(GivenUp { table: table.name, withdrawn, was_emptied: held.is_none() });
    }
    if given_up.is_empty() {
        return Err(Error::usage("this run left no complete slice that is in no bundle").run(run_id).hint(format!(
            "blobdelta status lists those that there are; blobdelta status --run {run_id} shows this run"
        )));
    }
    Ok(given_up)
}

/// What a run did that is recorded under a time that is yet to come; nothing of any other.
#[derive(Default)]
struct ToCome {
    tables: BTreeSet<TableName>,
    bundles: Vec<BundleRecord>,
}

impl ToCome {
    fn find(backend: &mut dyn Backend, run_id: Guid) -> Result<Self> {
        let now = backend.now()?.utc;
        if !backend.run(run_id).is_ok_and(|run| run.started_at.utc > now) {
            return Ok(Self::default());
        }
        let bundles = backend.bundles(run_id)?;
        let is_complete = |state: &PackState| !matches!(state, PackState::NotCompleted | PackState::GivenUp);
        let completed = backend.run_tables(run_id)?.into_iter().filter(|(_, state)| is_complete(state));
        let tables = completed.map(|(table, _)| table).chain(bundles.iter().map(|bundle| bundle.table.clone()));
        Ok(Self { tables: tables.collect(), bundles })
    }
}
