//! Where bundles of a run are to be shipped, before anything is.

use crate::backend::{Backend, PackState};
use crate::engine::{find_fork_of, find_others, find_recorded_others, refuse_or_share};
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::run::Selection;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rule 28, before a run begins: that what it makes may be added at its destination. One that cannot be looked at
/// now is reported, and looked at again before anything is shipped there.
///
/// # Errors
/// Config, with the command that mends it; Usage, for a place that is others' (rule 18).
pub fn check_destination(
    backend: &mut dyn Backend,
    selection: &Selection,
    destination: &str,
    is_shared: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    check_others(backend, selection, destination, is_shared, monitor)?;
    match find_fork_of(backend, selection, Path::new(destination), monitor) {
        Ok(fork) => fork.map_or(Ok(()), Err),
        Err(error) => passed_by(error, destination, monitor),
    }
}

/// Rule 18, before anything is to go to a destination: that it is not others'.
///
/// # Errors
/// Usage, with what to type.
pub fn check_others(
    backend: &mut dyn Backend,
    selection: &Selection,
    destination: &str,
    is_shared: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    let place = Path::new(destination);
    match find_others(backend, selection.scope, place, None, monitor) {
        Ok(others) => refuse_or_share(backend, others, selection.scope, place, is_shared),
        Err(error) => passed_by(error, destination, monitor),
    }
}

fn passed_by(error: Error, destination: &str, monitor: &dyn Monitor) -> Result<()> {
    if error.kind() == Kind::Cancelled {
        return Err(error);
    }
    monitor.event(Event::Warning(&format!("{destination} cannot be looked at before the run: {error}")));
    Ok(())
}

/// The bundles of a run whose tables are all packed are to be shipped to this destination, wherever they were
/// to be shipped to before. Gives where they were published; nothing, if something of the run is still to be
/// packed, or it has no bundle.
///
/// # Errors
/// Usage, if there is no such run, or the destination is others' (rule 18); Config, if the job database is too old; Database.
pub fn set_destination(backend: &mut dyn Backend, run_id: Guid, destination: &str) -> Result<Vec<PathBuf>> {
    backend.check_deployed()?;
    backend.check_server()?;
    let scope = backend.run(run_id)?.scope;
    find_recorded_others(backend, scope, Path::new(destination))?.map_or(Ok(()), Err)?;
    if backend.run_tables(run_id)?.iter().any(|(_, state)| *state == PackState::Unpacked) {
        return Ok(Vec::new());
    }
    let mut published = BTreeMap::new();
    for record in backend.bundles(run_id)? {
        published.insert(record.pack_number, Path::new(&record.folder).join(&record.name));
    }
    for number in published.keys() {
        backend.add_pending_shipment(run_id, *number, destination)?;
    }
    Ok(published.into_values().collect())
}

/// What the bundles of a run had still to be shipped to destinations need not be any more; gives those.
///
/// # Errors
/// Usage, if there is no such run; Config, if the job database is too old; Database.
pub fn waive(backend: &mut dyn Backend, run_id: Guid) -> Result<Vec<String>> {
    backend.check_deployed()?;
    backend.check_server()?;
    backend.run(run_id)?;
    backend.waive_shipments(run_id)
}
