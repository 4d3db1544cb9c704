//! Bundles on their way to destinations, after they were published.
//!
//! What is unshipped stands in the job database and nowhere else: the transaction that records a bundle
//! records its destination ([`PackOptions::ship_to`](super::PackOptions)), and a shipment is recorded
//! when the bundle stands whole there. So whatever dies in between, here or on the way, the next call
//! finds the same list, and a bundle that was shipped and not recorded is shipped again, which a
//! destination that has it already answers without taking it.
//!
//! A run ships what runs of its own tables and scope have still to ship; what others have is reported (rule 18).
//!
//! It is called when the leases are released. What ships is a hook, because a destination is no
//! business of the engine.

use super::place::find_recorded_others;
use crate::backend::{Backend, PackState, PendingShipment};
use crate::error::{Error, Kind, Result};
use crate::model::destination::waive_command;
use crate::model::id::Guid;
use crate::model::run::Selection;
use crate::model::shell::word;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Ships one bundle: `Ok` says that it stands whole at its destination.
pub type Ship<'a> = dyn FnMut(&PendingShipment) -> Result<()> + 'a;

/// What became of one bundle that was unshipped.
#[derive(Debug)]
pub struct ShipmentOutcome {
    /// The bundle, and where it was to go.
    pub bundle: PendingShipment,
    /// Why it is still unshipped, if it is.
    pub error: Option<Error>,
}

/// What is unshipped, in the order in which it was recorded.
#[derive(Debug, Default)]
pub struct Unshipped {
    /// By runs of the selection that was asked for.
    pub own: Vec<PendingShipment>,
    /// By others.
    pub of_others: Vec<PendingShipment>,
}

/// What is still to be shipped to destinations, by runs of this selection and by others.
///
/// # Errors
/// Database, if the list cannot be read.
pub fn unshipped(backend: &mut dyn Backend, selection: &Selection) -> Result<Unshipped> {
    let mut unshipped = Unshipped::default();
    for bundle in backend.unshipped()? {
        // A run that nobody knows any more may have taken anything.
        let is_own = backend.run(bundle.run_id).is_ok_and(|run| run.selection() == *selection);
        if is_own { unshipped.own.push(bundle) } else { unshipped.of_others.push(bundle) }
    }
    Ok(unshipped)
}

/// Ships these bundles, in the order in which it was recorded: what earlier runs could not
/// ship comes first, each to the destination that it was recorded with. A bundle that fails stays
/// unshipped; the others are tried, but not those of a destination that could not be reached.
pub fn ship_pending(
    backend: &mut dyn Backend,
    bundles: Vec<PendingShipment>,
    ship: &mut Ship<'_>,
    monitor: &dyn Monitor,
) -> Vec<ShipmentOutcome> {
    let mut unreachable = BTreeSet::new();
    let mut shipments = Vec::new();
    for bundle in bundles {
        let done = monitor
            .check()
            .and_then(|()| backend.check_server())
            .and_then(|()| refuse(&bundle, &unreachable))
            .and_then(|()| {
                ship(&bundle).inspect_err(|error| {
                    if error.kind() == Kind::Io {
                        unreachable.insert(bundle.ship_to.clone());
                    }
                })?;
                backend.record_shipped(&bundle).map_err(|error| {
                    error.hint("the bundle stands at its destination; the next run finds it there, and records it")
                })
            });
        shipments.push(ShipmentOutcome { bundle, error: done.err() });
    }
    shipments
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

/// Without the destination: with it, what was published would be looked for there again.
fn pack_again(bundle: &PendingShipment) -> String {
    format!("blobdelta pack --run {} --out {}", bundle.run_id, word(&bundle.folder))
}

fn refuse(bundle: &PendingShipment, unreachable: &BTreeSet<String>) -> Result<()> {
    let path = bundle.path();
    if !path.exists() {
        return Err(Error::new(Kind::Io, "the bundle is not where it was published")
            .run(bundle.run_id)
            .file(&path)
            .hint(format!(
                "put it back there; or, while its slices stand, write it there again with: {}; \
                 or, if nobody is to have it, take it back with: {}",
                pack_again(bundle),
                waive_command(bundle.run_id)
            )));
    }
    if unreachable.contains(&bundle.ship_to) {
        return Err(Error::new(Kind::Io, "not tried: its destination failed for the bundle before it"));
    }
    Ok(())
}
