//! What is pending, and shipping it.

use crate::backend::{Backend, PendingShipment};
use crate::bundle::Bundle;
use crate::bundle::layout::is_encrypted;
use crate::durable::Local;
use crate::engine::{find_fork, find_others};
use crate::error::{Error, Kind, Result};
use crate::model::destination::waive_command;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Selection;
use crate::model::shell::word;
use crate::monitor::Monitor;
use crate::ship::{ShipOptions, ship};
use crate::store::Location;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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

/// What became of what was unshipped.
#[derive(Debug)]
pub struct Shipping {
    /// What was tried; `None` where the network was not asked for.
    pub shipments: Option<Vec<ShipmentOutcome>>,
    /// What stays unshipped and was not tried.
    pub left: Vec<PendingShipment>,
    /// Why the list of what is unshipped could not be read.
    pub error: Option<Error>,
}

/// Ships everything that is unshipped by runs of this selection. Whatever fails here is reported and stays unshipped;
/// the slices and bundles of the run before it stand.
pub fn ship_pending(backend: &mut dyn Backend, selection: &Selection, monitor: &dyn Monitor) -> Shipping {
    match unshipped(backend, selection) {
        Ok(unshipped) => {
            let mut forks = forks(backend, &unshipped.own, monitor);
            let mut deliver = |bundle: &PendingShipment| match forks.remove(&(bundle.run_id, bundle.pack_number)) {
                Some(fork) => Err(fork),
                None => deliver(bundle, monitor),
            };
            let shipments = ship_each(backend, unshipped.own, &mut deliver, monitor);
            Shipping { shipments: Some(shipments), left: unshipped.of_others, error: None }
        }
        Err(error) => Shipping { shipments: Some(Vec::new()), left: Vec::new(), error: Some(error) },
    }
}

/// What is unshipped, where nothing is to be shipped now.
pub fn look(backend: &mut dyn Backend, selection: &Selection) -> Shipping {
    match unshipped(backend, selection) {
        Ok(unshipped) => {
            let left = unshipped.own.into_iter().chain(unshipped.of_others).collect();
            Shipping { shipments: None, left, error: None }
        }
        Err(error) => Shipping { shipments: None, left: Vec::new(), error: Some(error) },
    }
}

/// Ships these bundles by `ship`, in the order in which they were recorded: what earlier runs could not
/// ship comes first, each to the destination that it was recorded with. A bundle that fails stays
/// unshipped; the others are tried, but not those of a destination that could not be reached.
pub fn ship_each(
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
                    error.hint("the bundle is at its destination; the next run finds it there, and records it")
                })
            });
        shipments.push(ShipmentOutcome { bundle, error: done.err() });
    }
    shipments
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
                "put it back there; or, if its slices are unchanged, write it there again with: {}; \
                 or, if nobody should get it, cancel the shipment with: {}",
                pack_again(bundle),
                waive_command(bundle.run_id)
            )));
    }
    if unreachable.contains(&bundle.ship_to) {
        return Err(Error::new(Kind::Io, "not tried: its destination failed for the bundle before it"));
    }
    Ok(())
}

/// Rules 18 and 28: those whose destinations are others', and those that would be a second successor there. A destination that cannot be looked
/// at is told by shipping there.
fn forks(
    backend: &mut dyn Backend,
    unshipped: &[PendingShipment],
    monitor: &dyn Monitor,
) -> BTreeMap<(Guid, u32), Error> {
    let mut forks = BTreeMap::new();
    for bundle in unshipped {
        let Ok(records) = backend.bundles(bundle.run_id) else { continue };
        let own: Vec<_> = records.into_iter().filter(|record| record.pack_number == bundle.pack_number).collect();
        let Some(scope) = own.first().map(|record| record.scope) else { continue };
        let tables: Vec<TableName> = own.into_iter().map(|record| record.table).collect();
        let place = Path::new(&bundle.ship_to);
        let others = find_others(backend, scope, place, Some(bundle.run_id), monitor).ok().flatten();
        let why = others.or_else(|| find_fork(backend, &tables, scope, place, monitor).ok().flatten());
        forks.extend(why.map(|why| ((bundle.run_id, bundle.pack_number), why)));
    }
    forks
}

fn deliver(unshipped: &PendingShipment, monitor: &dyn Monitor) -> Result<()> {
    let path = unshipped.path();
    // An encrypted archive can be opened by its receivers alone; its name and file are what there is.
    if !is_encrypted(&unshipped.name) && Bundle::open(&path)?.root_sha256() != unshipped.root_sha256 {
        return Err(Error::new(Kind::Verification, "the bundle is not the one that was recorded; it was not shipped")
            .run(unshipped.run_id)
            .file(&path)
            .hint("put back the one with the root digest that `status --run` shows"));
    }
    ship(&path, &Location::parse(&unshipped.ship_to)?, &ShipOptions::default(), &Local, monitor).map(drop)
}
